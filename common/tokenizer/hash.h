/* hash: FNV-1a, 64 bits (draft-eastlake-fnv); private to common/tokenizer. */
#ifndef PS_TOKENIZER_HASH_H
#define PS_TOKENIZER_HASH_H

#include <stddef.h>
#include <stdint.h>

#define PS_HASH_START UINT64_C(0xcbf29ce484222325)

/* Of data after what `hash` is the hash of. */
static inline uint64_t ps_hash(uint64_t hash, const void *data, size_t len)
{
    const uint8_t *bytes = (const uint8_t *)data;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

#endif
