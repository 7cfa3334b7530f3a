#include "server/service/unary.h"

#include "common/base/mem.h"

#include <stdio.h>

typedef struct unary_call {
    ps_work work;
    ps_call *call;
    ps_services *services;
    ps_unary_body body;
    ps_caller caller;
    struct x509_st *certificate; /* a reference */
    ProtobufCMessage *request;   /* ours: the handler's is gone when it returns */
    ProtobufCMessage *reply;
    ps_error error;
    bool ended;
} unary_call;

void ps_caller_of(const ps_call *call, ps_caller *out)
{
    out->identity = *ps_call_peer(call);
    out->account = ps_call_account(call);
    ps_identity_format(&out->identity, out->name);
    (void)snprintf(out->address, sizeof out->address, "%s", ps_call_peer_address(call));
    (void)snprintf(out->path, sizeof out->path, "%s", ps_call_path(call));
    out->certificate = NULL;
}

ProtobufCMessage *ps_request_copy(const ProtobufCMessage *request)
{
    size_t bytes = protobuf_c_message_get_packed_size(request);
    uint8_t *packed = ps_try_alloc_raw(bytes ? bytes : 1);
    if (!packed)
        return NULL;
    protobuf_c_message_pack(request, packed);
    ProtobufCMessage *out = protobuf_c_message_unpack(request->descriptor, NULL, bytes, packed);
    ps_free(&packed);
    return out;
}

static void on_end(ps_call *call, ps_status status, const char *message, void *user)
{
    unary_call *u = user;
    u->ended = true; /* the work cannot be stopped; its answer is dropped */
}

static const ps_call_events events = {.on_end = on_end};

static void work_cb(ps_work *w)
{
    unary_call *u = ps_container(w, unary_call, work);
    ps_loop_require_off(); /* bodies may wait */
    ps_error_save(&u->error, u->body(u->services, &u->caller, u->request, &u->reply));
    PS_REQUIRE(u->error.code || u->reply);
}

static void done_cb(ps_work *w)
{
    unary_call *u = ps_container(w, unary_call, work);
    if (!u->ended) {
        ps_call_set_events(u->call, NULL, NULL); /* its end is nobody's any more */
        if (u->error.code)
            ps_call_fail(u->call, ps_error_raise(&u->error));
        else
            ps_call_reply(u->call, u->reply);
    }
    ps_call_unref(u->call);
    if (u->reply)
        protobuf_c_message_free_unpacked(u->reply, NULL);
    protobuf_c_message_free_unpacked(u->request, NULL);
    ps_certificate_unref(&u->certificate);
    ps_free(&u);
}

void ps_unary_run(ps_call *call, const ProtobufCMessage *request, void *services,
                  ps_unary_body body)
{
    ps_loop_require_on(ps_call_loop(call));
    ProtobufCMessage *mine = ps_request_copy(request);
    if (!mine) {
        ps_call_finish(call, PS_NO_MEMORY, "no memory for the request");
        return;
    }
    unary_call *u = ps_new(unary_call);
    u->call = call;
    u->services = services;
    u->body = body;
    u->request = mine;
    ps_caller_of(call, &u->caller);
    u->certificate = ps_certificate_ref(ps_rpc_peer_certificate(call));
    u->caller.certificate = u->certificate;
    u->work = (ps_work){.work = work_cb, .done = done_cb};
    ps_call_ref(call);
    ps_call_set_events(call, &events, u);
    ps_work_submit(ps_call_loop(call), &u->work);
}

void *ps_reply_new(size_t size, ps_message_init init)
{
    ProtobufCMessage *out = ps_alloc(size);
    init(out);
    return out;
}

static ps_audit_event event_of(const ps_caller *caller, ps_audit_outcome outcome,
                               const char *reason)
{
    return (ps_audit_event){.event = "call",
                            .address = caller->address,
                            .identity = &caller->identity,
                            .call = caller->path,
                            .outcome = outcome,
                            .reason = reason};
}

ps_status ps_caller_audit(ps_services *services, const ps_caller *caller, ps_status st,
                          const char *what)
{
    ps_error error;
    ps_error_save(&error, st);
    const ps_audit_outcome outcome = st == PS_PERMISSION_DENIED ? PS_AUDIT_REFUSED
                                     : st                       ? PS_AUDIT_FAILED
                                                                : PS_AUDIT_ALLOWED;
    const ps_audit_event event = event_of(caller, outcome, st ? error.message : what);
    ps_audit_write(services->audit, &event);
    return ps_error_raise(&error);
}

ps_status ps_caller_audit_first(ps_services *services, const ps_caller *caller, const char *what)
{
    const ps_audit_event event = event_of(caller, PS_AUDIT_BEGUN, what);
    return ps_audit_require(services->audit, &event);
}

ps_status ps_caller_audit_leaves(ps_services *services, const ps_caller *caller, ps_status st,
                                 const char *what, bool part)
{
    if (st)
        return ps_caller_audit(services, caller, st, what);
    ps_audit_event event = event_of(caller, PS_AUDIT_ALLOWED, what);
    event.part = part;
    return ps_audit_require(services->audit, &event);
}
