/* memory_probe.c - a host that gets secrets from every kind of source and lets
 * everything go; then it searches its own writable memory for what should not be there
 * any more, or stops, so that somebody else takes a core file of it.
 *
 *     memory_probe plain|apart [open|closed]
 *                         (VAULT_URL, FILES, AZURE_*, SSL_CERT_FILE are set)
 *
 * plain: libcurl and OpenSSL use malloc.  They do not erase what they free: copies of
 * theirs are counted and allowed (README, "Secrets in memory").
 * apart: both get an allocator of their own, which erases, and which core dumps leave
 * out: what is found then is ours.
 * open, closed: no search.  Prints "ready" and stops itself with everything held, or
 * after ml_close; without its environment, which belongs to the process and is in any
 * core file.
 *
 * Prints one line a canary: copies while the handle is open, copies after close.
 * Exit 0: nothing that is not allowed.  1: found.  2: a call failed. */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "moonlatch.h"
#include "probe_heap.h"
#include "probe_search.h"

/* ---- what a host does ------------------------------------------------------------ */

/* The source in Lua logs in itself, and has the value as a string of Lua; what it and
 * transform saw stays in the Lua state. */
static const char policy[] =
    "local ml = require 'moonlatch.policy'\n"
    "local url, files, id = ml.env 'VAULT_URL', ml.env 'FILES', ml.env "
    "'AZURE_CLIENT_ID'\n"
    "local secret, tenant = ml.env_secret 'AZURE_CLIENT_SECRET', ml.env "
    "'AZURE_TENANT_ID'\n"
    "local kv = ml.azure_key_vault { vault_url = url }\n"
    "local own = ml.azure_key_vault { vault_url = url, alias = 'own',\n"
    "  credential = ml.client_secret { tenant_id = tenant, client_id = id,\n"
    "    client_secret = secret } }\n"
    "local seen = {}\n"
    "local function ask(request)\n"
    "  local r, outcome, text = ml.http(request)\n"
    "  if r and r.status == 200 then return r.body end\n"
    "  return nil, outcome or 'unavailable', text or 'HTTP ' .. r.status\n"
    "end\n"
    "local lua = ml.source { alias = 'lua', get = function(key)\n"
    "  local body, outcome, text = ask { method = 'POST',\n"
    "    url = url .. '/' .. tenant .. '/oauth2/v2.0/token',\n"
    "    headers = { ['Content-Type'] = 'application/x-www-form-urlencoded' },\n"
    "    body = { 'grant_type=client_credentials&client_id=', id, '&client_secret=',\n"
    "      ml.url_encode(secret), '&scope=https%3A%2F%2Flocalhost%2F.default' } }\n"
    "  if not body then return nil, outcome, text end\n"
    "  local token = ml.json.field(body, '/access_token')\n"
    "  body, outcome, text = ask { url = url .. '/secrets/' .. key .. "
    "'?api-version=7.4',\n"
    "    headers = { Authorization = { 'Bearer ', token } } }\n"
    "  if not body then return nil, outcome, text end\n"
    "  local value = ml.json.text(body, '/value')\n"
    "  seen[1] = value .. '!'\n"
    "  seen[2] = ml.json.encode { value = value }\n"
    "  return (value .. value):sub(1, #value)\n"
    "end }\n"
    "local function all(prefix, from, more)\n"
    "  local rule = { strip = prefix, from = { from } }\n"
    "  for k, v in pairs(more or {}) do rule[k] = v end\n"
    "  return ml.rule(prefix .. '*')(rule)\n"
    "end\n"
    "return ml.policy {\n"
    "  all('env/', ml.environment {}), all('own/', own), all('lua/', lua),\n"
    "  all('turned/', kv, { transform = function(text)\n"
    "    seen[3] = text:gsub('%.', '-')\n"
    "    return text:upper():lower()\n"
    "  end }),\n"
    "  all('dotenv/', ml.dotenv { path = files .. '/app.env' }),\n"
    "  all('mount/', ml.directory { path = files .. '/mount' }),\n"
    "  all('whole/', ml.file { path = files .. '/mount/marked', alias = 'whole' }),\n"
    "  all('part/', ml.file { path = files .. '/vars.json', alias = 'part' },\n"
    "    { field = '/marked' }),\n"
    "  all('local/', ml.local_file { path = files .. '/vars.json', alias = 'local' "
    "}),\n"
    "  all('conn/', ml.local_file { path = files .. '/conns.json', alias = 'conn',\n"
    "    holds = 'connections' }),\n"
    "  all('yaml/', ml.local_file { path = files .. '/vars.yaml', alias = 'yaml' }),\n"
    "  ml.rule '*' { prefix = { 'no-', '' }, from = { kv } },\n"
    "}\n";

static const char *const names[] = {
    "marked",        "marked" /* from the cache */,
    "own/marked",    "env/AZURE_CLIENT_SECRET",
    "lua/marked",    "turned/marked",
    "dotenv/MARKED", "dotenv/QUOTED",
    "mount/marked",  "whole/x",
    "part/x",        "local/marked",
    "conn/marked",   "yaml/marked",
};
enum { N_NAMES = sizeof(names) / sizeof(names[0]) };

static bool get(ml_resolver *r, const char *name, ml_secret **out)
{
    ml_err e;
    if (ml_get(r, name, NULL, 0, out, &e) == 0) return true;
    fprintf(stderr, "%s: %s\n", name, e.text);
    return false;
}

static bool run(ml_resolver *r, const ml_call *call)
{
    ml_answer *a = NULL;
    ml_err e;
    if (ml_run(r, call, &a, &e) < 0) {
        fprintf(stderr, "%s: %s\n", call->name, e.text);
        return false;
    }
    ml_answer_free(a);
    return true;
}

/* Moves a value from one name to another, as a migration would. */
static bool put_again(ml_resolver *r)
{
    ml_secret *s = NULL;
    size_t n;
    if (!get(r, "marked", &s)) return false;
    const void *p = ml_secret_data(s, &n);
    bool ok = ml_put(r, "copy", p, n, NULL, 0, NULL) == 0;
    ml_secret_unref(s);
    return ok;
}

/* A backup holds the value too, though the service sealed it. */
static bool use_verbs(ml_resolver *r)
{
    ml_secret *s = NULL;
    bool ok = put_again(r) && get(r, "copy", &s) &&
              run(r, &(ml_call){ML_CALL_INIT, .verb = ML_EXPLAIN, .name = "marked"}) &&
              run(r, &(ml_call){ML_CALL_INIT, .verb = ML_VERSIONS, .name = "copy"}) &&
              run(r, &(ml_call){ML_CALL_INIT, .verb = ML_BACKUP, .name = "copy"}) &&
              run(r, &(ml_call){ML_CALL_INIT, .verb = ML_DELETE, .name = "copy"}) &&
              run(r, &(ml_call){ML_CALL_INIT, .verb = ML_PURGE, .name = "copy"});
    ml_secret_unref(s);
    return ok;
}

static ml_secret *held[N_NAMES];

static bool use(ml_resolver *r)
{
    for (int i = 0; i < N_NAMES; i++) {
        if (!get(r, names[i], &held[i])) return false;
    }
    return use_verbs(r);
}

static void let_go(void)
{
    for (int i = 0; i < N_NAMES; i++) ml_secret_unref(held[i]);
}

/* ---- without an environment ------------------------------------------------------ */

enum { MAX_VARIABLES = 64 };
static ml_pair variables[MAX_VARIABLES];
static size_t n_variables;

/* Its strings are moved to where core dumps do not look, and given as options. */
static void move_environment(void)
{
    for (char **at = environ; *at && n_variables < MAX_VARIABLES; at++) {
        char *copy = probe_heap_copy(*at), *value = copy ? strchr(copy, '=') : NULL;
        if (value) {
            *value = '\0';
            variables[n_variables++] = (ml_pair){copy, value + 1};
        }
        memset(*at, 0, strlen(*at));
    }
    static char *none[] = {NULL};
    environ = none;
}

/* What must be in any core file of this process, or it is none. */
static volatile char control[64];

static void make_control(void)
{
    static const char text[] = "control-of-the-core-file";
    for (size_t i = 0; i < sizeof(text); i++) control[i] = text[i];
}

/* The processor's vector registers hold what the C library's string functions handled
 * last, and are in a core file: a host that goes on overwrites them, as is done here
 * with lengths of every kind. */
static void go_on(void)
{
    static char from[4096], to[4096];
    static volatile size_t kept;
    for (size_t n = 1; n <= sizeof(from); n += n < 300 ? 1 : 61) {
        memset(from, 'a', n - 1);
        memcpy(to, from, n);
        kept += strlen(to) + (size_t)memcmp(from, to, n) + (strchr(to, 'b') != NULL) +
                (memchr(to, 'b', n) != NULL);
        memmove(to + 1, to, n - 1);
        memset(to, 0, n);
    }
}

static void stop_here(void)
{
    make_control();
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0); /* gdb is no parent of ours */
    go_on();
    if (write(STDOUT_FILENO, "ready\n", 6) != 6) _exit(2);
    raise(SIGSTOP);
}

/* ---- the two ways ---------------------------------------------------------------- */

static ml_resolver *open_it(void)
{
    ml_resolver *r = NULL;
    ml_err e;
    ml_options o = {ML_OPTIONS_INIT, .policy_text = policy, .env = variables,
                    .n_env = n_variables};
    if (ml_open(&r, &o, &e) == 0) return r;
    fprintf(stderr, "%s\n", e.text);
    exit(2);
}

static int stop_at(bool is_open)
{
    if (setrlimit(RLIMIT_CORE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}) != 0)
        return 2;
    move_environment();
    ml_resolver *r = open_it();
    if (!use(r)) return 2;
    if (is_open) stop_here();
    let_go();
    ml_close(r);
    if (!is_open) stop_here();
    return 0;
}

static int search_twice(bool is_apart)
{
    int open[PROBE_CANARIES], left = 0;
    ml_resolver *r = open_it();
    bool used = use(r);
    probe_search(false);
    for (int i = 0; i < PROBE_CANARIES; i++) {
        open[i] =
            probe_canaries[i].found; /* the search itself: what is held is found */
        used = used && open[i] > 0;
    }
    let_go();
    ml_close(r);
    if (!used) return 2;
    probe_search(true);
    for (int i = 0; i < PROBE_CANARIES; i++) {
        printf("copies of %s: %d %d\n", probe_canaries[i].name, open[i],
               probe_canaries[i].found);
        left += probe_canaries[i].found;
    }
    return is_apart && left ? 1 : 0;
}

int main(int argc, char **argv)
{
    bool is_apart = argc > 1 && strcmp(argv[1], "apart") == 0;
    if (is_apart) probe_heap_install();
    if (argc < 3) return search_twice(is_apart);
    return stop_at(strcmp(argv[2], "open") == 0);
}
