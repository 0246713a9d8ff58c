/* state.c - the state directory: who may find this dev vault, and how. */
#include "devvault/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "io/json.h"

enum { URL_BYTES = 96 };

static const char *const files[] = {"ca.pem", "key.pem", "env", "lock"};

/* The files in it stay ours alone; but who can write there could swap them. */
static void warn_if_open(const char *dir)
{
    struct stat st;
    if (stat(dir, &st) != 0) return;
    bool is_foreign = st.st_uid != geteuid();
    if (!is_foreign && (st.st_mode & 077) == 0) return;
    fprintf(stderr,
            "dev-vault: WARNING: other users can look into %s%s; make it yours alone: "
            "chmod 700\n",
            dir, is_foreign || (st.st_mode & 022) ? " and change it" : "");
}

/* A lock that ends with the process, however it ends. */
static int lock(ml_dv_state *s, ml_err *e)
{
    char path[sizeof(s->dir) + 32];
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    snprintf(path, sizeof(path), "%s/lock", s->dir);
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd < 0) {
        return ml_fail(e, ML_ESYSTEM, "cannot write %s: %s", path, strerror(errno));
    }
    s->is_locked = true;
    if (fcntl(s->lock_fd, F_SETLK, &all) == 0) return 0;
    return ml_fail(e, ML_ESYSTEM, "another dev vault uses the state directory %s",
                   s->dir);
}

static bool is_running(const char *dir)
{
    char path[4096];
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    snprintf(path, sizeof(path), "%s/lock", dir);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return false;
    bool is_held = fcntl(fd, F_GETLK, &all) == 0 && all.l_type != F_UNLCK;
    close(fd);
    return is_held;
}

static int find_dir(ml_dv_state *s, const char *dir, ml_err *e)
{
    if (dir) {
        if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
            return ml_fail(e, ML_ESYSTEM, "cannot make state directory %s: %s", dir,
                           strerror(errno));
        }
        if (!realpath(dir, s->ca_file)) { /* the buffer is free until the CA is made */
            return ml_fail(e, ML_ESYSTEM, "cannot use state directory %s: %s", dir,
                           strerror(errno));
        }
        if (strlen(s->ca_file) >= sizeof(s->dir)) {
            return ml_fail(e, ML_EUSAGE, "the state directory's path is too long");
        }
        memcpy(s->dir, s->ca_file, strlen(s->ca_file) + 1);
        warn_if_open(s->dir);
        return 0;
    }
    const char *tmp = getenv("TMPDIR");
    int n = snprintf(s->dir, sizeof(s->dir), "%s/moonlatch-dev-XXXXXX",
                     tmp && tmp[0] ? tmp : "/tmp");
    if (n < 0 || (size_t)n >= sizeof(s->dir) || !mkdtemp(s->dir)) {
        return ml_fail(e, ML_ESYSTEM, "cannot make a state directory below %s: %s",
                       tmp && tmp[0] ? tmp : "/tmp", strerror(errno));
    }
    s->is_ours = true;
    return 0;
}

int ml_dv_state_init(ml_dv_state *s, const char *dir, ml_err *e)
{
    *s = (ml_dv_state){0};
    int rc = find_dir(s, dir, e);
    return rc ? rc : lock(s, e);
}

void ml_dv_state_fini(ml_dv_state *s)
{
    if (s->is_locked) close(s->lock_fd);
    s->is_locked = false;
    if (!s->is_ours) return;
    char path[sizeof(s->dir) + 32];
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", s->dir, files[i]);
        unlink(path);
    }
    rmdir(s->dir);
    s->is_ours = false;
}

/* 'text', safe for any sh: a quote inside becomes '\''. */
static void add_export(ml_buf *out, const char *name, ml_str value)
{
    ml_buf_addf(out, "export %s='", name);
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\'')
            ml_buf_add_text(out, "'\\''");
        else
            ml_buf_add_char(out, value.p[i]);
    }
    ml_buf_add_text(out, "'\n");
}

static void add_member(ml_buf *out, const char *name, ml_str value)
{
    if (out->len > 1) ml_buf_add_text(out, ", ");
    ml_buf_addf(out, "\"%s\": ", name);
    ml_json_write_string(out, value);
}

static void urls(const ml_dv *dv, char vault[URL_BYTES], char authority[URL_BYTES])
{
    snprintf(vault, URL_BYTES, "https://%s:%d", dv->host, dv->port);
    snprintf(authority, URL_BYTES, "https://%s:%d", dv->host, dv->port);
}

static void write_exports(const ml_dv_state *s, const ml_dv *dv, ml_buf *out)
{
    const ml_dv_config *c = &dv->config;
    char vault[URL_BYTES], authority[URL_BYTES];
    urls(dv, vault, authority);
    ml_str ca = ml_str_of(s->ca_file);
    add_export(out, "AZURE_TENANT_ID", ml_str_of(c->tenant_id));
    add_export(out, "AZURE_CLIENT_ID", ml_str_of(c->client_id));
    add_export(out, "AZURE_CLIENT_SECRET", ml_buf_str(&c->client_secret));
    add_export(out, "AZURE_AUTHORITY_HOST", ml_str_of(authority));
    add_export(out, "SSL_CERT_FILE", ca);
    add_export(out, "REQUESTS_CA_BUNDLE", ca);
    add_export(out, "NODE_EXTRA_CA_CERTS", ca);
    add_export(out, "MOONLATCH_VAULT_URL", ml_str_of(vault));
    ml_buf kwargs;
    ml_buf_init(&kwargs, 0);
    ml_buf_add_char(&kwargs, '{');
    add_member(&kwargs, "connections_prefix", ML_LIT("airflow-connections"));
    add_member(&kwargs, "variables_prefix", ML_LIT("airflow-variables"));
    add_member(&kwargs, "vault_url", ml_str_of(vault));
    add_member(&kwargs, "tenant_id", ml_str_of(c->tenant_id));
    add_member(&kwargs, "client_id", ml_str_of(c->client_id));
    add_member(&kwargs, "client_secret", ml_buf_str(&c->client_secret));
    ml_buf_add_char(&kwargs, '}');
    add_export(out, "AIRFLOW__SECRETS__BACKEND_KWARGS", ml_buf_str(&kwargs));
    ml_buf_fini(&kwargs);
}

static bool write_all(int fd, ml_str text)
{
    while (text.n > 0) {
        ssize_t n = write(fd, text.p, text.n);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        text = (ml_str){text.p + n, text.n - (size_t)n};
    }
    return true;
}

int ml_dv_state_write_env(const ml_dv_state *s, const ml_dv *dv, ml_err *e)
{
    char path[sizeof(s->dir) + 32];
    snprintf(path, sizeof(path), "%s/env", s->dir);
    ml_buf text;
    ml_buf_init(&text, 0);
    write_exports(s, dv, &text);
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && ml_buf_ok(&text) && write_all(fd, ml_buf_str(&text));
    if (fd >= 0 && close(fd) != 0) ok = false;
    ml_buf_fini(&text);
    return ok ? 0
              : ml_fail(e, ML_ESYSTEM, "cannot write %s: %s", path, strerror(errno));
}

void ml_dv_ready_line(const ml_dv_state *s, const ml_dv *dv, ml_buf *out)
{
    const ml_dv_config *c = &dv->config;
    char vault[URL_BYTES], authority[URL_BYTES], imds[URL_BYTES];
    urls(dv, vault, authority);
    ml_buf_add_char(out, '{');
    add_member(out, "vault_url", ml_str_of(vault));
    add_member(out, "authority_host", ml_str_of(authority));
    add_member(out, "tenant_id", ml_str_of(c->tenant_id));
    add_member(out, "client_id", ml_str_of(c->client_id));
    add_member(out, "client_secret", ml_buf_str(&c->client_secret));
    add_member(out, "ca_file", ml_str_of(s->ca_file));
    add_member(out, "state_dir", ml_str_of(s->dir));
    if (dv->imds_port) {
        snprintf(imds, sizeof(imds), "http://%s:%d",
                 strcmp(dv->imds_host, "localhost") == 0 ? "127.0.0.1" : dv->imds_host,
                 dv->imds_port);
        add_member(out, "imds_endpoint", ml_str_of(imds));
        add_member(out, "identity_header", ml_buf_str(&c->identity_header));
    }
    ml_buf_add_text(out, "}\n");
}

int ml_devvault_print_env(const char *state_dir, FILE *out, ml_err *e)
{
    char path[4096], line[8192];
    snprintf(path, sizeof(path), "%s/env", state_dir);
    FILE *f = fopen(path, "re");
    if (!f) {
        return ml_fail(e, ML_EUSAGE,
                       "cannot read %s: %s; give the state_dir of a running dev "
                       "vault, as its ready line says",
                       path, strerror(errno));
    }
    if (!is_running(state_dir)) {
        fclose(f);
        return ml_fail(e, ML_ESYSTEM,
                       "no dev vault runs with %s any more: start it again with "
                       "--state-dir",
                       state_dir);
    }
    while (fgets(line, sizeof(line), f)) fputs(line, out);
    bool ok = !ferror(f) && fflush(out) == 0;
    fclose(f);
    return ok ? 0 : ml_fail(e, ML_ESYSTEM, "cannot copy %s", path);
}
