/* tls_watch: reads certificates, key and CRLs again when their files change, without being asked.
 *
 *     a name in their folder changes (inotify), or every poll_ms
 *         │ 100 ms later, so that what belongs together may come
 *         ▼
 *     on the pool: look at the files; read what is another file than before ──▶ changed, on the
 * loop │ cannot be used (half a pair is written) ▼ once more after a second; then what is wrong is
 * said in the log, and it is tried at each look
 *
 * What is wrong with the certificates does not hold up a CRL, nor the other way (tls_holder.h).
 * Where the system gives no watch, and for links that lead to other folders, looking every poll_ms
 * is all there is. All on the loop's thread but the reading. */
#ifndef PS_TRANSPORT_TLS_TLS_WATCH_H
#define PS_TRANSPORT_TLS_TLS_WATCH_H

#include "common/loop/loop.h"
#include "common/transport/tls/tls_holder.h"

typedef struct ps_tls_watch ps_tls_watch;

/* The holder is borrowed, and outlives the loop. changed: its context is another one now.
 * poll_ms 0: *out is NULL, nothing is watched. */
void ps_tls_watch_start(ps_loop *loop, ps_tls_holder *holder, uint64_t poll_ms,
                        void (*changed)(void *user), void *user, ps_tls_watch **out);
/* No callback afterwards. NULL is allowed. */
void ps_tls_watch_free(ps_tls_watch **watch);

#endif
