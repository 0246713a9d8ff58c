/* vault_list.c - the three lists, a page at a time.
 *
 * A nextLink is absolute, names its port, and carries where to go on in $skiptoken:
 * the last name (or version row) of this page, so that changes between two pages
 * neither repeat nor hide what did not change. */
#include <stdio.h>
#include <string.h>

#include "devvault/bundle.h"

typedef struct page {
    ml_dv_call *c;
    int flags;
    int size;
    int n; /* written so far */
    bool has_more;
    char last[160]; /* where the next page begins */
    bool by_version;
    bool starts_empty; /* a fault: nothing here, everything behind a nextLink */
} page;

static bool read_size(page *p)
{
    ml_buf b;
    ml_buf_init(&b, 0);
    uint64_t n = 0;
    bool given = ml_dv_query(p->c->x, "maxresults", &b);
    bool ok =
        !given || (ml_str_to_u64(ml_buf_str(&b), &n) && n >= 1 && n <= ML_DV_PAGE_SIZE);
    ml_buf_fini(&b);
    p->size = given ? (int)n : p->c->x->dv->config.page_size;
    return ok || ml_dv_refuse(p->c->x, 400, "BadParameter", NULL,
                              "maxresults must be in the range 1 to 25.");
}

/* The token is a letter for its kind and the last position: "n" name, "v" version row,
 * in base64 so that nobody builds on it. */
static bool read_token(page *p)
{
    ml_buf b, text;
    ml_buf_init(&b, 0);
    ml_buf_init(&text, 0);
    bool given = ml_dv_query(p->c->x, "$skiptoken", &b);
    bool ok =
        !given || (ml_dv_base64url_read(&text, ml_buf_str(&b)) && text.len >= 1 &&
                   text.len < sizeof(p->last) && !memchr(text.data, '\0', text.len) &&
                   text.data[0] == (p->by_version ? 'v' : 'n'));
    if (given && ok) snprintf(p->last, sizeof(p->last), "%s", text.data + 1);
    ml_buf_fini(&b);
    ml_buf_fini(&text);
    if (!given &&
        ml_dv_faults_of(&p->c->x->dv->faults, ML_DV_EMPTY_PAGE, false, p->c->x->op)) {
        p->starts_empty = true;
    }
    return ok ||
           ml_dv_refuse(p->c->x, 400, "BadParameter", NULL, "$skiptoken is invalid.");
}

static bool add_item(void *arg, const ml_dv_record *r)
{
    page *p = arg;
    if (p->n == p->size || p->starts_empty) {
        p->has_more = true;
        return false;
    }
    /* A secret that is still on its way from one list to the other is in neither. */
    if (!ml_dv_is_busy(r)) {
        if (p->n > 0) ml_buf_add_char(&p->c->x->out, ',');
        ml_dv_write_bundle(p->c, r, p->flags);
        p->n++;
    }
    if (p->by_version)
        snprintf(p->last, sizeof(p->last), "%lld", (long long)r->version_id);
    else
        snprintf(p->last, sizeof(p->last), "%s", r->name);
    return true;
}

static void write_next_link(page *p)
{
    ml_dv_exchange *x = p->c->x;
    ml_dv_fault *f = ml_dv_faults_of(&x->dv->faults, ML_DV_BAD_NEXT_LINK, false, x->op);
    ml_buf url, version;
    ml_buf_init(&url, 0);
    ml_buf_init(&version, 0);
    if (f) {
        ml_buf_add_text(&url, f->text);
    } else {
        bool has_port = x->host[strlen(x->hostname)] == ':';
        ml_dv_query(x, "api-version", &version);
        char position[sizeof(p->last) + 1];
        int n = snprintf(position, sizeof(position), "%c%s", p->by_version ? 'v' : 'n',
                         p->last);
        ml_buf_addf(&url, "https://%s%s%.*s?api-version=%s&$skiptoken=", x->host,
                    has_port ? "" : ":443", (int)x->path.n, x->path.p, version.data);
        ml_dv_base64url(&url, (ml_str){position, (size_t)n});
        ml_buf_addf(&url, "&maxresults=%d", p->size);
    }
    ml_json_write_string(&x->out, ml_buf_str(&url));
    ml_buf_fini(&url);
    ml_buf_fini(&version);
}

/* The service ends a list with null; clients must also take the other two forms. */
static void write_last_link(page *p)
{
    ml_dv_exchange *x = p->c->x;
    ml_dv_fault *f = ml_dv_faults_of(&x->dv->faults, ML_DV_NEXT_LINK, false, x->op);
    if (f && strcmp(f->text, "missing") == 0) return;
    bool is_empty = f && strcmp(f->text, "empty") == 0;
    ml_buf_add_text(&x->out, is_empty ? ",\"nextLink\":\"\"" : ",\"nextLink\":null");
}

static void end_page(page *p)
{
    ml_buf *out = &p->c->x->out;
    ml_buf_add_char(out, ']');
    if (p->has_more) {
        ml_buf_add_text(out, ",\"nextLink\":");
        write_next_link(p);
    } else {
        write_last_link(p);
    }
    ml_buf_add_char(out, '}');
    ml_dv_answer(p->c->x, 200);
}

static bool begin_page(page *p)
{
    if (!read_size(p) || !read_token(p)) return false;
    ml_buf_clear(&p->c->x->out);
    ml_buf_add_text(&p->c->x->out, "{\"value\":[");
    return true;
}

static void list(ml_dv_call *c, bool deleted)
{
    page p = {.c = c,
              .flags = ML_DV_WITHOUT_VERSION | (deleted ? ML_DV_AS_DELETED : 0)};
    ml_err e = {0};
    if (!begin_page(&p)) return;
    char after[sizeof(p.last)];
    snprintf(after, sizeof(after), "%s", p.last);
    int rc = ml_dv_store_list(c->x->dv->store, c->x->vault, deleted, after, -1,
                              add_item, &p, &e);
    if (rc)
        ml_dv_broken(c->x, &e);
    else
        end_page(&p);
}

void ml_dv_op_list(ml_dv_call *c)
{
    list(c, false);
}

void ml_dv_op_list_deleted(ml_dv_call *c)
{
    list(c, true);
}

void ml_dv_op_list_versions(ml_dv_call *c)
{
    page p = {.c = c, .by_version = true};
    ml_err e = {0};
    if (!begin_page(&p)) return;
    uint64_t after = 0;
    ml_str_to_u64(ml_str_of(p.last), &after);
    int rc = ml_dv_store_versions(c->x->dv->store, c->x->vault, c->name, (int64_t)after,
                                  -1, add_item, &p, &e);
    if (rc)
        ml_dv_broken(c->x, &e);
    else
        end_page(&p);
}
