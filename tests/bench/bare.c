/* bare.c - the exchanges of the bare reference programs; see bare.h. */
#include "bare.h"

#include <string.h>

#include "bench.h"

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    bare_body *b = arg;
    if (!b) return size * n;
    if (b->len + n >= sizeof(b->text)) return 0;
    memcpy(b->text + b->len, p, n);
    b->len += n;
    b->text[b->len] = '\0';
    return n;
}

void bare_options(CURL *easy, bare_body *body)
{
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 30000L);
    curl_easy_setopt(easy, CURLOPT_CAINFO, bench_env("SSL_CERT_FILE"));
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, body);
}

void bare_check(CURL *easy, CURLcode code)
{
    long status = 0;
    if (code != CURLE_OK) bench_die("curl", curl_easy_strerror(code));
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) bench_die("curl", "the answer is not 200");
}

static void add(struct curl_slist **list, const char *line)
{
    struct curl_slist *grown = curl_slist_append(*list, line);
    if (!grown) bench_die("curl", "out of memory");
    *list = grown;
}

struct curl_slist *bare_headers(const char *authorization, unsigned number)
{
    struct curl_slist *list = NULL;
    char id[80];
    snprintf(id, sizeof(id), "x-ms-client-request-id: 00000000-0000-4000-8000-%012u",
             number);
    add(&list, "Accept: application/json");
    add(&list, "User-Agent: bare/0.1.0");
    add(&list, id);
    if (authorization) add(&list, authorization);
    return list;
}

void bare_secret_url(char *url, size_t size, const char *name)
{
    snprintf(url, size, "%s/secrets/%s?api-version=7.5", bench_env("BENCH_VAULT_URL"),
             name);
}

static void copy_token(const char *json, char *line, size_t size)
{
    static const char mark[] = "\"access_token\":\"";
    const char *from = strstr(json, mark);
    const char *to = from ? strchr(from + strlen(mark), '"') : NULL;
    if (!to) bench_die("token", "the answer holds none");
    from += strlen(mark);
    if ((size_t)snprintf(line, size, "Authorization: Bearer %.*s", (int)(to - from),
                         from) >= size) {
        bench_die("token", "is too long");
    }
}

void bare_token(CURL *easy, char *line, size_t size)
{
    static bare_body answer;
    char url[300], form[600];
    answer.len = 0;
    char *secret = curl_easy_escape(easy, bench_env("AZURE_CLIENT_SECRET"), 0);
    snprintf(url, sizeof(url), "%s/%s/oauth2/v2.0/token",
             bench_env("AZURE_AUTHORITY_HOST"), bench_env("AZURE_TENANT_ID"));
    snprintf(form, sizeof(form),
             "grant_type=client_credentials&client_id=%s&client_secret=%s"
             "&scope=https%%3A%%2F%%2Fvault.azure.net%%2F.default",
             bench_env("AZURE_CLIENT_ID"), secret);
    curl_free(secret);
    bare_options(easy, &answer);
    struct curl_slist *headers = bare_headers(NULL, 1);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, form);
    bare_check(easy, curl_easy_perform(easy));
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    copy_token(answer.text, line, size);
}

static void write_value(const char *json, FILE *out)
{
    static const char mark[] = "\"value\":\"";
    const char *from = strstr(json, mark);
    const char *to = from ? strchr(from + strlen(mark), '"') : NULL;
    if (!to) bench_die("secret", "the answer holds no value");
    from += strlen(mark);
    if (out) fwrite(from, 1, (size_t)(to - from), out);
}

void bare_get(const char *name, FILE *out)
{
    static bare_body answer;
    char line[8192], url[300];
    CURL *easy = curl_easy_init();
    if (!easy) bench_die("curl", "out of memory");
    answer.len = 0;
    bare_token(easy, line, sizeof(line));
    bare_secret_url(url, sizeof(url), name);
    bare_options(easy, &answer);
    struct curl_slist *headers = bare_headers(line, 2);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    bare_check(easy, curl_easy_perform(easy));
    write_value(answer.text, out);
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
}
