/* services: what the six services share, and their tables. A service file decodes, calls, and
 * replies; nothing else is decided here. */
#ifndef PS_SERVICE_SERVICES_H
#define PS_SERVICE_SERVICES_H

#include "common/transport/server/rpc_server.h"
#include "psd/v1/admin.pb-c.h"
#include "server/catalog/artifacts.h"
#include "server/guard/audit.h"
#include "server/guard/issuer.h"
#include "server/quota/quotas.h"
#include "server/runs/lifecycle.h"
#include "server/service/sessions.h"

#include <stdatomic.h>

typedef struct ps_services ps_services;

/* What Admin and Models ask of the daemon. Off the loop; any thread. */
typedef struct ps_services_daemon {
    PS_MUST_CHECK ps_status (*reload)(void *user, Psd__V1__ReloadResponse *out);
    /* Texts are borrowed, but sealing_key and audit_head, which are the caller's. */
    void (*status)(void *user, Psd__V1__StatusResponse *out);
    /* With PS_OK it is stored, and holds over a restart; otherwise nothing has changed. */
    PS_MUST_CHECK ps_status (*drain)(void *user, bool on);
    /* Which keys files need; rotate: after the section sealing was read again. */
    PS_MUST_CHECK ps_status (*keys)(void *user, bool rotate, Psd__V1__KeysResponse *out);
    PS_MUST_CHECK ps_status (*retire_key)(void *user, const char *id);
    /* sealing.export_recipients; the caller's, and each of the *n. */
    char **(*export_recipients)(void *user, size_t *n);
    void *user;
} ps_services_daemon;

/* All borrowed; they outlive the server. */
struct ps_services {
    ps_sched *sched;
    ps_runs *runs;
    ps_lifecycle *lifecycle;
    ps_stored_files files;
    ps_sessions *sessions;
    ps_audit *audit;
    ps_quotas *quotas;
    ps_issuer *issuer; /* NULL: psd renews no certificates */
    ps_services_daemon daemon;
    size_t push_bytes; /* what one push may make us hold */
    unsigned heartbeat_ms, lease_timeout_ms;
    const char *version;
    atomic_uint_fast64_t pushes, pulls;
};

/* Adds all services to the server. */
void ps_services_add(ps_services *services, ps_rpc_server *server);

/* May this caller touch the job's parameters or leave files with it? A worker only with a lease of
 * it (PS_PERMISSION_DENIED says so); who else may call at all is the policy's to say. */
PS_MUST_CHECK ps_status ps_services_may_touch(ps_services *services, const ps_identity *peer,
                                              uint64_t job_id);

/* The run of a job that this caller may touch; a reference. PS_PERMISSION_DENIED as above;
 * PS_NOT_FOUND: it is not running. */
PS_MUST_CHECK ps_status ps_services_find_run(ps_services *services, const ps_identity *peer,
                                             uint64_t job_id, ps_run **out);

typedef struct ps_model_wanted {
    const char *name;
    const char *version; /* "": the job's for a worker, for others the one that the name means */
    uint64_t job_id;
} ps_model_wanted;
/* May the peer look at this model? A worker only at the one that a job it holds a lease of works
 * on, and at the version that is the job's. *version is which one to give (""), freed by the
 * caller. PS_PERMISSION_DENIED. Reads the catalog: off the loop. */
PS_MUST_CHECK ps_status ps_services_may_use_model(ps_services *services, const ps_identity *peer,
                                                  const ps_model_wanted *wanted, char **version);

/* What a service has beside its bodies (unary.h): methods that answer later, or in several
 * messages. */
extern const ps_rpc_method ps_parameters_calls[];
extern const ps_rpc_method ps_jobs_calls[];
extern const ps_rpc_method ps_workers_calls[];
extern const ps_rpc_method ps_models_calls[];

/* Their handlers, where they are in files of their own. */
void ps_parameters_pull(ps_call *call, const ProtobufCMessage *request, void *services);
void ps_parameters_push(ps_call *call, void *services);
void ps_parameters_clock(ps_call *call, const ProtobufCMessage *request, void *services);
void ps_jobs_watch(ps_call *call, const ProtobufCMessage *request, void *services);
void ps_workers_attach(ps_call *call, void *services);
void ps_models_import(ps_call *call, void *services);
void ps_models_export(ps_call *call, const ProtobufCMessage *request, void *services);
void ps_models_put_artifact(ps_call *call, void *services);
void ps_models_get_artifact(ps_call *call, const ProtobufCMessage *request, void *services);

#endif
