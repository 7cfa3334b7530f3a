/* pipe: a bottom layer without a network: two ends in one process, with faults on order, for tests
 * of the layers above. Both ends on one loop.
 */
#ifndef PS_LIB_PIPE_H
#define PS_LIB_PIPE_H

#include "common/loop/loop.h"
#include "common/transport/tcp/layer.h"

typedef struct ps_pipe_faults {
    size_t recv_max;  /* bytes of one recv at most; 0: no limit */
    size_t send_max;  /* bytes of one send at most; 0: no limit */
    size_t capacity;  /* bytes under way one way before a send would block; 0: 64 KiB */
    size_t cut_after; /* this end breaks (PS_UNAVAILABLE) once it has sent so many; 0: never */
} ps_pipe_faults;

/* Faults of each end; NULL: none. Both ends are closed by their owners. */
void ps_pipe_create(ps_loop *loop, const ps_pipe_faults *a_faults, const ps_pipe_faults *b_faults,
                    ps_layer **a, ps_layer **b);

#endif
