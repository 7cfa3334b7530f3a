/* options: what psd is told, by psd.yaml and by flags (which win).
 *
 * deploy/examples/psd.yaml documents every key with its default and range.
 */
#ifndef PS_SERVER_OPTIONS_H
#define PS_SERVER_OPTIONS_H

#include "common/conf/blocks.h"
#include "server/quota/quota.h"
#include "server/runs/removal.h"

typedef struct ps_server_metrics {
    bool enabled;
    ps_conf_listen at;
} ps_server_metrics;

typedef struct ps_server_limits {
    uint64_t message_bytes;    /* one gRPC message, in or out */
    uint64_t memory_bytes;     /* budget of everything peers make psd hold; 0: half the machine's */
    uint64_t connection_bytes; /* of that, buffered for one connection */
    uint64_t call_bytes;       /* of that, buffered for one call */
    uint64_t push_bytes;       /* one Push call, all chunks together */
    int64_t streams;           /* concurrent calls on a connection */
    int64_t connections;
} ps_server_limits;

typedef struct ps_server_jobs {
    int64_t max_running;
    int64_t max_unfinished;    /* jobs that have not ended; more are refused */
    uint64_t lease_timeout_ms; /* a worker silent for so long loses its leases */
    uint64_t heartbeat_ms;     /* what workers are asked to keep */
} ps_server_jobs;

typedef struct ps_server_checkpoint {
    uint64_t interval_ms; /* for jobs that do not say */
    int64_t keep;         /* checkpoints kept of each job */
} ps_server_checkpoint;

typedef struct ps_server_audit {
    uint64_t size;       /* bytes after which a new file begins; 0: never */
    int64_t keep;        /* full files that are kept; 0: all */
    uint64_t anchor_ms;  /* between signed lines; 0: at start, stop and full files alone */
    char *forward;       /* where lines go, too: audit_forward.h; "": nowhere */
    unsigned on_failure; /* 0: refuse what must not be done unrecorded, 1: continue */
} ps_server_audit;

typedef struct ps_server_sealing {
    char *kek;       /* where the current key is (key_source.h); "": nothing is sealed */
    char **previous; /* keys that are still read with */
    size_t n_previous;
    char **export_recipients; /* of age, for whom every export is encrypted, too */
    size_t n_export_recipients;
    bool require; /* files that are not sealed are refused */
} ps_server_sealing;

typedef struct ps_server_identity {
    bool renew;       /* psd gives new certificates (Identity.Renew) */
    uint64_t leaf_ms; /* that live so long */
    char *signer;     /* who signs them (guard/issuer.h); "": nobody */
} ps_server_identity;

typedef struct ps_server_conf {
    ps_conf_listen listen;
    ps_server_metrics metrics;
    char *data_dir;
    ps_conf_tls tls;
    ps_conf_log log;
    char *audit_log; /* "": audit.log in data_dir */
    ps_server_audit audit;
    int64_t loops;   /* 0: one a core */
    int64_t threads; /* of the pool for what may wait; 0: ps_server_threads decides */
    bool busy_poll;  /* connections' loops look again before they sleep */
    ps_server_limits limits;
    ps_quota_conf quotas;
    ps_server_jobs jobs;
    ps_server_checkpoint checkpoint;
    ps_retention retention;
    ps_server_sealing sealing;
    ps_server_identity identity;
    unsigned landlock; /* ps_landlock_mode */
    uint64_t shutdown_grace_ms;
    ps_conf_keepalive keepalive;
} ps_server_conf;

typedef struct ps_server_options {
    ps_server_conf *conf; /* NULL with help and version */
    char *config_path;    /* the file that was read; NULL with help and version */
    /* where these come from, for messages: "--listen", "/etc/psd/psd.yaml:3: listen" */
    char *listen_origin, *metrics_origin;
    char *port_file; /* --port-file: "listen PORT\nmetrics PORT\n" goes there; NULL: not */
    bool check;      /* --check: the caller tries it (check.h) and leaves */
    bool help;       /* --help: the caller prints ps_server_usage and leaves */
    bool version;
    /* private: the flags, kept so that a reload applies them again */
    int argc;
    char **argv;
} ps_server_options;

extern const ps_conf_schema ps_server_schema;
extern const char ps_server_usage[];

/* How many threads the pool gets: what is said, or else by the number of cores. */
unsigned ps_server_threads(const ps_server_conf *conf, unsigned cores);

/* Reads flags and the file they name (default SYSCONFDIR/psd/psd.yaml; it must be there). argv must
 * outlive the options. Not thread-safe: getopt (not asserted: a program begins with one thread). */
PS_MUST_CHECK ps_status ps_server_options_parse(int argc, char **argv, ps_server_options **out);
/* The file and the flags once more, into a new struct that the caller frees; options unchanged. */
PS_MUST_CHECK ps_status ps_server_options_reread(const ps_server_options *options,
                                                 ps_server_conf **out);
void ps_server_options_free(ps_server_options **options);
void ps_server_conf_free(ps_server_conf **conf);
/* Writes the port file so that a reader never sees half of it. */
PS_MUST_CHECK ps_status ps_server_port_file_write(const char *path, int listen_port,
                                                  int metrics_port);

#endif
