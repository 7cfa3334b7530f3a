/* version: of this program; what the server's is, `status` says. */
#include "client/call/client.h"
#include "client/commands/commands.h"

static ps_status run(ps_client *client, const ps_args *args)
{
    (void)args;
    if (client->json) {
        ps_json_writer w = ps_json_writer_to(&client->out);
        ps_json_object(&w);
        ps_json_put_string(&w, "version", PS_VERSION);
        ps_json_object_end(&w);
        ps_buf_putc(&client->out, '\n');
    } else {
        ps_buf_puts(&client->out, "psctl " PS_VERSION "\n");
    }
    return PS_OK;
}

const ps_command ps_command_version = {
    .name = "version",
    .operands = "",
    .help = "print the version of psctl",
    .run = run,
};
