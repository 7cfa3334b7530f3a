/* noise: the scale of the gradients' noise of a training (McCandlish and others 2018, arXiv
 * 1812.06162, appendix A.1): from the squares of gradients of few rows and of the mean of several
 * of them,
 *
 *     E|g_k|² = |G|² + S/B_k,   E|ḡ|² = |G|² + S/ΣB_k,   scale = S / |G|² rows,
 *
 * G being the gradient of all data and S the trace of a row's covariance. Both are unbiased and may
 * be negative; they are averaged apart over the training, and only then divided. Under bsp the
 * gradients are a clock's; under asp two that follow each other, of one push each, and a step lies
 * between their parameters. Any thread; one lock. */
#ifndef PS_RECORD_NOISE_H
#define PS_RECORD_NOISE_H

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ps_noise ps_noise;

/* elements: of the model, for pairs; 0: there are none. PS_NO_MEMORY: 4 bytes a parameter. */
PS_MUST_CHECK ps_status ps_noise_create(uint64_t elements, ps_noise **out);
void ps_noise_free(ps_noise **noise);

/* ---- gradients that are merged ---- */

/* A push that is held: of this worker's gradient of these rows, which other pushes are of, too. Of
 * more than 1024 gradients nothing is estimated. */
void ps_noise_hold(ps_noise *noise, const char *worker, uint64_t row_begin, double rows,
                   double square);
/* |ḡ|² of all that were held. */
void ps_noise_merge(ps_noise *noise, double square);

/* ---- pairs ---- */

typedef struct ps_noise_pair {
    bool second;
    double square, product; /* of its own; with the first's */
} ps_noise_pair;

/* A whole gradient comes; false: another one is under way. */
bool ps_noise_pair_begin(ps_noise *noise, ps_noise_pair *out);
/* Its elements [begin, begin + n) of the model. */
void ps_noise_pair_add(ps_noise *noise, ps_noise_pair *pair, uint64_t begin, const void *floats,
                       size_t n);
void ps_noise_pair_end(ps_noise *noise, const ps_noise_pair *pair, double rows);

/* ---- what it comes to ---- */

typedef struct ps_noise_scale {
    uint64_t estimates;
    double trace, square; /* means of S and of |G|² */
} ps_noise_scale;

void ps_noise_get(ps_noise *noise, ps_noise_scale *out);
enum { PS_NOISE_SAVED = 24 }; /* bytes */
void ps_noise_save(ps_noise *noise, ps_buf *out);
void ps_noise_load(ps_noise *noise, ps_cursor *from);

/* The estimate of n gradients; false: they say nothing (fewer than two, no rows). */
bool ps_noise_estimate(const double *squares, const double *rows, size_t n, double mean_square,
                       double *trace, double *square);

#endif
