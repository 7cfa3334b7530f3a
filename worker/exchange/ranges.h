/* ranges: which elements of a tensor have arrived, so that only those go on to the device. At most
 * PS_RANGES_MAX of them: a set that would need more takes in the smallest gap that it has, so it
 * may hold more than was added, never less. Pure; any thread. */
#ifndef PS_EXCHANGE_RANGES_H
#define PS_EXCHANGE_RANGES_H

#include <stdint.h>

enum { PS_RANGES_MAX = 16 };

typedef struct ps_range {
    uint64_t begin, end; /* [begin, end) */
} ps_range;

/* Zeros are an empty set. */
typedef struct ps_ranges {
    ps_range list[PS_RANGES_MAX + 1]; /* ascending, with gaps between them; one more while adding */
    uint32_t count;
} ps_ranges;

void ps_ranges_add(ps_ranges *ranges, uint64_t begin, uint64_t end);

#endif
