/* cert.c - the dev vault's own certificate authority, and a TLS server context.
 *
 * The authority is kept in the state directory, so that clients which loaded it go on
 * across a restart; the leaf is made in memory at every start. */
#include "devvault/cert.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"

enum { DAY_S = 24 * 3600, CA_DAYS = 365, LEAF_DAYS = 30 };

typedef struct pair {
    X509 *cert;
    EVP_PKEY *key;
} pair;

static void pair_fini(pair *p)
{
    X509_free(p->cert);
    EVP_PKEY_free(p->key);
    *p = (pair){0};
}

static bool set_serial(X509 *cert)
{
    unsigned char bytes[16];
    if (RAND_bytes(bytes, sizeof(bytes)) != 1) return false;
    bytes[0] &= 0x7f; /* positive */
    BIGNUM *bn = BN_bin2bn(bytes, sizeof(bytes), NULL);
    bool ok = bn && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(cert));
    BN_free(bn);
    return ok;
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = ext && X509_add_ext(cert, ext, -1);
    X509_EXTENSION_free(ext);
    return ok;
}

/* A fresh key, and a certificate for it that is not signed yet. */
static bool begin(pair *p, const char *common_name, int days, const X509 *issuer)
{
    p->key = EVP_EC_gen("P-256");
    p->cert = X509_new();
    if (!p->key || !p->cert) return false;
    X509_NAME *name = X509_get_subject_name(p->cert);
    return X509_set_version(p->cert, 2) && set_serial(p->cert) &&
           X509_gmtime_adj(X509_getm_notBefore(p->cert), -3600) &&
           X509_gmtime_adj(X509_getm_notAfter(p->cert), (long)days * DAY_S) &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                      (const unsigned char *)common_name, -1, -1, 0) &&
           X509_set_issuer_name(p->cert,
                                issuer ? X509_get_subject_name(issuer) : name) &&
           X509_set_pubkey(p->cert, p->key);
}

static bool make_ca(pair *ca)
{
    return begin(ca, "moonlatch dev vault (development only)", CA_DAYS, NULL) &&
           add_extension(ca->cert, ca->cert, NID_basic_constraints,
                         "critical,CA:TRUE,pathlen:0") &&
           add_extension(ca->cert, ca->cert, NID_key_usage,
                         "critical,keyCertSign,cRLSign") &&
           add_extension(ca->cert, ca->cert, NID_subject_key_identifier, "hash") &&
           X509_sign(ca->cert, ca->key, EVP_sha256()) > 0;
}

/* Another address than the usual two; [::2] loses its brackets. */
static void add_address(ml_buf *san, const char *host)
{
    ml_str h = ml_str_of(host);
    if (h.n > 2 && h.p[0] == '[') h = (ml_str){h.p + 1, h.n - 2};
    if (!ml_str_ieq(h, ML_LIT("localhost")))
        ml_buf_addf(san, ",IP:%.*s", (int)h.n, h.p);
}

static bool make_leaf(pair *leaf, const pair *ca, const char *const *names, size_t n,
                      const char *host)
{
    ml_buf san;
    ml_buf_init(&san, 0);
    ml_buf_add_text(&san, "DNS:localhost,DNS:*.localhost,IP:127.0.0.1,IP:::1");
    for (size_t i = 0; i < n; i++) ml_buf_addf(&san, ",DNS:%s.localhost", names[i]);
    add_address(&san, host);
    bool ok =
        ml_buf_ok(&san) && begin(leaf, "localhost", LEAF_DAYS, ca->cert) &&
        add_extension(leaf->cert, ca->cert, NID_basic_constraints,
                      "critical,CA:FALSE") &&
        add_extension(leaf->cert, ca->cert, NID_key_usage,
                      "critical,digitalSignature") &&
        add_extension(leaf->cert, ca->cert, NID_ext_key_usage, "serverAuth") &&
        add_extension(leaf->cert, ca->cert, NID_subject_key_identifier, "hash") &&
        add_extension(leaf->cert, ca->cert, NID_authority_key_identifier, "keyid") &&
        add_extension(leaf->cert, ca->cert, NID_subject_alt_name, san.data) &&
        X509_sign(leaf->cert, ca->key, EVP_sha256()) > 0;
    ml_buf_fini(&san);
    return ok;
}

/* A file of ours, mode 0600 or 0644; an existing one is replaced. */
static FILE *create(const char *path, int mode)
{
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (!f && fd >= 0) close(fd);
    return f;
}

static bool save(const pair *ca, const char *cert_path, const char *key_path)
{
    FILE *f = create(cert_path, 0644);
    bool ok = f && PEM_write_X509(f, ca->cert);
    if (f && fclose(f) != 0) ok = false;
    f = create(key_path, 0600);
    ok = ok && f && PEM_write_PrivateKey(f, ca->key, NULL, NULL, 0, NULL, NULL);
    if (f && fclose(f) != 0) ok = false;
    return ok;
}

static bool load(pair *ca, const char *cert_path, const char *key_path)
{
    FILE *f = fopen(cert_path, "re");
    if (!f) return false;
    ca->cert = PEM_read_X509(f, NULL, NULL, NULL);
    fclose(f);
    f = fopen(key_path, "re");
    if (f) {
        ca->key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
        fclose(f);
    }
    time_t lasting = time(NULL) + (time_t)(LEAF_DAYS + 1) * DAY_S;
    bool fits = ca->cert && ca->key && X509_check_private_key(ca->cert, ca->key) == 1 &&
                X509_cmp_time(X509_get0_notAfter(ca->cert), &lasting) > 0;
    if (!fits) pair_fini(ca);
    ERR_clear_error();
    return fits;
}

static SSL_CTX *make_context(const pair *leaf)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx) return NULL;
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
        SSL_CTX_use_certificate(ctx, leaf->cert) == 1 &&
        SSL_CTX_use_PrivateKey(ctx, leaf->key) == 1) {
        return ctx;
    }
    SSL_CTX_free(ctx);
    return NULL;
}

int ml_dv_cert_context(SSL_CTX **out, const char *dir, const char *const *names,
                       size_t n, const char *host, char *ca_file, size_t ca_file_size,
                       ml_err *e)
{
    char key_file[4096];
    snprintf(ca_file, ca_file_size, "%s/ca.pem", dir);
    snprintf(key_file, sizeof(key_file), "%s/key.pem", dir);
    pair ca = {0}, leaf = {0};
    int rc = 0;
    if (!load(&ca, ca_file, key_file)) {
        if (!make_ca(&ca))
            rc = ml_fail(e, ML_ESYSTEM, "cannot make a certificate");
        else if (!save(&ca, ca_file, key_file)) {
            rc =
                ml_fail(e, ML_ESYSTEM, "cannot write %s or key.pem beside it", ca_file);
        }
    }
    SSL_CTX *ctx = NULL;
    if (rc == 0 && make_leaf(&leaf, &ca, names, n, host)) ctx = make_context(&leaf);
    if (rc == 0 && !ctx) rc = ml_fail(e, ML_ESYSTEM, "cannot set up TLS");
    if (ctx) *out = ctx;
    pair_fini(&ca);
    pair_fini(&leaf);
    return rc;
}
