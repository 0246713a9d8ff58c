/* stress_calls.c - what the threads of the stress test do at random, and what must hold
 * whatever they do. */
#include "stress.h"

enum {
    SLOTS = 8,             /* calls that a thread has in flight at most */
    DOUBT_MS = 2 * CALL_MS /* a put that failed may still happen, so late */
};

typedef struct slot {
    pthread_mutex_t lock; /* held by its done: who has it may still cancel */
    ml_request *q;        /* NULL: none in flight */
    ml_verb verb;
    char name[40];
    bool is_canceled;
} slot;

typedef struct thread {
    unsigned seed;
    char own[16], gone[16]; /* what nobody else changes; own is never deleted */
    atomic_int put;         /* number of the last value that was tried */
    int floor;              /* number of the oldest that own may have */
    int64_t doubt_until_ms;
    ml_secret *kept;
    slot slots[SLOTS];
} thread;

ml_resolver *resolver;
atomic_bool is_over, is_closing;
atomic_int n_wrong, n_started, n_dones, n_found, n_failed, n_missing, n_canceled;
static thread threads[THREADS];

int dice(unsigned *seed, int sides)
{
    return (int)((unsigned)rand_r(seed) % (unsigned)sides);
}

void wrong(const char *what, const char *name, const char *text)
{
    if (n_wrong++ < 20) fprintf(stderr, "WRONG: %s: %s: %s\n", name, what, text);
}

/* ---- what must hold ---------------------------------------------------------------
 */

static const char *bare(const char *name)
{
    const char *slash = strchr(name, '/');
    return slash ? slash + 1 : name;
}

/* The number of a value, which must be one of this name's. */
static int number_of(const ml_secret *s, const char *name)
{
    char text[64], again[64], *end = NULL;
    size_t n = 0;
    const char *p = ml_secret_data(s, &n);
    snprintf(text, sizeof(text), "%.*s", p && n < sizeof(text) ? (int)n : 0,
             p ? p : "");
    const char *colon = strrchr(text, ':');
    long number = colon ? strtol(colon + 1, &end, 10) : -1;
    snprintf(again, sizeof(again), VALUE, bare(name), (int)number);
    if (strcmp(text, again) == 0 && number >= 0) return (int)number;
    wrong("another's value", name, text);
    return -1;
}

static bool may_be_missing(const char *name)
{
    return strncmp(name, "absent-", 7) == 0 || strncmp(name, "gone-", 5) == 0;
}

static void check_failure(const char *name, ml_verb verb, const ml_err *e)
{
    bool is_change = verb == ML_PUT || verb == ML_DELETE || verb == ML_PURGE;
    bool fits = e->code == ML_EUNAVAILABLE || e->code == ML_ETHROTTLED ||
                e->code == ML_EINVALID;
    n_failed++;
    if (e->code == ML_ECANCELED) return; /* its callers know whether that may be */
    if (e->code == ML_EMISSING) {
        n_missing++;
        fits = may_be_missing(name);
    }
    if (e->code == ML_ECONFLICT) fits = is_change && strncmp(name, "gone-", 5) == 0;
    if (!fits) wrong(ml_outcome(e->code), name, e->text);
    if (strstr(e->text, "canary:")) wrong("a text with a value", name, e->text);
}

static void check_answer(const char *name, ml_verb verb, const ml_answer *a)
{
    n_found++;
    if (verb == ML_GET) {
        if (ml_answer_count(a) != 1) wrong("not one secret", name, "");
        if (strncmp(name, "absent-", 7) == 0) wrong("found", name, "");
        number_of(ml_answer_at(a, 0), name);
    } else if (verb == ML_LIST && ml_answer_count(a) != FIXED) {
        wrong("a list that is short or long", name, "");
    } else if (verb == ML_EXPLAIN) {
        const char *text = ml_answer_text(a);
        if (!*text || strstr(text, "canary:")) wrong("explains", name, text);
    }
}

/* ---- calls in flight --------------------------------------------------------------
 */

static void start(slot *s);

static void on_done(ml_request *q, const ml_answer *a, const ml_err *e, void *arg)
{
    slot *s = arg;
    pthread_mutex_lock(&s->lock);
    n_dones++;
    if (s->q != q) wrong("a done too many", s->name, e->text);
    s->q = NULL;
    if (e->code == ML_ECANCELED) {
        n_canceled++;
        if (!s->is_canceled && !is_closing) wrong("canceled", s->name, "by nobody");
    }
    if ((e->code == 0) != (a != NULL)) wrong("half an answer", s->name, e->text);
    if (a)
        check_answer(s->name, s->verb, a);
    else
        check_failure(s->name, s->verb, e);
    if (!is_over && n_dones % 8 == 0) start(s); /* allowed inside */
    pthread_mutex_unlock(&s->lock);
}

/* With the slot's lock. */
static void start(slot *s)
{
    ml_err e;
    ml_call call = {ML_CALL_INIT, .verb = s->verb, .name = s->name,
                    .deadline_ms = 1 + n_dones % CALL_MS,
                    .flags = n_dones % 3 ? 0 : ML_REFRESH};
    s->is_canceled = false;
    s->q = ml_start(resolver, &call, on_done, s, &e);
    if (s->q)
        n_started++;
    else if (!is_closing)
        wrong("cannot start", s->name, e.text);
}

static void any_name(thread *t, char name[40])
{
    static const char *const fronts[] = {"", "", "soft/", "both/"};
    const char *front = fronts[dice(&t->seed, 4)];
    const thread *other = &threads[dice(&t->seed, THREADS)];
    int which = dice(&t->seed, 20);
    if (which < FIXED)
        snprintf(name, 40, "%sfixed-%d", front, which);
    else if (which < 16)
        snprintf(name, 40, "%s%s", front, other->own);
    else
        snprintf(name, 40, "%s", which < 18 ? other->gone : "absent-1");
}

static void start_one(thread *t)
{
    slot *s = &t->slots[dice(&t->seed, SLOTS)];
    pthread_mutex_lock(&s->lock);
    if (!s->q) {
        int which = dice(&t->seed, 10);
        s->verb = which == 0 ? ML_LIST : which == 1 ? ML_EXPLAIN : ML_GET;
        any_name(t, s->name);
        if (s->verb == ML_LIST) snprintf(s->name, sizeof(s->name), "fixed-*");
        start(s);
    }
    pthread_mutex_unlock(&s->lock);
}

static void disturb_one(thread *t)
{
    slot *s = &threads[dice(&t->seed, THREADS)].slots[dice(&t->seed, SLOTS)];
    pthread_mutex_lock(&s->lock);
    if (s->q && dice(&t->seed, 2)) {
        s->is_canceled = true;
        ml_cancel(s->q);
    } else if (s->q) {
        ml_request_deadline(s->q, dice(&t->seed, 50));
    }
    pthread_mutex_unlock(&s->lock);
}

/* ---- calls that wait --------------------------------------------------------------
 */

static int run_one(const ml_call *call, ml_answer **out)
{
    ml_err e;
    int code = ml_run(resolver, call, out, &e);
    if (code == ML_ECANCELED) wrong("canceled", call->name, "by nobody");
    if (code == 0)
        check_answer(call->name, call->verb, *out);
    else
        check_failure(call->name, call->verb, &e);
    return code;
}

static void get_one(thread *t)
{
    char name[40];
    ml_err e;
    ml_secret *s = NULL;
    any_name(t, name);
    if (ml_get(resolver, name, NULL, 0, &s, &e) < 0) {
        check_failure(name, ML_GET, &e);
        return;
    }
    n_found++;
    number_of(s, name);
    if (t->kept) number_of(t->kept, ml_secret_name(t->kept)); /* also of handles past */
    ml_secret_unref(t->kept);
    t->kept = s;
}

static int change(thread *t, ml_verb verb, const char *name, int number)
{
    char value[64];
    ml_answer *a = NULL;
    int len = snprintf(value, sizeof(value), VALUE, name, number);
    ml_call call = {ML_CALL_INIT, .verb = verb, .name = name,
                    .deadline_ms = dice(&t->seed, 4) ? 0 : 1 + dice(&t->seed, 60)};
    if (verb == ML_PUT) call.value = value;
    if (verb == ML_PUT) call.value_len = (size_t)len;
    int code = run_one(&call, &a);
    ml_answer_free(a);
    return code;
}

static void put_own(thread *t)
{
    int number = ++t->put;
    if (change(t, ML_PUT, t->own, number) < 0)
        t->doubt_until_ms = now_ms() + DOUBT_MS;
    else if (now_ms() > t->doubt_until_ms)
        t->floor = number;
}

/* Nothing older than what the same thread put before. */
static void get_own(thread *t)
{
    ml_answer *a = NULL;
    ml_call call = {ML_CALL_INIT, .verb = ML_GET, .name = t->own};
    if (run_one(&call, &a) < 0) return;
    int number = number_of(ml_answer_at(a, 0), t->own);
    if (number >= 0 && (number < t->floor || number > t->put)) {
        char text[64];
        snprintf(text, sizeof(text), "%d, but %d to %d were put", number, t->floor,
                 t->put);
        wrong("an older value", t->own, text);
    }
    ml_answer_free(a);
}

static void change_gone(thread *t)
{
    static const ml_verb verbs[] = {ML_PUT, ML_DELETE, ML_PURGE, ML_PUT};
    change(t, verbs[dice(&t->seed, 4)], t->gone, dice(&t->seed, 1000));
}

static void forget(thread *t)
{
    static const char *const patterns[] = {"fixed-*", "soft/**", "own-3", NULL};
    ml_err e;
    if (ml_forget(resolver, patterns[dice(&t->seed, 4)], &e) < 0)
        wrong("cannot forget", "", e.text);
}

static void step(thread *t)
{
    if (dice(&t->seed, 4) == 0) ml_wake(resolver);
    if (ml_timeout_ms(resolver) < -1) wrong("timeout", "", "");
    if (ml_step(resolver, dice(&t->seed, 20)) < 0) wrong("step", "", "");
}

static void *live(void *arg)
{
    static const struct {
        int weight;
        void (*act)(thread *t);
    } acts[] = {{30, get_one}, {24, start_one},  {18, disturb_one}, {5, put_own},
                {7, get_own},  {3, change_gone}, {2, forget},       {11, step}};
    thread *t = arg;
    while (!is_over) {
        int left = dice(&t->seed, 100), i = 0;
        while (left >= acts[i].weight) left -= acts[i++].weight;
        acts[i].act(t);
    }
    return NULL;
}

/* ---- all of them ------------------------------------------------------------------
 */

void callers_prepare(unsigned seed)
{
    for (int i = 0; i < THREADS; i++) {
        thread *t = &threads[i];
        t->seed = seed + 1000 * (unsigned)i;
        snprintf(t->own, sizeof(t->own), "own-%d", i);
        snprintf(t->gone, sizeof(t->gone), "gone-%d", i);
        for (int k = 0; k < SLOTS; k++) pthread_mutex_init(&t->slots[k].lock, NULL);
    }
}

void callers_start(pthread_t ids[THREADS])
{
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&ids[i], NULL, live, &threads[i]), 0);
}

void callers_end(void)
{
    for (int i = 0; i < THREADS; i++) ml_secret_unref(threads[i].kept);
}
