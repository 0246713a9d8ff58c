/* fuzz_vault.c - Key Vault answers: no crash, no leak, nothing of a body in a text.
 * The first byte chooses the operation, the second the status. */
#include "fuzz.h"

#include <string.h>

#include "azure/vault.h"

#define ID "https://acme.vault.azure.net/secrets/key"
const char *const fuzz_seeds[] = {
    "00{\"value\":\"CANARY\",\"id\":\"" ID "/0123456789abcdef0123456789abcdef\","
    "\"contentType\":\"text/"
    "plain\",\"attributes\":{\"enabled\":true,\"exp\":\"5\",\"nbf\":null,"
    "\"recoverableDays\":90},\"tags\":{\"a\":\"b\",\"c\":null},\"managed\":false}",
    "40{\"value\":[{\"id\":\"" ID "\",\"attributes\":{\"enabled\":false}},{\"id\":\"" ID
    "\"}],\"nextLink\":\"https://acme.vault.azure.net:443/secrets?$skiptoken=x\"}",
    "30{\"recoveryId\":\"x\",\"deletedDate\":5,\"scheduledPurgeDate\":6,\"id\":\"" ID
    "\"}",
    "02{\"error\":{\"code\":\"Forbidden\",\"message\":\"CANARY\",\"innererror\":{"
    "\"code\":"
    "\"ForbiddenByRbac\",\"innererror\":{\"code\":\"Deep\"}}}}",
    "01{\"error\":{\"code\":\"Unauthorized\",\"message\":\"AKV10022: CANARY\"}}",
    "03{\"error\":{\"code\":\"SecretNotFound\"}}",
    "04{\"error\":null}",
    NULL};

static void check_secret(const ml_secret *s)
{
    FUZZ_CLAIM(ml_utf8_valid(ml_secret_value(s)));
    FUZZ_CLAIM(ml_secret_name_check(ml_str_of(ml_secret_key(s)), NULL) == 0);
    for (size_t i = 0; i < ml_secret_tag_count(s); i++) {
        FUZZ_CLAIM(ml_secret_tag_at(s, i).name && ml_secret_tag_at(s, i).value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 401, 403, 404, 409, 429, 503, 204};
    if (size < 2) return 0;
    ml_vault_call c = {.op =
                           (ml_vault_op)((data[0] - (unsigned)'0') % ML_VAULT_OP_COUNT),
                       .key = ML_LIT("key")};
    int status = statuses[data[1] & 7];
    ml_vault_answer a;
    ml_err e = {0};
    ml_vault_answer_init(&a);
    int rc = ml_vault_parse(&c, "prod", status,
                            (ml_str){(const char *)data + 2, size - 2}, &a, &e);
    if (rc == 0) {
        FUZZ_CLAIM(status == 200 || status == 204);
        if (a.secret) check_secret(a.secret);
        for (size_t i = 0; i < a.list.n; i++) {
            FUZZ_CLAIM(!ml_secret_data(a.list.items[i], NULL));
            check_secret(a.list.items[i]);
        }
    } else {
        FUZZ_CLAIM(rc == e.code && e.text[0] && !a.secret && a.list.n == 0);
        FUZZ_CLAIM(!strstr(e.text, "CANARY") || strstr(e.service_code, "CANARY"));
        FUZZ_CLAIM(rc != ML_ENOMEM);
    }
    ml_vault_answer_fini(&a);
    return 0;
}
