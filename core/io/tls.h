/* tls.h - which certificates are trusted, and how curl and OpenSSL handle plaintext. */
#pragma once
#include <curl/curl.h>

#include "moonlatch.h"

typedef struct ml_tls {
    char *ca_file; /* NULL: the system's */
    char *ca_path;
} ml_tls;

/* ca_file, else SSL_CERT_FILE / SSL_CERT_DIR as given.  ML_EUSAGE when a named file
 * cannot be read. */
int ml_tls_init(ml_tls *t, const char *ca_file, const char *ssl_cert_file,
                const char *ssl_cert_dir, ml_err *e);
void ml_tls_fini(ml_tls *t);
void ml_tls_apply(const ml_tls *t, CURL *easy);
