/* Happy path: tag, length, contents. Fails by the cursor alone. */
#include "common/security/der.h"

#include <time.h>

bool ps_der_is(const ps_cursor *c, uint8_t tag)
{
    return !c->failed && ps_cursor_left(c) && *c->at == tag;
}

/* X.690 section 10.1: as few bytes as do. Four are more than any file of ours has. */
static size_t read_length(ps_cursor *c)
{
    uint8_t first = ps_read_u8(c);
    if (first < 0x80)
        return first;
    unsigned n = first & 0x7fu;
    if (n == 0 || n > 4) {
        c->failed = true;
        return 0;
    }
    size_t len = 0;
    for (unsigned i = 0; i < n; i++)
        len = len << 8 | ps_read_u8(c);
    if (len < 0x80 || len >> (8 * (n - 1)) == 0)
        c->failed = true;
    return c->failed ? 0 : len;
}

ps_slice ps_der_read(ps_cursor *c, uint8_t tag)
{
    if (ps_read_u8(c) != tag)
        c->failed = true;
    size_t len = read_length(c);
    return c->failed ? (ps_slice){0} : ps_read_bytes(c, len);
}

ps_slice ps_der_whole(ps_cursor *c, uint8_t tag)
{
    const uint8_t *start = c->at;
    (void)ps_der_read(c, tag);
    return c->failed ? (ps_slice){0} : ps_slice_of(start, (size_t)(c->at - start));
}

static int two_digits(ps_cursor *c)
{
    uint8_t tens = ps_read_u8(c), ones = ps_read_u8(c);
    if (tens < '0' || tens > '9' || ones < '0' || ones > '9') {
        c->failed = true;
        return 0;
    }
    return (tens - '0') * 10 + (ones - '0');
}

/* UTCTime: years of 50 and more are of the last century. */
static int read_year(ps_cursor *digits, bool generalized)
{
    int first = two_digits(digits);
    if (!generalized)
        return first >= 50 ? 1900 + first : 2000 + first;
    return first * 100 + two_digits(digits);
}

int64_t ps_der_time(ps_cursor *c)
{
    bool generalized = ps_der_is(c, PS_DER_GENERALIZED_TIME);
    ps_cursor digits =
        ps_cursor_of(ps_der_read(c, generalized ? PS_DER_GENERALIZED_TIME : PS_DER_UTC_TIME));
    struct tm utc = {.tm_year = read_year(&digits, generalized) - 1900};
    utc.tm_mon = two_digits(&digits) - 1;
    utc.tm_mday = two_digits(&digits);
    utc.tm_hour = two_digits(&digits);
    utc.tm_min = two_digits(&digits);
    utc.tm_sec = two_digits(&digits);
    struct tm asked = utc;
    bool zulu = ps_read_u8(&digits) == 'Z' && !ps_cursor_left(&digits);
    int64_t seconds = digits.failed ? 0 : (int64_t)timegm(&utc);
    bool same = utc.tm_mon == asked.tm_mon && utc.tm_mday == asked.tm_mday &&
                utc.tm_hour == asked.tm_hour && utc.tm_min == asked.tm_min &&
                utc.tm_sec == asked.tm_sec; /* there is no 31st of June */
    if (digits.failed || !zulu || !same)
        c->failed = true;
    return c->failed ? 0 : seconds;
}

void ps_der_unsigned(ps_cursor *c, uint8_t *out, size_t size)
{
    memset(out, 0, size);
    ps_slice bytes = ps_der_read(c, PS_DER_INTEGER);
    bool negative = bytes.len && (bytes.data[0] & 0x80);
    bool padded = bytes.len > 1 && bytes.data[0] == 0;
    if (padded && !(bytes.data[1] & 0x80)) /* not the shortest form */
        negative = true;
    if (padded)
        bytes = ps_slice_of(bytes.data + 1, bytes.len - 1);
    if (!bytes.len || negative || bytes.len > size) {
        c->failed = true;
        return;
    }
    memcpy(out + size - bytes.len, bytes.data, bytes.len);
}
