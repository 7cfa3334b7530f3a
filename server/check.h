/* check: what psd --check tries: all that a start would come to, changing nothing. */
#ifndef PS_SERVER_CHECK_H
#define PS_SERVER_CHECK_H

#include "server/options.h"

/* Prints what it finds; the exit status. */
int ps_server_check(const ps_server_options *options);

#endif
