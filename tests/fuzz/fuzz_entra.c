/* fuzz_entra.c - token answers: no crash, no leak, no token in an error's text.
 * The first byte chooses the status. */
#include "fuzz.h"

#include <string.h>

#include "azure/entra.h"

const char *const fuzz_seeds[] = {
    "0{\"token_type\":\"Bearer\",\"expires_in\":3599,\"access_token\":\"CANARY\"}",
    "0{\"access_token\":\"CANARY\",\"expires_on\":\"1700000100\",\"refresh_in\":\"5\"}",
    "1{\"error\":\"invalid_client\",\"error_codes\":[7000215],\"trace_id\":\"t-1\"}",
    "1{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: CANARY\"}",
    "2{\"error\":{\"code\":\"x\",\"message\":\"CANARY\"}}",
    "5<html>CANARY</html>",
    NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 401, 400, 429, 503, 404, 302, 0};
    if (size == 0) return 0;
    int status = statuses[data[0] & 7];
    ml_str body = {(const char *)data + 1, size - 1};
    ml_token t = {0};
    ml_err e = {0};
    int rc =
        ml_entra_parse(status, body, "login.example", "t", "c", 1700000000, &t, &e);
    if (rc == 0) {
        FUZZ_CLAIM(status == 200 && t.secret && ml_secret_value(t.secret).n > 0);
        FUZZ_CLAIM(t.lifetime_s >= 0 && t.lifetime_s <= 2147483647);
        FUZZ_CLAIM(t.refresh_s >= 0 && t.refresh_s <= 2147483647);
        FUZZ_CLAIM(ml_token_usable_s(&t) <= t.lifetime_s);
        for (size_t i = 0; i < ml_secret_value(t.secret).n; i++) {
            FUZZ_CLAIM(ml_secret_value(t.secret).p[i] > ' ');
        }
        ml_secret_unref(t.secret);
    } else {
        FUZZ_CLAIM(rc == e.code && e.text[0] && !t.secret);
        FUZZ_CLAIM(!strstr(e.text, "CANARY") || strstr(e.service_code, "CANARY"));
        FUZZ_CLAIM(ml_utf8_valid(ml_str_of(e.service_code)));
    }
    return 0;
}
