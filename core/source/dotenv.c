/* dotenv.c - the .env file that users of Astro and Docker write, line by line. */
#include "source/dotenv.h"

#include <string.h>

typedef ml_dotenv cursor;

static bool fail(cursor *c, const char *reason)
{
    c->reason = reason;
    return false;
}

static const char EXPANSION[] =
    "${...} in its value is not expanded: single quotes keep it as it is";

/* ---- characters and lines -------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool starts_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool goes_on_name(char c)
{
    return starts_name(c) || (c >= '0' && c <= '9') || c == '.' || c == '-';
}

static size_t name_length(ml_str s)
{
    size_t n = 0;
    if (s.n == 0 || !starts_name(s.p[0])) return 0;
    while (n < s.n && goes_on_name(s.p[n])) n++;
    return n;
}

bool ml_dotenv_is_name(ml_str name)
{
    return name.n > 0 && name_length(name) == name.n;
}

static ml_str drop(ml_str s, size_t n)
{
    return (ml_str){s.p + n, s.n - n};
}

static ml_str skip_blanks(ml_str s)
{
    while (s.n && is_blank(s.p[0])) s = drop(s, 1);
    return s;
}

static ml_str trim_end(ml_str s)
{
    while (s.n && is_blank(s.p[s.n - 1])) s.n--;
    return s;
}

/* From `at` to the end of its line, without CR LF, LF, or a CR that ends the text. */
static ml_str line_at(const cursor *c, size_t at)
{
    ml_str rest = drop(c->text, at);
    size_t n = ml_str_find(rest, '\n');
    bool has_cr = n > 0 && rest.p[n - 1] == '\r';
    return (ml_str){rest.p, has_cr ? n - 1 : n};
}

static size_t next_line(const cursor *c, size_t at)
{
    size_t n = ml_str_find(drop(c->text, at), '\n');
    return at + n < c->text.n ? at + n + 1 : c->text.n;
}

static bool has_expansion(ml_str s)
{
    for (size_t i = 0; i + 1 < s.n; i++) {
        if (s.p[i] == '$' && s.p[i + 1] == '{') return true;
    }
    return false;
}

/* Where a comment begins: at a '#' that a blank precedes. */
static size_t comment_at(ml_str s, size_t from)
{
    for (size_t i = from; i + 1 < s.n; i++) {
        if (is_blank(s.p[i]) && s.p[i + 1] == '#') return i;
    }
    return s.n;
}

/* ---- values ---------------------------------------------------------------------- */

/* Behind the closing quote at `at`: nothing, or a comment. */
static bool end_quoted(cursor *c, size_t at)
{
    ml_str rest = line_at(c, at);
    ml_str after = skip_blanks(rest);
    if (after.n && (after.p[0] != '#' || after.n == rest.n)) {
        return fail(c, "something follows the closing quote of its value");
    }
    c->at = next_line(c, at);
    return true;
}

/* One byte of a quoted value; the CR of a CR LF is left out. */
static void add_quoted(cursor *c, size_t i)
{
    bool is_crlf =
        c->text.p[i] == '\r' && (i + 1 == c->text.n || c->text.p[i + 1] == '\n');
    if (!is_crlf) ml_buf_add_char(&c->value, c->text.p[i]);
}

static bool read_single(cursor *c, size_t at)
{
    size_t i = at;
    for (; i < c->text.n && c->text.p[i] != '\''; i++) add_quoted(c, i);
    if (i == c->text.n) return fail(c, "the single quote of its value is not closed");
    return end_quoted(c, i + 1);
}

static char escape_of(char c)
{
    static const char from[] = "nrt\\\"'$", to[] = "\n\r\t\\\"'$";
    const char *hit = c ? strchr(from, c) : NULL;
    return hit ? to[hit - from] : '\0';
}

static bool read_double(cursor *c, size_t at)
{
    ml_str t = c->text;
    size_t i = at;
    for (; i < t.n && t.p[i] != '"'; i++) {
        if (t.p[i] == '\\') {
            char meant = i + 1 < t.n ? escape_of(t.p[++i]) : '\0';
            if (!meant) {
                return fail(c, "a backslash in its double quotes starts no known "
                               "escape: write \\\\, or use single quotes");
            }
            ml_buf_add_char(&c->value, meant);
        } else if (t.p[i] == '$' && i + 1 < t.n && t.p[i + 1] == '{') {
            return fail(c, EXPANSION);
        } else {
            add_quoted(c, i);
        }
    }
    if (i == t.n) return fail(c, "the double quote of its value is not closed");
    return end_quoted(c, i + 1);
}

/* Behind the closing quote of the JSON text that begins at i, or 0. */
static size_t json_text_end(ml_str s, size_t i)
{
    for (i++; i < s.n; i++) {
        if (s.p[i] == '"') return i + 1;
        if (s.p[i] == '\\') i++;
    }
    return 0;
}

/* Behind the bracket that closes the value; texts are stepped over.  0: none does. */
static size_t json_end(ml_str s)
{
    size_t i = 0;
    long depth = 0;
    while (i < s.n) {
        char ch = s.p[i];
        if (ch == '"') {
            i = json_text_end(s, i);
            if (i == 0) return 0;
            continue;
        }
        if (ch == '{' || ch == '[') depth++;
        if (ch == '}' || ch == ']') depth--;
        i++;
        if (depth == 0) return i;
    }
    return 0;
}

static bool read_unquoted(cursor *c, size_t at)
{
    ml_str line = line_at(c, at);
    size_t search_from = 0;
    if (line.n && line.p[0] == '#') {
        return fail(c, "its value starts with '#': quote it, or leave the value empty "
                       "and put the comment on a line of its own");
    }
    if (line.n && (line.p[0] == '{' || line.p[0] == '[')) {
        search_from = json_end(line);
        if (search_from == 0) {
            return fail(c, "its value opens a bracket that does not close on this "
                           "line: JSON over several lines needs single quotes around "
                           "it");
        }
    }
    line.n = comment_at(line, search_from);
    if (has_expansion(line)) return fail(c, EXPANSION);
    ml_buf_add_str(&c->value, trim_end(line));
    c->at = next_line(c, at);
    return true;
}

/* ---- lines -------------------------------------------------------------------------
 */

/* Less the blanks in front, and "export" with its own. */
static ml_str without_export(ml_str line)
{
    line = skip_blanks(line);
    if (!ml_str_starts(line, ML_LIT("export"))) return line;
    ml_str rest = drop(line, strlen("export"));
    ml_str behind = skip_blanks(rest);
    return behind.n && behind.n < rest.n ? behind : line;
}

/* Blank, a comment, or a name alone. */
static bool is_skipped(ml_str line)
{
    ml_str s = skip_blanks(line);
    if (s.n == 0 || s.p[0] == '#') return true;
    s = trim_end(without_export(line));
    return ml_dotenv_is_name(s);
}

static bool read_entry(cursor *c)
{
    ml_str line = line_at(c, c->at), rest = without_export(line);
    c->name = (ml_str){rest.p, name_length(rest)};
    rest = skip_blanks(drop(rest, c->name.n));
    if (c->name.n == 0 || rest.n == 0 || rest.p[0] != '=') {
        if (ml_str_find(line, '=') == line.n) {
            return fail(c, "there is no '=' in this line");
        }
        return fail(c, "a name (letters, digits, '_', '.', '-') is needed before '='");
    }
    rest = skip_blanks(drop(rest, 1));
    size_t at = (size_t)(rest.p - c->text.p);
    if (rest.n && rest.p[0] == '\'') return read_single(c, at + 1);
    if (rest.n && rest.p[0] == '"') return read_double(c, at + 1);
    return read_unquoted(c, at);
}

static int count_lines(ml_str s, size_t from, size_t to)
{
    int n = 0;
    for (size_t i = from; i < to; i++) n += s.p[i] == '\n';
    return n;
}

/* At a line that is not skipped. */
static void read_line(cursor *c)
{
    size_t after = next_line(c, c->at);
    c->name = (ml_str){0};
    c->reason = NULL;
    ml_buf_fini(&c->value); /* not cleared: a large one would be scrubbed each time */
    if (read_entry(c))
        c->failed = c->failed || !ml_buf_ok(&c->value);
    else
        c->at = after;
}

int ml_dotenv_init(ml_dotenv *d, ml_str text)
{
    size_t nul = ml_str_find(text, '\0');
    int nul_line = nul < text.n ? 1 + count_lines(text, 0, nul) : 0;
    if (ml_str_starts(text, ML_LIT("\xef\xbb\xbf"))) text = drop(text, 3);
    *d = (ml_dotenv){.text = text, .next_line = 1};
    if (nul_line) d->at = text.n;
    ml_buf_init(&d->value, text.n + 1);
    return nul_line;
}

bool ml_dotenv_next(ml_dotenv *d)
{
    for (; d->at < d->text.n && is_skipped(line_at(d, d->at)); d->next_line++) {
        d->at = next_line(d, d->at);
    }
    if (d->failed || d->at >= d->text.n) return false;
    size_t from = d->at;
    d->line = d->next_line;
    read_line(d);
    d->next_line += count_lines(d->text, from, d->at);
    return !d->failed;
}

bool ml_dotenv_fini(ml_dotenv *d)
{
    ml_buf_fini(&d->value);
    return !d->failed;
}
