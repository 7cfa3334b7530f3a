/* Eight bytes an instruction where SSE4.2 is there (several GB a second, more than a disk takes);
 * otherwise a table of 256 for each of 8 bytes ("slicing by 8",
 * Kounavis and Berry 2005). The reflected polynomial is 0x82f63b78. Nothing can fail. */
#include "common/base/crc32c.h"

#include <pthread.h>
#include <string.h>

static uint32_t table[8][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78u : 0);
        table[0][i] = crc;
    }
    for (int k = 1; k < 8; k++)
        for (int i = 0; i < 256; i++)
            table[k][i] = (table[k - 1][i] >> 8) ^ table[0][table[k - 1][i] & 0xff];
}

uint32_t ps_crc32c_table(uint32_t crc, const void *data, size_t len)
{
    (void)pthread_once(&once, fill_table);
    const uint8_t *p = data;
    crc = ~crc;
    for (; len >= 8; len -= 8, p += 8) {
        uint32_t low = crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                              (uint32_t)p[3] << 24);
        crc = table[7][low & 0xff] ^ table[6][low >> 8 & 0xff] ^ table[5][low >> 16 & 0xff] ^
              table[4][low >> 24] ^ table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^
              table[0][p[7]];
    }
    for (; len; len--, p++)
        crc = (crc >> 8) ^ table[0][(crc ^ *p) & 0xff];
    return ~crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *p,
                                                                 size_t len)
{
    uint64_t wide = ~crc;
    for (; len >= 8; len -= 8, p += 8) {
        uint64_t eight;
        memcpy(&eight, p, sizeof eight);
        wide = __builtin_ia32_crc32di(wide, eight);
    }
    uint32_t narrow = (uint32_t)wide;
    for (; len; len--, p++)
        narrow = __builtin_ia32_crc32qi(narrow, *p);
    return ~narrow;
}

uint32_t ps_crc32c(uint32_t crc, const void *data, size_t len)
{
    if (__builtin_cpu_supports("sse4.2"))
        return by_instruction(crc, data, len);
    return ps_crc32c_table(crc, data, len);
}
#else
uint32_t ps_crc32c(uint32_t crc, const void *data, size_t len)
{
    return ps_crc32c_table(crc, data, len);
}
#endif
