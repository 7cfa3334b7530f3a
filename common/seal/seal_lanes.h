/* seal_lanes: several segments of a stream at once, one a thread at a time. Private to this folder;
 * the stream is the caller's alone during the call. */
#ifndef PS_SEAL_SEAL_LANES_H
#define PS_SEAL_SEAL_LANES_H

#include "common/seal/stream.h"

#include <stdbool.h>

enum { PS_SEAL_BATCH_MOST = 4 };
/* Segments that are in hand at once: one a core, no more: what lies in the cache is sealed faster.
 */
size_t ps_seal_batch(void);

/* Segment `number`: `in` has len bytes, out as stream.h says. */
typedef struct ps_seal_part {
    uint64_t number;
    bool last;
    const uint8_t *in;
    size_t len;
    uint8_t *out;
} ps_seal_part;

void ps_seal_parts(ps_seal_stream *stream, const ps_seal_part *parts, size_t n);
/* The failure of the first part, by number, that has one. */
PS_MUST_CHECK ps_status ps_seal_parts_open(ps_seal_stream *stream, const ps_seal_part *parts,
                                           size_t n);

#endif
