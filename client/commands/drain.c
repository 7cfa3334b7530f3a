/* drain: no new tasks and jobs, or serving again. */
#include "client/call/client.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "psd/v1/admin.pb-c.h"

typedef struct options {
    bool off;
} options;

static const ps_flag flags[] = {
    {.name = "off",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, off),
     .help = "take it back: serve again"},
    {.name = NULL},
};

static ps_status run(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    Psd__V1__DrainRequest request = PSD__V1__DRAIN_REQUEST__INIT;
    request.off = o->off;
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_client_unary(client, "/psd.v1.Admin/Drain", &request.base,
                                   &psd__v1__drain_response__descriptor, &reply);
    if (st)
        return st;
    uint32_t tasks = ((const Psd__V1__DrainResponse *)(void *)reply)->running_tasks;
    if (client->json) {
        ps_json_writer w = ps_json_begin(client);
        ps_json_object(&w);
        ps_json_put_bool(&w, "draining", !o->off);
        ps_json_put_uint(&w, "running_tasks", tasks);
        ps_json_object_end(&w);
        ps_json_finish(client);
    } else if (o->off) {
        ps_buf_puts(&client->out, "serving again\n");
    } else {
        ps_buf_printf(&client->out, "draining: %u task%s still running\n", tasks,
                      tasks == 1 ? "" : "s");
    }
    ps_reply_free(&reply);
    return PS_OK;
}

const ps_command ps_command_drain = {
    .name = "drain",
    .operands = "",
    .help = "no new jobs and tasks; what runs comes to its end",
    .flags = flags,
    .options_size = sizeof(options),
    .run = run,
};
