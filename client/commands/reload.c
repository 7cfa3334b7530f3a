/* reload: the server reads its certificates again. */
#include "client/call/client.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/show/human.h"
#include "psd/v1/admin.pb-c.h"

static ps_status run(ps_client *client, const ps_args *args)
{
    (void)args;
    Psd__V1__ReloadRequest request = PSD__V1__RELOAD_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_client_unary(client, "/psd.v1.Admin/Reload", &request.base,
                                   &psd__v1__reload_response__descriptor, &reply);
    if (st)
        return st;
    int64_t until = ((const Psd__V1__ReloadResponse *)(void *)reply)->certificate_expires_ms;
    if (client->json) {
        ps_json_writer w = ps_json_begin(client);
        ps_json_object(&w);
        ps_json_put_int(&w, "certificate_expires_ms", until);
        ps_json_object_end(&w);
        ps_json_finish(client);
    } else {
        ps_buf_printf(&client->out, "reloaded: the certificate is in force until %s\n",
                      ps_human_time(until).text);
    }
    ps_reply_free(&reply);
    return PS_OK;
}

const ps_command ps_command_reload = {
    .name = "reload",
    .operands = "",
    .help = "make the server read its certificates and log level again",
    .run = run,
};
