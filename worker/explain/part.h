/* part: named arrays that a method leaves: numbers of rows, sums over rows, results. Each task's
 * are written to a file (worker/tasks), and all of a job's merged in the order of its items. Plain
 * memory; bounded by PS_EXPLAIN_PART_MAX, as sizes come from files and models. One thread (not
 * asserted: plain data).
 *
 * Names that mean something everywhere: `values` is what a report shows of a method by default, a
 * number a feature or token; `residual` by how much the method's axiom does not hold for the row,
 * relative (its tolerance beside it); `standard_error` is of values, of what was drawn; `steps` how
 * many there were.
 */
#ifndef PS_EXPLAIN_PART_H
#define PS_EXPLAIN_PART_H

#include "common/base/buf.h"
#include "common/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PS_EXPLAIN_RANK_MAX = 6, /* the rows' axis included */
    PS_EXPLAIN_NAME = 32,    /* bytes of an array's name and its zero: [a-z0-9_] */
    PS_EXPLAIN_AXES = 96,
    PS_EXPLAIN_ARRAYS_MAX = 64, /* of a method */
};
#define PS_EXPLAIN_PART_MAX (UINT64_C(4) << 30) /* bytes of all arrays of a method */

typedef enum ps_explain_array_kind {
    PS_EXPLAIN_OF_ROWS, /* float32, shape[0] rows; parts of it are put one behind the other */
    PS_EXPLAIN_SUMS,    /* float64; parts of it are added */
    PS_EXPLAIN_RESULT,  /* float32; made by finish, or the same in every part */
} ps_explain_array_kind;

typedef struct ps_explain_array {
    char name[PS_EXPLAIN_NAME];
    char axes[PS_EXPLAIN_AXES]; /* "row feature", "layer head": one word each */
    ps_explain_array_kind kind;
    int rank;
    uint64_t shape[PS_EXPLAIN_RANK_MAX];
    float *floats;   /* OF_ROWS, RESULT */
    double *doubles; /* SUMS */
} ps_explain_array;

typedef struct ps_explain_part {
    ps_explain_array arrays[PS_EXPLAIN_ARRAYS_MAX];
    size_t n;
    double tolerance;     /* that `residual` was to be within; 0: there is none */
    uint64_t evaluations; /* set by who runs the method, as is */
    double seconds;
    char **warnings; /* lines for the manifest, at most PS_EXPLAIN_WARNINGS, each once */
    size_t n_warnings;
} ps_explain_part;

enum { PS_EXPLAIN_WARNINGS = 16 };

#define PS_EXPLAIN_PART_EMPTY ((ps_explain_part){0})

void ps_explain_part_free(ps_explain_part *part);
/* NULL: there is none. */
ps_explain_array *ps_explain_find(ps_explain_part *part, const char *name);
const ps_explain_array *ps_explain_get(const ps_explain_part *part, const char *name);
void ps_explain_drop(ps_explain_part *part, const char *name);
uint64_t ps_explain_array_count(const ps_explain_array *array);
uint64_t ps_explain_part_bytes(const ps_explain_part *part);  /* of all arrays */
uint64_t ps_explain_row_count(const ps_explain_array *array); /* numbers of a row; OF_ROWS */

/* Rows behind those of that name, copied: values is [rows, shape...], `axes` names all but the
 * rows' axis ("feature", "" for one number a row). Where a row is larger in some axis than those
 * before (prompts have many lengths) the smaller ones are filled up with NaN. */
PS_MUST_CHECK ps_status ps_explain_put_rows(ps_explain_part *part, const char *name,
                                            const char *axes, uint64_t rows, int rank,
                                            const uint64_t *shape, const float *values);
/* The usual ones: [rows, n]. */
PS_MUST_CHECK ps_status ps_explain_put_values(ps_explain_part *part, const char *name,
                                              const char *axis, uint64_t rows, uint64_t n,
                                              const float *values);
/* Added to those of that name, which must have the same shape. */
PS_MUST_CHECK ps_status ps_explain_put_sums(ps_explain_part *part, const char *name,
                                            const char *axes, int rank, const uint64_t *shape,
                                            const double *values);
/* In place of one of that name. */
PS_MUST_CHECK ps_status ps_explain_put_result(ps_explain_part *part, const char *name,
                                              const char *axes, int rank, const uint64_t *shape,
                                              const float *values);
/* A line that people are to read; once, whatever number of rows say it. */
void ps_explain_warn(ps_explain_part *part, const char *format, ...) PS_PRINTF(2, 3);

/* All of `more` behind what is there, and `more` is empty then. PS_CORRUPT: an array is of another
 * kind or, but for rows, of another shape there. */
PS_MUST_CHECK ps_status ps_explain_merge(ps_explain_part *into, ps_explain_part *more);

#endif
