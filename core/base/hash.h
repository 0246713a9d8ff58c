/* hash.h - a fast hash of bytes for tables in memory; not for what others may choose to
 * collide. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define ML_HASH_SEED 0xcbf29ce484222325u

/* Goes on from `hash`: FNV-1a. */
static inline uint64_t ml_hash_add(uint64_t hash, const void *p, size_t n)
{
    const unsigned char *byte = p;
    for (size_t i = 0; i < n; i++) hash = (hash ^ byte[i]) * 0x100000001b3u;
    return hash;
}

/* FNV's low bits are weak: fold the high ones in. */
static inline uint64_t ml_hash_mixed(uint64_t hash)
{
    return hash ^ (hash >> 29) ^ (hash >> 47);
}
