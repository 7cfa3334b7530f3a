/* delete: a stored model is removed. */
#include "client/call/client.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "psd/v1/models.pb-c.h"

static ps_status run(ps_client *client, const ps_args *args)
{
    Psd__V1__DeleteModelRequest request = PSD__V1__DELETE_MODEL_REQUEST__INIT;
    request.name = ps_borrow(args->operands.at[0]);
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_client_unary(client, "/psd.v1.Models/Delete", &request.base,
                                   &psd__v1__delete_model_response__descriptor, &reply);
    if (st)
        return st;
    ps_reply_free(&reply);
    if (client->json) {
        ps_json_writer w = ps_json_begin(client);
        ps_json_object(&w);
        ps_json_put_string(&w, "deleted", request.name);
        ps_json_object_end(&w);
        ps_json_finish(client);
    } else {
        ps_buf_printf(&client->out, "model %s is deleted\n", request.name);
    }
    return PS_OK;
}

const ps_command ps_command_delete = {
    .name = "delete",
    .operands = "NAME",
    .help = "delete a stored model",
    .least = 1,
    .most = 1,
    .run = run,
};
