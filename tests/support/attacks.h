/* attacks.h - reads the lists of tests/attacks; its README.md says what is in them. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum { ATTACK_MAX_TEXT = 12 * 1024 * 1024 };

typedef struct attack {
    char *name;
    char *end; /* "stopped", "error: TEXT" ... */
    char *body;
    bool is_whole;
} attack;

typedef struct attacks {
    attack *items;
    size_t n;
} attacks;

/* Where a body is tried. */
typedef enum attack_place { ATTACK_AT_LOAD, ATTACK_IN_MAP, ATTACK_PLACES } attack_place;

/* Adds what the file holds; stops the program if it is malformed. */
void attacks_read(attacks *all, const char *path);
void attacks_free(attacks *all);

/* The body inside a policy, or the whole policy; to be freed. */
char *attack_policy(const attack *a, attack_place place);
/* text with every <<N|piece>> written out, at most max bytes; to be freed. */
char *attack_expand(const char *text, size_t max);
