/* Happy path: the four bytes of the magic, then four a dimension. */
#include "common/format/idx_header.h"

#include "common/base/slice.h"

#include <stdbool.h>

static const struct {
    ps_idx_type type;
    unsigned char bytes;
    const char *name;
} types[] = {
    {PS_IDX_U8, 1, "uint8"},  {PS_IDX_I8, 1, "int8"},     {PS_IDX_I16, 2, "int16"},
    {PS_IDX_I32, 4, "int32"}, {PS_IDX_F32, 4, "float32"}, {PS_IDX_F64, 8, "float64"},
};

enum { TYPES = sizeof types / sizeof *types };

static size_t find(ps_idx_type type)
{
    size_t i = 0;
    while (i < TYPES && types[i].type != type)
        i++;
    return i;
}

size_t ps_idx_size_of(ps_idx_type type)
{
    size_t i = find(type);
    return i < TYPES ? types[i].bytes : 0;
}

const char *ps_idx_name_of(ps_idx_type type)
{
    size_t i = find(type);
    return i < TYPES ? types[i].name : "";
}

static bool is_text(const uint8_t magic[4])
{
    bool text = true;
    for (int i = 0; i < 4; i++)
        text &= magic[i] >= ' ' || (magic[i] >= '\t' && magic[i] <= '\r');
    return text;
}

static ps_status read_dimensions(ps_source *source, ps_idx_header *h)
{
    uint8_t bytes[4 * PS_IDX_MAX_DIMS];
    size_t len = 4 * (size_t)h->n_dims;
    ps_status st = ps_source_read_exactly(source, bytes, len);
    if (st)
        return st;
    ps_cursor c = ps_cursor_of(ps_slice_of(bytes, len));
    h->columns = 1;
    for (unsigned d = 0; d < h->n_dims; d++) {
        h->dims[d] = ps_read_u32be(&c);
        if (d && __builtin_mul_overflow(h->columns, (size_t)h->dims[d], &h->columns))
            return ps_fail(PS_CORRUPT, "%s: its dimensions are too large", ps_source_path(source));
    }
    h->bytes = 4 + len;
    return h->columns ? PS_OK : ps_fail(PS_CORRUPT, "%s: a dimension of 0", ps_source_path(source));
}

ps_status ps_idx_header_read(ps_source *source, ps_idx_header *out)
{
    uint8_t magic[4];
    ps_status st = ps_source_read_exactly(source, magic, sizeof magic);
    if (st)
        return st;
    *out = (ps_idx_header){.type = (ps_idx_type)magic[2], .n_dims = magic[3]};
    if (magic[0] || magic[1] || !ps_idx_size_of(out->type) || out->n_dims < 1 ||
        out->n_dims > PS_IDX_MAX_DIMS)
        return ps_fail(PS_CORRUPT,
                       "%s: byte 0: not an idx file, its first bytes are %02x %02x %02x %02x%s",
                       ps_source_path(source), magic[0], magic[1], magic[2], magic[3],
                       is_text(magic) ? "; is it csv (data.format, --format)?" : "");
    return read_dimensions(source, out);
}
