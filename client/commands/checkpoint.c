/* checkpoint: every running job is written down now. */
#include "client/call/client.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/show/human.h"
#include "psd/v1/admin.pb-c.h"

static ps_status run(ps_client *client, const ps_args *args)
{
    (void)args;
    Psd__V1__CheckpointRequest request = PSD__V1__CHECKPOINT_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_client_unary(client, "/psd.v1.Admin/Checkpoint", &request.base,
                                   &psd__v1__checkpoint_response__descriptor, &reply);
    if (st)
        return st;
    const Psd__V1__CheckpointResponse *c = (const Psd__V1__CheckpointResponse *)(void *)reply;
    if (client->json) {
        ps_json_writer w = ps_json_begin(client);
        ps_json_object(&w);
        ps_json_put_uint(&w, "jobs", c->jobs);
        ps_json_put_uint(&w, "bytes", c->bytes);
        ps_json_object_end(&w);
        ps_json_finish(client);
    } else {
        ps_buf_printf(&client->out, "checkpoints of %u job%s are written (%s)\n", c->jobs,
                      c->jobs == 1 ? "" : "s", ps_human_bytes((double)c->bytes).text);
    }
    ps_reply_free(&reply);
    return PS_OK;
}

const ps_command ps_command_checkpoint = {
    .name = "checkpoint",
    .operands = "",
    .help = "write a checkpoint of every running job now",
    .run = run,
};
