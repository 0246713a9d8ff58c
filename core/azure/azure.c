/* azure.c - what every vault of one resolver shares: HTTP client and tokens. */
#include "azure/azure.h"

#include "azure/token.h"
#include "base/mem.h"

enum { READS_IN_10_S = 4000, WRITES_IN_10_S = 300 }; /* as documented, per vault */

struct ml_azure_gate {
    ml_gate *gate;
    ml_azure_gate *next;
};

ml_azure *ml_azure_new(const ml_http_client *client, const ml_env *env)
{
    ml_azure *a = ml_calloc(1, sizeof(*a));
    if (!a) return NULL;
    *a = (ml_azure){
        .client = client, .env = env, .limits = {READS_IN_10_S, WRITES_IN_10_S}};
    return a;
}

ml_gate *ml_azure_gate_of(ml_azure *a, const char *origin, ml_request_kind kind)
{
    static const char *const what[] = {"reads", "writes"};
    ml_azure_gate *g = a->gates;
    while (g && !ml_gate_is(g->gate, origin, what[kind])) g = g->next;
    if (g) return g->gate;
    g = ml_calloc(1, sizeof(*g));
    if (!g) return NULL;
    g->gate = ml_gate_new(a->client->loop, origin, what[kind], a->limits[kind]);
    if (!g->gate || (a->budget_dir && !ml_gate_share(g->gate, a->budget_dir, NULL))) {
        ml_gate_free(g->gate);
        ml_free(g);
        return NULL;
    }
    g->next = a->gates;
    a->gates = g;
    return g->gate;
}

ml_azure_counts ml_azure_count(const ml_azure *a)
{
    ml_azure_counts all = {0};
    for (const ml_azure_gate *g = a->gates; g; g = g->next) {
        ml_gate_state now = ml_gate_look(g->gate);
        all.in_flight += (uint64_t)now.in_flight;
        all.waiting += now.waiting;
        all.paused += now.is_paused;
        all.broken += now.is_broken;
        all.shared += now.is_shared;
    }
    return all;
}

static void free_gates(ml_azure *a)
{
    while (a->gates) {
        ml_azure_gate *g = a->gates;
        a->gates = g->next;
        ml_gate_free(g->gate);
        ml_free(g);
    }
}

void ml_azure_free(ml_azure *a)
{
    if (!a) return;
    ml_token_free_all(a);
    free_gates(a);
    ml_free(a);
}
