/* tls.c - which certificates are trusted, and how curl and OpenSSL handle plaintext. */
#include "io/tls.h"

#include <openssl/ssl.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/path.h"

static bool is_given(const char *text)
{
    return text && *text;
}

static int set_path(char **out, const char *path, const char *what, ml_err *e)
{
    if (access(path, R_OK) != 0) {
        return ml_fail(e, ML_EUSAGE, "%s %s cannot be read: check the path", what,
                       path);
    }
    *out = ml_path_absolute(path);
    return *out ? 0 : ml_fail(e, ML_ENOMEM, "out of memory");
}

int ml_tls_init(ml_tls *t, const char *ca_file, const char *ssl_cert_file,
                const char *ssl_cert_dir, ml_err *e)
{
    *t = (ml_tls){0};
    int rc = 0;
    if (is_given(ca_file)) {
        rc = set_path(&t->ca_file, ca_file, "CA file", e);
    } else if (is_given(ssl_cert_file)) {
        rc = set_path(&t->ca_file, ssl_cert_file, "SSL_CERT_FILE", e);
    }
    if (rc == 0 && is_given(ssl_cert_dir)) {
        rc = set_path(&t->ca_path, ssl_cert_dir, "SSL_CERT_DIR", e);
    }
    if (rc < 0) ml_tls_fini(t);
    return rc;
}

void ml_tls_fini(ml_tls *t)
{
    ml_free(t->ca_file);
    ml_free(t->ca_path);
    *t = (ml_tls){0};
}

/* OpenSSL erases each decrypted record from its buffer once it has been read.  curl's
 * mode would free, and so erase, the whole 16 KiB buffer after every record: kept as
 * long as the connection, it is erased where it was used, and as a whole at the end. */
static CURLcode on_ssl_ctx(CURL *easy, void *ctx, void *arg)
{
    (void)easy;
    (void)arg;
    SSL_CTX_set_options(ctx, SSL_OP_CLEANSE_PLAINTEXT);
    SSL_CTX_clear_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    return CURLE_OK;
}

void ml_tls_apply(const ml_tls *t, CURL *easy)
{
    if (t->ca_file || t->ca_path) { /* they replace the system's, both kinds of it */
        curl_easy_setopt(easy, CURLOPT_CAINFO, t->ca_file);
        curl_easy_setopt(easy, CURLOPT_CAPATH, t->ca_path);
    }
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx);
}
