/* activations: rows that a model makes of rows of files (data.format activations): float32, a row
 * for each of theirs, or for each of their tokens, with the same label. They are made when the data
 * set is opened, batches of the files' rows in their order, so that a row is the same whoever asks
 * for it, and stay in memory; rows that a survey has made are not made again. Who opens brings what
 * makes them: this folder knows no models. */
#ifndef PS_WORKER_DATA_ACTIVATIONS_H
#define PS_WORKER_DATA_ACTIVATIONS_H

#include "worker/data/reader.h"

/* What a survey has made, for whoever opens the same files next: it becomes theirs. */
typedef struct ps_activations_kept {
    const ps_spec_files *files; /* of these; borrowed, not looked into */
    float *values;              /* [rows, columns]; NULL: none */
    size_t rows, columns;
} ps_activations_kept;

void ps_activations_kept_free(ps_activations_kept *kept); /* of none, nothing */

typedef struct ps_dataset_source {
    ps_dataset_options rows; /* of the files, as what makes activations takes them; labels are those
                                of the data set, or NEXT */
    size_t columns;          /* of a row that is made */
    size_t batch;            /* rows of the files that are given at once */
    uint64_t most;           /* of these only the first so many; 0: all */
    /* What rows [first, first + n) of `from` become, into out[n, tokens or 1, columns]. */
    ps_status (*make)(void *user, const ps_dataset *from, uint64_t first, size_t n, float *out);
    void *user;
    ps_activations_kept *kept; /* NULL: a survey keeps nothing */
} ps_dataset_source;

/* PS_RESOURCE_EXHAUSTED, before anything is made: they take more than max_bytes, or than there is.
 */
extern const ps_reader ps_reader_activations;

#endif
