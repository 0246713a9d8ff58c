/* bare.h - libcurl and nothing else: what the bare reference programs share.
 *
 * The same exchanges with the same headers as the library makes, without its checks,
 * retries, scrubbing or JSON.  The environment is that of the library: AZURE_*,
 * SSL_CERT_FILE, and BENCH_VAULT_URL. */
#pragma once
#include <curl/curl.h>

/* A body, as long as it fits. */
typedef struct bare_body {
    char text[64 * 1024];
    size_t len;
} bare_body;

/* TLS trust, HTTP/2, the body goes to *body when that is not NULL. */
void bare_options(CURL *easy, bare_body *body);
/* POST for a token with the client secret; leaves "Authorization: Bearer ..." in line.
 */
void bare_token(CURL *easy, char *line, size_t size);
/* The headers of a GET; the caller frees them. */
struct curl_slist *bare_headers(const char *authorization, unsigned number);
void bare_secret_url(char *url, size_t size, const char *name);
/* 200 or death. */
void bare_check(CURL *easy, CURLcode code);
/* Token and secret over connections of their own; the value goes to out, if any. */
void bare_get(const char *name, FILE *out);
