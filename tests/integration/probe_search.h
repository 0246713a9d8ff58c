/* probe_search.h - a process that searches its own writable memory for canaries. */
#pragma once
#include <stdbool.h>

/* What is looked for, masked so that a program does not find itself.  canaries.h
 * repeats each text many times, so that a copy is found also when a part of it was
 * overwritten: canaryvalue, canaryclient, and the base64 of "abcabcabc" at any offset
 * (the client's id, inside of the token). */
typedef struct probe_canary {
    const char *name;
    const char *masked[3];
    int found;
} probe_canary;

enum { PROBE_VALUE, PROBE_CLIENT, PROBE_TOKEN, PROBE_CANARIES };
extern probe_canary probe_canaries[PROBE_CANARIES];

/* Fills in what is found: heap, stacks, anonymous memory, data of programs and
 * libraries; not the strings of the environment, which are the process's. */
void probe_search(bool show);
