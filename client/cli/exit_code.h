/* exit_code: what psctl's exit status says; the table of psctl(1). Pure. */
#ifndef PS_CLI_EXIT_CODE_H
#define PS_CLI_EXIT_CODE_H

#include "common/base/status.h"

typedef enum ps_exit {
    PS_EXIT_OK = 0,
    PS_EXIT_FAILED = 1,       /* the job or the operation failed */
    PS_EXIT_USAGE = 2,        /* psctl was called in a way it does not know */
    PS_EXIT_UNREACHABLE = 3,  /* no server there, or no answer in time */
    PS_EXIT_REFUSED = 4,      /* a certificate or the right to do this is missing */
    PS_EXIT_NOT_FOUND = 5,    /* no such job, model or file */
    PS_EXIT_INVALID = 6,      /* what was given to work on is wrong: job file, model file, name */
    PS_EXIT_CONFLICT = 7,     /* is there already, or not in a state for this */
    PS_EXIT_INTERRUPTED = 130 /* Ctrl-C; a job that was followed goes on */
} ps_exit;

ps_exit ps_exit_of(ps_status status);

#endif
