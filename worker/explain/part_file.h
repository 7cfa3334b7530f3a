/* part_file: what a task leaves for the merge, as one safetensors file: the arrays of each method,
 * "3/values", and in the header what they are; the rows that the task had, and what their answers
 * were. Reading takes any bytes: they come from other workers, by way of psd. One thread (not
 * asserted: plain data). */
#ifndef PS_EXPLAIN_PART_FILE_H
#define PS_EXPLAIN_PART_FILE_H

#include "common/format/safetensors.h"
#include "worker/explain/part.h"
#include "worker/explain/sources.h"

/* A row as the manifest lists it. */
typedef struct ps_explain_row_info {
    uint64_t row;       /* of data.test, or the prompt's number */
    int64_t label;      /* class or token; -1: there is none */
    int64_t prediction; /* the largest output; of numbers: of a model with one, 0 */
    int64_t target;     /* what is explained of it */
    double confidence;  /* the probability of the prediction; of numbers: the output itself */
    double score;       /* f */
} ps_explain_row_info;

enum { PS_EXPLAIN_PART_METHODS = 160, PS_EXPLAIN_LEFT_OUT = 64 };

/* Of a task; of all of them, when they are merged. */
typedef struct ps_explain_parts {
    size_t n_methods;
    ps_explain_part *methods; /* [n_methods]: by the method's number in the job; empty: not run */
    ps_explain_part rows; /* what is in the rows, where the job shows it: `features`, `tokens` */
    ps_explain_sources sources;
    ps_explain_row_info *info;
    size_t n_info, capacity;
    uint64_t left_out[PS_EXPLAIN_LEFT_OUT]; /* the first rows that were left out; */
    uint64_t n_left_out;                    /* of so many */
} ps_explain_parts;

void ps_explain_parts_init(ps_explain_parts *parts, size_t n_methods);
void ps_explain_parts_free(ps_explain_parts *parts);
PS_MUST_CHECK ps_status ps_explain_parts_add_row(
    ps_explain_parts *parts, const ps_explain_row_info *info); /* PS_NO_MEMORY */
void ps_explain_parts_leave_out(ps_explain_parts *parts, uint64_t row);
/* All of `more` behind it; more is empty then. */
PS_MUST_CHECK ps_status ps_explain_parts_merge(ps_explain_parts *into, ps_explain_parts *more);

/* Bytes of all arrays of a file at most: it is read whole. */
#define PS_EXPLAIN_FILE_MAX (UINT64_C(1) << 30)
/* Can it be read again when it is written? PS_OUT_OF_RANGE: no; *method has the most of it, of
 * n_methods: the rows have. */
PS_MUST_CHECK ps_status ps_explain_parts_fit(const ps_explain_parts *parts, size_t *method);
PS_MUST_CHECK ps_status ps_explain_parts_write(const ps_explain_parts *parts,
                                               ps_safetensors_sink sink);
/* Into parts of n_methods and at most so many rows. PS_CORRUPT: it is no such file, has a method
 * that the job does not, or rows that its task had not, in an array or left out. PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_explain_parts_read(ps_slice bytes, size_t n_methods, uint64_t rows,
                                              ps_explain_parts *out);

#endif
