/* moonlatch.h - the public interface: an embeddable, Lua-scriptable secrets resolver.
 *
 * One handle (ml_resolver) holds one policy.  Every request is an ml_call: a verb, a
 * logical name, and the context that the policy may use.  Three ways to run a call:
 *
 *   blocking     ml_get(), ml_list(), ml_put(), ml_delete(), ml_explain(), ml_run()
 *   event loop   ml_start(), then watch ml_fd() for reading and call ml_step(r, 0)
 *   stepping     ml_start(), then ml_step(r, -1) until done has been called
 *
 * Blocking is start + step until done; nothing else differs.
 *
 * Errors: functions return 0 or a negative ML_E... code and fill *e when e is not NULL.
 * Text in ml_err never holds a value, a token, a body or a query string.
 *
 * Units are in the names: _ms milliseconds, _s unix seconds, _bytes octets.
 * Ownership: a `T **out` belongs to the caller; a returned `const` pointer belongs to
 * the object it came from. */
#ifndef MOONLATCH_H
#define MOONLATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ML_VERSION "0.1.0"
/* Counts changes that old programs do not survive; the number in the library's name.
 * Structs with a `size` may grow at their end, and functions and codes may be added,
 * without one. */
#define ML_ABI 0

#if defined(__GNUC__)
#define ML_API  __attribute__((visibility("default")))
#define ML_MUST __attribute__((warn_unused_result))
#else
#define ML_API
#define ML_MUST
#endif

/* Codes: name, value, outcome (the word that policies and traces use; -7 and -9 share
 * one), sentence.  A caller can act on each; the text of an ml_err says the rest. */
#define ML_CODES(X)                                                                    \
    X(ML_OK, 0, "found", "fine")                                                       \
    X(ML_EMISSING, -1, "missing", "no source has it")                                  \
    X(ML_EDISABLED, -2, "disabled", "it exists but is disabled")                       \
    X(ML_EFORBIDDEN, -3, "forbidden", "the identity may not do that")                  \
    X(ML_EUNAUTHENTICATED, -4, "unauthenticated", "no identity, or it was refused")    \
    X(ML_ETHROTTLED, -5, "throttled", "the service asks to slow down")                 \
    X(ML_EUNAVAILABLE, -6, "unavailable", "no usable answer in time")                  \
    X(ML_EINVALID, -7, "invalid", "an answer or a stored value that cannot be used")   \
    X(ML_EPOLICY, -8, "policy", "the policy is broken or refuses")                     \
    X(ML_EUSAGE, -9, "invalid", "the caller's input cannot be used")                   \
    X(ML_ECONFLICT, -10, "conflict", "the state of the secret forbids it")             \
    X(ML_ECANCELED, -11, "canceled", "the caller took it back")                        \
    X(ML_EBUSY, -12, "busy", "not allowed from inside a callback")                     \
    X(ML_EFORKED, -13, "forked", "the handle belongs to the parent process")           \
    X(ML_ENOMEM, -14, "nomem", "out of memory")                                        \
    X(ML_ESYSTEM, -15, "system", "the operating system refused")

#define ML_CODE_ENUM(name, value, outcome, sentence) name = value,
typedef enum ml_code { ML_CODES(ML_CODE_ENUM) ML_CODE_LAST = -16 } ml_code;
#undef ML_CODE_ENUM

/* What went wrong with one request.  A plain struct: no ownership, copy it freely. */
typedef struct ml_err {
    int code;              /* ML_E... */
    int http_status;       /* of the last answer, 0 when there was none */
    int retry_after_ms;    /* when to try again, by its word or ours; 0: unknown */
    char source[64];       /* alias of the source, "" when none was involved */
    char key[132];         /* what the source was asked for, "" when nothing */
    char service_code[48]; /* the service's own word: SecretDisabled, AADSTS7000215 */
    char request_id[64];   /* quote it to the service's operators */
    char text[400];        /* what failed, on what, and what to try */
} ml_err;

/* ML_VERSION of the library that runs; that of the header was compiled in. */
ML_API const char *ml_version(void);
/* The word of a code: "missing", "forbidden", ... ; and its sentence. Static text. */
ML_API const char *ml_outcome(int code);
ML_API const char *ml_strerror(int code);

typedef struct ml_resolver ml_resolver; /* one policy and everything it needs */
typedef struct ml_request ml_request;   /* one call in flight; dead after its done */
typedef struct ml_answer ml_answer;     /* what a call brought: secrets, or text */
typedef struct ml_secret ml_secret; /* immutable, ref-counted, scrubbed when freed */

typedef struct ml_pair {
    const char *name;
    const char *value;
} ml_pair;

/* ---- secrets ------------------------------------------------------------------- */

/* In pages of the library's own: not in core files, between guard pages, locked as far
 * as RLIMIT_MEMLOCK goes (see ml_numbers), scrubbed when the last holder gives it up.
 */

/* The bytes, and their number in *len.  NULL when this is metadata only (list, delete).
 * Not NUL-terminated by contract; may hold any byte. */
ML_API const void *ml_secret_data(const ml_secret *s, size_t *len);
/* Sharing: ref returns its argument; unref accepts NULL.  Both are thread-safe. */
ML_API ml_secret *ml_secret_ref(ml_secret *s);
ML_API void ml_secret_unref(ml_secret *s);
/* Texts are "" when the source does not know them. */
ML_API const char *ml_secret_name(const ml_secret *s);   /* logical name */
ML_API const char *ml_secret_source(const ml_secret *s); /* alias of the source */
ML_API const char *ml_secret_key(const ml_secret *s);    /* key in that source */
ML_API const char *ml_secret_version(const ml_secret *s);
ML_API const char *ml_secret_content_type(const ml_secret *s);
ML_API const char *ml_secret_recovery_id(const ml_secret *s); /* deleted ones */
ML_API size_t ml_secret_tag_count(const ml_secret *s);
ML_API ml_pair ml_secret_tag_at(const ml_secret *s, size_t i);          /* i < count */
ML_API const char *ml_secret_tag(const ml_secret *s, const char *name); /* or NULL */

typedef struct ml_attributes {
    bool enabled;
    bool managed;      /* a certificate owns it */
    int64_t created_s; /* 0: unknown; the same for all below */
    int64_t updated_s;
    int64_t not_before_s; /* informational: Key Vault answers outside the window */
    int64_t expires_s;
    int64_t deleted_s;
    int64_t scheduled_purge_s;
    int recoverable_days;
} ml_attributes;
ML_API ml_attributes ml_secret_attributes(const ml_secret *s);

/* ---- opening ------------------------------------------------------------------- */

typedef enum ml_log_level {
    ML_LOG_ERROR,
    ML_LOG_WARN,
    ML_LOG_INFO,
    ML_LOG_DEBUG
} ml_log_level;

/* One log line: `area` is a short word ("http", "policy"), text one line, no secrets.
 * Called from whichever thread is inside the library; must not call back into it. */
typedef void ml_log_fn(void *arg, ml_log_level level, const char *area,
                       const char *text);

/* Time for tests and simulators: monotonic milliseconds, and unix seconds. */
typedef struct ml_clock {
    int64_t (*mono_ms)(void *arg);
    int64_t (*wall_s)(void *arg);
    void *arg;
} ml_clock;

/* What happens, for the host's own metrics; times to a millisecond.  Labels are verbs,
 * outcomes, statuses, sources' aliases, rules' places ("a.lua:12"); no names or values.
 *
 *   moonlatch_call_seconds{verb, rule, outcome}      histogram: hits excepted
 *   moonlatch_source_seconds{verb, source, outcome}  histogram: waiting for a source
 *   moonlatch_request_seconds{method, source, status}  histogram: HTTP; "0": no answer
 *   moonlatch_budget_wait_seconds{source, outcome}   histogram: "sent" or "refused"
 *   moonlatch_retries_total{source, status}          counter
 *
 * Where several rules or none decide, and for requests of a login or of a source in
 * Lua, the label is "". Called and forbidden as ml_log_fn; everything is borrowed. */
typedef enum ml_metric_kind { ML_COUNTER, ML_HISTOGRAM } ml_metric_kind;
typedef struct ml_metric {
    size_t size; /* of the struct, as the library knows it */
    const char *name;
    ml_metric_kind kind;
    double value; /* ML_COUNTER: to add; ML_HISTOGRAM: one observation, in seconds */
    const ml_pair *labels;
    size_t n_labels;
} ml_metric;
typedef void ml_metric_fn(void *arg, const ml_metric *m);

/* A span of a distributed trace (W3C Trace Context): when it begins, and again, with
 * what came of it, when it ends.  A "call" is what ml_start or a blocking call began,
 * hits excepted; its children are "source"s, each a step that asks a source or finds
 * what is kept of it; theirs are "request"s, each an HTTP try (none for who waits for
 * another call's), whose traceparent the vault gets.  Called as ml_log_fn. */
typedef struct ml_span {
    size_t size; /* of the struct, as the library knows it */
    bool is_end;
    const char *what;        /* "call", "source" or "request" */
    const char *traceparent; /* of this span */
    const char *parent_id;   /* 16 hex digits; "": it is the root */
    const char *verb;        /* of a request: "GET" ...; of the others: "get" ... */
    const char *rule;        /* of a call, at its end: "policy.lua:12"; or "" */
    const char *outcome;     /* of a call or a source, at its end: "found" ... */
    int http_status;         /* of a request, at its end; 0: no answer */
    const char *source;      /* alias: of a source; of a call that failed: whose fault
                              * it was; or "" */
    const char *kind;        /* of a source: "key_vault", "environment", "lua" ... */
} ml_span;
typedef void ml_span_fn(void *arg, const ml_span *s);
/* What the calling thread is doing, for calls without a traceparent of their own;
 * copied at once; NULL: nothing. */
typedef const char *ml_traceparent_fn(void *arg);

/* All is copied; zero means the default.  Give one of policy_file and policy_text. */
typedef struct ml_options {
    size_t size;             /* filled by ML_OPTIONS_INIT */
    const char *policy_file; /* path of a Lua policy, or of a directory of them */
    const char *policy_text; /* or the policy itself, e.g. ML_POLICY_AIRFLOW */
    const char *policy_name; /* what to call policy_text in messages */
    const ml_pair *env;      /* variables that shadow the process environment */
    size_t n_env;
    const char *ca_file;    /* PEM bundle; default SSL_CERT_FILE, then the system's */
    const char *proxy;      /* default HTTPS_PROXY / NO_PROXY */
    int deadline_ms;        /* of one call, everything included; default 30000 */
    int connect_ms;         /* of one TCP + TLS connect; default 5000 */
    int cache_ttl_ms;       /* default 60000; -1: no cache, whatever rules say */
    size_t cache_max_bytes; /* of each of two caches, of answers and of what sources
                             * said; they share the secrets.  Default 8 MiB */
    size_t lua_max_bytes;   /* memory cap of the policy VM; default 64 MiB */
    int64_t lua_max_instructions; /* of one plan; default 10 million */
    int lua_deadline_ms;          /* wall clock of one plan; default 500 */
    ml_log_fn *log;               /* default: silence */
    void *log_arg;
    ml_log_level log_level; /* lines above it are not built */
    const ml_clock *clock;  /* default: the system's */
    /* Caching.  Rules may say otherwise (ttl, negative_ttl, stale_ttl). */
    int negative_ttl_ms; /* how long a missing is believed; default 0: not at all */
    int stale_ttl_ms;    /* how old a value may be that stands in for a failure, where
                          * a rule says `stale`; default 3600000; -1: none */
    int refresh_percent; /* of its time, after which an answer that is used is asked
                          * for again ahead; default 75; -1: never */
    size_t cache_max_entries; /* of each cache; default 65536 */
    bool allow_exec; /* may sources written in Lua run programs (exec = true)? */
    /* What the host wants to know; each costs nothing while it is not given. */
    ml_metric_fn *metric;
    void *metric_arg;
    ml_span_fn *span;
    ml_traceparent_fn *traceparent;
    void *span_arg; /* of both */
    /* Budgets: at most so many requests to one vault in any ten seconds.  Default what
     * the service documents, 4000 and 300; -1: none, only its own 429 counts. */
    int vault_reads_in_10_s;
    int vault_writes_in_10_s; /* those that make versions: put, restore */
    bool keep_metrics;        /* for ml_metrics_text */
    /* A directory of this host, yours or root's, best in memory ("/run/user/1000"): all
     * your processes that name it share the budgets, pauses and outages of vaults, on
     * the system's clock, not `clock`.  NULL: this handle has budgets of its own. */
    const char *budget_dir;
} ml_options;
#define ML_OPTIONS_INIT .size = sizeof(ml_options) /* C++11: o.size = sizeof(o) */

/* An Airflow user's whole policy, from AIRFLOW__SECRETS__BACKEND_KWARGS.  Names are in
 * full: airflow/connections/ID, airflow/variables/KEY, airflow/config/KEY. */
#define ML_POLICY_AIRFLOW                                                              \
    "local ml = require 'moonlatch.policy'\nreturn ml.policy { ml.airflow {} }\n"

/* Memory in place of libc's: from any thread, also with locks held; as ml_log_fn. */
typedef struct ml_allocator {
    size_t size; /* filled by ML_ALLOCATOR_INIT */
    /* At least one byte, aligned for anything; NULL: out of memory. */
    void *(*alloc)(void *arg, size_t n_bytes);
    void (*release)(void *arg, void *block); /* never NULL */
    void *arg;
} ml_allocator;
#define ML_ALLOCATOR_INIT .size = sizeof(ml_allocator)

/* Once in a process, before its first ml_open.  *a is copied; arg and the functions
 * must live as long as a handle or an answer does.  Secrets and the policy's Lua state
 * have pages of their own (see ml_secret_data); libcurl, OpenSSL and libc allocate as
 * they do.  What the library hands out is never the caller's to free() or to release.
 * ML_EUSAGE: a function is missing, or it is too late. */
ML_API ML_MUST int ml_use_allocator(const ml_allocator *a, ml_err *e);

/* Loads and checks the policy; no network.  ML_EPOLICY (with file:line), ML_EUSAGE
 * (also for a budget_dir that is missing, or that others could tamper with). */
ML_API ML_MUST int ml_open(ml_resolver **out, const ml_options *opt, ml_err *e);
/* Reads the policy again (file, directory, files of teams), checks it, runs its own
 * tests, and takes it for the calls that begin from then on; those in flight end with
 * the policy that they began with.  Kept answers are forgotten.  When anything is wrong
 * (ML_EPOLICY, with file:line) the policy before stays, and each problem is logged
 * once. No network.  From any thread; other calls wait as long as the policy takes to
 * load, those that the cache answers do not.  ML_EBUSY inside a done. */
ML_API ML_MUST int ml_reload(ml_resolver *r, ml_err *e);
/* Ends what is in flight (each done, and each blocked caller, sees ML_ECANCELED), waits
 * for other threads to leave, then frees; no call may begin any more.  Accepts NULL.
 * Called from inside a done, it takes effect when the step ends.  In a forked child it
 * does nothing: sockets and TLS are the parent's, and what was copied goes with the
 * child's exit or exec. */
ML_API void ml_close(ml_resolver *r);

/* ---- calls --------------------------------------------------------------------- */

/* Verbs other than GET and EXPLAIN go to the first step of the name's plan. */
typedef enum ml_verb {
    ML_GET,          /* name, version? -> the secret */
    ML_EXPLAIN,      /* name -> text: rules tried, plan, outcome of each step */
    ML_LIST,         /* pattern or NULL for all -> metadata */
    ML_PUT,          /* name, value -> metadata of the new version */
    ML_UPDATE,       /* name, version?, attributes -> metadata */
    ML_DELETE,       /* name -> metadata of the (soft-)deleted secret */
    ML_VERSIONS,     /* name -> metadata of every version */
    ML_LIST_DELETED, /* pattern or NULL -> metadata */
    ML_GET_DELETED,  /* name -> metadata */
    ML_RECOVER,      /* name -> metadata */
    ML_PURGE,        /* name -> nothing */
    ML_BACKUP,       /* name -> one secret whose data is the backup blob */
    ML_RESTORE,      /* name (names the source), value = the blob -> metadata */
    ML_CHECK,        /* findings about the policy, as JSON in text: see ml_call.value */
    ML_TEST,         /* results of the policy's cases, as JSON in text: likewise */
    ML_VERB_COUNT
} ml_verb;

enum {
    ML_REFRESH = 1,         /* ask the sources, whatever is kept; keep what they say */
    ML_PLAN_ONLY = 2,       /* ML_EXPLAIN: no network */
    ML_AS_JSON = 4,         /* ML_EXPLAIN: text is JSON */
    ML_REPLACE_METADATA = 8 /* ML_PUT: do not keep tags and content type */
};

typedef struct ml_call {
    size_t size; /* filled by ML_CALL_INIT */
    ml_verb verb;
    const char *name;       /* or a pattern for the lists */
    const ml_pair *context; /* attributes for the policy: team, env, ... */
    size_t n_context;
    const char *version; /* NULL: the latest */
    const void *value;   /* ML_PUT, ML_RESTORE; copied.  ML_CHECK: names to try, one a
                          * line, besides the policy's own; ML_TEST: Lua text that
                          * returns a list of ml.case, run instead of the policy's own;
                          * name is then what messages call that text, and may be NULL */
    size_t value_len;
    const char *content_type; /* NULL: keep */
    const ml_pair *tags;      /* NULL: keep */
    size_t n_tags;
    int enabled;             /* 0 keep, 1 yes, -1 no */
    int64_t not_before_s;    /* 0 keep */
    int64_t expires_s;       /* 0 keep */
    int deadline_ms;         /* 0: ml_options.deadline_ms */
    unsigned flags;          /* ML_REFRESH ... */
    const char *traceparent; /* W3C: what this call is a part of; sent on to the vault.
                              * NULL, or not of that form: ml_options.traceparent */
} ml_call;
#define ML_CALL_INIT .size = sizeof(ml_call)

/* Answers: count secrets (with or without data), or text ("" when there is none).  All
 * accept NULL: nothing. */
ML_API size_t ml_answer_count(const ml_answer *a);
ML_API ml_secret *ml_answer_at(const ml_answer *a, size_t i); /* borrowed */
ML_API const char *ml_answer_text(const ml_answer *a);
ML_API void ml_answer_free(ml_answer *a); /* accepts NULL */

/* Blocking; thread-safe; many threads may wait at once on one handle.  On success the
 * answer (or secret) belongs to the caller.  ML_EBUSY inside a done. */
ML_API ML_MUST int ml_run(ml_resolver *r, const ml_call *call, ml_answer **out,
                          ml_err *e);
ML_API ML_MUST int ml_get(ml_resolver *r, const char *name, const ml_pair *context,
                          size_t n_context, ml_secret **out, ml_err *e);
ML_API ML_MUST int ml_list(ml_resolver *r, const char *pattern, const ml_pair *context,
                           size_t n_context, ml_answer **out, ml_err *e);
ML_API ML_MUST int ml_put(ml_resolver *r, const char *name, const void *value,
                          size_t len, const ml_pair *context, size_t n_context,
                          ml_err *e);
ML_API ML_MUST int ml_delete(ml_resolver *r, const char *name, const ml_pair *context,
                             size_t n_context, ml_err *e);
/* ml_answer_text(*out) tells the story, never a value. */
ML_API ML_MUST int ml_explain(ml_resolver *r, const char *name, const ml_pair *context,
                              size_t n_context, ml_answer **out, ml_err *e);

/* Drops what is kept: answers to names that match, and what their sources said.
 * pattern: a name, or as ml_list has it ("billing/" and two stars); NULL: everything.
 * Calls under way are not kept either.  Thread-safe, also inside a done; no network.
 * ML_EUSAGE: the pattern is wrong. */
ML_API ML_MUST int ml_forget(ml_resolver *r, const char *pattern, ml_err *e);

/* Since the handle was opened, or of this moment (now).  Asking costs microseconds. */
typedef struct ml_numbers {
    size_t size;                 /* filled by ML_NUMBERS_INIT */
    uint64_t hits;               /* calls that the cache of answers served */
    uint64_t misses;             /* gets that it could not serve */
    uint64_t calls;              /* that were not hits, and have ended */
    uint64_t failures;           /* of them: all but found, missing too */
    uint64_t kept_hits;          /* steps that the cache of sources served */
    uint64_t joined;             /* steps that waited for somebody else's request */
    uint64_t requests;           /* HTTP, each try */
    uint64_t retries;            /* of them */
    uint64_t throttled;          /* answered with 429 */
    uint64_t unanswered;         /* not answered */
    uint64_t waited;             /* had to wait for their turn */
    uint64_t refused;            /* were not sent: a pause, or a vault that is down */
    uint64_t reloads;            /* that were taken */
    uint64_t reload_failures;    /* that were not */
    uint64_t cache_bytes;        /* now; of answers */
    uint64_t cache_entries;      /* now */
    uint64_t kept_bytes;         /* now; of what sources said */
    uint64_t kept_entries;       /* now */
    uint64_t lua_bytes;          /* now */
    uint64_t requests_in_flight; /* now; to vaults */
    uint64_t requests_waiting;   /* now; for their turn, not for a token */
    uint64_t vaults_paused;      /* now; reads and writes of a vault counted apart */
    uint64_t vaults_broken;      /* now; left alone since nobody answers */
    uint64_t locked_bytes;       /* now; locked memory, of the process, of secrets */
    uint64_t unlocked_bytes;     /* now; more of it, that could not be locked */
    uint64_t vaults_shared;      /* now; budgets shared with other processes */
} ml_numbers;
#define ML_NUMBERS_INIT .size = sizeof(ml_numbers)

/* Fills *out as far as its size goes.  Thread-safe, also inside a done; ML_EUSAGE,
 * ML_EFORKED. */
ML_API ML_MUST int ml_stats(ml_resolver *r, ml_numbers *out, ml_err *e);
/* The same, and with ml_options.keep_metrics everything that ml_metric_fn would have
 * been told, as Prometheus reads it (text format 0.0.4): ml_answer_text(*out).  At most
 * 1,000 sets of labels.  Thread-safe, also inside a done. */
ML_API ML_MUST int ml_metrics_text(ml_resolver *r, ml_answer **out, ml_err *e);

/* Called exactly once per started request, only from ml_step, a blocking call or
 * ml_close, one at a time; other calls of the handle go on meanwhile.  answer is NULL
 * and e->code negative on failure, e->code 0 on success. Both are borrowed:
 * ml_secret_ref keeps a secret.  Inside: start and cancel are allowed; step and
 * blocking calls answer ML_EBUSY. */
typedef void ml_done(ml_request *q, const ml_answer *answer, const ml_err *e,
                     void *arg);

/* Starts a call; done comes later, never from inside.  NULL and *e when it cannot even
 * start (ML_EUSAGE, ML_EPOLICY, ML_ENOMEM, ML_EFORKED; ML_ECANCELED: the handle is
 * being closed); done is not called then. */
ML_API ml_request *ml_start(ml_resolver *r, const ml_call *call, ml_done *done,
                            void *arg, ml_err *e);
/* The same for the commonest call.  Every other verb is started with an ml_call. */
ML_API ml_request *ml_get_start(ml_resolver *r, const char *name,
                                const ml_pair *context, size_t n_context, ml_done *done,
                                void *arg, ml_err *e);
/* Its done will see ML_ECANCELED, unless the call had ended already.  Only before its
 * done has been called: afterwards the request is gone. */
ML_API void ml_cancel(ml_request *q);
/* Brings the end forward: in ms milliseconds at the latest (0: at the next step) its
 * done sees ML_EUNAVAILABLE, unless the call had ended already.  A later end than it
 * has is not possible: what waits for an answer was told when to give up.  As
 * ml_cancel, only before its done. */
ML_API void ml_request_deadline(ml_request *q, int ms);

/* The one descriptor to watch for reading; it stays the same while r lives. */
ML_API int ml_fd(const ml_resolver *r);
/* For hosts that cannot watch a descriptor: call ml_step(r, 0) after at most so many
 * milliseconds; 0 = now, at most 10 while a call is in flight, -1 = nothing pending. */
ML_API int ml_timeout_ms(ml_resolver *r);
/* Does what is ready, waiting at most max_wait_ms for something (0: not at all, -1: as
 * long as it takes).  Returns the number of calls finished, or a negative code. */
ML_API int ml_step(ml_resolver *r, int max_wait_ms);
/* Makes a concurrent or later ml_step return.  From any thread, async-signal-safe. */
ML_API void ml_wake(ml_resolver *r);

/* ---- sources that the host supplies ---------------------------------------------- */

/* A get or a list that the library asks for; the host's until it calls ml_fetch_done.
 */
typedef struct ml_fetch ml_fetch;

/* The functions of a source.  They are called like dones: from ml_step, a blocking call
 * or ml_close, one at a time; inside, ml_start, ml_cancel and ml_fetch_done are
 * allowed, step and blocking calls answer ML_EBUSY.  They must not wait: begin the work
 * and return. */
typedef struct ml_source_ops {
    size_t size; /* filled by ML_SOURCE_OPS_INIT */
    /* Required.  key and version ("": the latest) live until ml_fetch_done. */
    void (*get)(ml_fetch *f, const char *key, const char *version, void *arg);
    void (*list)(ml_fetch *f, void *arg); /* NULL: it cannot be listed */
    /* NULL, or told that nobody waits for f any more (canceled, too late, closed), at
     * most once.  f still wants its ml_fetch_done, from here or later; what that brings
     * is dropped.  Another thread may be calling it just now: then f is good for
     * nothing but a comparison. */
    void (*cancel)(ml_fetch *f, void *arg);
} ml_source_ops;
#define ML_SOURCE_OPS_INIT .size = sizeof(ml_source_ops)

/* What a fetch brought.  Everything is copied. */
typedef struct ml_fetched {
    size_t size; /* filled by ML_FETCHED_INIT */
    /* 0, or ML_EMISSING, ML_EDISABLED, ML_EFORBIDDEN, ML_EUNAUTHENTICATED,
     * ML_ETHROTTLED, ML_EUNAVAILABLE, ML_EINVALID, ML_EUSAGE (no such key can be). What
     * cannot be reached is not missing. */
    int code;
    const char *text;  /* of a failure: what to tell people; no secrets */
    const void *value; /* get: any bytes */
    size_t value_len;
    const char *version;      /* get; NULL: not known */
    const char *content_type; /* get; NULL: not known */
    const char *const *keys;  /* list */
    size_t n_keys;
} ml_fetched;
#define ML_FETCHED_INIT .size = sizeof(ml_fetched)

/* What the policy calls ml.host_source { name = "..." }; before the first call that
 * needs it.  ops is copied, arg must live until ml_close has returned.  ML_EUSAGE when
 * the name is taken or a function is missing. */
ML_API ML_MUST int ml_add_source(ml_resolver *r, const char *name,
                                 const ml_source_ops *ops, void *arg, ml_err *e);
/* Ends a fetch: exactly once for each, also for those that were canceled, and also
 * after ml_close.  From any thread, from inside the source's own functions, and with
 * locks held: it calls nothing back and waits for nothing.  f is gone afterwards.  In a
 * forked child it does nothing. */
ML_API void ml_fetch_done(ml_fetch *f, const ml_fetched *got);

#ifdef __cplusplus
}
#endif
#endif
