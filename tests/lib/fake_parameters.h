/* fake_parameters: a Parameters service for tests of those who call it, over the real transport.
 *
 * Tensors are plain arrays in the model's order; every matrix is cut into two column shards of
 * unequal widths and into small blocks. A push subtracts its gradient once it is whole. What goes
 * wrong is told by faults (fault.h). All fields under lock.
 */
#ifndef PS_TEST_FAKE_PARAMETERS_H
#define PS_TEST_FAKE_PARAMETERS_H

#include "common/transport/server/rpc_server.h"
#include "tests/lib/fault.h"

#include <pthread.h>

enum {
    FAKE_TENSORS = 8,
    FAKE_ELEMENTS = 4096,
    FAKE_BLOCK = 7,
    FAKE_PUSHES = 4096,
    FAKE_WINDOW = 256
};

typedef struct fake_tensor {
    char name[64];
    int rank;
    uint64_t shape[4];
    uint64_t rows, columns, split; /* shard 0 is columns [0, split); split == columns: one shard */
    float values[FAKE_ELEMENTS];
    uint64_t version; /* of all its blocks */
    char form[16];    /* that it is trained in, of groups of 1; "": none */
    uint32_t sent_as; /* a codec's number, whatever was asked for; 0: as that */
    size_t left_out;  /* bytes of each of its chunks */
} fake_tensor;

typedef struct fake_parameters {
    pthread_mutex_t lock;
    fake_tensor tensors[FAKE_TENSORS];
    size_t count;
    uint64_t version;
    uint64_t applied[FAKE_PUSHES]; /* sequences */
    size_t applied_count;
    uint64_t newest_push; /* its sequence; one that is FAKE_WINDOW older is refused */
    /* what it saw */
    unsigned pulls, pushes, clocks;
    unsigned open, most_open; /* pushes that are under way, and at most were at a time */
    unsigned early_clocks;    /* of clocks, before the first pull */
    uint64_t lease;           /* of the last push or clock */
    uint64_t newer_than;      /* of the last pull, */
    size_t ranges;            /* and its ranges */
    uint64_t clock, pulled_version;
    uint32_t codec; /* of the last chunk of a push */
    double weight;
    /* what goes wrong, by calls */
    fault lose_acks;     /* applied, but answered UNAVAILABLE */
    fault break_pulls;   /* end UNAVAILABLE after half of the chunks */
    fault refuse_pushes; /* INVALID_ARGUMENT "NaN in tensor x" */
    /* clocks as under bsp: the one that is open, to which pushes must belong; 0: any does. It is
     * another five clocks later when a push makes it jump. */
    uint64_t open_clock;
    fault jump;
    bool silent; /* pulls and clocks are never answered */
} fake_parameters;

/* Pushes that it has applied; one of a task that has failed may still be on its way. */
size_t fake_parameters_applied(fake_parameters *p);
void fake_parameters_init(fake_parameters *fake);
void fake_parameters_add(fake_parameters *fake, const char *name, int rank, const int64_t *shape);
ps_rpc_service fake_parameters_service(fake_parameters *fake);

#endif
