/* training: what the record of a training (docs/record.md) comes to: how the loss of the probe rows
 * went, through which tensors, workers and shards it changed, which pushes were in the segments in
 * which it rose, how stale they were, and the noise of the gradients. Files are others' and may be
 * any bytes. Pure. One thread (not asserted: psctl has no other). */
#ifndef PS_REPORT_TRAINING_H
#define PS_REPORT_TRAINING_H

#include "common/record/loss_file.h"

/* What the training left, each empty where it did not. */
typedef struct ps_training_files {
    uint64_t job;
    ps_slice losses, influence, noise;
} ps_training_files;

/* A record of influence.bin. */
typedef struct ps_training_push {
    size_t number;   /* from 1, as psctl influence counts */
    size_t segment;  /* that it was in; SIZE_MAX: in none that was measured */
    uint32_t worker; /* of ps_training.workers */
    uint32_t epoch;
    uint64_t version, lease, row_begin, row_end, staleness;
    double change; /* of the loss, its share; 0 where that is not known */
    double rows;
} ps_training_push;

typedef struct ps_training_worker {
    char *name;
    uint64_t pushes, staleness_most;
    double rows, staleness; /* the sum of all pushes' */
    double change;
} ps_training_worker;

enum { PS_STACK_PARTS = 8, PS_STALENESS_COUNTED = 16 };

/* Something that the loss changed through, and by how much in each segment. */
typedef struct ps_stack_part {
    char *name;
    double change;
    double *by_segment;
} ps_stack_part;

/* The largest by the size of their change, and all else as the last one. */
typedef struct ps_stack {
    ps_stack_part parts[PS_STACK_PARTS];
    size_t n;   /* 0: not known */
    size_t all; /* of so many */
} ps_stack;

typedef struct ps_training {
    uint64_t job;
    ps_loss_file losses; /* n_segments 0: there are none */
    ps_stack tensors, workers_stack, shards;
    bool shared;      /* changes of pushes are known */
    double corrected; /* as of ps_loss_file_shares */
    ps_training_push *pushes;
    size_t n_pushes;
    ps_training_worker *workers;
    size_t n_workers;
    uint64_t staleness[PS_STALENESS_COUNTED + 1]; /* pushes; the last: that and more */
    double rows_per_update;                       /* NAN: not known */
    bool has_noise;
    uint64_t estimates;
    double trace, gradient_square, noise_scale; /* NAN where the file has null */
} ps_training;

/* PS_CORRUPT: a file is none of its kind; which one is in the message. */
PS_MUST_CHECK ps_status ps_training_read(const ps_training_files *files, ps_training **out);
void ps_training_free(ps_training **training); /* NULL is nothing */

/* "worker w1, epoch 2, rows 0-511": of a shard's first push and all that follow. */
char *ps_training_shard_name(const ps_training *training, const ps_training_push *push,
                             uint64_t row_begin, uint64_t row_end);

/* ---- for training.c alone ---- */
void ps_training_stack(ps_training *training);

#endif
