/* devvault.c - starts every part of the dev vault, runs it, and takes it apart again.
 *
 * One event loop, one thread.  A request goes: exchange.c (in) -> one of vault.c,
 * entra.c, identity.c, chosen by its path -> exchange.c (out). */
#include "devvault/devvault.h"

#include <errno.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "devvault/cert.h"
#include "devvault/config.h"
#include "devvault/exchange.h"
#include "devvault/kept.h"
#include "devvault/listen.h"
#include "devvault/seed.h"
#include "devvault/state.h"

enum { LARGEST_HEADERS = 64 * 1024, IDLE_S = 120 };

/* What a run holds; released in the reverse order. */
typedef struct run {
    ml_dv dv;
    ml_dv_state state;
    ml_dv_store *kept; /* of a given state directory, when there is no --store */
    ml_dv_sockets sockets, imds_sockets;
    SSL_CTX *tls;
    struct evhttp *https, *http;
    struct event *on_term, *on_int;
    ml_buf seed;
} run;

static void serve_stats(ml_dv_exchange *x)
{
    x->op = "dev";
    ml_dv_stats_write(&x->dv->stats, &x->out);
    ml_dv_answer(x, 200);
}

static bool is_below(ml_str path, ml_str root)
{
    if (path.n < root.n || !ml_str_ieq((ml_str){path.p, root.n}, root)) return false;
    return path.n == root.n || path.p[root.n] == '/';
}

/* Nothing of the service has these two. */
static void refuse_method(ml_dv_exchange *x)
{
    ml_dv_header(x, "Allow", "GET, PUT, POST, PATCH, DELETE");
    ml_dv_refuse(x, 405, "MethodNotAllowed", NULL,
                 "The HTTP method is not allowed on this path.");
}

static void on_request(struct evhttp_request *req, void *arg)
{
    ml_dv_exchange *x = ml_dv_exchange_new(arg, req);
    if (!x) return;
    if (x->method == EVHTTP_REQ_HEAD || x->method == EVHTTP_REQ_OPTIONS) {
        refuse_method(x);
    } else if (is_below(x->path, ML_LIT("/secrets")) ||
               is_below(x->path, ML_LIT("/deletedsecrets"))) {
        ml_dv_serve_vault(x);
    } else if (ml_str_eq(x->path, ML_LIT("/metadata/identity/oauth2/token")) ||
               ml_str_eq(x->path, ML_LIT("/msi/token"))) {
        ml_dv_serve_identity(x);
    } else if (ml_str_eq(x->path, ML_LIT("/_dev/stats"))) {
        serve_stats(x);
    } else {
        ml_dv_serve_entra(x);
    }
    ml_dv_exchange_finish(x);
}

/* The plain-HTTP twin knows nothing but managed identity. */
static void on_plain_request(struct evhttp_request *req, void *arg)
{
    ml_dv_exchange *x = ml_dv_exchange_new(arg, req);
    if (!x) return;
    if (ml_str_eq(x->path, ML_LIT("/metadata/identity/oauth2/token")) ||
        ml_str_eq(x->path, ML_LIT("/msi/token"))) {
        ml_dv_serve_identity(x);
    } else {
        x->is_token = true;
        ml_dv_refuse(x, 404, "NotFound", NULL, "Only managed identity is served here.");
    }
    ml_dv_exchange_finish(x);
}

static struct bufferevent *new_tls_connection(struct event_base *base, void *arg)
{
    SSL *ssl = SSL_new(arg);
    if (!ssl) return NULL;
    return bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING,
                                          BEV_OPT_CLOSE_ON_FREE);
}

static struct evhttp *new_server(ml_dv *dv, ml_dv_sockets *s,
                                 void (*handler)(struct evhttp_request *, void *))
{
    struct evhttp *http = evhttp_new(dv->base);
    if (!http) return NULL;
    evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_PUT |
                                         EVHTTP_REQ_DELETE | EVHTTP_REQ_PATCH |
                                         EVHTTP_REQ_HEAD | EVHTTP_REQ_OPTIONS);
    evhttp_set_max_body_size(http, ML_DV_LARGEST_BODY);
    evhttp_set_max_headers_size(http, LARGEST_HEADERS);
    evhttp_set_timeout(http, IDLE_S);
    evhttp_set_gencb(http, handler, dv);
    for (int i = 0; i < s->n; i++) {
        if (!evhttp_accept_socket_with_handle(http, s->fds[i])) continue;
        s->fds[i] = -1; /* the server's now */
    }
    return http;
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    (void)number;
    (void)what;
    event_base_loopexit(arg, NULL);
}

static int add_seeded(void *arg, const char *vault, ml_dv_record *r, ml_err *e)
{
    return ml_dv_seed_add(arg, vault, r, e);
}

static int open_store(run *u, const ml_devvault_options *opt, ml_err *e)
{
    ml_dv *dv = &u->dv;
    int rc = ml_dv_store_open(&dv->store, opt->store_file, e);
    if (rc == 0) {
        rc = ml_dv_store_key(dv->store, "token", dv->token_key, sizeof(dv->token_key),
                             e);
    }
    if (rc == 0) {
        rc = ml_dv_store_key(dv->store, "backup", dv->backup_key,
                             sizeof(dv->backup_key), e);
    }
    if (rc || !opt->seed_file) return rc;
    ml_dv_store_begin(dv->store);
    rc = ml_dv_seed_read(ml_buf_str(&u->seed), opt->seed_file, NULL, add_seeded,
                         dv->store, e);
    if (!ml_dv_store_end(dv->store, rc == 0) && rc == 0) {
        rc = ml_fail(e, ML_ESYSTEM, "cannot store the seed");
    }
    ml_buf_fini(&u->seed);
    return rc;
}

/* Who this dev vault is must not change with a restart, if anything of it stays. */
static int keep_identity(run *u, const ml_devvault_options *opt, ml_err *e)
{
    char file[sizeof(u->state.dir) + 32];
    if (!opt->store_file && opt->state_dir) {
        snprintf(file, sizeof(file), "%s/kept.db", u->state.dir);
        int rc = ml_dv_store_open(&u->kept, file, e);
        if (rc) return rc;
    }
    ml_dv_store *s = opt->store_file ? u->dv.store : u->kept;
    return s ? ml_dv_keep_identity(s, opt, &u->dv.config, e) : 0;
}

/* Any port means: the one of the last run, if it is free. */
static int listen_again(run *u, const ml_devvault_options *opt, ml_err *e)
{
    ml_dv_store *s = opt->store_file ? u->dv.store : u->kept;
    const char *where = opt->listen ? opt->listen : "localhost:0";
    ml_str w = ml_str_of(where);
    bool is_any = ml_str_ends(w, ML_LIT(":0"));
    int port = s && is_any ? ml_dv_kept_port(s) : 0;
    char again[128];
    ml_err unseen = {0};
    int rc = -1;
    if (port) {
        snprintf(again, sizeof(again), "%.*s:%d", (int)w.n - 2, where, port);
        rc = ml_dv_listen(&u->sockets, again, opt->allow_remote, &unseen);
    }
    if (rc) rc = ml_dv_listen(&u->sockets, where, opt->allow_remote, e);
    if (rc == 0 && s && is_any) rc = ml_dv_keep_port(s, u->sockets.port, e);
    return rc;
}

static int open_network(run *u, const ml_devvault_options *opt, ml_err *e)
{
    ml_dv *dv = &u->dv;
    int rc = listen_again(u, opt, e);
    if (rc == 0 && opt->imds_listen) {
        rc = ml_dv_listen(&u->imds_sockets, opt->imds_listen, opt->allow_remote, e);
    }
    if (rc) return rc;
    dv->host = u->sockets.host;
    dv->port = u->sockets.port;
    dv->imds_host = u->imds_sockets.host;
    dv->imds_port = u->imds_sockets.port;
    rc = ml_dv_cert_context(&u->tls, u->state.dir,
                            (const char *const *)dv->config.vaults, dv->config.n_vaults,
                            dv->host, u->state.ca_file, sizeof(u->state.ca_file), e);
    if (rc) return rc;
    dv->base = event_base_new();
    if (dv->base) u->https = new_server(dv, &u->sockets, on_request);
    if (dv->base && opt->imds_listen) {
        u->http = new_server(dv, &u->imds_sockets, on_plain_request);
    }
    if (!u->https || (opt->imds_listen && !u->http)) {
        return ml_fail(e, ML_ESYSTEM, "cannot start the HTTP server");
    }
    evhttp_set_bevcb(u->https, new_tls_connection, u->tls);
    return 0;
}

static int watch_signals(run *u, ml_err *e)
{
    signal(SIGPIPE, SIG_IGN);
    u->on_term = evsignal_new(u->dv.base, SIGTERM, on_signal, u->dv.base);
    u->on_int = evsignal_new(u->dv.base, SIGINT, on_signal, u->dv.base);
    bool ok = u->on_term && u->on_int && evsignal_add(u->on_term, NULL) == 0 &&
              evsignal_add(u->on_int, NULL) == 0;
    return ok ? 0 : ml_fail(e, ML_ESYSTEM, "cannot watch for signals");
}

static int announce(run *u, const ml_devvault_options *opt, ml_err *e)
{
    fprintf(stderr,
            "dev-vault: FOR DEVELOPMENT ONLY. Anybody on this machine can read what is "
            "in it; never put a real secret here.\n");
    if (opt->allow_remote) {
        fprintf(stderr,
                "dev-vault: WARNING: --allow-remote: other machines may reach it.\n");
    }
    ml_buf line;
    ml_buf_init(&line, 0);
    ml_dv_ready_line(&u->state, &u->dv, &line);
    bool ok = ml_buf_ok(&line) && fwrite(line.data, 1, line.len, stdout) == line.len &&
              fflush(stdout) == 0;
    if (ok && opt->ready_fd > 0) {
        ok = write(opt->ready_fd, line.data, line.len) == (ssize_t)line.len;
        close(opt->ready_fd);
    }
    ml_buf_fini(&line);
    return ok ? 0
              : ml_fail(e, ML_ESYSTEM, "cannot write the ready line: %s",
                        strerror(errno));
}

/* Before anything is made: a bad one would be found when it is too late. */
static int check_ready_fd(int fd, ml_err *e)
{
    if (fd == 0) return 0;
    int flags = fd > 0 ? fcntl(fd, F_GETFL) : -1;
    if (flags >= 0 && (flags & O_ACCMODE) != O_RDONLY) return 0;
    return ml_fail(e, ML_EUSAGE, "--ready-fd takes a descriptor that is open to write");
}

static int start(run *u, const ml_devvault_options *opt, ml_err *e)
{
    ml_dv *dv = &u->dv;
    int rc = check_ready_fd(opt->ready_fd, e);
    if (rc == 0 && opt->seed_file) rc = ml_dv_seed_load(opt->seed_file, &u->seed, e);
    if (rc == 0) rc = ml_dv_config_init(&dv->config, opt, ml_buf_str(&u->seed), e);
    if (rc == 0) {
        rc = ml_dv_faults_init(&dv->faults, opt->faults, opt->n_faults, opt->fault_seed,
                               e);
    }
    if (rc == 0) rc = ml_dv_state_init(&u->state, opt->state_dir, e);
    if (rc == 0) rc = open_store(u, opt, e);
    if (rc == 0) rc = keep_identity(u, opt, e);
    if (rc == 0) rc = open_network(u, opt, e);
    if (rc == 0) rc = watch_signals(u, e);
    if (rc == 0) rc = ml_dv_state_write_env(&u->state, dv, e);
    return rc ? rc : announce(u, opt, e);
}

static void stop(run *u)
{
    ml_dv *dv = &u->dv;
    if (u->on_term) event_free(u->on_term);
    if (u->on_int) event_free(u->on_int);
    ml_dv_exchange_abandon_all(dv);
    if (u->http) evhttp_free(u->http);
    if (u->https) evhttp_free(u->https);
    if (dv->base) event_base_free(dv->base);
    SSL_CTX_free(u->tls);
    ml_dv_sockets_close(&u->sockets);
    ml_dv_sockets_close(&u->imds_sockets);
    ml_dv_store_close(dv->store);
    ml_dv_store_close(u->kept);
    ml_dv_state_fini(&u->state);
    ml_dv_faults_fini(&dv->faults);
    ml_dv_config_fini(&dv->config);
    ml_buf_fini(&u->seed);
    ml_scrub(u, sizeof(*u));
    free(u);
}

int ml_devvault_run(const ml_devvault_options *opt, ml_err *e)
{
    run *u = calloc(1, sizeof(*u));
    if (!u) return ml_fail(e, ML_ENOMEM, "out of memory");
    int rc = start(u, opt, e);
    if (rc == 0) event_base_dispatch(u->dv.base);
    stop(u);
    return rc;
}
