/* daemon_internal: what the files of the daemon share: starting and stopping (daemon.c), what Admin
 * and SIGHUP ask (daemon_admin.c), the plain HTTP pages (daemon_pages.c, daemon_metrics.c). */
#ifndef PS_SERVER_DAEMON_INTERNAL_H
#define PS_SERVER_DAEMON_INTERNAL_H

#include "common/loop/off_loop.h"
#include "common/transport/tls/tls_expiry.h"
#include "common/transport/tls/tls_renewal.h"
#include "common/transport/tls/tls_watch.h"
#include "server/daemon.h"
#include "server/health.h"
#include "server/metrics/http.h"
#include "server/runs/room.h"
#include "server/sealing.h"
#include "server/service/services.h"

struct ps_daemon {
    const ps_server_options *options;
    ps_server_conf *conf; /* the options' own */
    const char *version;
    ps_clock clock;
    int64_t started_ms;
    uint64_t memory_budget; /* for messages, bytes */
    unsigned files;         /* that may be open */
    int data_lock;          /* data_lock.h; -1: not held */
    char cluster[PS_IDENTITY_PART_MAX + 1];
    char identity[PS_IDENTITY_TEXT_MAX]; /* its own */

    ps_loop *loop;   /* signals, timers, work off the loops; the main thread's */
    ps_loops *loops; /* connections */
    ps_tls_holder *tls;
    ps_tls_expiry expiry; /* on the main loop */
    ps_tls_watch *tls_watch;
    ps_audit *audit;
    ps_quotas *quotas;
    ps_issuer *issuer; /* NULL: certificates are not renewed */
    ps_catalog *catalog;
    ps_sealing *sealing;
    ps_room *room;
    ps_runs *runs;
    ps_sessions *sessions;
    ps_lifecycle *lifecycle;
    ps_sched *sched;
    ps_stored_host host;
    ps_services services;
    ps_rpc_server *server;
    ps_http *http;
    ps_health health;

    ps_timer *tick, *audit_tick, *health_tick, *expiry_tick, *upkeep_tick, *watchdog;
    ps_off_loop_turn sched_turn, upkeep_turn,
        audit_turn;              /* what the ticks of these names do, on the pool */
    uint64_t sched_ms;           /* when its last one began, */
    ps_repeat sched_trouble;     /* and that it has no end */
    uint64_t expire_ms, seal_ms; /* upkeep's: the next passes */
    ps_repeat expire_trouble;    /* likewise */
    ps_signal *on_term, *on_int, *on_hup;
    ps_tls_renewal own_renewal; /* upkeep's, as these: */
    int64_t own_renewed_ms;
    ps_repeat renew_trouble;
    atomic_bool own_renewed; /* the files are new */
    atomic_bool ready;       /* /readyz */
    atomic_bool draining;    /* by Admin.Drain, or stopping */
    atomic_bool keys_asked;  /* SIGHUP: upkeep reads the section sealing again */
};

/* As in ps_services_daemon; the user is the daemon. */
PS_MUST_CHECK ps_status ps_daemon_reload(void *daemon, Psd__V1__ReloadResponse *out);
void ps_daemon_use_tls(ps_daemon *daemon); /* the context in force is another one */
void ps_daemon_status(void *daemon, Psd__V1__StatusResponse *out);
PS_MUST_CHECK ps_status ps_daemon_drain(void *daemon, bool on);
/* Until psd ends: nothing is stored. */
void ps_daemon_set_draining(ps_daemon *daemon, bool on);
/* At the start: drains when that was set before. */
PS_MUST_CHECK ps_status ps_daemon_drain_as_before(ps_daemon *daemon);

/* As section identity of psd.yaml says; after tls (daemon_identity.c). */
PS_MUST_CHECK ps_status ps_daemon_open_issuer(ps_daemon *daemon);
/* psd's own certificate, when it is time; upkeep's. And what came of it into force; the main
 * loop's. */
void ps_daemon_renew_own(ps_daemon *daemon);
void ps_daemon_take_own(ps_daemon *daemon);

/* The keys that psd.yaml names now (daemon_keys.c). Off the loops. */
PS_MUST_CHECK ps_status ps_daemon_read_keys(ps_daemon *daemon);
/* As in ps_services_daemon. */
PS_MUST_CHECK ps_status ps_daemon_keys(void *daemon, bool rotate, Psd__V1__KeysResponse *out);
PS_MUST_CHECK ps_status ps_daemon_retire_key(void *daemon, const char *id);
char **ps_daemon_export_recipients(void *daemon, size_t *n); /* the caller's, and each */

/* Bytes held by all running jobs' parameters. */
uint64_t ps_daemon_parameter_bytes(ps_daemon *daemon);

bool ps_daemon_is_ready(const ps_daemon *daemon); /* what /readyz says; any thread */
/* From time to time, on the main loop: what psd does by itself, off the loops (daemon_upkeep.c). */
void ps_daemon_tick_cb(void *daemon); /* the scheduler's */
void ps_daemon_upkeep_cb(void *daemon);

extern const ps_http_page ps_daemon_pages[];
unsigned ps_daemon_metrics_page(void *daemon, ps_buf *out); /* daemon_metrics.c */

#endif
