/* Signature, IHDR, PLTE, IDAT (a zlib stream, RFC 1950), IEND. Cannot fail. */
#include "client/report/png.h"

#include "common/base/require.h"
#include "common/format/deflate.h"

enum { SIDE_MOST = 4096, INDEXED = 3 };

static void put_u32be(ps_buf *out, uint32_t v)
{
    const uint8_t bytes[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
                              (uint8_t)v};
    ps_buf_append(out, bytes, sizeof bytes);
}

/* CRC-32 of ISO 3309, as PNG's appendix has it, bit by bit: pictures are small. */
static uint32_t crc_of(const uint8_t *bytes, size_t n)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < n; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static void put_chunk(ps_buf *out, const char type[4], const ps_buf *data)
{
    put_u32be(out, (uint32_t)data->len);
    size_t from = out->len;
    ps_buf_append(out, type, 4);
    ps_buf_append(out, data->data, data->len);
    put_u32be(out, crc_of(out->data + from, out->len - from));
}

void ps_png(ps_buf *out, const uint8_t *pixels, uint32_t width, uint32_t height,
            const ps_rgb *palette, uint32_t n)
{
    PS_REQUIRE(width && height && width <= SIDE_MOST && height <= SIDE_MOST && n && n <= 256);
    ps_buf part = PS_BUF_EMPTY, plain = PS_BUF_EMPTY;
    ps_buf_append(out, "\x89PNG\r\n\x1a\n", 8);
    put_u32be(&part, width);
    put_u32be(&part, height);
    const uint8_t how[5] = {8, INDEXED, 0, 0, 0}; /* bits; deflate, no filters, not interlaced */
    ps_buf_append(&part, how, sizeof how);
    put_chunk(out, "IHDR", &part);
    ps_buf_clear(&part);
    for (uint32_t i = 0; i < n; i++)
        ps_buf_append(&part, (const uint8_t[3]){palette[i].r, palette[i].g, palette[i].b}, 3);
    put_chunk(out, "PLTE", &part);
    ps_buf_clear(&part);
    for (uint32_t row = 0; row < height; row++) {
        ps_buf_putc(&plain, 0); /* no filter */
        ps_buf_append(&plain, pixels + (size_t)row * width, width);
    }
    ps_deflate(ps_buf_slice(&plain), &part);
    put_chunk(out, "IDAT", &part);
    ps_buf_clear(&part);
    put_chunk(out, "IEND", &part);
    ps_buf_free(&part);
    ps_buf_free(&plain);
}
