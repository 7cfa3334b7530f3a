/* unary: calls that ask the catalog, the scheduler or the disk and may wait for them: their bodies
 * are plain functions from a request to a reply, in tables with what they take and give, and run on
 * the thread pool. */
#ifndef PS_SERVICE_UNARY_H
#define PS_SERVICE_UNARY_H

#include "server/service/services.h"

/* Who calls and what, by value: for work off the loop, where the call may not be touched. */
typedef struct ps_caller {
    ps_identity identity;
    char name[PS_IDENTITY_TEXT_MAX]; /* spiffe://… */
    char address[64];
    char path[64];               /* "/psd.v1.Jobs/Submit" */
    struct x509_st *certificate; /* what it showed; NULL where it was not asked for. Borrowed */
    ps_account *account;         /* of the identity; NULL: none */
} ps_caller;

void ps_caller_of(const ps_call *call, ps_caller *out);
/* A copy for the same reason, freed with protobuf_c_message_free_unpacked; NULL without memory. */
ProtobufCMessage *ps_request_copy(const ProtobufCMessage *request);

/* From a request to a reply, for this caller, who may call it (the policy has been asked). *reply
 * is made with the allocation of protobuf-c (malloc) and freed by the caller with
 * protobuf_c_message_free_unpacked, if there is one, also after a failure, of which this thread's
 * message tells. May wait: off the loop. */
typedef ps_status (*ps_unary_body)(ps_services *services, const ps_caller *caller,
                                   const ProtobufCMessage *request, ProtobufCMessage **reply);

/* A method that is no more than that: it needs no connection, and whoever has its request and its
 * caller can call it. gRPC does (services.c); so can what speaks JSON. */
typedef struct ps_unary_method {
    const char *path; /* "/psd.v1.Jobs/Submit" */
    const ProtobufCMessageDescriptor *request, *response;
    ps_unary_body body;
} ps_unary_method;

/* One table a service, in its file; each ends with {0}. */
extern const ps_unary_method ps_parameters_unary[];
extern const ps_unary_method ps_jobs_unary[];
extern const ps_unary_method ps_workers_unary[];
extern const ps_unary_method ps_models_unary[];
extern const ps_unary_method ps_admin_unary[];
extern const ps_unary_method ps_identity_unary[];
/* All of them, ended by NULL. */
extern const ps_unary_method *const ps_unary_tables[];
/* The method of that path; NULL: there is none, or it is more than a body. */
const ps_unary_method *ps_unary_find(const char *path);

/* quota.c. */
ps_status ps_admin_quotas(ps_services *services, const ps_caller *caller,
                          const ProtobufCMessage *request, ProtobufCMessage **reply);
/* Bodies of removal.c. */
ps_status ps_jobs_delete(ps_services *services, const ps_caller *caller,
                         const ProtobufCMessage *request, ProtobufCMessage **reply);
ps_status ps_jobs_prune(ps_services *services, const ps_caller *caller,
                        const ProtobufCMessage *request, ProtobufCMessage **reply);
ps_status ps_models_delete_artifact(ps_services *services, const ps_caller *caller,
                                    const ProtobufCMessage *request, ProtobufCMessage **reply);

/* May the caller cancel, replace or delete it? A submitter only what is its own; whoever else may
 * call at all, may. PS_PERMISSION_DENIED: "job 7 belongs to …". A job that does not exist is
 * PS_NOT_FOUND; a model that does not exist is nobody's. */
PS_MUST_CHECK ps_status ps_caller_may_change_job(ps_services *services, const ps_caller *caller,
                                                 uint64_t job_id);
PS_MUST_CHECK ps_status ps_caller_may_change_model(ps_services *services, const ps_caller *caller,
                                                   const char *name);

/* What a caller stores, as somebody last saw it who asks often. */
typedef struct ps_stored_sum {
    bool known;
    uint64_t bytes, at_ns, stamp; /* when, and ps_quota_stamp */
} ps_stored_sum;

/* May the caller store `more` bytes, beside what is charged to its account? PS_RESOURCE_EXHAUSTED
 * (quota stored). last: of this caller; all is not summed again for a second in which nothing was
 * given back or freed; NULL: it is. */
PS_MUST_CHECK ps_status ps_caller_may_store(ps_services *services, const ps_caller *caller,
                                            uint64_t more, ps_stored_sum *last);

/* Answers a gRPC call with what the body makes of it, on the pool. */
void ps_unary_run(ps_call *call, const ProtobufCMessage *request, void *services,
                  ps_unary_body body);

/* For the audit log: that a call did `what` (may be NULL), or, with a failure, why it did not.
 * Returns st, and its message is this thread's as before. */
PS_MUST_CHECK ps_status ps_caller_audit(ps_services *services, const ps_caller *caller,
                                        ps_status st, const char *what);

/* For the audit log, before `what` that must not be done unrecorded (of keys, roles, deletions):
 * that it begins; how it ends is ps_caller_audit's. PS_UNAVAILABLE: it cannot be put on the disk,
 * and psd.yaml says audit.on_failure: refuse; nothing may be done. */
PS_MUST_CHECK ps_status ps_caller_audit_first(ps_services *services, const ps_caller *caller,
                                              const char *what);
/* Likewise of `what` that is about to leave, and, with a failure, why it does not: the one line of
 * it. */
PS_MUST_CHECK ps_status ps_caller_audit_leaves(ps_services *services, const ps_caller *caller,
                                               ps_status st, const char *what, bool part);

/* A new message of type T (Psd__V1__Job, psd__v1__job): malloc'ed, initialised. */
#define PS_REPLY_NEW(T, lower) ((T *)ps_reply_new(sizeof(T), (ps_message_init)lower##__init))
typedef void (*ps_message_init)(ProtobufCMessage *message);
void *ps_reply_new(size_t size, ps_message_init init);

#endif
