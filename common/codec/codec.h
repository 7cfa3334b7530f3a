/* codec: how the numbers of a chunk are written on the wire: the table of them (rows.h; by the
 * numbers of psd.v1.Codec). The worker encodes gradients and psd decodes them; psd encodes the
 * parameters that are pulled and the worker decodes these.
 *
 * A codec that leaves much of a value out may remember what, and add it to the next value at that
 * place (error feedback; Seide et al. 2014, Karimireddy et al. 2019, arXiv 1901.09847): then the
 * sum of what is sent follows the sum of what was meant. It has state, and is for gradients alone,
 * of which there is a next one. All functions are pure but for that state; any thread.
 */
#ifndef PS_CODEC_CODEC_H
#define PS_CODEC_CODEC_H

#include "common/base/slice.h"
#include "common/base/status.h"

/* A float at any address: payloads are read in place, wherever the message put them. */
typedef float ps_wire_float __attribute__((aligned(1), may_alias));

/* What one pass over numbers finds. */
typedef struct ps_codec_scan {
    bool finite;   /* no NaN, no infinity */
    double sum_sq; /* Σx², meaningful when finite; in float64 */
} ps_codec_scan;

typedef struct ps_codec {
    const char *name; /* in job files: "float32" */
    uint32_t number;  /* psd.v1.Codec */
    /* The payload is the numbers themselves (little-endian float32): it is read in place, and
     * neither encode nor decode is needed. */
    bool identity;
    /* Of an element, zeros at first; 0: none. */
    size_t state_bytes;
    /* Bytes of the payload of count elements; should there be codecs of varying size: the most. */
    size_t (*encoded_max)(uint32_t count);
    /* Writes at most encoded_max bytes and returns how many. A NaN or an infinity among the values
     * makes a payload that scan finds not finite. state: count × state_bytes, or NULL. */
    size_t (*encode)(void *state, const ps_wire_float *values, uint32_t count, uint8_t *out);
    /* After ps_codec_check. want_norm false: sum_sq is 0 and the pass is faster. */
    ps_codec_scan (*scan)(ps_slice payload, uint32_t count, bool want_norm);
    /* After ps_codec_check. */
    void (*decode)(ps_slice payload, uint32_t count, float *out);
} ps_codec;

/* Exact: what is asked for where nobody has said otherwise. */
extern const ps_codec ps_codec_float32;

/* NULL when there is none. 0 (CODEC_UNSPECIFIED) is float32. */
const ps_codec *ps_codec_by_number(uint32_t number);
const ps_codec *ps_codec_by_name(const char *name);
/* Whether a payload can hold count elements: it has encoded_max bytes, until a codec of varying
 * size brings a check of its own. PS_INVALID_ARGUMENT says what was expected. */
PS_MUST_CHECK ps_status ps_codec_check(const ps_codec *codec, ps_slice payload, uint32_t count);

/* The names, in the table's order, and then NULL: of all, and of those without state. */
extern const char *const ps_codec_names[];
extern const char *const ps_codec_plain_names[];

/* The scan of plain numbers. */
ps_codec_scan ps_codec_scan_values(const ps_wire_float *values, size_t count, bool want_norm);

#endif
