/* vault.c - the routes of the secrets API, and what is checked before any operation.
 *
 * Order: does the path mean anything, the token, the API version, the name, the
 * permission; only then the operation.  The body is not looked at before the token. */
#include "devvault/vault.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "devvault/auth.h"
#include "devvault/misbehave.h"

typedef struct route {
    bool deleted;     /* below /deletedsecrets */
    int segments;     /* behind the collection */
    const char *word; /* the last segment; NULL: any */
    enum evhttp_cmd_type method;
    const char *op;
    const char *permission;
    void (*serve)(ml_dv_call *c);
} route;

/* The first that fits; words before wildcards. */
static const route routes[] = {
    {false, 0, NULL, EVHTTP_REQ_GET, "list", "list", ml_dv_op_list},
    {false, 1, "restore", EVHTTP_REQ_POST, "restore", "restore", ml_dv_op_restore},
    {false, 1, NULL, EVHTTP_REQ_GET, "get", "get", ml_dv_op_get},
    {false, 1, NULL, EVHTTP_REQ_PUT, "set", "set", ml_dv_op_set},
    {false, 1, NULL, EVHTTP_REQ_PATCH, "update", "set", ml_dv_op_update},
    {false, 1, NULL, EVHTTP_REQ_DELETE, "delete", "delete", ml_dv_op_delete},
    {false, 2, "versions", EVHTTP_REQ_GET, "list-versions", "list",
     ml_dv_op_list_versions},
    {false, 2, "backup", EVHTTP_REQ_POST, "backup", "backup", ml_dv_op_backup},
    {false, 2, NULL, EVHTTP_REQ_GET, "get", "get", ml_dv_op_get},
    {false, 2, NULL, EVHTTP_REQ_PATCH, "update", "set", ml_dv_op_update},
    {true, 0, NULL, EVHTTP_REQ_GET, "list-deleted", "list", ml_dv_op_list_deleted},
    {true, 1, NULL, EVHTTP_REQ_GET, "get-deleted", "get", ml_dv_op_get_deleted},
    {true, 1, NULL, EVHTTP_REQ_DELETE, "purge", "purge", ml_dv_op_purge},
    {true, 2, "recover", EVHTTP_REQ_POST, "recover", "recover", ml_dv_op_recover},
};

typedef struct api_version {
    const char *name;
    bool is_new;
} api_version;

static const api_version api_versions[] = {
    {"2016-10-01", false},
    {"7.0", false},
    {"7.1", false},
    {"7.2", false},
    {"7.3", false},
    {"7.4-preview.1", false},
    {"7.4", false},
    {"7.5-preview.1", false},
    {"7.5", false},
    {"7.6-preview.1", false},
    {"7.6-preview.2", false},
    {"7.6", false},
    {"2025-06-01-preview", true},
    {"2025-07-01", true},
    {"2026-01-01-preview", true},
    {"2026-03-01-preview", true},
    {"2026-04-01", true},
    {"2026-05-01-preview", true},
    {"2026-07-01-preview", true},
};

int64_t ml_dv_now_s(void)
{
    return ml_wall_s(&ml_system_clock);
}

bool ml_dv_name_ok(ml_str name)
{
    if (name.n == 0 || name.n > ML_DV_MAX_NAME) return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = (char)(name.p[i] | 0x20);
        bool plain = (c >= 'a' && c <= 'z') || (name.p[i] >= '0' && name.p[i] <= '9') ||
                     name.p[i] == '-';
        if (!plain) return false;
    }
    return true;
}

/* The segments behind the collection; one trailing slash is as none.  3 means too many.
 */
static int split(ml_str path, ml_str segments[2])
{
    int n = 0;
    while (path.n > 0) {
        ml_str s = ml_dv_segment(&path);
        if (s.n == 0 && path.n == 0) break;
        if (n == 2) return 3;
        segments[n++] = s;
    }
    return n;
}

static const route *find_route(const ml_dv_exchange *x, bool deleted, int n,
                               const ml_str segments[2], bool *path_known)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        const route *r = &routes[i];
        if (r->deleted != deleted || r->segments != n) continue;
        if (r->word && !ml_str_ieq(segments[n - 1], ml_str_of(r->word))) continue;
        *path_known = true;
        if (r->method == x->method) return r;
    }
    return NULL;
}

static bool check_api_version(ml_dv_call *c)
{
    ml_buf b;
    ml_buf_init(&b, 0);
    bool given = ml_dv_query(c->x, "api-version", &b) && b.len > 0;
    bool known = false;
    for (size_t i = 0; given && i < sizeof(api_versions) / sizeof(api_versions[0]);
         i++) {
        if (!ml_str_ieq(ml_buf_str(&b), ml_str_of(api_versions[i].name))) continue;
        known = true;
        c->is_new_api = api_versions[i].is_new;
    }
    char shown[48];
    ml_copy_printable(shown, sizeof(shown), b.data ? b.data : "", b.len);
    ml_buf_fini(&b);
    if (known) return true;
    if (!given) {
        return ml_dv_refuse(
            c->x, 400, "BadParameter", NULL,
            "The request URI must contain the query parameter api-version.");
    }
    return ml_dv_refuse(c->x, 400, "BadParameter", NULL,
                        "The specified api-version '%s' is not supported.", shown);
}

static bool bad_segment(ml_dv_call *c, const char *what, ml_str s)
{
    char shown[160];
    ml_copy_printable(shown, sizeof(shown), s.p, s.n);
    return ml_dv_refuse(c->x, 400, "BadParameter", NULL,
                        "The request URI contains an invalid %s: %s", what, shown);
}

static bool read_segments(ml_dv_call *c, const route *r, const ml_str segments[2])
{
    if (r->segments == 0 || r->serve == ml_dv_op_restore) return true;
    if (!ml_dv_name_ok(segments[0])) return bad_segment(c, "name", segments[0]);
    memcpy(c->name, segments[0].p, segments[0].n);
    if (r->segments < 2 || r->word) return true;
    ml_str v = segments[1];
    if (v.n != 32 || !ml_dv_is_hex(v)) return bad_segment(c, "version", v);
    memcpy(c->version, v.p, v.n);
    return true;
}

static void forbid(ml_dv_call *c, const char *reason, const char *permission)
{
    ml_dv_exchange *x = c->x;
    const char *who = x->dv->config.client_id, *vault = x->vault;
    if (strcmp(reason, "rbac") == 0) {
        ml_dv_refuse(x, 403, "Forbidden", "ForbiddenByRbac",
                     "Caller is not authorized to perform action on resource.\r\n"
                     "Caller: appid=%s\r\nAction: "
                     "'Microsoft.KeyVault/vaults/secrets/%s/action'\r\n"
                     "Resource: '/vaults/%s/secrets/%s'\r\nAssignment: (not found)\r\n"
                     "DenyAssignmentId: null\r\nDecisionReason: null\r\nVault: "
                     "%s;location=local",
                     who, permission, vault, c->name, vault);
    } else if (strcmp(reason, "policy") == 0) {
        ml_dv_refuse(
            x, 403, "Forbidden", "ForbiddenByPolicy",
            "The application 'appid=%s' does not have secrets %s permission on key "
            "vault '%s;location=local'.",
            who, permission, vault);
    } else if (strcmp(reason, "firewall") == 0) {
        ml_dv_refuse(
            x, 403, "Forbidden", "ForbiddenByFirewall",
            "Client address is not authorized and caller is not a trusted service.\r\n"
            "Client address: 127.0.0.1\r\nCaller: appid=%s\r\nVault: %s;location=local",
            who, vault);
    } else if (strcmp(reason, "connection") == 0) {
        ml_dv_refuse(
            x, 403, "Forbidden", "ForbiddenByConnection",
            "Public network access is disabled and request is not from a trusted "
            "service nor via an approved private link.\r\nCaller: appid=%s\r\n"
            "Vault: %s;location=local",
            who, vault);
    } else {
        ml_dv_refuse(x, 403, "Forbidden", "AccessDenied",
                     "Access denied. Caller was not found on any access policy.\r\n"
                     "Caller: appid=%s\r\nVault: %s;location=local",
                     who, vault);
    }
}

static bool glob_fits(const char *glob, const char *name)
{
    return fnmatch(glob, name, FNM_CASEFOLD) == 0;
}

static bool check_permission(ml_dv_call *c, const char *permission)
{
    ml_dv_faults *fs = &c->x->dv->faults;
    for (size_t i = 0; i < fs->n; i++) {
        ml_dv_fault *f = &fs->items[i];
        if (f->kind != ML_DV_FORBID) continue;
        if (f->glob[0] && !glob_fits(f->glob, c->name)) continue;
        if (!ml_dv_fault_strikes(fs, f, false, c->x->op)) continue;
        forbid(c, f->text, permission);
        return false;
    }
    return true;
}

bool ml_dv_is_disabled(ml_dv_call *c, const ml_dv_record *r)
{
    const ml_dv_faults *fs = &c->x->dv->faults;
    for (size_t i = 0; i < fs->n; i++) {
        if (fs->items[i].kind != ML_DV_DISABLED) continue;
        if (glob_fits(fs->items[i].text, r->name)) return true;
    }
    return !r->enabled;
}

static bool check_vault(ml_dv_exchange *x)
{
    if (x->vault) return true;
    return ml_dv_refuse(
        x, 421, "MisdirectedRequest", NULL,
        "This dev vault serves no vault at host %s; it was started without "
        "--vault of that name.",
        x->hostname);
}

static void serve_route(ml_dv_exchange *x, const route *r, const ml_str segments[2])
{
    ml_dv_call c = {.x = x};
    ml_dv_record_init(&c.r);
    if (ml_dv_misbehave_before(x) && check_vault(x) && ml_dv_authenticate(x) &&
        check_api_version(&c) && read_segments(&c, r, segments) &&
        check_permission(&c, r->permission)) {
        r->serve(&c);
        ml_dv_misbehave_after(x);
    }
    ml_dv_record_fini(&c.r);
}

void ml_dv_serve_vault(ml_dv_exchange *x)
{
    ml_str path = x->path, segments[2] = {{0}};
    ml_str collection = ml_dv_segment(&path);
    bool deleted = ml_str_ieq(collection, ML_LIT("deletedsecrets")), path_known = false;
    int n = split(path, segments);
    const route *r = find_route(x, deleted, n, segments, &path_known);
    if (r) {
        x->op = r->op;
        serve_route(x, r, segments);
    } else if (!check_vault(x) || !ml_dv_authenticate(x)) {
        return;
    } else if (path_known) {
        ml_dv_refuse(x, 405, "MethodNotAllowed", NULL,
                     "The HTTP method is not allowed on this path.");
    } else {
        ml_dv_refuse(x, 400, "BadParameter", NULL,
                     "The request URI is not an operation.");
    }
}
