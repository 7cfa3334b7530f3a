/* Happy path: the prefix, then letter by letter five bits into the bytes and all of it into the
 * checksum. */
#include "common/age/bech32.h"

#include "common/base/mem.h"

enum { CHECKSUM_LETTERS = 6 };

/* The remainder of what has gone by, in GF(32), by BIP-173's generator. */
static uint32_t add(uint32_t sum, uint32_t value)
{
    static const uint32_t generator[] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd,
                                         0x2a1462b3};
    uint32_t top = sum >> 25;
    sum = (sum & 0x1ffffff) << 5 ^ value;
    for (size_t i = 0; i < 5; i++)
        sum ^= top >> i & 1 ? generator[i] : 0;
    return sum;
}

static uint8_t lower(uint8_t letter)
{
    return letter >= 'A' && letter <= 'Z' ? letter | 0x20 : letter;
}

static uint32_t add_prefix(const char *prefix)
{
    uint32_t sum = 1;
    for (const char *c = prefix; *c; c++)
        sum = add(sum, lower((uint8_t)*c) >> 5);
    sum = add(sum, 0);
    for (const char *c = prefix; *c; c++)
        sum = add(sum, lower((uint8_t)*c) & 31);
    return sum;
}

/* 0 to 31; 32: none, or one of the other case. */
static uint32_t value_of(uint8_t letter, bool upper)
{
    static const char letters[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    bool is_upper = letter >= 'A' && letter <= 'Z', is_lower = letter >= 'a' && letter <= 'z';
    if (!letter || (upper && is_lower) || (!upper && is_upper))
        return 32;
    const char *at = strchr(letters, lower(letter));
    return at ? (uint32_t)(at - letters) : 32;
}

static ps_status read_letters(ps_slice text, bool upper, uint32_t sum, uint8_t *out, size_t len)
{
    size_t data = (len * 8 + 4) / 5, at = 0;
    uint32_t bits = 0, n_bits = 0;
    if (text.len != data + CHECKSUM_LETTERS)
        return ps_fail(PS_INVALID_ARGUMENT, "it has %zu letters behind the 1, such a key has %zu",
                       text.len, data + CHECKSUM_LETTERS);
    for (size_t i = 0; i < text.len; i++) {
        uint32_t value = value_of(text.data[i], upper);
        if (value > 31)
            return ps_fail(PS_INVALID_ARGUMENT, "letter %zu behind the 1 is none of such keys",
                           i + 1);
        sum = add(sum, value);
        if (i >= data)
            continue;
        bits = (bits << 5 | value) & 0xfff;
        n_bits += 5;
        if (n_bits >= 8) {
            n_bits -= 8;
            out[at++] = (uint8_t)(bits >> n_bits);
        }
    }
    if (sum != 1 || bits & ((1u << n_bits) - 1))
        return ps_fail(PS_INVALID_ARGUMENT, "its checksum is wrong: a letter is mistyped");
    return PS_OK;
}

ps_status ps_bech32_read(ps_slice text, const char *prefix, uint8_t *out, size_t len)
{
    size_t n = strlen(prefix);
    memset(out, 0, len);
    if (text.len <= n || memcmp(text.data, prefix, n) != 0 || text.data[n] != '1')
        return ps_fail(PS_INVALID_ARGUMENT, "it does not begin with %s1", prefix);
    ps_status st = read_letters(ps_slice_of(text.data + n + 1, text.len - n - 1), *prefix == 'A',
                                add_prefix(prefix), out, len);
    if (st)
        ps_wipe(out, len);
    return st;
}
