/* key create: a key-encryption key for psd.yaml's section sealing, as a file. */
#include "client/call/client.h"
#include "client/commands/commands.h"
#include "common/seal/key_source.h"
#include "common/seal/keyring.h"

static ps_status run(ps_client *client, const ps_args *args)
{
    const char *path = args->operands.at[0];
    ps_secret *key = NULL;
    ps_status st = ps_key_source_create(path, &key);
    if (st)
        return st;
    char id[PS_KEK_TEXT];
    ps_kek_text(ps_kek_id(key), id);
    ps_secret_free(&key);
    if (client->json) {
        ps_json_writer w = ps_json_writer_to(&client->out);
        ps_json_object(&w);
        ps_json_put_string(&w, "file", path);
        ps_json_put_string(&w, "id", id);
        ps_json_object_end(&w);
        ps_buf_putc(&client->out, '\n');
    } else {
        ps_buf_printf(&client->out,
                      "%s: key %s; keep a copy of it elsewhere: what it seals is lost without it\n",
                      path, id);
    }
    return PS_OK;
}

const ps_command ps_command_key_create = {
    .name = "key create",
    .operands = "FILE",
    .help = "make a key that psd seals its files by",
    .details = "Name it in psd.yaml: sealing: {kek: 'file:FILE'}.\n",
    .least = 1,
    .most = 1,
    .run = run,
};
