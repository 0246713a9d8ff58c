/* cert.h - the dev vault's own certificate authority, and a TLS server context. */
#pragma once
#include <openssl/ssl.h>

#include "moonlatch.h"

/* DIR/ca.pem and DIR/key.pem are used when they fit each other and will last,
 * else written new.  *out is a server context whose leaf names localhost, *.localhost,
 * each NAME.localhost, 127.0.0.1, ::1 and host, if it is an address.  ca_file receives
 * the path of ca.pem. */
int ml_dv_cert_context(SSL_CTX **out, const char *dir, const char *const *names,
                       size_t n, const char *host, char *ca_file, size_t ca_file_size,
                       ml_err *e);
