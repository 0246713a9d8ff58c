/* test_ends.c - a call ends once, in every phase: taken back, out of time, or closed.
 */
#include "support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static int write_seed(void **state)
{
    clean_environment(state);
    FILE *f = open_seed();
    fputs("{\"main\": {\"it\": \"value\"}}\n", f);
    return fclose(f);
}

/* A phase is a place where a request waits for long. */
typedef struct phase {
    const char *name;
    const char *fault;  /* of a dev vault; NULL: the hostile service is asked */
    const char *secret; /* its name says what the hostile service does */
    const char *op;     /* reached when the vault has counted this */
    int deadline_code;
    bool is_full; /* nobody can connect any more */
} phase;

static const phase phases[] = {
    {"connect", NULL, NULL, NULL, ML_EUNAVAILABLE, true},
    {"handshake", NULL, NULL, NULL, ML_EUNAVAILABLE, false},
    {"challenge", NULL, "silent", NULL, ML_EUNAVAILABLE, false},
    {"token", "token-delay=60s", "it", "token", ML_EUNAVAILABLE, false},
    {"answer", "delay=60s:op=list-versions", "it", "list-versions", ML_EUNAVAILABLE,
     false},
    {"body", NULL, "slow-body", NULL, ML_EUNAVAILABLE, false},
    {"retry", "429:retry-after=8", "it", "get", ML_ETHROTTLED, false},
    {"token retry", "token-503:retry-after=8", "it", "token", ML_EUNAVAILABLE, false},
};

enum { CROWD = 4 };

typedef struct place {
    server *vault, *hostile;
    int silent;       /* a socket that listens and never accepts */
    int crowd[CROWD]; /* connections that wait for it already */
    ml_resolver *r;
    const char *secret;
    ml_verb verb;
} place;

/* Asks for versions, with the token of an earlier get: only the answer is missing. */
static bool is_warm(const phase *p)
{
    return p->op && strcmp(p->op, "list-versions") == 0;
}

static int listen_only(int *port, int backlog)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, n), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

/* Until the kernel answers no more of them: it drops what comes then. */
static void crowd_in(int crowd[CROWD], int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)port)};
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(connect(crowd[i], (struct sockaddr *)&at, sizeof(at)) == 0 ||
                    errno == EINPROGRESS);
    }
    struct pollfd last = {.fd = crowd[CROWD - 1], .events = POLLOUT};
    assert_int_equal(poll(&last, 1, 100), 0);
}

static place enter(const phase *p)
{
    place at = {.silent = -1, .secret = p->secret ? p->secret : "it"};
    print_message("    %s\n", p->name);
    char url[64] = "";
    at.vault = p->fault ? vault_start("--seed", seed_path, "--fault", p->fault, NULL)
                        : vault_start("--seed", seed_path, NULL);
    if (!p->fault && p->secret) at.hostile = hostile_start(at.vault);
    if (!p->fault && !p->secret) {
        int port;
        at.silent = listen_only(&port, p->is_full ? 0 : 16);
        if (p->is_full) crowd_in(at.crowd, port);
        snprintf(url, sizeof(url), "https://127.0.0.1:%d", port);
    }
    at.r = open_with(&(setup){.vault = at.vault,
                              .url = url[0]       ? url
                                     : at.hostile ? at.hostile->url
                                                  : NULL,
                              .deadline_ms = 60000});
    at.verb = is_warm(p) ? ML_VERSIONS : ML_GET;
    if (is_warm(p)) assert_value(at.r, "it", "value");
    return at;
}

static void leave(place *at)
{
    ml_close(at->r);
    server_stop(at->hostile);
    server_stop(at->vault);
    if (at->silent >= 0) close(at->silent);
    for (int i = 0; i < CROWD; i++) {
        if (at->crowd[i] > 0) close(at->crowd[i]);
    }
}

typedef struct end {
    int calls, code;
    char text[sizeof((ml_err){0}.text)];
} end;

static void note(ml_request *q, const ml_answer *a, const ml_err *e, void *arg)
{
    (void)q;
    end *d = arg;
    d->calls++;
    d->code = e->code;
    assert_true((a != NULL) == (e->code == 0));
    snprintf(d->text, sizeof(d->text), "%s", e->text);
}

static ml_request *begin(place *at, end *d, int deadline_ms)
{
    ml_call call = {ML_CALL_INIT, .verb = at->verb, .name = at->secret,
                    .deadline_ms = deadline_ms};
    ml_request *q = ml_start(at->r, &call, note, d, &last_error);
    assert_non_null(q);
    return q;
}

/* Steps until the request waits where this phase is about. */
static void reach(const phase *p, place *at, const end *d)
{
    int64_t until = now_ms() + 20000;
    bool there = false;
    char wanted[64];
    snprintf(wanted, sizeof(wanted), "/secrets/%s", at->secret);
    while (!there && now_ms() < until) {
        ml_step(at->r, 20);
        assert_int_equal(d->calls, 0);
        if (!p->op)
            there = !at->hostile || record_has(at->hostile, wanted);
        else if (strcmp(p->op, "get") == 0) /* beside the one without a token */
            there =
                requests(at->vault, "get", 200) + requests(at->vault, "get", 429) > 0;
        else
            there = requests(at->vault, p->op, -1) > 0;
    }
    assert_true(there);
    for (int i = 0; i < 5; i++) ml_step(at->r, 10); /* let its answer arrive */
    assert_int_equal(d->calls, 0);
}

static void finish(place *at, const end *d)
{
    int64_t until = now_ms() + 20000;
    while (d->calls == 0 && now_ms() < until) ml_step(at->r, 200);
    assert_int_equal(d->calls, 1);
    for (int i = 0; i < 3; i++) ml_step(at->r, 5);
    assert_int_equal(d->calls, 1);
}

static void test_cancel(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
        place at = enter(&phases[i]);
        end canceled = {0}, other = {0};
        ml_request *q = begin(&at, &canceled, 0);
        begin(&at, &other, 0); /* shares what can be shared, and goes on */
        reach(&phases[i], &at, &canceled);
        ml_cancel(q);
        ml_cancel(q); /* no harm */
        assert_int_equal(canceled.calls, 0);
        finish(&at, &canceled);
        assert_int_equal(canceled.code, ML_ECANCELED);
        assert_int_equal(other.calls, 0);
        leave(&at);
        assert_int_equal(canceled.calls, 1);
        assert_int_equal(other.calls, 1);
        assert_int_equal(other.code, ML_ECANCELED);
    }
}

static void test_cancel_at_once(void **state)
{
    (void)state;
    place at = enter(&phases[3]);
    end d = {0};
    ml_cancel(begin(&at, &d, 0));
    assert_int_equal(d.calls, 0);
    finish(&at, &d);
    assert_int_equal(d.code, ML_ECANCELED);
    leave(&at);
}

static void test_deadline(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
        place at = enter(&phases[i]);
        end brief = {0}, longer = {0};
        int64_t began = now_ms();
        begin(&at, &brief, 1000);
        begin(&at, &longer, 60000); /* its own deadline, not the other's */
        finish(&at, &brief);
        assert_true(now_ms() - began < 10000);
        assert_int_equal(brief.code, phases[i].deadline_code);
        if (!strstr(brief.text, "localhost")) {
            assert_non_null(strstr(brief.text, "127.0.0.1")); /* who it was */
        }
        assert_int_equal(longer.calls, 0);
        leave(&at);
        assert_int_equal(longer.calls, 1);
    }
}

/* Shortened while it waits there; the other one is not disturbed. */
static void test_deadline_brought_forward(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
        place at = enter(&phases[i]);
        end brief = {0}, longer = {0};
        ml_request *q = begin(&at, &brief, 60000);
        begin(&at, &longer, 60000);
        reach(&phases[i], &at, &brief);
        int64_t began = now_ms();
        ml_request_deadline(q, 100);
        finish(&at, &brief);
        assert_true(now_ms() - began < 10000);
        assert_int_equal(brief.code, ML_EUNAVAILABLE);
        assert_int_equal(longer.calls, 0);
        leave(&at);
        assert_int_equal(longer.calls, 1);
    }
}

/* A plan that takes for ever ends by its own limits; who was not planned yet can be
 * taken back. */
static void test_policy_without_an_end(void **state)
{
    (void)state;
    ml_resolver *r = NULL;
    end endless = {0}, canceled = {0};
    ml_options o = {ML_OPTIONS_INIT,
                    .policy_text =
                        "local ml = require 'moonlatch.policy'\n"
                        "return ml.policy { ml.rule '**' { map = function()\n"
                        "  while true do pcall(function() end) end\n"
                        "end } }\n",
                    .deadline_ms = 60000, .lua_deadline_ms = 200,
                    .lua_max_instructions = INT64_MAX};
    if (ml_open(&r, &o, &last_error) < 0) fail_msg("%s", last_error.text);
    place at = {.r = r, .secret = "it", .verb = ML_GET};
    int64_t began = now_ms();
    begin(&at, &endless, 0);
    ml_request *q = begin(&at, &canceled, 0);
    ml_cancel(q);
    finish(&at, &canceled);
    finish(&at, &endless);
    assert_int_equal(canceled.code, ML_ECANCELED);
    assert_int_equal(endless.code, ML_EPOLICY);
    assert_non_null(strstr(endless.text, "lua_deadline_ms"));
    assert_true(now_ms() - began < 10000);
    ml_close(r);
}

static void test_close(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
        place at = enter(&phases[i]);
        end ends[10] = {{0}};
        for (int k = 0; k < 10; k++) begin(&at, &ends[k], 0);
        reach(&phases[i], &at, &ends[0]);
        leave(&at);
        for (int k = 0; k < 10; k++) {
            assert_int_equal(ends[k].calls, 1);
            assert_int_equal(ends[k].code, ML_ECANCELED);
        }
    }
}

/* Hung up on without a word: an outage, not a bad answer. */
static void test_hang_up(void **state)
{
    (void)state;
    const phase p = {.name = "hang up", .secret = "hang-up"};
    place at = enter(&p);
    assert_int_equal(get_code(at.r, "hang-up"), ML_EUNAVAILABLE);
    leave(&at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_at_once),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_deadline_brought_forward),
        cmocka_unit_test(test_policy_without_an_end),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_hang_up),
    };
    return cmocka_run_group_tests(tests, write_seed, remove_seed);
}
