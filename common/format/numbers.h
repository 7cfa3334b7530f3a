/* numbers: float32 out of the dtypes that files have, and what is asked of the numbers of a model
 * on its way in and out. One rule: what is not finite never crosses psd's border in silence,
 * neither as it comes nor by a dtype that cannot hold it. Any thread. */
#ifndef PS_FORMAT_NUMBERS_H
#define PS_FORMAT_NUMBERS_H

#include "common/base/status.h"
#include "common/format/safetensors.h"

#include <stddef.h>
#include <stdint.h>

/* The dtypes of floats; "F32, F16, BF16, F64". */
#define PS_NUMBERS_ALLOWED "F32, F16, BF16, F64"
bool ps_numbers_known(ps_safetensors_dtype dtype);
/* n numbers of a dtype that is known, little-endian, to float32; what F64 has beyond it becomes
 * infinity. */
void ps_numbers_widen(ps_safetensors_dtype dtype, const uint8_t *bytes, size_t n, float *out);

/* The first whose magnitude is not below limit, as no NaN is; n: there is none. */
size_t ps_numbers_beyond(const float *values, size_t n, float limit);

/* "[3, 17]", of a shape, or of the place of the at-th number in it. */
typedef struct ps_sides {
    char text[PS_SAFETENSORS_MAX_DIMS * 22 + 3];
} ps_sides;

ps_sides ps_sides_of(const uint64_t *shape, uint32_t n_dims);
ps_sides ps_sides_at(const uint64_t *shape, uint32_t n_dims, uint64_t at);

/* PS_INVALID_ARGUMENT with tensor, element and number when one of these is not finite; they are the
 * first-th and following ones of the tensor. */
PS_MUST_CHECK ps_status ps_numbers_check(const char *tensor, const uint64_t *shape, uint32_t n_dims,
                                         uint64_t first, const float *values, size_t n);

/* The same of n numbers in F64 that float32 cannot hold; those that are not finite are the above's
 * to refuse. */
PS_MUST_CHECK ps_status ps_numbers_check_wide(const char *tensor, const uint64_t *shape,
                                              uint32_t n_dims, uint64_t first, const uint8_t *bytes,
                                              size_t n);

/* Numbers first to first + n - 1 of one of two tensors. */
typedef ps_status (*ps_numbers_read)(void *state, int which, uint64_t first, size_t n, float *out);

typedef struct ps_numbers_differ {
    bool any;
    uint64_t at;     /* the first that differs, */
    float values[2]; /* and what they are there */
} ps_numbers_differ;

/* Compares two tensors of `all` numbers, piece by piece; each piece begins at a multiple of 4096.
 * Two NaNs are the same. */
PS_MUST_CHECK ps_status ps_numbers_compare(ps_numbers_read read, void *state, uint64_t all,
                                           ps_numbers_differ *out);

#endif
