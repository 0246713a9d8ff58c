/* bare_multi.c - many secrets with libcurl's multi interface alone: the reference of
 * bench_gets.
 *
 *   bare_multi COUNT IN_FLIGHT
 *
 * One token, then COUNT gets of different names multiplexed over one HTTP/2 connection.
 * Bodies are read and dropped. */
#include "bare.h"
#include "bench.h"

/* libcurl 7.88 now and then keeps an HTTP/2 answer in its buffer and has nothing to
 * wait for: a longer poll would show as a stall in the reference. */
enum { POLL_MS = 10 };

typedef struct run {
    CURLM *multi;
    char authorization[8192];
    unsigned started, finished, count;
} run;

/* The easy handle is used again; its private pointer is its list of headers. */
static void start_one(run *r, CURL *easy)
{
    char name[32], url[300];
    snprintf(name, sizeof(name), "key-%05u", r->started);
    bare_secret_url(url, sizeof(url), name);
    struct curl_slist *headers = bare_headers(r->authorization, r->started);
    bare_options(easy, NULL);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, headers);
    r->started++;
    if (curl_multi_add_handle(r->multi, easy) != CURLM_OK)
        bench_die("curl", "add failed");
}

static void finish_one(run *r, CURL *easy, CURLcode code)
{
    void *headers = NULL;
    bare_check(easy, code);
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&headers);
    curl_multi_remove_handle(r->multi, easy);
    curl_slist_free_all(headers);
    r->finished++;
    if (r->started < r->count)
        start_one(r, easy);
    else
        curl_easy_cleanup(easy);
}

static void drain(run *r)
{
    CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(r->multi, &left))) {
        if (m->msg == CURLMSG_DONE) finish_one(r, m->easy_handle, m->data.result);
    }
}

static void perform(run *r, unsigned in_flight)
{
    int running = 0;
    while (r->started < r->count && r->started < in_flight) {
        CURL *easy = curl_easy_init();
        if (!easy) bench_die("curl", "out of memory");
        start_one(r, easy);
    }
    while (r->finished < r->count) {
        curl_multi_perform(r->multi, &running);
        drain(r);
        if (r->finished < r->count) curl_multi_poll(r->multi, NULL, 0, POLL_MS, NULL);
    }
}

int main(int argc, char **argv)
{
    static run r;
    if (argc != 3) bench_die("usage", "bare_multi COUNT IN_FLIGHT");
    r.count = (unsigned)bench_number(argv[1]);
    unsigned in_flight = (unsigned)bench_number(argv[2]);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int64_t began = bench_now_ns();
    CURL *easy = curl_easy_init();
    r.multi = curl_multi_init();
    if (!easy || !r.multi) bench_die("curl", "out of memory");
    bare_token(easy, r.authorization, sizeof(r.authorization));
    perform(&r, in_flight);
    double seconds = (double)(bench_now_ns() - began) / 1e9;
    bench_sample(in_flight > 1 ? "bare_gets_per_s" : "bare_serial_gets_per_s",
                 r.count / seconds);
    curl_easy_cleanup(easy);
    curl_multi_cleanup(r.multi);
    curl_global_cleanup();
    return 0;
}
