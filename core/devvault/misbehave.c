/* misbehave.c - the faults that strike any answer, whatever it is about.
 *
 * Faults strike in the order in which they were given.  A delay adds to whatever else
 * happens; the first other one decides. */
#include "devvault/misbehave.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "devvault/auth.h"
#include "devvault/entra.h"

enum { BIG_BYTES = 10 * 1024 * 1024, DEEP_LEVELS = 20000 };

static void add_retry_after(ml_dv_exchange *x, const ml_dv_fault *f)
{
    if (f->retry_after_s >= 0) ml_dv_header(x, "Retry-After", "%d", f->retry_after_s);
    if (f->retry_after_ms >= 0) {
        ml_dv_header(x, "retry-after-ms", "%d", f->retry_after_ms);
        ml_dv_header(x, "x-ms-retry-after-ms", "%d", f->retry_after_ms);
    }
    if (f->retry_after_date_s >= 0) {
        time_t when = time(NULL) + f->retry_after_date_s;
        struct tm tm;
        char text[64];
        strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&when, &tm));
        ml_dv_header(x, "Retry-After", "%s", text);
    }
}

/* In Entra's words for such a status. */
static void answer_token_status(ml_dv_exchange *x, int status)
{
    static const struct {
        int status;
        const char *word;
        int number;
        const char *sentence;
    } rows[] = {
        {400, "invalid_request", 900144,
         "The request body must contain the following parameter: 'grant_type'."},
        {401, "invalid_client", 7000215, "Invalid client secret provided."},
        {403, "access_denied", 53003,
         "Access has been blocked by Conditional Access policies."},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].status != status) continue;
        ml_dv_entra_refuse(x, status, rows[i].word, rows[i].number, rows[i].sentence);
        return;
    }
    ml_dv_entra_refuse(x, status, "temporarily_unavailable", 90055,
                       "The server is busy (injected fault).");
}

static void answer_status(ml_dv_exchange *x, int status)
{
    if (x->is_token) {
        answer_token_status(x, status);
        return;
    }
    switch (status) {
    case 401:
        ml_dv_challenge(x, "AKV10000: Request is missing a Bearer or PoP token.");
        return;
    case 429:
        ml_dv_refuse(
            x, 429, "Throttled", NULL,
            "Request was not processed because too many requests were received. "
            "Reason: VaultRequestTypeLimitReached");
        return;
    case 503:
        ml_dv_refuse(x, 503, "ServiceUnavailable", NULL, "The service is unavailable.");
        return;
    default:
        ml_dv_refuse(x, status, status >= 500 ? "InternalServerError" : "InjectedFault",
                     NULL, "Injected fault %d.", status);
    }
}

static void answer_text(ml_dv_exchange *x, int status, const char *text)
{
    x->is_json = false;
    ml_buf_clear(&x->out);
    ml_buf_add_text(&x->out, text);
    ml_dv_answer(x, status);
}

/* False when the fault has answered. */
static bool strike_before(ml_dv_exchange *x, const ml_dv_fault *f)
{
    switch (f->kind) {
    case ML_DV_DELAY: x->delay_ms += f->number; return true;
    case ML_DV_STATUS:
        answer_status(x, f->number);
        add_retry_after(x, f);
        return false;
    case ML_DV_HTML:
        answer_text(x, f->number,
                    "<html><head><title>Bad gateway</title></head>"
                    "<body><h1>Injected fault</h1></body></html>\n");
        add_retry_after(x, f);
        return false;
    case ML_DV_REDIRECT:
        ml_dv_header(x, "Location", "%s",
                     f->text[0] ? f->text : "https://elsewhere.invalid/");
        answer_text(x, 302, "");
        return false;
    case ML_DV_RESET:
        x->delivery = ML_DV_DROPPED;
        ml_dv_answer(x, 500); /* never sent */
        return false;
    default: return true;
    }
}

static bool is_before(ml_dv_fault_kind kind)
{
    return kind == ML_DV_DELAY || kind == ML_DV_STATUS || kind == ML_DV_HTML ||
           kind == ML_DV_REDIRECT || kind == ML_DV_RESET;
}

bool ml_dv_misbehave_before(ml_dv_exchange *x)
{
    ml_dv_faults *fs = &x->dv->faults;
    for (size_t i = 0; i < fs->n; i++) {
        ml_dv_fault *f = &fs->items[i];
        if (!is_before(f->kind)) continue;
        if (!ml_dv_fault_strikes(fs, f, x->is_token, x->op)) continue;
        if (!strike_before(x, f)) return false;
    }
    return true;
}

/* A correct answer at first sight, of 10 MB. */
static void make_big(ml_dv_exchange *x)
{
    char *chunk = malloc(BIG_BYTES);
    if (!chunk) return;
    memset(chunk, 'a', BIG_BYTES);
    ml_buf_clear(&x->out);
    ml_buf_add_text(&x->out, "{\"value\":\"");
    ml_buf_add(&x->out, chunk, BIG_BYTES);
    ml_buf_add_text(&x->out, "\"}");
    free(chunk);
}

static void make_deep(ml_dv_exchange *x)
{
    ml_buf_clear(&x->out);
    ml_buf_add_text(&x->out, "{\"value\":");
    for (int i = 0; i < DEEP_LEVELS; i++) ml_buf_add_char(&x->out, '[');
    for (int i = 0; i < DEEP_LEVELS; i++) ml_buf_add_char(&x->out, ']');
    ml_buf_add_char(&x->out, '}');
}

static void strike_after(ml_dv_exchange *x, ml_dv_fault_kind kind)
{
    switch (kind) {
    case ML_DV_GARBAGE:
        ml_buf_clear(&x->out);
        ml_buf_add_text(&x->out, "{\"value\": not json \xff\xfe");
        break;
    case ML_DV_BIG: make_big(x); break;
    case ML_DV_DEEP: make_deep(x); break;
    case ML_DV_CHUNKED: x->delivery = ML_DV_IN_CHUNKS; break;
    case ML_DV_TRUNCATE: x->delivery = ML_DV_TRUNCATED; break;
    case ML_DV_LOST: x->delivery = ML_DV_DROPPED; break;
    default: break;
    }
}

void ml_dv_misbehave_after(ml_dv_exchange *x)
{
    static const ml_dv_fault_kind kinds[] = {ML_DV_GARBAGE, ML_DV_BIG,      ML_DV_DEEP,
                                             ML_DV_CHUNKED, ML_DV_TRUNCATE, ML_DV_LOST};
    if (x->status >= 300) return;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (!ml_dv_faults_of(&x->dv->faults, kinds[i], x->is_token, x->op)) continue;
        strike_after(x, kinds[i]);
        return;
    }
}
