/* Sums and small tables. Fails only where a pair's first gradient has no room. */
#include "server/record/noise.h"

#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "common/base/require.h"

#include <stdlib.h>
#include <string.h>

enum { HELD_MAX = 1024 }; /* gradients of a clock: they are searched one by one */

typedef struct held {
    uint64_t key; /* of worker and rows */
    double square, rows;
} held;

struct ps_noise {
    ps_mutex lock;
    held held[HELD_MAX];
    size_t n_held;
    bool too_many;           /* gradients for `held` */
    bool pairing, has_first; /* somebody has the pair; its first is there */
    double first_square, first_rows;
    float *first; /* [elements]; NULL: no pairs */
    uint64_t elements;
    uint64_t estimates;
    double trace_sum, square_sum;
};

ps_status ps_noise_create(uint64_t elements, ps_noise **out)
{
    ps_noise *n = ps_new(ps_noise);
    ps_mutex_init(&n->lock);
    n->elements = elements;
    if (elements && !(n->first = ps_try_alloc((size_t)elements * sizeof *n->first))) {
        ps_noise_free(&n);
        return ps_fail(PS_NO_MEMORY, "out of memory for record.noise_scale, 4 bytes a parameter");
    }
    *out = n;
    return PS_OK;
}

void ps_noise_free(ps_noise **noise)
{
    ps_noise *n = *noise;
    if (!n)
        return;
    free(n->first);
    ps_mutex_destroy(&n->lock);
    ps_free(noise);
}

bool ps_noise_estimate(const double *squares, const double *rows, size_t n, double mean_square,
                       double *trace, double *square)
{
    double all = 0, inverse = 0, mean = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(rows[i] > 0))
            return false;
        all += rows[i];
        inverse += 1 / rows[i] / (double)n;
        mean += squares[i] / (double)n;
    }
    if (n < 2)
        return false;
    *trace = (mean - mean_square) / (inverse - 1 / all);
    *square = mean_square - *trace / all;
    return true;
}

static void add(ps_noise *n, const double *squares, const double *rows, size_t count,
                double mean_square)
{
    double trace, square;
    ps_mutex_require_held(&n->lock);
    if (!ps_noise_estimate(squares, rows, count, mean_square, &trace, &square))
        return;
    n->estimates++;
    n->trace_sum += trace;
    n->square_sum += square;
}

/* ---- merged ---- */

static uint64_t key_of(const char *worker, uint64_t row_begin)
{
    uint64_t key = UINT64_C(0xcbf29ce484222325) ^ row_begin * UINT64_C(0x9E3779B97F4A7C15);
    for (; *worker; worker++)
        key = (key ^ (uint8_t)*worker) * UINT64_C(0x100000001b3);
    return key;
}

void ps_noise_hold(ps_noise *n, const char *worker, uint64_t row_begin, double rows, double square)
{
    uint64_t key = key_of(worker, row_begin);
    size_t i = 0;
    ps_mutex_lock(&n->lock);
    while (i < n->n_held && n->held[i].key != key)
        i++;
    if (i == HELD_MAX) {
        n->too_many = true; /* the mean is of more than these: they tell nothing */
    } else {
        if (i == n->n_held)
            n->held[n->n_held++] = (held){.key = key, .rows = rows};
        n->held[i].square += square;
    }
    ps_mutex_unlock(&n->lock);
}

void ps_noise_merge(ps_noise *n, double square)
{
    ps_mutex_lock(&n->lock);
    size_t count = n->n_held;
    double *squares = ps_alloc_array(2 * count + 1, sizeof *squares), *rows = squares + count;
    for (size_t i = 0; i < count; i++) {
        squares[i] = n->held[i].square;
        rows[i] = n->held[i].rows;
    }
    if (!n->too_many)
        add(n, squares, rows, count, square);
    n->n_held = 0;
    n->too_many = false;
    ps_mutex_unlock(&n->lock);
    free(squares);
}

/* ---- pairs ---- */

bool ps_noise_pair_begin(ps_noise *n, ps_noise_pair *out)
{
    ps_mutex_lock(&n->lock);
    bool mine = n->first && !n->pairing;
    if (mine) {
        n->pairing = true;
        *out = (ps_noise_pair){.second = n->has_first};
    }
    ps_mutex_unlock(&n->lock);
    return mine;
}

void ps_noise_pair_add(ps_noise *n, ps_noise_pair *pair, uint64_t begin, const void *floats,
                       size_t count)
{
    PS_REQUIRE(begin <= n->elements && count <= n->elements - begin);
    float *first = n->first + begin;
    const uint8_t *bytes = floats;
    for (size_t i = 0; i < count; i++) {
        float g;
        memcpy(&g, bytes + i * sizeof g, sizeof g);
        pair->square += (double)g * (double)g;
        if (pair->second)
            pair->product += (double)g * (double)first[i];
        else
            first[i] = g;
    }
}

void ps_noise_pair_end(ps_noise *n, const ps_noise_pair *pair, double rows)
{
    ps_mutex_lock(&n->lock);
    PS_REQUIRE(n->pairing);
    if (pair->second) {
        const double squares[] = {n->first_square, pair->square}, b[] = {n->first_rows, rows};
        double all = b[0] + b[1];
        add(n, squares, b, 2,
            (b[0] * b[0] * squares[0] + b[1] * b[1] * squares[1] +
             2 * b[0] * b[1] * pair->product) /
                (all * all));
    } else {
        n->first_square = pair->square;
        n->first_rows = rows;
    }
    n->has_first = !pair->second;
    n->pairing = false;
    ps_mutex_unlock(&n->lock);
}

/* ---- what it comes to ---- */

void ps_noise_get(ps_noise *n, ps_noise_scale *out)
{
    ps_mutex_lock(&n->lock);
    double count = n->estimates ? (double)n->estimates : 1;
    *out = (ps_noise_scale){
        .estimates = n->estimates, .trace = n->trace_sum / count, .square = n->square_sum / count};
    ps_mutex_unlock(&n->lock);
}

void ps_noise_save(ps_noise *n, ps_buf *out)
{
    ps_mutex_lock(&n->lock);
    ps_buf_put_u64le(out, n->estimates);
    ps_buf_put_f64le(out, n->trace_sum);
    ps_buf_put_f64le(out, n->square_sum);
    ps_mutex_unlock(&n->lock);
}

void ps_noise_load(ps_noise *n, ps_cursor *from)
{
    uint64_t estimates = ps_read_u64le(from);
    double trace = ps_read_f64le(from), square = ps_read_f64le(from);
    ps_mutex_lock(&n->lock);
    n->estimates = estimates;
    n->trace_sum = trace;
    n->square_sum = square;
    ps_mutex_unlock(&n->lock);
}
