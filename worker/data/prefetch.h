/* prefetch: a thread that assembles batches ahead of the one that computes.
 *
 * The batches of positions [begin, end) of a shuffle, batch_size rows each, the last one shorter.
 * Memory is bounded: as many slots as the budget holds (at most PS_PREFETCH_SLOTS), and a slot is
 * used again when it is given back. One consumer thread.
 */
#ifndef PS_WORKER_DATA_PREFETCH_H
#define PS_WORKER_DATA_PREFETCH_H

#include "worker/data/reader.h"
#include "worker/data/shuffle.h"

enum { PS_PREFETCH_SLOTS = 8 };

typedef struct ps_batch {
    size_t rows;
    const float *features;  /* [rows, features]; NULL: tokens */
    const int32_t *tokens;  /* [rows, length]; NULL: features */
    const int32_t *next;    /* [rows, length]; NULL unless labels are NEXT */
    const int32_t *starts;  /* [rows, length]; NULL unless documents are apart */
    size_t length;          /* tokens a row */
    const int32_t *classes; /* [rows]; NULL unless labels are CLASSES */
    const float *targets;   /* [rows, targets]; NULL unless labels are REALS */
    uint64_t first;         /* position of its first row */
} ps_batch;

typedef struct ps_prefetch ps_prefetch;

typedef struct ps_prefetch_options {
    const ps_dataset *dataset; /* must stay open */
    const ps_shuffle *shuffle; /* copied; NULL: rows in the files' order */
    uint64_t begin, end;       /* positions */
    size_t batch_size;
    uint64_t max_bytes; /* PS_RESOURCE_EXHAUSTED when not even one batch fits */
} ps_prefetch_options;

PS_MUST_CHECK ps_status ps_prefetch_start(const ps_prefetch_options *options, ps_prefetch **out);
/* Waits for the next batch. PS_END after the last one. The batch stays valid until it is given
 * back. PS_FAILED_PRECONDITION when all that the budget allows are held: hold one at a time. */
PS_MUST_CHECK ps_status ps_prefetch_next(ps_prefetch *prefetch, const ps_batch **out);
void ps_prefetch_give_back(ps_prefetch *prefetch, const ps_batch *batch);
/* Stops the thread, waits for it, and frees everything, batches not given back too. */
void ps_prefetch_free(ps_prefetch **prefetch);

#endif
