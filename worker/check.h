/* check: what psworker --check tries: all that a start would come to but for psd, which may not be
 * there yet; it changes nothing. */
#ifndef PS_WORKER_CHECK_H
#define PS_WORKER_CHECK_H

#include "worker/conf/worker_options.h"

/* Prints what it finds; the exit status. */
int ps_worker_check(const ps_worker_options *options);

#endif
