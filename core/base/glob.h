/* glob.h - the patterns of names, as rules and lists have them:
 *
 *   *     any part of one segment; as a whole segment, at least one character
 *   **    any number of segments, alone between slashes; at the end at least one
 *   {x}   at least one character of one segment */
#pragma once
#include "base/str.h"
#include "moonlatch.h"

/* 0, or ML_EUSAGE with what is wrong with the pattern. */
int ml_glob_check(ml_str pattern, ml_err *e);
/* Of a checked pattern. */
bool ml_glob_match(ml_str pattern, ml_str name);
