/* codec: how the numbers of a chunk are written on the wire: the table of them (rows: float32; by
 * the numbers of psd.v1.Codec). Used by the worker to encode gradients and by psd to decode them.
 * All functions are pure; any thread.
 */
#ifndef PS_CODEC_CODEC_H
#define PS_CODEC_CODEC_H

#include "common/base/slice.h"
#include "common/base/status.h"

/* A float at any address: payloads are read in place, wherever the message put them. */
typedef float ps_wire_float __attribute__((aligned(1), may_alias));

typedef struct ps_codec {
    const char *name; /* in job files: "float32" */
    uint32_t number;  /* psd.v1.Codec */
    /* The payload is the numbers themselves (little-endian float32): it is read in place and
     * decode is not needed. */
    bool identity;
    /* Bytes of the payload of count elements; for codecs of varying size the most there can be. */
    size_t (*encoded_max)(uint32_t count);
    /* Whether a payload of len bytes can hold count elements; the message says what was expected.
     */
    PS_MUST_CHECK ps_status (*check)(ps_slice payload, uint32_t count);
    /* out has encoded_max bytes; *len is what was used. */
    void (*encode)(const float *values, uint32_t count, uint8_t *out, size_t *len);
    /* After check. */
    void (*decode)(ps_slice payload, uint32_t count, float *out);
} ps_codec;

/* NULL when there is none. 0 (CODEC_UNSPECIFIED) is float32. */
const ps_codec *ps_codec_by_number(uint32_t number);
const ps_codec *ps_codec_by_name(const char *name);

/* What one pass over numbers finds: done while they are hot in the cache. */
typedef struct ps_codec_scan {
    bool finite;   /* no NaN, no infinity */
    double sum_sq; /* Σx², meaningful when finite; each chunk in float64 */
} ps_codec_scan;
/* want_norm false: sum_sq is 0 and the pass is faster. */
ps_codec_scan ps_codec_scan_values(const ps_wire_float *values, size_t count, bool want_norm);

#endif
