/* program: a program that an operator has named (a hook), run to its end: it gets bytes, and what
 * it prints is taken. It is the leader of a process group of its own, which is ended when it takes
 * too long; what it says on standard error goes where ours does. SIGPIPE is ignored (process.h).
 * Blocks. Any thread. */
#ifndef PS_BASE_PROGRAM_H
#define PS_BASE_PROGRAM_H

#include "common/base/slice.h"
#include "common/base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ps_program {
    const char *const *arguments;   /* the first is its path; ended by NULL */
    const char *const *environment; /* NAME=VALUE beside ours, ended by NULL; NULL: none */
    ps_slice input;                 /* on its standard input; it need not read it */
    unsigned patience_ms;           /* what it may take, all in all */
} ps_program;

/* *n: how many bytes it has printed, of at most `room`; one that prints as many or more is ended at
 * once, with PS_OK and *n == room, so that `room` is one more than may come. Otherwise PS_NOT_FOUND
 * and the like: it cannot be started; PS_DEADLINE_EXCEEDED: it took too long;
 * PS_FAILED_PRECONDITION: it failed. `out` may hold bytes then, too. */
PS_MUST_CHECK ps_status ps_program_run(const ps_program *program, void *out, size_t room,
                                       size_t *n);

#endif
