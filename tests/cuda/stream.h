/* stream: queues that run only when something waits for them, so that what was not waited for has
 * not happened. The toolkit's opaque structs are defined here. */
#ifndef PS_TEST_CUDA_STREAM_H
#define PS_TEST_CUDA_STREAM_H

#include "tests/cuda/device.h"

#include <deque>
#include <functional>
#include <memory>
#include <stdint.h>
#include <vector>

/* A place in a stream: reached when operation `number` is done. */
typedef struct ps_place {
    CUstream_st *stream;
    uint64_t number;
} ps_place;

typedef struct ps_operation {
    uint64_t number;
    std::function<void()> run;
    std::vector<ps_place> after; /* done first */
} ps_operation;

struct CUstream_st {
    bool live;
    bool blocking; /* takes turns with the legacy default stream */
    unsigned flags;
    int priority;
    uint64_t enqueued, done; /* operations, counted from 1 */
    std::deque<ps_operation> waiting;
};

/* NULL: not a stream, or destroyed. 0 is the legacy default stream. */
CUstream_st *ps_stream_find(cudaStream_t stream);
CUstream_st *ps_stream_make(bool blocking);
void ps_stream_enqueue(CUstream_st *s, std::function<void()> run);
/* What s does next comes after the place. */
void ps_stream_after(CUstream_st *s, ps_place place);
/* Runs all up to number. */
void ps_stream_finish(CUstream_st *s, uint64_t number);
void ps_stream_finish_all(void);
/* Runs the next operation only; false when there is none. */
bool ps_stream_step(CUstream_st *s);
bool ps_place_reached(ps_place place);
void ps_stream_forget(void);

#endif
