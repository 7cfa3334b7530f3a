#include "common/format/npy.h"

#include "common/base/require.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Magic, version and the length of what follows; the header ends on a border of 64 bytes. */
enum { BEFORE = 10, BORDER = 64, TEXT = 128 };
static const char magic[] = "\x93NUMPY\x01\x00";

static size_t describe(char text[TEXT], uint64_t rows, uint64_t columns)
{
    int n =
        snprintf(text, TEXT,
                 "{'descr': '<f4', 'fortran_order': False, 'shape': (%" PRIu64 ", %" PRIu64 "), }",
                 rows, columns);
    PS_REQUIRE(n > 0 && n < TEXT);
    return (size_t)n;
}

void ps_npy_header(ps_buf *out, uint64_t rows, uint64_t columns)
{
    char text[TEXT];
    size_t n = describe(text, rows, columns), begin = out->len;
    size_t whole = (BEFORE + n + 1 + BORDER - 1) / BORDER * BORDER;
    ps_buf_append(out, magic, sizeof magic - 1);
    ps_buf_putc(out, (char)((whole - BEFORE) & 255));
    ps_buf_putc(out, (char)((whole - BEFORE) >> 8));
    ps_buf_append(out, text, n);
    while (out->len - begin < whole - 1)
        ps_buf_putc(out, ' ');
    ps_buf_putc(out, '\n');
}

ps_status ps_npy_numbers(ps_slice file, uint64_t rows, uint64_t columns, ps_slice *numbers)
{
    char text[TEXT];
    size_t n = describe(text, rows, columns), bytes = (size_t)(rows * columns * sizeof(float));
    size_t header = file.len < BEFORE ? 0 : BEFORE + file.data[8] + 256 * (size_t)file.data[9];
    if (header < BEFORE + n || file.len < header || file.len - header != bytes ||
        memcmp(file.data, magic, sizeof magic - 1) != 0 || memcmp(file.data + BEFORE, text, n) != 0)
        return ps_fail(PS_CORRUPT,
                       "%zu bytes are no array of NumPy, float32 [%" PRIu64 ", %" PRIu64 "]",
                       file.len, rows, columns);
    *numbers = ps_slice_of(file.data + header, bytes);
    return PS_OK;
}
