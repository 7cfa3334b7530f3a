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
    const Psd__V1__ReloadResponse *answer = (const Psd__V1__ReloadResponse *)(void *)reply;
    int64_t until = answer->certificate_expires_ms;
    if (client->json) {
        ps_json_writer w = ps_json_begin(client);
        ps_json_object(&w);
        ps_json_put_int(&w, "certificate_expires_ms", until);
        ps_json_key(&w, "needs_restart");
        ps_json_array(&w);
        for (size_t i = 0; i < answer->n_needs_restart; i++)
            ps_json_string(&w, answer->needs_restart[i]);
        ps_json_array_end(&w);
        ps_json_object_end(&w);
        ps_json_finish(client);
    } else {
        ps_buf_printf(&client->out, "reloaded: the certificate is in force until %s\n",
                      ps_human_time(until).text);
        for (size_t i = 0; i < answer->n_needs_restart; i++)
            ps_buf_printf(&client->out, "%s%s", i ? ", " : "changed, in force after a restart: ",
                          answer->needs_restart[i]);
        if (answer->n_needs_restart)
            ps_buf_puts(&client->out, "\n");
    }
    ps_reply_free(&reply);
    return PS_OK;
}

const ps_command ps_command_reload = {
    .name = "reload",
    .operands = "",
    .help = "make the server read its certificates and what else it can again",
    .run = run,
};
