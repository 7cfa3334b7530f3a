#include "psd/v1/workers.pb-c.h"

#include "server/service/unary.h"

static ps_status list(ps_services *services, const ps_caller *caller,
                      const ProtobufCMessage *request, ProtobufCMessage **reply)
{
    *reply = &ps_sched_workers(services->sched)->base;
    return PS_OK;
}
PS_UNARY(list)

const ps_rpc_method ps_workers_methods[] = {
    {.name = "Attach",
     .request = &psd__v1__worker_message__descriptor,
     .stream = ps_workers_attach},
    {.name = "List", .request = &psd__v1__list_workers_request__descriptor, .unary = list_cb},
    {0},
};
