/* A token is u32 CRC32C | u32 filter | the key, little-endian, in hex. The checksum is over the
 * list's name and all that follows it: it keeps tokens of one list out of another and says at once
 * that one was cut; it is no secret, since a token gives nothing that the list would not. */
#include "server/service/page.h"

#include "common/base/crc32c.h"
#include "common/base/mem.h"
#include "common/base/slice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD = 8, BYTES_MAX = HEAD + PS_PAGE_KEY_MAX - 1 };

static uint32_t checksum(const char *list, const uint8_t *bytes, size_t len)
{
    return ps_crc32c(ps_crc32c(0, list, strlen(list) + 1), bytes + 4, len - 4);
}

char *ps_page_token(const char *list, uint32_t filter, const char *key)
{
    uint8_t bytes[BYTES_MAX];
    size_t len = strlen(key);
    memcpy(bytes + HEAD, key, len);
    len += HEAD;
    ps_put_u32le(bytes + 4, filter);
    ps_put_u32le(bytes, checksum(list, bytes, len));
    char *token = ps_alloc(2 * len + 1);
    for (size_t i = 0; i < len; i++)
        (void)snprintf(token + 2 * i, 3, "%02x", bytes[i]);
    return token;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* *len of it; 0 when it is no hex, too short or too long. */
static size_t from_hex(const char *token, uint8_t bytes[BYTES_MAX])
{
    size_t len = strlen(token);
    if (len % 2 || len / 2 <= HEAD || len / 2 > BYTES_MAX)
        return 0;
    for (size_t i = 0; i < len / 2; i++) {
        int high = digit(token[2 * i]), low = digit(token[2 * i + 1]);
        if (high < 0 || low < 0)
            return 0;
        bytes[i] = (uint8_t)(16 * high + low);
    }
    return len / 2;
}

ps_status ps_page_read(const char *list, uint32_t filter, int32_t page_size, const char *token,
                       ps_page *out)
{
    ps_page page = {.rows = PS_PAGE_ROWS};
    if (page_size < 0)
        return ps_fail(PS_INVALID_ARGUMENT, "page_size %d, allowed 0 and more", page_size);
    if (page_size > 0)
        page.rows = page_size < PS_PAGE_ROWS_MAX ? (size_t)page_size : PS_PAGE_ROWS_MAX;
    if (token && *token) {
        uint8_t bytes[BYTES_MAX];
        size_t len = from_hex(token, bytes);
        ps_cursor c = ps_cursor_of(ps_slice_of(bytes, len));
        if (len == 0 || ps_read_u32le(&c) != checksum(list, bytes, len) ||
            memchr(bytes + HEAD, 0, len - HEAD))
            return ps_fail(PS_INVALID_ARGUMENT,
                           "page_token: not one of the list of %s; begin without one", list);
        if (ps_read_u32le(&c) != filter)
            return ps_fail(PS_INVALID_ARGUMENT,
                           "page_token: of a request with another filter; all but page_size stays "
                           "the same from page to page");
        memcpy(page.after, bytes + HEAD, len - HEAD);
    }
    *out = page;
    return PS_OK;
}
