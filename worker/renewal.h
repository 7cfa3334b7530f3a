/* renewal: this worker's certificate, made anew at half its life by psd (Identity.Renew), over the
 * connection that it has; and tried again until it ends. The key is made here and stays here.
 *
 *     timer ─▶ begin (pool: a key, a request) ─▶ Renew (loop) ─▶ finish (pool: two files) ─▶
 * renewed
 *
 * All on the loop but what the pool does. */
#ifndef PS_WORKER_RENEWAL_H
#define PS_WORKER_RENEWAL_H

#include "common/conf/blocks.h"
#include "common/transport/channel/channel.h"

#include <stdint.h>

typedef struct ps_renewal ps_renewal;

typedef struct ps_renewal_options {
    ps_loop *loop;
    ps_channel *channel;         /* until the renewal is freed, as all of these */
    const ps_conf_tls *files;    /* its texts */
    void (*renewed)(void *user); /* the files are new */
    /* Before: this machine's clock is so far ahead of psd's (behind: less than 0) that the new ones
     * seem old by it, or not yet in force; 0: no longer. */
    void (*clock_off)(void *user, int64_t ahead_s);
    void *user;
} ps_renewal_options;

void ps_renewal_create(const ps_renewal_options *options, ps_renewal **out);
/* What is in force now, seconds since 1970; at first, and after each time that files were read. */
void ps_renewal_has(ps_renewal *renewal, int64_t not_before, int64_t not_after);
/* What is under way ends by itself, and changes files at most. NULL is nothing. */
void ps_renewal_free(ps_renewal **renewal);

#endif
