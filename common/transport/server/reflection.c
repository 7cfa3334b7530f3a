/* reflection: grpc.reflection.v1 and v1alpha, which have the same messages. Happy path: each
 * request on the stream gets one response, with bytes of the descriptors that the build embedded.
 * Failure: an error response within the stream, as the protocol has it. */
#include "common/transport/server/rpc_internal.h"

#include "common/base/require.h"

#include "common/transport/server/descriptor_index.h"

#include <grpc/descriptors.h>
#include <grpc/reflection/v1/reflection.pb-c.h>

#define REQUEST(name)  GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##name
#define RESPONSE(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##name

typedef Grpc__Reflection__V1__ServerReflectionRequest request;
typedef Grpc__Reflection__V1__ServerReflectionResponse response;

static void send_error(ps_call *call, response *r, ps_status status)
{
    Grpc__Reflection__V1__ErrorResponse error = GRPC__REFLECTION__V1__ERROR_RESPONSE__INIT;
    error.error_code = ps_status_grpc(status);
    error.error_message = (char *)(uintptr_t)ps_error_message();
    r->message_response_case = RESPONSE(ERROR_RESPONSE);
    r->error_response = &error;
    ps_call_send(call, &r->base, NULL);
}

static void send_file(ps_call *call, response *r, ps_slice file, const char *what)
{
    if (!file.data) {
        send_error(call, r, ps_fail(PS_NOT_FOUND, "there is no %s", what));
        return;
    }
    ProtobufCBinaryData bytes = {.len = file.len, .data = (uint8_t *)(uintptr_t)file.data};
    Grpc__Reflection__V1__FileDescriptorResponse files =
        GRPC__REFLECTION__V1__FILE_DESCRIPTOR_RESPONSE__INIT;
    files.n_file_descriptor_proto = 1;
    files.file_descriptor_proto = &bytes;
    r->message_response_case = RESPONSE(FILE_DESCRIPTOR_RESPONSE);
    r->file_descriptor_response = &files;
    ps_call_send(call, &r->base, NULL);
}

static void send_services(ps_call *call, response *r, const ps_rpc_server *server)
{
    typedef Grpc__Reflection__V1__ServiceResponse service;
    service services[PS_RPC_SERVICES_MAX], *pointers[PS_RPC_SERVICES_MAX];
    for (unsigned i = 0; i < server->n_services; i++) {
        services[i] = (service)GRPC__REFLECTION__V1__SERVICE_RESPONSE__INIT;
        services[i].name = (char *)(uintptr_t)server->services[i].service.name;
        pointers[i] = &services[i];
    }
    Grpc__Reflection__V1__ListServiceResponse list =
        GRPC__REFLECTION__V1__LIST_SERVICE_RESPONSE__INIT;
    list.n_service = server->n_services;
    list.service = pointers;
    r->message_response_case = RESPONSE(LIST_SERVICES_RESPONSE);
    r->list_services_response = &list;
    ps_call_send(call, &r->base, NULL);
}

static void answer(ps_call *call, request *asked, const ps_rpc_server *server)
{
    ps_slice set = ps_slice_of(ps_proto_descriptors, ps_proto_descriptors_size);
    response r = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    r.valid_host = asked->host;
    r.original_request = asked;
    switch (asked->message_request_case) {
    case REQUEST(FILE_BY_FILENAME):
        send_file(call, &r, ps_descriptor_file(set, asked->file_by_filename),
                  asked->file_by_filename);
        break;
    case REQUEST(FILE_CONTAINING_SYMBOL):
        send_file(call, &r, ps_descriptor_file_of_symbol(set, asked->file_containing_symbol),
                  asked->file_containing_symbol);
        break;
    case REQUEST(LIST_SERVICES):
        send_services(call, &r, server);
        break;
    case REQUEST(FILE_CONTAINING_EXTENSION):
    case REQUEST(ALL_EXTENSION_NUMBERS_OF_TYPE):
        send_error(call, &r, ps_fail(PS_NOT_FOUND, "proto3 has no extensions"));
        break;
    default:
        send_error(call, &r, ps_fail(PS_INVALID_ARGUMENT, "the request asks for nothing"));
    }
}

static void message_cb(ps_call *call, ps_message *message, void *user)
{
    ProtobufCMessage *decoded = NULL;
    ps_status st = ps_message_unpack(ps_message_bytes(message),
                                     &grpc__reflection__v1__server_reflection_request__descriptor,
                                     &decoded, NULL);
    ps_message_release(&message);
    if (st) {
        ps_call_fail(call, st);
        return;
    }
    if (ps_call_writable(call))
        answer(call, (request *)(void *)decoded, user);
    else /* it asks and asks, and reads nothing */
        ps_call_finish(call, PS_RESOURCE_EXHAUSTED, "too many requests that wait for answers");
    protobuf_c_message_free_unpacked(decoded, NULL);
}

static void half_close_cb(ps_call *call, void *user)
{
    (void)user;
    ps_call_finish(call, PS_OK, NULL);
}

static const ps_call_events events = {.on_message = message_cb, .on_half_close = half_close_cb};

static void info(ps_call *call, void *service)
{
    ps_call_set_events(call, &events, service);
}

static const ps_rpc_method methods[] = {
    {"ServerReflectionInfo", &grpc__reflection__v1__server_reflection_request__descriptor, NULL,
     info},
    {0},
};

void ps_reflection_add(ps_rpc_server *server)
{
    PS_REQUIRE(!server->started);
    static const char *const names[] = {"grpc.reflection.v1.ServerReflection",
                                        "grpc.reflection.v1alpha.ServerReflection"};
    for (int i = 0; i < 2; i++)
        ps_rpc_server_add(server,
                          &(ps_rpc_service){.name = names[i], .methods = methods, .state = server});
}
