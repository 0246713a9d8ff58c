/* support.c - children that serve, handles that ask them. */
#include "support.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FLAGS = 48, START_MS = 30000, CALL_MS = 60000 };

ml_err last_error;

/* ---- children ---------------------------------------------------------------------
 */

static server *server_new(void)
{
    server *s = calloc(1, sizeof(*s));
    const char *tmp = getenv("TMPDIR");
    assert_non_null(s);
    snprintf(s->dir, sizeof(s->dir), "%.90s/moonlatch-test-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(s->dir));
    return s;
}

const char *server_file(const server *s, const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", s->dir, name);
    return path;
}

/* Runs argv; its first line of stdout goes to line.  Dies with us. */
static void spawn(server *s, char **argv, char *line, size_t size)
{
    int out[2];
    pid_t parent = getpid();
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    s->pid = fork();
    if (s->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int log = open(server_file(s, "log"), O_WRONLY | O_CREAT, 0600);
        if (getppid() != parent || log < 0 || dup2(out[1], 1) < 0 || dup2(log, 2) < 0) {
            _exit(126);
        }
        execvp(argv[0], argv);
        _exit(127);
    }
    close(out[1]);
    size_t n = 0;
    struct pollfd watch = {.fd = out[0], .events = POLLIN};
    while (n < size - 1 && !memchr(line, '\n', n)) {
        if (poll(&watch, 1, START_MS) != 1) break;
        ssize_t got = read(out[0], line + n, size - 1 - n);
        if (got <= 0) break;
        n += (size_t)got;
    }
    line[n] = '\0';
    close(out[0]);
    if (strchr(line, '\n')) return;
    char *log = read_text(server_file(s, "log"));
    print_error("%s", log);
    free(log);
    fail_msg("%s did not start", argv[0]);
}

/* The text of "key": "..." in one line of JSON. */
static void field(const char *json, const char *key, char *out, size_t size)
{
    char wanted[64];
    snprintf(wanted, sizeof(wanted), "\"%s\": \"", key);
    const char *at = strstr(json, wanted);
    const char *value = at ? at + strlen(wanted) : "";
    snprintf(out, size, "%.*s", (int)strcspn(value, "\""), value);
    if (!at) fail_msg("no %s in the ready line", key);
}

static void run_vault(server *s, const char *const *flags)
{
    char *argv[MAX_FLAGS] = {getenv("MOONLATCH"), "dev-vault", "--state-dir", s->dir};
    if (!argv[0]) fail_msg("MOONLATCH must be the path of the program");
    for (int n = 4; *flags && n < MAX_FLAGS - 1; flags++) {
        argv[n++] = (char *)(uintptr_t)*flags;
    }
    char line[2048] = "";
    spawn(s, argv, line, sizeof(line));
    field(line, "vault_url", s->url, sizeof(s->url));
    field(line, "tenant_id", s->tenant_id, sizeof(s->tenant_id));
    field(line, "client_id", s->client_id, sizeof(s->client_id));
    field(line, "client_secret", s->client_secret, sizeof(s->client_secret));
    field(line, "ca_file", s->ca_file, sizeof(s->ca_file));
    s->port = (int)strtol(strrchr(s->url, ':') + 1, NULL, 10);
    static const char imds[] = "\"imds_endpoint\": \"http://127.0.0.1:";
    const char *at = strstr(line, imds);
    if (at) s->imds_port = (int)strtol(at + strlen(imds), NULL, 10);
}

server *vault_start_with(const char *const *flags)
{
    server *s = server_new();
    run_vault(s, flags);
    return s;
}

void server_kill(server *s)
{
    int status;
    if (s->pid == 0) return;
    kill(s->pid, SIGTERM);
    waitpid(s->pid, &status, 0);
    s->pid = 0;
}

void vault_again_with(server *s, const char *const *flags)
{
    char url[sizeof(s->url)];
    memcpy(url, s->url, sizeof(url));
    server_kill(s);
    run_vault(s, flags);
    assert_string_equal(s->url, url); /* its port was free */
}

server *hostile_start(const server *vault)
{
    server *s = server_new();
    char key[256], record[256], line[64] = "";
    snprintf(key, sizeof(key), "%s/key.pem", vault->dir);
    snprintf(record, sizeof(record), "%s", server_file(s, "record"));
    memcpy(s->ca_file, vault->ca_file, sizeof(s->ca_file));
    memcpy(s->tenant_id, vault->tenant_id, sizeof(s->tenant_id));
    memcpy(s->client_id, vault->client_id, sizeof(s->client_id));
    memcpy(s->client_secret, vault->client_secret, sizeof(s->client_secret));
    char *argv[] = {"python3",    "-B", (char *)(uintptr_t)HOSTILE,
                    s->ca_file,   key,  record,
                    s->tenant_id, NULL};
    spawn(s, argv, line, sizeof(line));
    s->port = (int)strtol(line, NULL, 10);
    snprintf(s->url, sizeof(s->url), "https://localhost:%d", s->port);
    return s;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

void remove_all(const char *dir)
{
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void server_stop(server *s)
{
    if (!s) return;
    server_kill(s);
    remove_all(s->dir);
    free(s);
}

char *read_text(const char *path)
{
    FILE *f = fopen(path, "re");
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    if (!f) return text;
    size_t n = fread(text, 1, (1 << 20) - 1, f);
    text[n] = '\0';
    fclose(f);
    return text;
}

bool record_has(const server *hostile, const char *text)
{
    char *all = read_text(server_file(hostile, "record"));
    bool has = strstr(all, text) != NULL;
    free(all);
    return has;
}

/* ---- counting -----------------------------------------------------------------------
 */

static size_t collect(char *p, size_t size, size_t n, void *arg)
{
    char *text = arg;
    size_t len = strlen(text);
    if (len + size * n >= 8192) return 0;
    memcpy(text + len, p, size * n);
    text[len + size * n] = '\0';
    return size * n;
}

/* {"total":3,"ops":{"get":{"200":2,"401":1}}} */
static void fetch_stats(const server *vault, char text[8192])
{
    char url[128];
    CURL *easy = curl_easy_init();
    snprintf(url, sizeof(url), "%s/_dev/stats", vault->url);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_CAINFO, vault->ca_file);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, text);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT, 60L);
    text[0] = '\0';
    CURLcode code = curl_easy_perform(easy);
    curl_easy_cleanup(easy);
    if (code != CURLE_OK) fail_msg("no stats: %s", curl_easy_strerror(code));
}

int requests(const server *vault, const char *op, int status)
{
    char text[8192], wanted[64];
    fetch_stats(vault, text);
    snprintf(wanted, sizeof(wanted), "\"%s\":{", op);
    char *at = strstr(text, wanted);
    if (!at) return 0;
    at += strlen(wanted);
    at[strcspn(at, "}")] = '\0';
    int sum = 0;
    while (*at == '"') {
        long code = strtol(at + 1, &at, 10);
        if (strncmp(at, "\":", 2) != 0) fail_msg("stats: %s", text);
        long count = strtol(at + 2, &at, 10);
        if (status < 0 || status == code) sum += (int)count;
        if (*at == ',') at++;
    }
    return sum;
}

/* ---- asking -------------------------------------------------------------------------
 */

ml_resolver *open_with(const setup *s)
{
    static const char one_vault[] =
        "local ml = require 'moonlatch.policy'\n"
        "local kv = ml.azure_key_vault { vault_url = ml.env 'VAULT_URL' }\n"
        "return ml.policy { ml.rule '**' { from = { kv } } }\n";
    const server *v = s->vault, *a = s->authority ? s->authority : v;
    const ml_pair env[] = {{"VAULT_URL", s->url ? s->url : v->url},
                           {"AZURE_TENANT_ID", v->tenant_id},
                           {"AZURE_CLIENT_ID", v->client_id},
                           {"AZURE_CLIENT_SECRET",
                            s->client_secret ? s->client_secret : v->client_secret},
                           {"AZURE_AUTHORITY_HOST", a->url}};
    ml_options o = {ML_OPTIONS_INIT,
                    .policy_text = s->policy ? s->policy : one_vault,
                    .env = env,
                    .n_env = sizeof(env) / sizeof(env[0]),
                    .ca_file = v->ca_file,
                    .clock = s->clock,
                    .log = s->log,
                    .log_level = ML_LOG_DEBUG,
                    .deadline_ms = s->deadline_ms ? s->deadline_ms : CALL_MS,
                    .cache_ttl_ms = s->has_cache ? 0 : -1};
    ml_resolver *r = NULL;
    ml_err e;
    if (s->adjust) s->adjust(&o);
    if (ml_open(&r, &o, &e) < 0) fail_msg("cannot open: %s", e.text);
    return r;
}

ml_resolver *open_on(const server *vault)
{
    return open_with(&(setup){.vault = vault});
}

void note_end(ml_request *q, const ml_answer *a, const ml_err *e, void *arg)
{
    (void)q;
    (void)a;
    *(ending *)arg = (ending){true, e->code};
    last_error = *e;
}

int run(ml_resolver *r, const ml_call *call, ml_answer **out)
{
    ml_answer *answer = NULL;
    int code = ml_run(r, call, &answer, &last_error);
    if (out && code == 0)
        *out = answer;
    else
        ml_answer_free(answer);
    return code;
}

int get_code(ml_resolver *r, const char *name)
{
    return run(r, &(ml_call){ML_CALL_INIT, .verb = ML_GET, .name = name}, NULL);
}

void assert_value(ml_resolver *r, const char *name, const char *value)
{
    ml_secret *s = NULL;
    size_t n;
    if (ml_get(r, name, NULL, 0, &s, &last_error) < 0) {
        fail_msg("%s: %s: %s", name, ml_outcome(last_error.code), last_error.text);
    }
    const void *p = ml_secret_data(s, &n);
    assert_int_equal(n, strlen(value));
    assert_memory_equal(p, value, n);
    ml_secret_unref(s);
}

void put_text(ml_resolver *r, const char *name, const char *value)
{
    if (ml_put(r, name, value, strlen(value), NULL, 0, &last_error) < 0) {
        fail_msg("put %s: %s", name, last_error.text);
    }
}

int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- clocks --------------------------------------------------------------------- */

atomic_llong ahead_ms;

static int64_t jumping_mono_ms(void *arg)
{
    (void)arg;
    return now_ms() + ahead_ms;
}

static int64_t jumping_wall_s(void *arg)
{
    (void)arg;
    return 1800000000 + (now_ms() + ahead_ms) / 1000;
}

static int64_t slow_mono_ms(void *arg)
{
    (void)arg;
    return now_ms() / 10;
}

static int64_t slow_wall_s(void *arg)
{
    (void)arg;
    return 1800000000 + now_ms() / 10000;
}

const ml_clock jumping_clock = {jumping_mono_ms, jumping_wall_s, NULL};
const ml_clock slow_clock = {slow_mono_ms, slow_wall_s, NULL};

char seed_path[160];

FILE *open_seed(void)
{
    snprintf(seed_path, sizeof(seed_path), "/tmp/moonlatch-seed-XXXXXX");
    int fd = mkstemp(seed_path);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    assert_non_null(f);
    return f;
}

int remove_seed(void **state)
{
    (void)state;
    return remove(seed_path);
}

int clean_environment(void **state)
{
    (void)state;
    static const char *const names[] = {"HTTPS_PROXY",
                                        "https_proxy",
                                        "ALL_PROXY",
                                        "all_proxy",
                                        "SSL_CERT_FILE",
                                        "SSL_CERT_DIR",
                                        "AZURE_TENANT_ID",
                                        "AZURE_CLIENT_ID",
                                        "AZURE_CLIENT_SECRET",
                                        "AZURE_AUTHORITY_HOST",
                                        "AZURE_ADDITIONALLY_ALLOWED_TENANTS",
                                        "MOONLATCH_POLICY"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) unsetenv(names[i]);
    signal(SIGPIPE, SIG_IGN);
    return 0;
}
