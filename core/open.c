/* open.c - opening a resolver from its options, and taking it apart again. */
#include <curl/curl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/locked.h"
#include "base/mem.h"
#include "resolver.h"

enum {
    DEADLINE_MS = 30 * 1000,
    CONNECT_MS = 5 * 1000,
    CACHE_TTL_MS = 60 * 1000,
    CACHE_BYTES = 8 * 1024 * 1024,
    CACHE_ENTRIES = 65536,
    STALE_TTL_MS = 3600 * 1000,
    REFRESH_PERCENT = 75,
    NEVER_PERCENT = 101,
    LUA_BYTES = 64 * 1024 * 1024,
    LUA_INSTRUCTIONS = 10 * 1000 * 1000,
    LUA_DEADLINE_MS = 500,
    RETRY_TRIES = 6,
    RETRY_BASE_MS = 500,
    RETRY_CAP_MS = 16 * 1000
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_code;

static void init_curl(void)
{
    curl_code = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static int or_default(int value, int fallback)
{
    return value > 0 ? value : fallback;
}

static int check_options(const ml_options *o, ml_err *e)
{
    if (!o || o->size < sizeof(size_t) || o->size > sizeof(*o)) {
        return ml_fail(e, ML_EUSAGE,
                       "options were not filled with ML_OPTIONS_INIT of "
                       "version " ML_VERSION " or older");
    }
    return 0;
}

/* Options of an older, shorter layout: what it does not have is zero. */
static ml_options widened(const ml_options *o)
{
    ml_options full = {0};
    memcpy(&full, o, o->size);
    return full;
}

/* ---- the parts, from the ground up
 * ---------------------------------------------------- */

/* One byte that a forked child finds as zero. */
static int map_alive(ml_resolver *r, ml_err *e)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *p =
        /* cppcheck-suppress invalidFunctionArg ; an anonymous mapping has no file */
        mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return ml_fail(e, ML_ENOMEM, "out of memory");
    if (madvise(p, page, MADV_WIPEONFORK) != 0) {
        munmap(p, page);
        return ml_fail(e, ML_ESYSTEM,
                       "this kernel cannot tell a forked child "
                       "(MADV_WIPEONFORK, Linux 4.14)");
    }
    p[0] = 1;
    r->alive = p;
    return 0;
}

bool ml_resolver_is_alive(const ml_resolver *r)
{
    return r->alive[0] == 1;
}

static int open_caches(ml_resolver *r, const ml_options *o, ml_err *e)
{
    ml_kept_limits limits = {
        .max_bytes = o->cache_max_bytes ? o->cache_max_bytes : CACHE_BYTES,
        .max_entries = o->cache_max_entries ? o->cache_max_entries : CACHE_ENTRIES,
        .keep = {.ttl_ms = r->cache_ttl_ms,
                 .negative_ttl_ms = o->negative_ttl_ms > 0 ? o->negative_ttl_ms : -1,
                 .stale_ttl_ms = o->stale_ttl_ms ? o->stale_ttl_ms : STALE_TTL_MS},
        .refresh_percent = o->refresh_percent ? o->refresh_percent : REFRESH_PERCENT};
    if (limits.refresh_percent < 0) limits.refresh_percent = NEVER_PERCENT;
    r->refresh_percent = limits.refresh_percent;
    r->cache = ml_cache_new(limits.max_bytes, limits.max_entries);
    r->kept = ml_kept_new(&limits);
    return r->cache && r->kept ? 0 : ml_fail(e, ML_ENOMEM, "out of memory");
}

static int open_ground(ml_resolver *r, const ml_options *o, ml_err *e)
{
    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&r->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    r->clock = o->clock ? *o->clock : ml_system_clock;
    r->log = (ml_log){o->log, o->log_arg, o->log_level};
    r->meter = (ml_meter){.metric = o->metric,
                          .metric_arg = o->metric_arg,
                          .keeps = o->keep_metrics,
                          .span = o->span,
                          .traceparent = o->traceparent,
                          .span_arg = o->span_arg};
    r->deadline_ms = or_default(o->deadline_ms, DEADLINE_MS);
    r->cache_ttl_ms = o->cache_ttl_ms ? o->cache_ttl_ms : CACHE_TTL_MS;
    int rc = map_alive(r, e);
    if (rc == 0) rc = ml_env_init(&r->env, o->env, o->n_env, e);
    if (rc < 0) return rc;
    return r->cache_ttl_ms > 0 ? open_caches(r, o, e) : 0;
}

static const char *first_set(const ml_env *env, const char *const *names)
{
    for (; *names; names++) {
        const char *value = ml_env_get(env, *names);
        if (value && *value) return value;
    }
    return "";
}

/* Decided here, because curl knows nothing of the host's own variables.  Upper case
 * HTTP_PROXY is not read: everything is https. */
static int set_proxy(ml_resolver *r, const ml_options *o, ml_err *e)
{
    static const char *const proxies[] = {"https_proxy", "HTTPS_PROXY", "all_proxy",
                                          "ALL_PROXY", NULL};
    static const char *const exceptions[] = {"no_proxy", "NO_PROXY", NULL};
    r->proxy = ml_locked_dup(o->proxy ? o->proxy : first_set(&r->env, proxies));
    r->no_proxy = ml_dup(o->proxy ? "" : first_set(&r->env, exceptions));
    if (r->proxy && r->no_proxy) return 0;
    return ml_fail(e, ML_ENOMEM, "out of memory");
}

/* 0: as documented; negative: none. */
static void set_limit(ml_azure *a, ml_request_kind kind, int given)
{
    if (given) a->limits[kind] = given > 0 ? given : 0;
}

static int open_io(ml_resolver *r, const ml_options *o, ml_err *e)
{
    pthread_once(&curl_once, init_curl);
    if (curl_code != CURLE_OK) return ml_fail(e, ML_ESYSTEM, "libcurl cannot start");
    int rc = ml_tls_init(&r->tls, o->ca_file, ml_env_get(&r->env, "SSL_CERT_FILE"),
                         ml_env_get(&r->env, "SSL_CERT_DIR"), e);
    if (rc < 0) return rc;
    rc = set_proxy(r, o, e);
    if (rc < 0) return rc;
    r->loop = ml_loop_new(&r->clock, &r->log, e);
    if (!r->loop) return e ? e->code : ML_ENOMEM;
    ml_loop_set_meter(r->loop, &r->meter);
    r->client = (ml_http_client){.loop = r->loop,
                                 .tls = &r->tls,
                                 .proxy = r->proxy,
                                 .no_proxy = r->no_proxy,
                                 .connect_ms = or_default(o->connect_ms, CONNECT_MS),
                                 .retry = {RETRY_TRIES, RETRY_BASE_MS, RETRY_CAP_MS}};
    if (o->budget_dir && *o->budget_dir)
        rc = ml_budget_dir_open(&r->budget_dir, o->budget_dir, e);
    if (rc < 0) return rc;
    r->azure = ml_azure_new(&r->client, &r->env);
    r->hosted = ml_hosted_new(r->loop);
    if (!r->azure || !r->hosted) return ml_fail(e, ML_ENOMEM, "out of memory");
    set_limit(r->azure, ML_READS, o->vault_reads_in_10_s);
    set_limit(r->azure, ML_WRITES, o->vault_writes_in_10_s);
    r->azure->budget_dir = r->budget_dir;
    return 0;
}

static int open_vm(ml_resolver *r, const ml_options *o, ml_err *e)
{
    r->host = (ml_host){.loop = r->loop,
                        .azure = r->azure,
                        .env = &r->env,
                        .log = &r->log,
                        .clock = &r->clock,
                        .kept = r->kept,
                        .allow_exec = o->allow_exec,
                        .hosted = r->hosted};
    ml_vm_limits limits = {
        .max_bytes = o->lua_max_bytes ? o->lua_max_bytes : LUA_BYTES,
        .max_instructions =
            o->lua_max_instructions > 0 ? o->lua_max_instructions : LUA_INSTRUCTIONS,
        .deadline_ms = or_default(o->lua_deadline_ms, LUA_DEADLINE_MS)};
    r->vm = ml_vm_new(&r->host, &limits, e);
    return r->vm ? 0 : e ? e->code : ML_ENOMEM;
}

/* ---- opening and freeing
 * ----------------------------------------------------------------- */

int ml_open(ml_resolver **out, const ml_options *opt, ml_err *e)
{
    ml_err unseen;
    if (!e) e = &unseen;
    ml_err_clear(e);
    int rc = check_options(opt, e);
    if (rc < 0) return rc;
    ml_options o = widened(opt);
    ml_allocator_settle();
    ml_resolver *r = ml_calloc(1, sizeof(*r));
    if (!r) return ml_fail(e, ML_ENOMEM, "out of memory");
    rc = open_ground(r, &o, e);
    if (rc == 0) rc = open_io(r, &o, e);
    if (rc == 0) rc = open_vm(r, &o, e);
    if (rc == 0) rc = ml_policy_keep(r, &o, e);
    if (rc == 0) rc = ml_policy_load(r, false, e);
    if (rc < 0) {
        ml_resolver_free(r);
        return rc;
    }
    ml_resolver_note_memory(r);
    *out = r;
    return 0;
}

void ml_resolver_free(ml_resolver *r)
{
    ml_hosted_close(r->hosted);
    ml_loop_free(r->loop); /* ends every op first */
    ml_vm_free(r->vm);
    ml_azure_free(r->azure);
    ml_budget_dir_close(r->budget_dir);
    ml_tls_fini(&r->tls);
    ml_cache_free(r->cache);
    ml_kept_free(r->kept);
    ml_meter_fini(&r->meter);
    ml_env_fini(&r->env);
    ml_policy_forget(r);
    if (r->proxy) ml_locked_free(r->proxy, strlen(r->proxy) + 1);
    ml_free(r->no_proxy);
    if (r->alive) munmap((void *)(uintptr_t)r->alive, (size_t)sysconf(_SC_PAGESIZE));
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    ml_free(r);
}
