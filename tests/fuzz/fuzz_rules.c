/* fuzz_rules.c - rules made of the input's bytes: what is compiled is a plan or a
 * fault, the same with the index and without, the same every time.
 *
 * A byte chooses what comes next: an option, a piece of a text.  So nearly every input
 * is a policy of correct syntax, and mutations change what its rules mean. */
#include "base/buf.h"
#include "fuzz.h"
#include "policy_vm.h"
#include "script/state.h"

const char *const fuzz_seeds[] = {
    "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20\21\22\23\24\25\26\27\30\31\32\33\34\35",
    "AAAAAAAABBBBBBBBCCCCCCCCDDDDDDDDEEEEEEEEFFFFFFFFGGGGGGGGHHHHHHHHIIIIIIII",
    "\377\376\375\374\373\372\371\370\367\366\365\364\363\362\361\360\357\356\355",
    "the quick brown fox jumps over the lazy dog, and over the quick brown fox, too",
    "0011223344556677889900aabbccddeeffgghhiijjkkllmmnnooppqqrrssttuuvvwwxxyyzz",
    NULL};

typedef struct reader {
    const uint8_t *p;
    size_t n;
    uint32_t state; /* of what was read */
} reader;

/* Below `limit`; when the bytes are used up, it goes on with what they make of it. */
static unsigned next(reader *r, unsigned limit)
{
    if (r->n > 0) {
        r->n--;
        r->state = (r->state ^ *r->p) * 16777619u;
        return *r->p++ % limit;
    }
    r->state = r->state * 1664525u + 1013904223u;
    return (r->state >> 16) % limit;
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Some pieces, joined; now and then an odd one, which may be refused. */
static void put_pieces(reader *r, ml_buf *out, const char *joint,
                       const char *const *pieces, unsigned n)
{
    static const char *const odd[] = {"**", "{",   "}",  "%",  "{no}",  "(", "[^",
                                      "^",  "{1}", "//", "%1", "%f[a]", "",  "*{x}"};
    unsigned count = 1 + next(r, 5);
    for (unsigned i = 0; i < count; i++) {
        if (i > 0) ml_buf_add_text(out, joint);
        ml_buf_add_text(out,
                        next(r, 64) ? pieces[next(r, n)] : odd[next(r, COUNT(odd))]);
    }
}

static void put_glob(reader *r, ml_buf *out)
{
    static const char *const pieces[] = {"a",  "b",   "*",   "**",  "A",   "a-b",
                                         "a*", "*-b", "a*b", "{x}", "{y}", "{z}-b"};
    ml_buf_add_text(out, "'");
    put_pieces(r, out, "/", pieces, COUNT(pieces));
    ml_buf_add_text(out, "'");
}

static void put_lua_pattern(reader *r, ml_buf *out)
{
    static const char *const pieces[] = {"a",    "b",   "/",  ".*",   ".-",  "%a+",
                                         "[ab]", "(.)", "()", "%b/a", "a?b", "[^/]*"};
    ml_buf_add_text(out, "ml.pattern '");
    put_pieces(r, out, "", pieces, COUNT(pieces));
    ml_buf_add_text(out, "'");
}

static void put_text(reader *r, ml_buf *out)
{
    static const char *const pieces[] = {"a", "b", "/",     "-", "_",
                                         "A", ".", "{env}", "a", "now-"};
    ml_buf_add_text(out, "'");
    put_pieces(r, out, "", pieces, COUNT(pieces));
    ml_buf_add_text(out, "'");
}

static void put_list(reader *r, ml_buf *out, void (*put)(reader *, ml_buf *))
{
    ml_buf_add_text(out, "{ ");
    for (unsigned n = 1 + next(r, 4); n > 0; n--) {
        put(r, out);
        ml_buf_add_text(out, ", ");
    }
    ml_buf_add_text(out, "}");
}

static void put_map(reader *r, ml_buf *out)
{
    ml_buf_add_text(out, "{ ");
    for (unsigned n = next(r, 5); n > 0; n--) {
        ml_buf_add_text(out, "[");
        put_text(r, out);
        ml_buf_add_text(out, "] = ");
        put_text(r, out);
        ml_buf_add_text(out, ", ");
    }
    ml_buf_add_text(out, "}");
}

static void put_on(reader *r, ml_buf *out)
{
    static const char *const outcomes[] = {"missing",   "forbidden", "disabled",
                                           "throttled", "policy",    "invalid"};
    static const char *const actions[] = {"next", "stop", "next", "stale"};
    ml_buf_addf(out, "{ %s = '%s' }", outcomes[next(r, COUNT(outcomes))],
                actions[next(r, COUNT(actions))]);
}

static void put_option(reader *r, ml_buf *out)
{
    static const char *const texts[] = {"strip", "prefix", "suffix", "label",
                                        "default"};
    unsigned kind = next(r, 12);
    switch (kind) {
    case 0: ml_buf_add_text(out, "lower = true, "); return;
    case 1:
        ml_buf_add_text(out, "default = 'x', on = { missing = 'default' }, ");
        return;
    case 2: ml_buf_add_text(out, "replace = "), put_map(r, out); break;
    case 3: ml_buf_add_text(out, "names = "), put_map(r, out); break;
    case 4: ml_buf_add_text(out, "strip = "), put_list(r, out, put_text); break;
    case 5: ml_buf_add_text(out, "prefix = "), put_list(r, out, put_text); break;
    case 6: ml_buf_add_text(out, "on = "), put_on(r, out); break;
    default: ml_buf_addf(out, "%s = ", texts[kind % COUNT(texts)]); put_text(r, out);
    }
    ml_buf_add_text(out, ", ");
}

static void put_pattern(reader *r, ml_buf *out)
{
    switch (next(r, 4)) {
    case 0: put_lua_pattern(r, out); return;
    case 1: put_list(r, out, put_glob); return;
    default: put_glob(r, out);
    }
}

static void put_rule(reader *r, ml_buf *out)
{
    static const char *const sources[] = {"env", "{ env, other }", "{ other, env }",
                                          "vault"};
    if (next(r, 8) == 7) {
        ml_buf_add_text(out, "  ml.deny(");
        put_pattern(r, out);
        ml_buf_add_text(out, "),\n");
        return;
    }
    ml_buf_add_text(out, "  ml.rule(");
    put_pattern(r, out);
    ml_buf_addf(out, ") { from = %s, ", sources[next(r, COUNT(sources))]);
    for (unsigned n = next(r, 5); n > 0; n--) put_option(r, out);
    ml_buf_add_text(out, "},\n");
}

static void put_policy(reader *r, ml_buf *out)
{
    ml_buf_add_text(out,
                    "local ml = require 'moonlatch.policy'\n"
                    "local env, other = ml.environment {}, ml.environment {}\n"
                    "local vault = ml.azure_key_vault { vault_url = 'https://v' }\n"
                    "return ml.policy {\n");
    for (unsigned n = 1 + next(r, 6); n > 0; n--) put_rule(r, out);
    ml_buf_add_text(out, "}\n");
}

/* ---- what must hold ---------------------------------------------------------------
 */

/* Gets the plan with and without the index; raises when a claim does not hold. */
static const char claims[] =
    "local plan, names, fault, policy = ...\n"
    "local context = { env = 'prod', team = 'blue' }\n"
    "local function flat(steps, f)\n"
    "  if not steps then\n"
    "    assert(type(f) == 'table' and type(f.code) == 'string', 'a fault')\n"
    "    assert(type(f.text) == 'string' and f.text ~= '', 'a text')\n"
    "    return f.code .. ' ' .. f.text\n"
    "  end\n"
    "  assert(#steps > 0, 'steps')\n"
    "  local out = {}\n"
    "  for i, s in ipairs(steps) do\n"
    "    assert(type(s.key) == 'string' and type(s.on) == 'table', 'a step')\n"
    "    assert(policy.sources.of(s.source.handle) == s.source, 'a source')\n"
    "    out[i] = s.source.alias .. ':' .. s.key\n"
    "  end\n"
    "  return table.concat(out, ',')\n"
    "end\n"
    "return function(name)\n"
    "  local steps, rule, third = plan.make(policy, name, context)\n"
    "  local tried = {}\n"
    "  local other, other_rule, other_third = plan.make(policy, name, context, tried)\n"
    "  local one, two = flat(steps, rule), flat(other, other_rule)\n"
    "  assert(one == two, one .. ' is not ' .. two)\n"
    "  assert(#tried <= #policy.rules, 'tried')\n"
    "  assert(third == other_third, 'the rule of a fault')\n"
    "  if not steps then return end\n"
    "  assert(rule == other_rule and tried[#tried].matched, 'the rule')\n"
    "  if not rule.spec then return end\n"
    "  if not names.can_invert(rule.spec, context) then return end\n"
    "  for _, s in ipairs(steps) do\n"
    "    for _, group in ipairs(names.candidates(rule.spec, s.key, context, false)) "
    "do\n"
    "      for _, c in ipairs(group) do assert(type(c) == 'string', 'a candidate') "
    "end\n"
    "    end\n"
    "  end\n"
    "end\n";

static void push_module(lua_State *L, const char *name)
{
    lua_getglobal(L, "require");
    lua_pushstring(L, name);
    lua_call(L, 1, 1);
}

/* Protected; arg is the name. */
static int check_name(lua_State *L)
{
    const char *name = lua_touserdata(L, 1);
    push_module(L, "moonlatch.core");
    lua_getfield(L, -1, "limited");
    if (luaL_loadbuffer(L, claims, sizeof(claims) - 1, "=moonlatch.claims") != LUA_OK)
        lua_error(L);
    push_module(L, "moonlatch.plan");
    push_module(L, "moonlatch.names");
    push_module(L, "moonlatch.fault");
    lua_rawgeti(L, LUA_REGISTRYINDEX, ml_vm_of(L)->policy_ref);
    lua_call(L, 4, 1);
    lua_pushstring(L, name);
    lua_call(L, 2, LUA_MULTRET);
    if (!lua_toboolean(L, 3)) lua_error(L);
    return 0;
}

/* Lua may refuse a pattern only when a name leads it there: those faults are raised.
 * And the machine may be slow. */
static void claim_of(const ml_err *e)
{
    policy_vm_claim(e);
    bool is_fault = strncmp(e->text, "policy.lua:", 11) == 0 ||
                    strstr(e->text, "the policy ran too long");
    if (e->code != 0 && !is_fault) fprintf(stderr, "%s\n", e->text);
    FUZZ_CLAIM(e->code == 0 || is_fault);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"a",
                                        "a/b",
                                        "A/B",
                                        "a/b/a/b/a-b_a",
                                        "/",
                                        "b//a",
                                        "prod/a",
                                        "a-a/b-b",
                                        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/b"};
    reader r = {data, size, 2166136261u};
    ml_buf policy;
    ml_buf_init(&policy, 0);
    put_policy(&r, &policy);
    ml_buf_add(&policy, "", 1);
    FUZZ_CLAIM(ml_buf_ok(&policy));
    fixture *f = policy_vm();
    if (policy_vm_load(ml_buf_str(&policy).p) == 0) {
        for (size_t i = 0; i < COUNT(names); i++) {
            ml_err e = {0};
            union {
                const char *in;
                void *out;
            } name = {names[i]};
            ml_vm_protect(f->vm, check_name, name.out, &e);
            claim_of(&e);
        }
        policy_vm_call(ML_GET, names[next(&r, COUNT(names))], 0);
    }
    policy_vm_done();
    ml_buf_fini(&policy);
    return 0;
}
