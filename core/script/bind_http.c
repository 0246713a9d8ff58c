/* bind_http.c - one HTTP exchange for a source that is written in Lua.
 *
 * URL, headers and body may hold secrets: they are put together here, in scrubbing
 * buffers.  Of the answer Lua sees status and plain headers; the body, and headers that
 * look as if they carried a credential, are secrets. */
#include "script/bind_http.h"

#include <lauxlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/http.h"
#include "script/bind_error.h"
#include "script/bytes.h"
#include "script/options.h"
#include "script/task.h"

enum {
    MAX_URL = 8 * 1024,
    MAX_HEADERS = 64 * 1024,
    MAX_BODY = 1024 * 1024,
    MAX_ANSWER = 16 * 1024 * 1024,
    MAX_TRIES = 10,
    TIMEOUT_MS = 10 * 1000
};

static const char CLASS[] = "moonlatch.http_request";

static int request_close(lua_State *L)
{
    ml_http_request_fini(luaL_checkudata(L, 1, CLASS));
    return 0;
}

/* In a userdata, so that nothing leaks whatever is raised. */
static ml_http_request *push_request(lua_State *L)
{
    ml_http_request *q = lua_newuserdatauv(L, sizeof(*q), 0);
    ml_http_request_init(q);
    q->url.max = MAX_URL;
    q->headers.max = MAX_HEADERS;
    q->body.max = MAX_BODY;
    if (luaL_newmetatable(L, CLASS)) {
        lua_pushcfunction(L, request_close);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return q;
}

/* ---- the request --------------------------------------------------------------- */

static const char *method_of(lua_State *L, ml_str text)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
    for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
        if (ml_str_eq(text, ml_str_of(methods[i]))) return methods[i];
    }
    luaL_error(L, "ml.http: the method must be GET, POST, PUT, PATCH or DELETE");
    return NULL;
}

static bool is_loopback(ml_str host)
{
    if (ml_str_ieq(host, ML_LIT("localhost")) || ml_str_eq(host, ML_LIT("[::1]")))
        return true;
    if (!ml_str_starts(host, ML_LIT("127."))) return false;
    for (size_t i = 0; i < host.n; i++) {
        if (host.p[i] != '.' && (host.p[i] < '0' || host.p[i] > '9')) return false;
    }
    return true;
}

/* "host:port", "[::1]:port" without the port. */
static ml_str without_port(ml_str authority)
{
    size_t end = authority.n;
    while (end > 0 && authority.p[end - 1] >= '0' && authority.p[end - 1] <= '9') end--;
    bool has_port = end > 0 && end < authority.n && authority.p[end - 1] == ':';
    return has_port ? (ml_str){authority.p, end - 1} : authority;
}

/* Letters, digits, '.', '-' and what an address in brackets needs. */
static bool is_host(ml_str host)
{
    bool has_brackets = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        bool is_word = ml_is_alnum(c) || c == '.' || c == '-' || c == '_';
        bool is_bracketed = has_brackets && (c == '[' || c == ']' || c == ':');
        if (!is_word && !is_bracketed) return false;
    }
    return host.n > 0;
}

/* https, or http on this machine; a host; no user, no blanks, no fragment. */
static void check_url(lua_State *L, ml_http_request *q)
{
    ml_str url = ml_buf_str(&q->url);
    bool is_https = ml_str_starts(url, ML_LIT("https://"));
    q->is_plain = !is_https && ml_str_starts(url, ML_LIT("http://"));
    ml_script_need_memory(L, &q->url);
    if (!ml_buf_ok(&q->url) || (!is_https && !q->is_plain)) {
        luaL_error(L,
                   "ml.http: the url must begin with https:// and have at most %d "
                   "bytes",
                   MAX_URL);
    }
    for (size_t i = 0; i < url.n; i++) {
        unsigned char c = (unsigned char)url.p[i];
        if (c <= ' ' || c >= 0x7f || c == '#' || c == '\\' || c == '"')
            luaL_error(L, "ml.http: the url has a character that must be encoded: use "
                          "ml.url_encode for its parts");
    }
    size_t scheme = is_https ? strlen("https://") : strlen("http://");
    ml_str rest = {url.p + scheme, url.n - scheme};
    size_t end = ml_str_find(rest, '/'), query = ml_str_find(rest, '?');
    ml_str authority = {rest.p, end < query ? end : query};
    ml_str host = without_port(authority);
    if (ml_str_find(authority, '@') < authority.n)
        luaL_error(L, "ml.http: no user and password in the url: use a header");
    if (!is_host(host)) luaL_error(L, "ml.http: the url has no host");
    if (q->is_plain && !is_loopback(host))
        luaL_error(L, "ml.http: http:// is allowed to this machine only: use https://");
}

/* The first piece must show scheme and host: they are named in errors and logs. */
static void read_url(lua_State *L, ml_http_request *q)
{
    lua_getfield(L, 1, "url");
    if (lua_istable(L, -1))
        lua_rawgeti(L, -1, 1);
    else
        lua_pushvalue(L, -1);
    ml_str first = {0};
    if (lua_type(L, -1) == LUA_TSTRING) first.p = lua_tolstring(L, -1, &first.n);
    lua_pop(L, 1);
    q->hides_path = ml_script_add_bytes(L, -1, "ml.http: url", &q->url);
    lua_pop(L, 1);
    check_url(L, q);
    if (!q->hides_path) return;
    size_t scheme = q->is_plain ? strlen("http://") : strlen("https://");
    bool has_host = first.n > scheme &&
                    ml_str_find((ml_str){first.p + scheme, first.n - scheme}, '/') <
                        first.n - scheme;
    if (!has_host)
        luaL_error(L, "ml.http: a secret may be in the path or query of the url only, "
                      "after a first piece like \"https://host/\"");
}

static bool is_token(ml_str name)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!ml_is_alnum(c) && (c == '\0' || !strchr(marks, c))) return false;
    }
    return name.n > 0;
}

static bool is_ours(ml_str name)
{
    static const char *const names[] = {"host",       "content-length",    "user-agent",
                                        "connection", "transfer-encoding", "expect"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (ml_str_ieq(name, ml_str_of(names[i]))) return true;
    }
    return false;
}

/* Key at -2, value at -1. */
static void add_header(lua_State *L, ml_http_request *q)
{
    ml_str name = {0};
    if (lua_type(L, -2) == LUA_TSTRING) name.p = lua_tolstring(L, -2, &name.n);
    if (!is_token(name)) luaL_error(L, "ml.http: headers are { Name = value }");
    if (is_ours(name))
        luaL_error(L, "ml.http: the header %s is not for you to set", name.p);
    ml_buf_add_str(&q->headers, name);
    ml_buf_add_text(&q->headers, ": ");
    size_t from = q->headers.len;
    ml_script_add_bytes(L, -1, name.p, &q->headers);
    for (size_t i = from; i < q->headers.len; i++) {
        unsigned char c = (unsigned char)q->headers.data[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            luaL_error(L,
                       "ml.http: the header %s has a line end or another control "
                       "character",
                       name.p);
    }
    ml_buf_add_char(&q->headers, '\0');
}

static void read_headers(lua_State *L, ml_http_request *q)
{
    if (!ml_script_opt_table(L, 1, "headers")) return;
    int table = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) add_header(L, q);
    lua_pop(L, 1);
    ml_script_need_memory(L, &q->headers);
    if (!ml_buf_ok(&q->headers)) luaL_error(L, "ml.http: the headers are too long");
}

static void read_body(lua_State *L, ml_http_request *q)
{
    if (lua_getfield(L, 1, "body") != LUA_TNIL) {
        if (strcmp(q->method, "GET") == 0) luaL_error(L, "ml.http: a GET has no body");
        ml_script_add_bytes(L, -1, "ml.http: body", &q->body);
        ml_script_need_memory(L, &q->body);
        if (!ml_buf_ok(&q->body))
            luaL_error(L, "ml.http: the body is longer than %d bytes", MAX_BODY);
    }
    lua_pop(L, 1);
}

static void read_rest(lua_State *L, ml_http_request *q, int64_t now_ms,
                      int64_t deadline_ms)
{
    const char *ca_file = ml_script_opt_text(L, 1, "ca_file");
    int idempotent = ml_script_opt_flag(L, 1, "idempotent");
    bool may_be_repeated =
        strcmp(q->method, "POST") != 0 && strcmp(q->method, "PATCH") != 0;
    q->is_idempotent = idempotent ? idempotent > 0 : may_be_repeated;
    q->max_tries = (int)ml_script_opt_bounded(L, 1, "retries", 0, MAX_TRIES - 1, 0) + 1;
    if (q->max_tries > 1 && !q->is_idempotent)
        luaL_error(L,
                   "ml.http: retries need idempotent = true: a %s that was received "
                   "could be carried out twice",
                   q->method);
    q->max_bytes =
        (size_t)ml_script_opt_bounded(L, 1, "max_bytes", 1, MAX_ANSWER, MAX_BODY);
    q->deadline_ms =
        now_ms + ml_script_opt_bounded(L, 1, "timeout_ms", 1, 3600 * 1000, TIMEOUT_MS);
    if (q->deadline_ms > deadline_ms) q->deadline_ms = deadline_ms;
    if (!ca_file) return;
    q->ca_file = ml_dup(ca_file);
    if (!q->ca_file) ml_script_nomem(L);
}

/* ---- the answer ---------------------------------------------------------------- */

/* May carry a credential: Lua gets a secret. */
static bool is_sensitive(const char *name)
{
    static const char *const words[] = {"cookie",        "token",
                                        "secret",        "password",
                                        "authorization", "authentication-info",
                                        "api-key",       "credential",
                                        "signature"};
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (strstr(name, words[i])) return true;
    }
    return false;
}

/* Of several lines of one name the first counts. */
static void push_header(lua_State *L, ml_str line, ml_secret_handle **list)
{
    char name[128];
    size_t n = ml_str_find(line, ':');
    if (n >= line.n || n >= sizeof(name)) return;
    for (size_t i = 0; i < n; i++) {
        char c = line.p[i];
        name[i] = c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
    }
    name[n] = '\0';
    ml_str value = ml_str_trim((ml_str){line.p + n + 1, line.n - n - 1});
    bool is_known = lua_getfield(L, -1, name) != LUA_TNIL;
    lua_pop(L, 1);
    if (is_known) return;
    if (is_sensitive(name))
        ml_script_push_bytes(L, value, list);
    else
        lua_pushlstring(L, value.p, value.n);
    lua_setfield(L, -2, name);
}

static int push_answer(lua_State *L, ml_op *op, ml_secret_handle **list)
{
    if (op->err.code != 0) return ml_script_push_outcome(L, &op->err);
    const ml_http_response *r = ml_http_answer(op);
    luaL_checkstack(L, 6, NULL);
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, r->status);
    lua_setfield(L, -2, "status");
    if (r->retry_after_ms > 0) {
        lua_pushinteger(L, r->retry_after_ms);
        lua_setfield(L, -2, "retry_after_ms");
    }
    lua_createtable(L, 0, 8);
    ml_str left = ml_buf_str(&r->headers);
    while (left.n > 0) {
        size_t n = ml_str_find(left, '\0');
        push_header(L, (ml_str){left.p, n}, list);
        left = (ml_str){left.p + n + 1, left.n - n - 1};
    }
    lua_setfield(L, -2, "headers");
    ml_script_push_bytes(L, ml_buf_str(&r->body), list);
    lua_setfield(L, -2, "body");
    return 1;
}

int ml_script_http(lua_State *L)
{
    const ml_host *host = ml_vm_of(L)->host;
    static const char *const names[] = {"method",     "url",     "headers",   "body",
                                        "timeout_ms", "ca_file", "max_bytes", "retries",
                                        "idempotent", NULL};
    const unsigned *rights = ml_task_rights(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    if (!rights || !(*rights & ML_MAY_FETCH))
        return luaL_error(L, "ml.http works inside the functions of ml.source only");
    ml_task *t = ml_task_self(L); /* before there is an op that could be left behind */
    if (ml_task_is_late(L, t)) return ml_script_push_late(L);
    lua_settop(L, 1);
    ml_script_check_names(L, 1, "ml.http", names);
    ml_http_request *q = push_request(L);
    ml_str method = ml_script_opt_str(L, 1, "method");
    q->is_bare = q->keeps_headers = true;
    q->method = method.p ? method_of(L, method) : "GET";
    read_url(L, q);
    read_headers(L, q);
    read_body(L, q);
    read_rest(L, q, ml_mono_ms(host->clock), ml_task_deadline_ms(t));
    ml_op *op = ml_http_start(host->azure->client, q, q->max_tries > 1,
                              ml_task_events(L), ml_task_wake, t);
    if (!op) return ml_script_nomem(L);
    return ml_task_await_value(L, t, push_answer, op);
}
