/* gguf_keys: how keys and tensors stand in the header of a GGUF file (version 3; ggml's
 * docs/gguf.md), for who writes one. Keys are counted as they are written, and the count is put in
 * its place at the end:
 *
 *     ps_gguf_keys k = {.out = &out};
 *     size_t at = ps_gguf_begin(&out, n_tensors);
 *     ps_gguf_key_u32(&k, "general.file_type", 0);
 *     ps_gguf_end(&out, at, &k);
 *     ps_gguf_put_tensor(&out, …);
 *     ps_gguf_pad(&out);                 // data follow
 *
 * Pure; any thread. */
#ifndef PS_MODEL_GGUF_KEYS_H
#define PS_MODEL_GGUF_KEYS_H

#include "common/base/buf.h"
#include "common/base/slice.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ps_gguf_keys {
    ps_buf *out;
    uint64_t n;
    const char *architecture; /* before keys that begin with a dot; else not needed */
} ps_gguf_keys;

/* Up to the keys; returns what ps_gguf_end is to be given. */
size_t ps_gguf_begin(ps_buf *out, uint64_t n_tensors);
void ps_gguf_end(ps_buf *out, size_t count_at, const ps_gguf_keys *keys);

void ps_gguf_key_u16(ps_gguf_keys *keys, const char *key, uint16_t v);
void ps_gguf_key_i32(ps_gguf_keys *keys, const char *key, int32_t v);
void ps_gguf_key_u32(ps_gguf_keys *keys, const char *key, int64_t v);
void ps_gguf_key_float(ps_gguf_keys *keys, const char *key, double v);
void ps_gguf_key_text(ps_gguf_keys *keys, const char *key, const char *v);
void ps_gguf_key_bool(ps_gguf_keys *keys, const char *key, bool v);
/* n values of a type of gguf_types.h follow, which are the caller's to write. */
void ps_gguf_key_array(ps_gguf_keys *keys, const char *key, uint32_t type, uint64_t n);
void ps_gguf_put_text(ps_buf *out, ps_slice text); /* as an array has it */

/* sides: the rows' length first; type: ggml's number; offset: from where data begin. */
void ps_gguf_put_tensor(ps_buf *out, const char *name, uint32_t n_dims, const uint64_t *sides,
                        uint32_t type, uint64_t offset);
void ps_gguf_pad(ps_buf *out); /* up to the alignment */

#endif
