/* bare_get.c - one secret with libcurl alone: token, secret, value on stdout.
 *
 *   bare_get NAME */
#include <string.h>

#include "bare.h"
#include "bench.h"

static void print_value(const char *json)
{
    static const char mark[] = "\"value\":\"";
    const char *from = strstr(json, mark);
    const char *to = from ? strchr(from + strlen(mark), '"') : NULL;
    if (!to) bench_die("secret", "the answer holds no value");
    from += strlen(mark);
    fwrite(from, 1, (size_t)(to - from), stdout);
}

int main(int argc, char **argv)
{
    static bare_body answer;
    char line[8192], url[300];
    if (argc != 2) bench_die("usage", "bare_get NAME");
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURL *easy = curl_easy_init();
    if (!easy) bench_die("curl", "out of memory");
    bare_token(easy, line, sizeof(line));
    bare_secret_url(url, sizeof(url), argv[1]);
    bare_options(easy, &answer);
    struct curl_slist *headers = bare_headers(line, 2);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    bare_check(easy, curl_easy_perform(easy));
    print_value(answer.text);
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
    curl_global_cleanup();
    return 0;
}
