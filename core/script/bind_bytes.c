/* bind_bytes.c - joining, encoding and hashing what may be secret.
 *
 * Bytes go from one ml_secret to the next through scrubbing buffers and never become a
 * Lua string. */
#include "script/bind_bytes.h"

#include <lauxlib.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "azure/base64.h"
#include "base/mem.h"
#include "io/form.h"
#include "script/bytes.h"

enum { MAX_BYTES = 2 * 1024 * 1024, TRIPLES = 768 };

static int join(lua_State *L, bool is_secret)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    ml_buf *b = ml_script_push_buf(L, MAX_BYTES);
    bool has_secret = ml_script_add_bytes(L, 1, "a part", b);
    ml_script_spend_bytes(L, b->len);
    ml_script_push_bytes_of(L, b, is_secret || has_secret);
    ml_buf_fini(b);
    return 1;
}

int ml_script_secret_text(lua_State *L)
{
    return join(L, true);
}

int ml_script_join(lua_State *L)
{
    return join(L, false);
}

typedef bool transform(ml_str in, ml_buf *out);

/* transform(argument 1); nil when it says no. */
static int transformed(lua_State *L, transform *f)
{
    ml_bytes in = ml_script_check_bytes(L, 1);
    ml_script_spend_bytes(L, in.str.n);
    ml_buf *b = ml_script_push_buf(L, MAX_BYTES);
    if (f(in.str, b))
        ml_script_push_bytes_of(L, b, in.is_secret);
    else
        lua_pushnil(L);
    ml_buf_fini(b);
    return 1;
}

static bool to_hex(ml_str in, ml_buf *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < in.n; i++) {
        unsigned char c = (unsigned char)in.p[i];
        ml_buf_add(out, (char[]){digits[c >> 4], digits[c & 15]}, 2);
    }
    return true;
}

static bool to_base64(ml_str in, ml_buf *out)
{
    unsigned char coded[TRIPLES / 3 * 4 + 1];
    while (in.n > 0) {
        size_t n = in.n < TRIPLES ? in.n : TRIPLES;
        int len = EVP_EncodeBlock(coded, (const unsigned char *)in.p, (int)n);
        ml_buf_add(out, coded, (size_t)len);
        in = (ml_str){in.p + n, in.n - n};
    }
    ml_scrub(coded, sizeof(coded));
    return true;
}

static bool escape(ml_str in, ml_buf *out)
{
    ml_form_escape(out, in);
    return true;
}

static bool chomp(ml_str in, ml_buf *out)
{
    if (in.n > 0 && in.p[in.n - 1] == '\n') {
        in.n--;
        if (in.n > 0 && in.p[in.n - 1] == '\r') in.n--;
    }
    ml_buf_add_str(out, in);
    return true;
}

int ml_script_hex(lua_State *L)
{
    return transformed(L, to_hex);
}

int ml_script_base64(lua_State *L)
{
    return transformed(L, to_base64);
}

int ml_script_base64_decode(lua_State *L)
{
    return transformed(L, ml_base64_decode);
}

int ml_script_url_encode(lua_State *L)
{
    return transformed(L, escape);
}

int ml_script_chomp(lua_State *L)
{
    return transformed(L, chomp);
}

/* ---- hashes: of 32 bytes, from the stack to their owner -------------------------- */

static int push_hash(lua_State *L, unsigned char *hash, bool is_secret)
{
    ml_buf *b = ml_script_push_buf(L, SHA256_DIGEST_LENGTH);
    ml_buf_add(b, hash, SHA256_DIGEST_LENGTH);
    ml_scrub(hash, SHA256_DIGEST_LENGTH);
    ml_script_push_bytes_of(L, b, is_secret);
    ml_buf_fini(b);
    return 1;
}

int ml_script_sha256(lua_State *L)
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    ml_bytes in = ml_script_check_bytes(L, 1);
    ml_script_spend_bytes(L, in.str.n * 4);
    SHA256((const unsigned char *)in.str.p, in.str.n, hash);
    return push_hash(L, hash, in.is_secret);
}

int ml_script_hmac_sha256(lua_State *L)
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    ml_bytes key = ml_script_check_bytes(L, 1);
    ml_bytes in = ml_script_check_bytes(L, 2);
    luaL_argcheck(L, key.str.n <= MAX_BYTES, 1, "the key is too long");
    ml_script_spend_bytes(L, (key.str.n + in.str.n) * 4);
    if (!HMAC(EVP_sha256(), key.str.n ? key.str.p : "", (int)key.str.n,
              (const unsigned char *)in.str.p, in.str.n, hash, NULL)) {
        return luaL_error(L, "HMAC failed");
    }
    return push_hash(L, hash, key.is_secret || in.is_secret);
}
