/* dotenv.h - the .env file that users of Astro and Docker write, line by line.
 *
 *   # comment                      a line of its own; blank lines are skipped
 *   NAME=value # comment           unquoted: to the end of the line, less blanks around
 *                                  it and a comment (blank, then #); a#b keeps its #
 *   NAME={"a": "b # c"}            unquoted JSON, one line: # inside its texts is kept
 *   export NAME='as it is'         single quotes: nothing inside is special
 *   NAME="a \"b\"\nc"              double quotes: \n \r \t \\ \" \' \$ are escapes
 *
 * Quoted values may hold newlines; everywhere CR LF counts as LF.  Blanks around "="
 * are allowed.  "$" is a "$": nothing is expanded.  When a name is there twice the last
 * value wins.  A line that is a name alone stands, as for Docker, for the variable of
 * the process: it is skipped.
 *
 * Readers of .env disagree, so what they read differently is a mistake here rather than
 * a guess: ${NAME} outside single quotes, an escape not listed, text after a closing
 * quote, an unquoted { or [ that does not close on its line, an unquoted value that
 * starts with #.  A mistake costs its own line only: reading goes on with the next one.
 *
 * Pure.  No reason holds a value. */
#pragma once
#include "base/buf.h"

/* Reads entry by entry:
 *
 *     ml_dotenv d;
 *     int nul_line = ml_dotenv_init(&d, text);
 *     while (ml_dotenv_next(&d)) use(d.line, d.name, d.reason, d.value);
 *     ok = ml_dotenv_fini(&d);
 *
 * All but line is a view, valid until the next step. */
typedef struct ml_dotenv {
    int line;
    ml_str name;        /* of a mistake it may be empty: the line has none */
    const char *reason; /* of a mistake: one static sentence; NULL: an entry */
    ml_buf value;       /* of an entry, decoded */
    ml_str text;        /* private, as is what follows */
    size_t at;
    int next_line;
    bool failed;
} ml_dotenv;

/* 0, or the line of the first NUL byte: this is no text, and nothing will be read. */
int ml_dotenv_init(ml_dotenv *d, ml_str text);
bool ml_dotenv_next(ml_dotenv *d);
/* Scrubs.  False when something was lost: out of memory. */
bool ml_dotenv_fini(ml_dotenv *d);
/* Is it a name that such a file can have: a letter or '_', then those, digits, . and -
 */
bool ml_dotenv_is_name(ml_str name);
