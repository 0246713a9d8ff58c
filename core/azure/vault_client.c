/* vault_client.c - Key Vault operations as ops: token, challenge, request, pages.
 *
 *   audience known --> token --> request --> answer --> done
 *         | not yet               ^            | nextLink: the next request
 *         v                       |            | 401, once: forget the token
 *   request without token --> challenge <------+
 *
 * A request without a token carries no body: a value is not shown to a host that has
 * not been checked.  Tokens are asked for at our own authority; a challenge may name
 * the tenant (if allowed) and the audience (if it fits the vault), nothing else. */
#include "azure/vault_client.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "azure/challenge.h"
#include "azure/token.h"
#include "azure/vault_call.h"
#include "azure/vault_errors.h"
#include "base/err.h"
#include "base/mem.h"

enum {
    MAX_PAGES = 10000,
    MAX_LIST_BYTES = 64 * 1024 * 1024,
    MAX_ANSWER_BYTES = 4 * 1024 * 1024,
    MAX_BACKUP_BYTES = 32 * 1024 * 1024 /* up to 500 versions of 25 KiB */
};

typedef struct request {
    ml_op op;
    ml_vault *vault;
    ml_vault_call call; /* owned copy */
    int64_t deadline_ms;
    ml_trace *trace;
    ml_op *child; /* token or http, whichever is under way */
    ml_secret *token;
    ml_discovery_wait wait;
    bool is_discoverer;
    ml_buf claims;
    ml_buf next_link;
    int pages;
    size_t list_bytes;
    bool was_challenged; /* without a token */
    bool was_reauthenticated;
} request;

static void send_request(request *r);
static void get_token(request *r);

static void end_discovery(request *r)
{
    if (!r->is_discoverer) return;
    r->is_discoverer = false;
    ml_discovery_end(&r->vault->discovery);
}

static void finish(request *r)
{
    ml_op_finish(&r->op);
    end_discovery(r);
}

static void finish_with(request *r, const ml_err *err)
{
    char source[sizeof(err->source)], key[sizeof(err->key)];
    snprintf(source, sizeof(source), "%s", r->vault->alias);
    ml_copy_printable(key, sizeof(key), r->call.key.p, r->call.key.n);
    ml_err_copy(&r->op.err, err);
    memcpy(r->op.err.source, source, sizeof(source));
    memcpy(r->op.err.key, key, sizeof(key));
    finish(r);
}

static void fail(request *r, int code, const char *text)
{
    ml_err err = {0};
    ml_fail(&err, code, "%s", text);
    finish_with(r, &err);
}

/* The same for errors that know nothing of vaults: the text begins with what we did. */
static void finish_about(request *r, const ml_err *err)
{
    ml_err full;
    char what[256];
    ml_err_copy(&full, err);
    ml_vault_describe(&r->call, r->vault->alias, what, sizeof(what));
    ml_fail(&full, err->code, "%s: %s", what, err->text);
    finish_with(r, &full);
}

static void fail_about(request *r, int code, const char *text)
{
    ml_err err = {0};
    ml_fail(&err, code, "%s", text);
    finish_about(r, &err);
}

/* The child has ended; true when the request has to end too. */
static bool child_ended(request *r, const ml_op *child)
{
    r->child = NULL;
    if (r->op.is_canceled) {
        fail(r, ML_ECANCELED, "canceled");
        return true;
    }
    if (child->err.code == 0) return false;
    finish_about(r, &child->err);
    return true;
}

/* ---- answers
 * --------------------------------------------------------------------------- */

static ml_token_want token_want(const request *r)
{
    const ml_vault *v = r->vault;
    return (ml_token_want){.authority = v->identity.authority,
                           .tenant = v->tenant,
                           .audience = v->audience,
                           .client_id = v->identity.client_id,
                           .client_secret = v->identity.client_secret,
                           .claims = ml_buf_str(&r->claims),
                           .deadline_ms = r->deadline_ms,
                           .trace = r->trace};
}

static void add_http_facts(ml_err *err, const ml_http_response *http)
{
    err->http_status = http->status;
    err->retry_after_ms = http->retry_after_ms;
    snprintf(err->request_id, sizeof(err->request_id), "%s", http->request_id);
}

/* Moves a page into the result; false on failure. */
static bool take_page(request *r, ml_vault_answer *page, ml_err *err)
{
    for (size_t i = 0; i < page->list.n; i++) {
        ml_secret *item = page->list.items[i];
        page->list.items[i] = NULL;
        r->list_bytes += ml_secret_size(item);
        if (!ml_secrets_add(&r->op.list, item)) {
            ml_fail(err, ML_ENOMEM, "out of memory for a list of %zu", r->op.list.n);
            return false;
        }
    }
    ml_buf_clear(&r->next_link);
    ml_buf_add_str(&r->next_link, ml_buf_str(&page->next_link));
    if (!ml_buf_ok(&r->next_link)) { /* never the end of the list */
        if (r->next_link.is_full)
            ml_fail(err, ML_EINVALID, "the link to the list's next page is too long");
        else
            ml_fail(err, ML_ENOMEM, "out of memory for a list");
        return false;
    }
    if (r->next_link.len == 0) return true;
    if (!ml_next_link_is_safe(&r->vault->url, ml_buf_str(&r->next_link))) {
        ml_fail(err, ML_EINVALID,
                "the next page of the list is on another host: refused");
        return false;
    }
    if (++r->pages < MAX_PAGES && r->list_bytes < MAX_LIST_BYTES) return true;
    ml_fail(err, ML_EINVALID, "the list does not end: %d pages, %zu entries so far",
            r->pages, r->op.list.n);
    return false;
}

static void on_good_answer(request *r, ml_vault_answer *answer)
{
    ml_err err = {0};
    r->op.secret = answer->secret;
    answer->secret = NULL;
    if (!take_page(r, answer, &err))
        finish_with(r, &err);
    else if (r->next_link.len)
        send_request(r);
    else
        finish(r);
}

/* ---- challenges
 * -------------------------------------------------------------------------- */

/* Takes audience and tenant from a challenge that may be trusted. */
static int learn(request *r, const ml_challenge *c, ml_err *err)
{
    ml_vault *v = r->vault;
    int rc = ml_challenge_check(c, &v->url, v->expected, !v->skip_challenge_check, err);
    if (rc < 0) return rc;
    if (c->tenant[0] && v->identity.client_secret &&
        !ml_identity_allows_tenant(&v->identity, c->tenant)) {
        return ml_fail(
            err, ML_EUNAUTHENTICATED,
            "the vault belongs to tenant %.64s, the "
            "credential is of tenant %.64s: use the vault's tenant id, or allow "
            "it with AZURE_ADDITIONALLY_ALLOWED_TENANTS",
            c->tenant, v->identity.tenant_id);
    }
    if (c->tenant[0]) snprintf(v->tenant, sizeof(v->tenant), "%s", c->tenant);
    if (c->resource[0]) snprintf(v->audience, sizeof(v->audience), "%s", c->resource);
    ml_trace_add(r->trace, "challenge", "tenant %s, audience %s", v->tenant,
                 v->audience);
    return 0;
}

static int read_challenge(request *r, const ml_http_response *http, ml_challenge *c,
                          ml_err *err)
{
    ml_str lines[ML_HTTP_MAX_CHALLENGES];
    for (int i = 0; i < http->n_challenges; i++)
        lines[i] = ml_str_of(http->challenges[i]);
    int rc = ml_challenge_parse(c, lines, (size_t)http->n_challenges, err);
    if (rc < 0) return rc;
    /* A claims challenge names no resource: what is known stays. */
    if (!c->resource[0] && r->vault->audience[0]) return 0;
    return learn(r, c, err);
}

/* 401: a new token is worth one try; what the answer says decides about which. */
static void on_unauthorized(request *r, const ml_http_response *http, const ml_err *why)
{
    bool *used = r->token ? &r->was_reauthenticated : &r->was_challenged;
    if (*used) {
        finish_with(r, why);
        return;
    }
    *used = true;
    ml_challenge c;
    ml_err err = {0};
    ml_challenge_init(&c);
    int rc = read_challenge(r, http, &c, &err);
    ml_buf_clear(&r->claims);
    if (rc == 0) ml_buf_add_str(&r->claims, ml_buf_str(&c.claims));
    if (!ml_buf_ok(&r->claims))
        rc = ml_fail(&err, ML_ENOMEM, "out of memory for a challenge");
    ml_challenge_fini(&c);
    if (rc < 0 && !(r->token && http->n_challenges == 0)) {
        add_http_facts(&err, http);
        finish_about(r, &err);
        return;
    }
    if (r->token) {
        ml_token_want want = token_want(r);
        ml_token_forget(r->vault->azure, &want, r->token);
        ml_secret_unref(r->token);
        r->token = NULL;
        ml_trace_add(r->trace, "auth", "the token was refused: asking for a new one");
    }
    end_discovery(r);
    get_token(r);
}

/* ---- requests
 * ----------------------------------------------------------------------------- */

static void on_answer(ml_op *op, void *arg)
{
    request *r = arg;
    if (child_ended(r, op)) return;
    ml_http_response *http = ml_http_answer(op);
    ml_vault_answer answer;
    ml_err err = {0};
    ml_vault_answer_init(&answer);
    int rc = ml_vault_parse(&r->call, r->vault->alias, http->status,
                            ml_buf_str(&http->body), &answer, &err);
    if (rc == 0) {
        on_good_answer(r, &answer);
    } else {
        add_http_facts(&err, http);
        if (http->status == 401)
            on_unauthorized(r, http, &err);
        else
            finish_with(r, &err);
    }
    ml_vault_answer_fini(&answer);
}

static int build(request *r, ml_http_request *q, ml_err *err)
{
    bool has_body = false;
    int rc = ml_vault_build(&r->call, &r->vault->url, r->vault->api_version, &q->method,
                            &q->url, &q->body, &has_body, err);
    if (rc < 0) return rc;
    if (has_body) q->content_type = "application/json";
    if (!r->token) {
        ml_buf_clear(&q->body);
        q->content_type = NULL;
    }
    if (r->next_link.len) { /* as it came, byte by byte */
        ml_buf_clear(&q->url);
        ml_buf_add_str(&q->url, ml_buf_str(&r->next_link));
    }
    return 0;
}

static void send_request(request *r)
{
    ml_http_request q;
    ml_err err = {0};
    ml_http_request_init(&q);
    q.body.max = MAX_BACKUP_BYTES;
    if (build(r, &q, &err) < 0) {
        ml_http_request_fini(&q);
        finish_with(r, &err);
        return;
    }
    q.authorization = ml_secret_ref(r->token);
    q.deadline_ms = r->deadline_ms;
    q.max_bytes = r->call.op == ML_VAULT_BACKUP ? MAX_BACKUP_BYTES : MAX_ANSWER_BYTES;
    q.is_idempotent = ml_vault_is_idempotent(r->call.op);
    bool makes_version = r->call.op == ML_VAULT_SET || r->call.op == ML_VAULT_RESTORE;
    q.source = r->vault->alias;
    q.gate = r->vault->gates[makes_version ? ML_WRITES : ML_READS];
    r->child = ml_http_start(r->vault->azure->client, &q, true, r->trace, on_answer, r);
    if (!r->child) fail(r, ML_ENOMEM, "out of memory for a request");
}

static void on_token(ml_op *op, void *arg)
{
    request *r = arg;
    if (child_ended(r, op)) return;
    r->token = op->secret;
    op->secret = NULL;
    send_request(r);
}

static void get_token(request *r)
{
    const ml_identity *id = &r->vault->identity;
    if (!id->client_secret) {
        fail_about(r, ML_EUNAUTHENTICATED,
                   "no credential: set AZURE_TENANT_ID, AZURE_CLIENT_ID "
                   "and AZURE_CLIENT_SECRET, or give the policy a ml.client_secret");
        return;
    }
    if (!id->authority[0]) {
        fail_about(r, ML_EUNAUTHENTICATED,
                   "the login host is not known for this vault: set "
                   "AZURE_AUTHORITY_HOST");
        return;
    }
    ml_token_want want = token_want(r);
    r->token = ml_token_kept(r->vault->azure, &want);
    if (r->token) {
        send_request(r);
        return;
    }
    r->child = ml_token_start(r->vault->azure, &want, on_token, r);
    if (!r->child) fail(r, ML_ENOMEM, "out of memory for a token");
}

/* ---- life
 * ------------------------------------------------------------------------------------
 */

static void cancel(ml_op *op)
{
    request *r = (request *)op;
    if (ml_discovery_leave(&r->wait))
        fail(r, ML_ECANCELED, "canceled");
    else
        ml_op_cancel(r->child); /* its done ends us */
}

static void destroy(ml_op *op)
{
    request *r = (request *)op;
    ml_vault_call_fini(&r->call);
    ml_secret_unref(r->token);
    ml_buf_fini(&r->claims);
    ml_buf_fini(&r->next_link);
    ml_op_fini(op);
    ml_free(r);
}

/* What the other request learned serves this one; if it failed, this one asks too. */
static void on_discovery(ml_discovery_wait *w, bool in_time)
{
    request *r = (request *)((char *)w - offsetof(request, wait));
    if (!in_time)
        fail(r, ML_EUNAVAILABLE, "no answer from the vault in time");
    else if (r->vault->audience[0])
        get_token(r);
    else
        send_request(r);
}

static void discover(request *r)
{
    ml_vault *v = r->vault;
    if (ml_discovery_begin(&v->discovery)) {
        r->is_discoverer = true;
        send_request(r);
    } else {
        ml_discovery_join(&v->discovery, &r->wait, r->op.loop, r->deadline_ms,
                          on_discovery);
    }
}

static void begin(request *r)
{
    ml_err err = {0};
    if (ml_vault_check(&r->call, &err) < 0)
        finish_with(r, &err);
    else if (r->vault->audience[0])
        get_token(r);
    else
        discover(r);
}

ml_op *ml_vault_start(ml_vault *v, const ml_vault_call *call, int64_t deadline_ms,
                      ml_trace *trace, ml_op_done *done, void *arg)
{
    request *r = ml_op_alloc(sizeof(*r));
    if (!r) return NULL;
    if (!ml_vault_call_copy(&r->call, call)) {
        ml_free(r);
        return NULL;
    }
    ml_op_init(&r->op, v->azure->client->loop, cancel, destroy);
    r->op.done = done;
    r->op.arg = arg;
    r->vault = v;
    r->deadline_ms = deadline_ms;
    r->trace = trace;
    ml_buf_init(&r->claims, 0);
    ml_buf_init(&r->next_link, 16 * 1024);
    begin(r);
    return &r->op;
}
