/* Happy path: an array of that name is there or is made, has the shape, and takes the numbers. */
#include "worker/explain/part.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void array_free(ps_explain_array *a)
{
    ps_free(&a->floats);
    ps_free(&a->doubles);
}

void ps_explain_part_free(ps_explain_part *part)
{
    for (size_t i = 0; i < part->n; i++)
        array_free(&part->arrays[i]);
    for (size_t i = 0; i < part->n_warnings; i++)
        ps_free(&part->warnings[i]);
    ps_free(&part->warnings);
    *part = PS_EXPLAIN_PART_EMPTY;
}

const ps_explain_array *ps_explain_get(const ps_explain_part *part, const char *name)
{
    for (size_t i = 0; i < part->n; i++)
        if (!strcmp(part->arrays[i].name, name))
            return &part->arrays[i];
    return NULL;
}

ps_explain_array *ps_explain_find(ps_explain_part *part, const char *name)
{
    const ps_explain_array *found = ps_explain_get(part, name);
    return found ? &part->arrays[found - part->arrays] : NULL;
}

void ps_explain_drop(ps_explain_part *part, const char *name)
{
    ps_explain_array *a = ps_explain_find(part, name);
    if (!a)
        return;
    array_free(a);
    size_t behind = (size_t)(&part->arrays[part->n] - a) - 1;
    memmove(a, a + 1, behind * sizeof *a);
    part->arrays[--part->n] = (ps_explain_array){{0}};
}

/* Numbers of the axes from `from` on; UINT64_MAX: more than any part has. */
static uint64_t count_from(const uint64_t *shape, int from, int rank)
{
    uint64_t n = 1;
    for (int i = from; i < rank; i++)
        if (__builtin_mul_overflow(n, shape[i], &n))
            return UINT64_MAX;
    return n;
}

uint64_t ps_explain_array_count(const ps_explain_array *a)
{
    return count_from(a->shape, 0, a->rank);
}

uint64_t ps_explain_row_count(const ps_explain_array *a)
{
    return count_from(a->shape, 1, a->rank);
}

static ps_status too_large(const char *name)
{
    return ps_fail(PS_OUT_OF_RANGE,
                   "%s: more than %" PRIu64 " bytes of a method; explain fewer rows", name,
                   (uint64_t)PS_EXPLAIN_PART_MAX);
}

uint64_t ps_explain_part_bytes(const ps_explain_part *part)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < part->n; i++)
        bytes += ps_explain_array_count(&part->arrays[i]) * (part->arrays[i].doubles ? 8 : 4);
    return bytes;
}

/* Room for n numbers more. */
static bool fits(const ps_explain_part *part, uint64_t n, size_t one)
{
    return n <= PS_EXPLAIN_PART_MAX / one &&
           ps_explain_part_bytes(part) + n * one <= PS_EXPLAIN_PART_MAX;
}

static ps_status add_array(ps_explain_part *part, const ps_explain_array *like,
                           ps_explain_array **out)
{
    if (part->n == PS_EXPLAIN_ARRAYS_MAX)
        return ps_fail(PS_OUT_OF_RANGE, "%s: more than %d arrays of a method", like->name,
                       PS_EXPLAIN_ARRAYS_MAX);
    *out = &part->arrays[part->n++];
    **out = *like;
    return PS_OK;
}

static ps_explain_array describe(ps_explain_array_kind kind, const char *name, const char *axes,
                                 int rank, const uint64_t *shape)
{
    ps_explain_array a = {.kind = kind, .rank = rank};
    PS_REQUIRE(*name && strlen(name) < sizeof a.name && strlen(axes) < sizeof a.axes);
    PS_REQUIRE(rank >= 0 && rank <= PS_EXPLAIN_RANK_MAX);
    PS_REQUIRE(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name));
    (void)snprintf(a.name, sizeof a.name, "%s", name);
    (void)snprintf(a.axes, sizeof a.axes, "%s", axes);
    if (rank)
        memcpy(a.shape, shape, (size_t)rank * sizeof *shape);
    return a;
}

/* ---- rows ---- */

/* Copies one row's numbers into a larger row, which is NaN elsewhere. */
static void put_row(const float *from, const uint64_t *shape, const uint64_t *wide, int rank,
                    float *to)
{
    if (rank == 0) {
        *to = *from;
        return;
    }
    uint64_t step = count_from(shape, 1, rank), wide_step = count_from(wide, 1, rank);
    for (uint64_t i = 0; i < shape[0]; i++)
        put_row(from + i * step, shape + 1, wide + 1, rank - 1, to + i * wide_step);
}

static void put_all(const float *from, uint64_t rows, const uint64_t *shape, const uint64_t *wide,
                    int rank, float *to)
{
    uint64_t n = count_from(shape, 0, rank), n_wide = count_from(wide, 0, rank);
    if (n == n_wide && n && rows) {
        memcpy(to, from, rows * n * sizeof *to);
        return;
    }
    for (uint64_t i = 0; i < rows * n_wide; i++)
        to[i] = NAN;
    for (uint64_t i = 0; n && i < rows; i++)
        put_row(from + i * n, shape, wide, rank, to + i * n_wide);
}

/* As wide as both need. One without numbers needs nothing: shapes come from files, where width is
 * free as long as nothing is in it. */
static void widen(const ps_explain_array *a, uint64_t rows, int rank, const uint64_t *shape,
                  uint64_t *wide)
{
    bool have = ps_explain_array_count(a) > 0, more = rows && count_from(shape, 0, rank) > 0;
    const uint64_t *before = a->shape + 1,
                   *alone = more || (!have && !a->shape[0]) ? shape : before;
    for (int i = 0; i < rank; i++)
        wide[i] = !have || !more ? alone[i] : before[i] > shape[i] ? before[i] : shape[i];
}

/* Rows behind those of the array. */
static ps_status append(ps_explain_part *part, ps_explain_array *a, uint64_t rows, int rank,
                        const uint64_t *shape, const float *values)
{
    uint64_t wide[PS_EXPLAIN_RANK_MAX] = {0}, all, total;
    widen(a, rows, rank, shape, wide);
    uint64_t row = count_from(wide, 0, rank);
    if (__builtin_add_overflow(a->shape[0], rows, &all) ||
        __builtin_mul_overflow(row, all, &total) || !fits(part, total, sizeof(float)))
        return too_large(a->name);
    float *grown = ps_try_alloc_raw((total ? total : 1) * sizeof *grown);
    if (!grown)
        return ps_fail(PS_NO_MEMORY, "%s: %" PRIu64 " numbers", a->name, total);
    put_all(a->floats, a->shape[0], a->shape + 1, wide, rank, grown);
    put_all(values, rows, shape, wide, rank, grown + a->shape[0] * row);
    ps_free(&a->floats);
    a->floats = grown;
    a->shape[0] = all;
    memcpy(a->shape + 1, wide, (size_t)rank * sizeof *wide);
    return PS_OK;
}

ps_status ps_explain_put_rows(ps_explain_part *part, const char *name, const char *axes,
                              uint64_t rows, int rank, const uint64_t *shape, const float *values)
{
    ps_explain_array *a = ps_explain_find(part, name);
    PS_REQUIRE(rank >= 0 && rank < PS_EXPLAIN_RANK_MAX);
    PS_REQUIRE(!a || (a->kind == PS_EXPLAIN_OF_ROWS && a->rank == rank + 1));
    if (!a) {
        char all[PS_EXPLAIN_AXES];
        uint64_t none[PS_EXPLAIN_RANK_MAX] = {0};
        if (rank)
            memcpy(none + 1, shape, (size_t)rank * sizeof *shape);
        (void)snprintf(all, sizeof all, "row%s%s", *axes ? " " : "", axes);
        const ps_explain_array like = describe(PS_EXPLAIN_OF_ROWS, name, all, rank + 1, none);
        ps_status st = add_array(part, &like, &a);
        if (st)
            return st;
    }
    return append(part, a, rows, rank, shape, values);
}

ps_status ps_explain_put_values(ps_explain_part *part, const char *name, const char *axis,
                                uint64_t rows, uint64_t n, const float *values)
{
    return ps_explain_put_rows(part, name, axis, rows, 1, &n, values);
}

/* ---- sums and results ---- */

ps_status ps_explain_put_sums(ps_explain_part *part, const char *name, const char *axes, int rank,
                              const uint64_t *shape, const double *values)
{
    ps_explain_array *a = ps_explain_find(part, name);
    uint64_t n = count_from(shape, 0, rank);
    PS_REQUIRE(!a || (a->kind == PS_EXPLAIN_SUMS && ps_explain_array_count(a) == n));
    if (!a) {
        const ps_explain_array like = describe(PS_EXPLAIN_SUMS, name, axes, rank, shape);
        if (!fits(part, n, sizeof(double)))
            return too_large(name);
        double *zeros = ps_try_alloc((n ? n : 1) * sizeof *zeros);
        if (!zeros)
            return ps_fail(PS_NO_MEMORY, "%s: %" PRIu64 " sums", name, n);
        ps_status st = add_array(part, &like, &a);
        if (st) {
            ps_free(&zeros);
            return st;
        }
        a->doubles = zeros;
    }
    for (uint64_t i = 0; i < n; i++)
        a->doubles[i] += values[i];
    return PS_OK;
}

ps_status ps_explain_put_result(ps_explain_part *part, const char *name, const char *axes, int rank,
                                const uint64_t *shape, const float *values)
{
    uint64_t n = count_from(shape, 0, rank);
    ps_explain_array *a = NULL;
    const ps_explain_array like = describe(PS_EXPLAIN_RESULT, name, axes, rank, shape);
    ps_explain_drop(part, name);
    if (!fits(part, n, sizeof(float)))
        return too_large(name);
    float *floats = ps_try_alloc_raw((n ? n : 1) * sizeof *floats);
    if (!floats)
        return ps_fail(PS_NO_MEMORY, "%s: %" PRIu64 " numbers", name, n);
    ps_status st = add_array(part, &like, &a);
    if (st) {
        ps_free(&floats);
        return st;
    }
    memcpy(floats, values, n * sizeof *floats);
    a->floats = floats;
    return PS_OK;
}

void ps_explain_warn(ps_explain_part *part, const char *format, ...)
{
    char line[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    for (size_t i = 0; i < part->n_warnings; i++)
        if (!strcmp(part->warnings[i], line))
            return;
    if (part->n_warnings == PS_EXPLAIN_WARNINGS)
        return;
    if (!part->warnings)
        part->warnings = ps_alloc_array(PS_EXPLAIN_WARNINGS, sizeof *part->warnings);
    part->warnings[part->n_warnings++] = ps_strdup(line);
}

/* ---- merging ---- */

static bool same_shape(const ps_explain_array *a, const ps_explain_array *b)
{
    return a->rank == b->rank && !memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape);
}

static ps_status merge_array(ps_explain_part *into, ps_explain_array *more)
{
    ps_explain_array *a = ps_explain_find(into, more->name);
    if (!a) { /* the array itself moves */
        if (!fits(into, ps_explain_array_count(more), more->doubles ? 8 : 4))
            return too_large(more->name);
        ps_status st = add_array(into, more, &a);
        if (!st)
            more->floats = NULL, more->doubles = NULL;
        return st;
    }
    if (a->kind != more->kind || a->rank != more->rank || strcmp(a->axes, more->axes) != 0 ||
        (a->kind != PS_EXPLAIN_OF_ROWS && !same_shape(a, more)))
        return ps_fail(PS_CORRUPT, "%s: parts of a job differ in what it is", more->name);
    if (a->kind == PS_EXPLAIN_OF_ROWS)
        return append(into, a, more->shape[0], more->rank - 1, more->shape + 1, more->floats);
    uint64_t n = ps_explain_array_count(a);
    for (uint64_t i = 0; a->kind == PS_EXPLAIN_SUMS && i < n; i++)
        a->doubles[i] += more->doubles[i];
    return PS_OK;
}

ps_status ps_explain_merge(ps_explain_part *into, ps_explain_part *more)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < more->n; i++)
        st = merge_array(into, &more->arrays[i]);
    for (size_t i = 0; i < more->n_warnings; i++)
        ps_explain_warn(into, "%s", more->warnings[i]);
    into->evaluations += more->evaluations;
    into->seconds += more->seconds;
    if (more->tolerance > 0)
        into->tolerance = more->tolerance;
    ps_explain_part_free(more);
    return st;
}
