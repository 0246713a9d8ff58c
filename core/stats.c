/* stats.c - the numbers of a handle: as a struct, and as Prometheus reads them. */
#include <string.h>

#include "base/err.h"
#include "base/locked.h"
#include "base/mem.h"
#include "resolver.h"

enum { MAX_TEXT = 4 * 1024 * 1024 };

/* With the lock. */
static ml_numbers look(ml_resolver *r)
{
    const ml_counts *c = &r->meter.counts;
    ml_cache_counts cache = {0};
    if (r->cache) cache = ml_cache_count(r->cache);
    size_t kept_bytes = 0, kept_entries = 0;
    if (r->kept) kept_entries = ml_kept_count(r->kept, &kept_bytes);
    ml_azure_counts now = ml_azure_count(r->azure);
    ml_locked_bytes memory = ml_locked_count();
    return (ml_numbers){ML_NUMBERS_INIT,
                        .hits = cache.hits,
                        .misses = r->misses,
                        .calls = c->calls,
                        .failures = c->failures,
                        .kept_hits = c->kept_hits,
                        .joined = c->joined,
                        .requests = c->requests,
                        .retries = c->retries,
                        .throttled = c->throttled,
                        .unanswered = c->unanswered,
                        .waited = c->waited,
                        .refused = c->refused,
                        .reloads = c->reloads,
                        .reload_failures = c->reload_failures,
                        .cache_bytes = cache.bytes,
                        .cache_entries = cache.entries,
                        .kept_bytes = kept_bytes,
                        .kept_entries = kept_entries,
                        .lua_bytes = ml_vm_bytes(r->vm),
                        .requests_in_flight = now.in_flight,
                        .requests_waiting = now.waiting,
                        .vaults_paused = now.paused,
                        .vaults_broken = now.broken,
                        .locked_bytes = memory.locked,
                        .unlocked_bytes = memory.unlocked,
                        .vaults_shared = now.shared};
}

int ml_stats(ml_resolver *r, ml_numbers *out, ml_err *e)
{
    ml_err_clear(e);
    int rc = ml_resolver_check_alive(r, e);
    if (rc < 0) return rc;
    if (!out || out->size < sizeof(size_t) || out->size > sizeof(*out))
        return ml_fail(e, ML_EUSAGE, "stats were not filled with ML_NUMBERS_INIT");
    size_t size = out->size;
    ml_resolver_enter(r);
    ml_numbers full = look(r);
    ml_resolver_leave(r);
    full.size = size;
    memcpy(out, &full, size);
    return 0;
}

typedef struct row {
    const char *name, *type, *help;
    size_t at; /* of the number in ml_numbers */
} row;

static const row rows[] = {
#define ROW(name, type, help, member)                                                  \
    {                                                                                  \
        "moonlatch_" name, type, help, offsetof(ml_numbers, member)                    \
    }
    ROW("cache_hits_total", "counter", "Calls that the cache of answers served.", hits),
    ROW("cache_misses_total", "counter", "Gets that it could not serve.", misses),
    ROW("calls_total", "counter", "Calls that were not hits, and have ended.", calls),
    ROW("call_failures_total", "counter", "Of them, those that failed.", failures),
    ROW("kept_hits_total", "counter", "Steps that the cache of sources served.",
        kept_hits),
    ROW("joined_total", "counter", "Steps that waited for another call's request.",
        joined),
    ROW("requests_total", "counter", "HTTP requests, each try.", requests),
    ROW("requests_retried_total", "counter", "Of them, those that were not the first.",
        retries),
    ROW("requests_throttled_total", "counter", "Answered with 429.", throttled),
    ROW("requests_unanswered_total", "counter", "Not answered.", unanswered),
    ROW("requests_waited_total", "counter", "Had to wait for their turn.", waited),
    ROW("requests_refused_total", "counter", "Not sent, for the vault's sake.",
        refused),
    ROW("reloads_total", "counter", "Reloads of the policy that were taken.", reloads),
    ROW("reload_failures_total", "counter", "And those that were not.",
        reload_failures),
    ROW("cache_bytes", "gauge", "Memory of the cache of answers.", cache_bytes),
    ROW("cache_entries", "gauge", "Answers in it.", cache_entries),
    ROW("kept_bytes", "gauge", "Memory of the cache of sources.", kept_bytes),
    ROW("kept_entries", "gauge", "Entries in it.", kept_entries),
    ROW("lua_bytes", "gauge", "Memory of Lua.", lua_bytes),
    ROW("requests_in_flight", "gauge", "Requests to vaults.", requests_in_flight),
    ROW("requests_waiting", "gauge", "Requests that wait for their turn.",
        requests_waiting),
    ROW("vaults_paused", "gauge", "Budgets of vaults that pause.", vaults_paused),
    ROW("vaults_broken", "gauge", "Budgets of vaults that nobody answers for.",
        vaults_broken),
    ROW("locked_bytes", "gauge", "Locked memory that holds secrets.", locked_bytes),
    ROW("unlocked_bytes", "gauge", "Memory that holds secrets, and is not locked.",
        unlocked_bytes),
    ROW("vaults_shared", "gauge", "Budgets of vaults shared with other processes.",
        vaults_shared),
#undef ROW
};

static void write_all(ml_resolver *r, ml_buf *out)
{
    ml_resolver_enter(r);
    ml_numbers all = look(r);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t value;
        memcpy(&value, (const char *)&all + rows[i].at, sizeof(value));
        ml_meter_write_one(out, rows[i].name, rows[i].type, rows[i].help, value);
    }
    ml_meter_write(&r->meter, out);
    ml_resolver_leave(r);
}

int ml_metrics_text(ml_resolver *r, ml_answer **out, ml_err *e)
{
    ml_err_clear(e);
    int rc = ml_resolver_check_alive(r, e);
    if (rc < 0) return rc;
    ml_buf text;
    ml_buf_init(&text, MAX_TEXT);
    write_all(r, &text);
    ml_answer *a = ml_buf_ok(&text) ? ml_calloc(1, sizeof(*a)) : NULL;
    if (a) a->text = ml_dup_n(text.data, text.len);
    ml_buf_fini(&text);
    if (a && a->text) {
        *out = a;
        return 0;
    }
    ml_answer_free(a);
    return ml_fail(e, ML_ENOMEM, "out of memory");
}
