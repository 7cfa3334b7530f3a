/* unary: calls that ask the catalog, the scheduler or the disk and may wait for them: their bodies
 * run on the thread pool, as plain functions from a request to a reply. */
#ifndef PS_SERVICE_UNARY_H
#define PS_SERVICE_UNARY_H

#include "server/service/services.h"

/* Who calls and what, by value: for work off the loop, where the call may not be touched. */
typedef struct ps_caller {
    ps_identity identity;
    char name[PS_IDENTITY_TEXT_MAX]; /* spiffe://… */
    char address[64];
    char path[64]; /* "/psd.v1.Jobs/Submit" */
} ps_caller;

void ps_caller_of(const ps_call *call, ps_caller *out);
/* A copy for the same reason, freed with protobuf_c_message_free_unpacked; NULL without memory. */
ProtobufCMessage *ps_request_copy(const ProtobufCMessage *request);

/* *reply is made with the allocation of protobuf-c (malloc) and freed by the caller with
 * protobuf_c_message_free_unpacked. On failure the call fails with this thread's message. */
typedef ps_status (*ps_unary_body)(ps_services *services, const ps_caller *caller,
                                   const ProtobufCMessage *request, ProtobufCMessage **reply);

/* May the caller cancel, replace or delete it? A submitter only what is its own; whoever else may
 * call at all, may. PS_PERMISSION_DENIED: "job 7 belongs to …". A job that does not exist is
 * PS_NOT_FOUND; a model that does not exist is nobody's. */
PS_MUST_CHECK ps_status ps_caller_may_change_job(ps_services *services, const ps_caller *caller,
                                                 uint64_t job_id);
PS_MUST_CHECK ps_status ps_caller_may_change_model(ps_services *services, const ps_caller *caller,
                                                   const char *name);

/* A method's unary handler calls this with its body. */
void ps_unary_run(ps_call *call, const ProtobufCMessage *request, void *services,
                  ps_unary_body body);

/* For the audit log: what a caller did, or tried to. what may be NULL. */
void ps_caller_audit(ps_services *services, const ps_caller *caller, const char *path, ps_status st,
                     const char *what);

/* The handler of a body, for the tables of methods. */
#define PS_UNARY(body)                                                                   \
    static void body##_cb(ps_call *call, const ProtobufCMessage *request, void *service) \
    {                                                                                    \
        ps_unary_run(call, request, service, body);                                      \
    }

/* A new message of type T (Psd__V1__Job, psd__v1__job): malloc'ed, initialised. */
#define PS_REPLY_NEW(T, lower) ((T *)ps_reply_new(sizeof(T), (ps_message_init)lower##__init))
typedef void (*ps_message_init)(ProtobufCMessage *message);
void *ps_reply_new(size_t size, ps_message_init init);

#endif
