/* model: one stored model, with its tensors. */
#include "client/call/client.h"
#include "client/call/support.h"
#include "client/commands/commands.h"

static ps_status run(ps_client *client, const ps_args *args)
{
    Psd__V1__GetModelRequest request = PSD__V1__GET_MODEL_REQUEST__INIT;
    request.name = ps_borrow(args->operands.at[0]);
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_client_unary(client, "/psd.v1.Models/Get", &request.base,
                                   &psd__v1__model__descriptor, &reply);
    if (st)
        return st;
    ps_show_model(client, (const Psd__V1__Model *)(void *)reply);
    ps_reply_free(&reply);
    return PS_OK;
}

const ps_command ps_command_model = {
    .name = "model",
    .operands = "NAME",
    .help = "show one model and its tensors",
    .least = 1,
    .most = 1,
    .run = run,
};
