/* verbs.h - the words of ml_verb. */
#pragma once
#include "moonlatch.h"

/* "get", "list_deleted", ... */
const char *ml_verb_word(ml_verb verb);
/* ML_VERB_COUNT when the word is unknown. */
ml_verb ml_verb_of(const char *word);
