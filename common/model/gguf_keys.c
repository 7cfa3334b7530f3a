/* Values are appended as they come; nothing can fail. */
#include "common/model/gguf_keys.h"

#include "common/base/bits.h"
#include "common/model/gguf_types.h"

#include <stdio.h>

void ps_gguf_put_text(ps_buf *out, ps_slice text)
{
    ps_buf_put_u64le(out, text.len);
    ps_buf_append(out, text.data, text.len);
}

/* key: with a dot first, it is the architecture's */
static void begin(ps_gguf_keys *k, const char *key, uint32_t type)
{
    char whole[96];
    (void)snprintf(whole, sizeof whole, "%s%s", *key == '.' ? k->architecture : "", key);
    ps_gguf_put_text(k->out, ps_slice_str(whole));
    ps_buf_put_u32le(k->out, type);
    k->n++;
}

void ps_gguf_key_u32(ps_gguf_keys *k, const char *key, int64_t v)
{
    begin(k, key, PS_GGUF_U32);
    ps_buf_put_u32le(k->out, (uint32_t)v);
}

void ps_gguf_key_u16(ps_gguf_keys *k, const char *key, uint16_t v)
{
    begin(k, key, PS_GGUF_U16);
    ps_buf_putc(k->out, (uint8_t)v);
    ps_buf_putc(k->out, (uint8_t)(v >> 8));
}

void ps_gguf_key_i32(ps_gguf_keys *k, const char *key, int32_t v)
{
    begin(k, key, PS_GGUF_I32);
    ps_buf_put_u32le(k->out, (uint32_t)v);
}

void ps_gguf_key_float(ps_gguf_keys *k, const char *key, double v)
{
    begin(k, key, PS_GGUF_FLOAT);
    ps_buf_put_u32le(k->out, ps_bits_of_float((float)v));
}

void ps_gguf_key_text(ps_gguf_keys *k, const char *key, const char *v)
{
    begin(k, key, PS_GGUF_STRING);
    ps_gguf_put_text(k->out, ps_slice_str(v));
}

void ps_gguf_key_bool(ps_gguf_keys *k, const char *key, bool v)
{
    begin(k, key, PS_GGUF_BOOL);
    ps_buf_putc(k->out, v ? 1 : 0);
}

void ps_gguf_key_array(ps_gguf_keys *k, const char *key, uint32_t type, uint64_t n)
{
    begin(k, key, PS_GGUF_ARRAY);
    ps_buf_put_u32le(k->out, type);
    ps_buf_put_u64le(k->out, n);
}

void ps_gguf_put_tensor(ps_buf *out, const char *name, uint32_t n_dims, const uint64_t *sides,
                        uint32_t type, uint64_t offset)
{
    ps_gguf_put_text(out, ps_slice_str(name));
    ps_buf_put_u32le(out, n_dims);
    for (uint32_t d = 0; d < n_dims; d++)
        ps_buf_put_u64le(out, sides[d]);
    ps_buf_put_u32le(out, type);
    ps_buf_put_u64le(out, offset);
}

size_t ps_gguf_begin(ps_buf *out, uint64_t n_tensors)
{
    ps_buf_puts(out, PS_GGUF_MAGIC);
    ps_buf_put_u32le(out, 3);
    ps_buf_put_u64le(out, n_tensors);
    ps_buf_put_u64le(out, 0);
    return out->len - 8;
}

void ps_gguf_end(ps_buf *out, size_t count_at, const ps_gguf_keys *k)
{
    ps_put_u64le(out->data + count_at, k->n);
}

void ps_gguf_pad(ps_buf *out)
{
    while (out->len % PS_GGUF_ALIGNMENT)
        ps_buf_putc(out, 0);
}
