/* attacks.c - reads the lists of tests/attacks. */
#include "attacks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(2);
}

static char *dup_n(const char *p, size_t n)
{
    char *copy = malloc(n + 1);
    if (!copy) die("attacks", "out of memory");
    memcpy(copy, p, n);
    copy[n] = '\0';
    return copy;
}

static char *read_all(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0) die(path, "cannot be read");
    long n = ftell(f);
    rewind(f);
    char *text = malloc((size_t)n + 1);
    if (n < 0 || !text || fread(text, 1, (size_t)n, f) != (size_t)n)
        die(path, "cannot be read");
    text[n] = '\0';
    fclose(f);
    return text;
}

/* ---- lists ---------------------------------------------------------------------- */

/* "[whole ]NAME: END"; the name has no colon. */
static attack read_head(const char *line, size_t n, const char *path)
{
    static const char whole[] = "whole ";
    attack a = {.is_whole = strncmp(line, whole, sizeof(whole) - 1) == 0};
    size_t from = a.is_whole ? sizeof(whole) - 1 : 0;
    const char *colon = memchr(line + from, ':', n - from);
    if (!colon || (size_t)(colon - line) + 2 >= n) die(path, "a head without an end");
    a.name = dup_n(line + from, (size_t)(colon - line) - from);
    a.end = dup_n(colon + 2, n - (size_t)(colon + 2 - line));
    return a;
}

void attacks_read(attacks *all, const char *path)
{
    static const char mark[] = "\n--- ";
    char *text = read_all(path);
    char *at = strstr(text, mark);
    while (at) {
        char *line = at + sizeof(mark) - 1;
        char *body = strchr(line, '\n');
        if (!body) die(path, "a head without a body");
        attack a = read_head(line, (size_t)(body - line), path);
        at = strstr(body, mark);
        if (at == body)
            a.body = dup_n("", 0);
        else
            a.body = dup_n(body + 1, at ? (size_t)(at - body - 1) : strlen(body + 1));
        attack *items = realloc(all->items, (all->n + 1) * sizeof(a));
        if (!items) die(path, "out of memory");
        all->items = items;
        all->items[all->n++] = a;
    }
    free(text);
}

void attacks_free(attacks *all)
{
    for (size_t i = 0; i < all->n; i++) {
        free(all->items[i].name);
        free(all->items[i].end);
        free(all->items[i].body);
    }
    free(all->items);
}

/* ---- texts ---------------------------------------------------------------------- */

typedef struct writer {
    char *text;
    size_t n, max;
} writer;

static void put(writer *w, const char *p, size_t n)
{
    if (n > w->max - w->n) n = w->max - w->n;
    memcpy(w->text + w->n, p, n);
    w->n += n;
}

/* The piece once, $i being the number. */
static void put_piece(writer *w, const char *p, size_t n, unsigned long number)
{
    char digits[24];
    const char *end = p + n;
    while (p < end) {
        const char *mark = memchr(p, '$', (size_t)(end - p));
        if (!mark || mark + 1 == end) break;
        put(w, p, (size_t)(mark - p));
        if (mark[1] == 'i')
            put(w, digits, (size_t)snprintf(digits, sizeof(digits), "%lu", number));
        else
            put(w, mark, 2);
        p = mark + 2;
    }
    put(w, p, (size_t)(end - p));
}

/* "<<N|piece>>" at p: the place behind it, NULL when it is something else. */
static const char *put_repeated(writer *w, const char *p)
{
    char *bar;
    if (p[2] < '0' || p[2] > '9') return NULL;
    unsigned long times = strtoul(p + 2, &bar, 10);
    const char *end = *bar == '|' ? strstr(bar, ">>") : NULL;
    if (!end) return NULL;
    size_t n = (size_t)(end - bar - 1); /* of nothing, any number is nothing */
    for (unsigned long i = 1; n > 0 && i <= times && w->n < w->max; i++)
        put_piece(w, bar + 1, n, i);
    return end + 2;
}

char *attack_expand(const char *text, size_t max)
{
    writer w = {.text = malloc(max + 1), .max = max};
    if (!w.text) die("attacks", "out of memory");
    for (;;) {
        const char *mark = strstr(text, "<<");
        put(&w, text, mark ? (size_t)(mark - text) : strlen(text));
        if (!mark) break;
        text = put_repeated(&w, mark);
        if (text) continue;
        put(&w, mark, 2);
        text = mark + 2;
    }
    w.text[w.n] = '\0';
    return w.text;
}

/* Lines are kept together, so that the body's first one is the policy's second. */
static const char before[] = "local ml = require 'moonlatch.policy' "
                             "local env = ml.environment {} "
                             "local function attack(req)\n";
static const char *const after[ATTACK_PLACES] = {
    "\nend attack() "
    "return ml.policy { ml.rule '**' { from = env, prefix = 'now-' } }\n",
    "\nend return ml.policy { ml.rule '**' { map = function(req) attack(req) "
    "return env:key('now-x') end } }\n"};

char *attack_policy(const attack *a, attack_place place)
{
    if (a->is_whole) return attack_expand(a->body, ATTACK_MAX_TEXT);
    size_t n = strlen(before) + strlen(a->body) + strlen(after[place]) + 1;
    char *text = malloc(n);
    if (!text) die("attacks", "out of memory");
    snprintf(text, n, "%s%s%s", before, a->body, after[place]);
    char *policy = attack_expand(text, ATTACK_MAX_TEXT);
    free(text);
    return policy;
}
