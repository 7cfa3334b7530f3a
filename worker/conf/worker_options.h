/* worker_options: what psworker is told, by psworker.yaml and by flags (which win).
 *
 * deploy/examples/psworker.yaml documents every key with its default and range.
 */
#ifndef PS_CONF_WORKER_OPTIONS_H
#define PS_CONF_WORKER_OPTIONS_H

#include "common/conf/blocks.h"

/* "auto": cuda if it works, else cpu. "cpu". "cuda", which is "cuda:0", "cuda:1" and so on: nothing
 * else, psworker ends with an error when it does not work. */
typedef struct ps_worker_device {
    const char *backend; /* what ps_backend_open takes: "auto", "cpu", "cuda"; static */
    int number;          /* which GPU, from 0 */
} ps_worker_device;

/* Waits between attempts grow from min to max, with jitter. */
typedef struct ps_worker_reconnect {
    uint64_t min_ms, max_ms;
} ps_worker_reconnect;

typedef struct ps_worker_conf {
    char *server; /* "host:port" of psd */
    char *name;   /* by default the host's; only for people, the certificate is the identity */
    ps_conf_tls tls;
    char *device;      /* "cuda:1", as ps_worker_device */
    bool tf32;         /* GPUs: products of F32 may round */
    int64_t slots;     /* tasks at the same time: one of a job that trains, the others of jobs on
                          stored models; 1: one of either */
    int64_t threads;   /* of the CPU backend; 0: one a core */
    bool busy_poll;    /* the loop looks again before it sleeps */
    char **data_roots; /* a job may only name files below these folders */
    size_t n_data_roots;
    ps_conf_log log;
    uint64_t memory_bytes;  /* budget of batches read ahead */
    uint64_t message_bytes; /* one gRPC message, in or out */
    ps_conf_keepalive keepalive;
    ps_worker_reconnect reconnect;
    unsigned landlock; /* ps_landlock_mode */
    uint64_t shutdown_grace_ms;
} ps_worker_conf;

typedef struct ps_worker_options {
    ps_worker_conf *conf; /* NULL with help and version */
    char *config_path;    /* the file that was read; NULL with help and version */
    char *server_host;    /* conf->server taken apart */
    int64_t server_port;
    ps_worker_device device; /* conf->device taken apart */
    bool check;              /* --check: the caller tries it (check.h) and leaves */
    bool help;               /* --help: the caller prints ps_worker_usage and leaves */
    bool version;
} ps_worker_options;

extern const ps_conf_schema ps_worker_schema;
extern const char ps_worker_usage[];

/* Reads flags and the file they name (default SYSCONFDIR/psd/psworker.yaml; it must be there). Not
 * thread-safe: getopt (not asserted: a program begins with one thread). */
PS_MUST_CHECK ps_status ps_worker_options_parse(int argc, char **argv, ps_worker_options **out);
void ps_worker_options_free(ps_worker_options **options);

/* May a task read this file? It must exist and, with symbolic links resolved, lie below one of
 * conf->data_roots. PS_PERMISSION_DENIED names path and roots; PS_NOT_FOUND when it is missing. */
PS_MUST_CHECK ps_status ps_worker_data_path_check(const ps_worker_conf *conf, const char *path);

#endif
