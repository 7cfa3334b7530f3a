/* key create: a key-encryption key for psd.yaml's section sealing, as a file. key status, rotate,
 * retire: which of them psd's files need, and that they need another one. */
#include "client/call/client.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "common/base/mem.h"
#include "common/seal/key_source.h"
#include "common/seal/keyring.h"
#include "psd/v1/admin.pb-c.h"

#include <inttypes.h>
#include <poll.h>

static ps_status run_create(ps_client *client, const ps_args *args)
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
                      "%s: key %s\nkeep a copy of it elsewhere: what it seals is lost without it\n",
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
    .run = run_create,
};

/* ---- status ---- */

static void write_json(ps_client *client, const Psd__V1__KeysResponse *keys)
{
    ps_json_writer w = ps_json_begin(client);
    ps_json_object(&w);
    ps_json_key(&w, "keys");
    ps_json_array(&w);
    for (size_t i = 0; i < keys->n_keys; i++) {
        const Psd__V1__KeyUse *key = keys->keys[i];
        ps_json_object(&w);
        ps_json_put_string(&w, "id", key->id);
        ps_json_put_uint(&w, "files", key->files);
        ps_json_put_bool(&w, "present", key->present);
        ps_json_put_bool(&w, "current", key->current);
        ps_json_object_end(&w);
    }
    ps_json_array_end(&w);
    ps_json_put_uint(&w, "plain", keys->plain);
    ps_json_put_uint(&w, "unreadable", keys->unreadable);
    ps_json_object_end(&w);
    ps_json_finish(client);
}

static const char *what_it_is(const Psd__V1__KeyUse *key)
{
    if (key->current)
        return "the current one";
    if (!key->present)
        return "psd does not have it";
    return key->files ? "previous" : "previous; no file needs it";
}

static void write_text(ps_client *client, const Psd__V1__KeysResponse *keys)
{
    static const char *const headers[] = {"key", ">files", "", NULL};
    ps_table *t = ps_table_new(headers);
    for (size_t i = 0; i < keys->n_keys; i++) {
        const Psd__V1__KeyUse *key = keys->keys[i];
        ps_table_text(t, *key->id ? key->id : "unknown");
        ps_table_printf(t, "%" PRIu64, key->files);
        ps_table_text(t, what_it_is(key));
    }
    ps_table_render(t, &client->style, &client->out);
    ps_table_free(&t);
    if (keys->plain)
        ps_buf_printf(&client->out, "not sealed yet: %" PRIu64 " file%s\n", keys->plain,
                      keys->plain == 1 ? "" : "s");
    if (keys->unreadable)
        ps_buf_printf(&client->out,
                      "with a FILE.key that is none: %" PRIu64 "; the log names them\n",
                      keys->unreadable);
}

static ps_status ask(ps_client *client, bool rotate, ProtobufCMessage **reply)
{
    Psd__V1__KeysRequest look = PSD__V1__KEYS_REQUEST__INIT;
    Psd__V1__RotateKeysRequest turn = PSD__V1__ROTATE_KEYS_REQUEST__INIT;
    return ps_client_unary(client, rotate ? "/psd.v1.Admin/RotateKeys" : "/psd.v1.Admin/Keys",
                           rotate ? &turn.base : &look.base, &psd__v1__keys_response__descriptor,
                           reply);
}

static void show(ps_client *client, ProtobufCMessage **reply)
{
    const Psd__V1__KeysResponse *keys = (const Psd__V1__KeysResponse *)(void *)*reply;
    if (client->json)
        write_json(client, keys);
    else
        write_text(client, keys);
    ps_reply_free(reply);
}

static ps_status run_status(ps_client *client, const ps_args *args)
{
    (void)args;
    ProtobufCMessage *reply = NULL;
    ps_status st = ask(client, false, &reply);
    if (!st)
        show(client, &reply);
    return st;
}

const ps_command ps_command_key_status = {
    .name = "key status",
    .operands = "",
    .help = "which keys psd's sealed files need",
    .run = run_status,
};

/* ---- rotate ---- */

typedef struct options {
    bool wait;
} options;

static const ps_flag rotate_flags[] = {
    {.name = "wait",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, wait),
     .help = "until no file needs another key"},
    {.name = NULL},
};

static bool is_done(const ProtobufCMessage *reply)
{
    const Psd__V1__KeysResponse *keys = (const Psd__V1__KeysResponse *)(const void *)reply;
    for (size_t i = 0; i < keys->n_keys; i++)
        if (!keys->keys[i]->current && keys->keys[i]->present && keys->keys[i]->files)
            return false;
    return !keys->plain;
}

static ps_status run_rotate(ps_client *client, const ps_args *args)
{
    enum { LOOK_MS = 500 };
    const options *o = args->options;
    ProtobufCMessage *reply = NULL;
    ps_status st = ask(client, true, &reply);
    while (!st && o->wait && !is_done(reply)) {
        ps_reply_free(&reply);
        (void)poll(NULL, 0, LOOK_MS);
        st = ask(client, false, &reply);
    }
    if (!st)
        show(client, &reply);
    return st;
}

const ps_command ps_command_key_rotate = {
    .name = "key rotate",
    .operands = "",
    .help = "let every sealed file need the key that psd.yaml names now",
    .details = "Name the new key as sealing.kek and the old one under sealing.previous first.\n"
               "Files stay as they are: the small FILE.key beside each is written anew. It goes\n"
               "on in the background, and after a restart.\n",
    .flags = rotate_flags,
    .options_size = sizeof(options),
    .run = run_rotate,
};

/* ---- retire ---- */

static ps_status run_retire(ps_client *client, const ps_args *args)
{
    Psd__V1__RetireKeyRequest request = PSD__V1__RETIRE_KEY_REQUEST__INIT;
    request.id = (char *)(uintptr_t)args->operands.at[0];
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_client_unary(client, "/psd.v1.Admin/RetireKey", &request.base,
                                   &psd__v1__retire_key_response__descriptor, &reply);
    if (st)
        return st;
    if (client->json) {
        ps_json_writer w = ps_json_begin(client);
        ps_json_object(&w);
        ps_json_put_string(&w, "retired", request.id);
        ps_json_object_end(&w);
        ps_json_finish(client);
    } else {
        ps_buf_printf(&client->out, "no file needs %s any more: take it out of sealing.previous\n",
                      request.id);
    }
    ps_reply_free(&reply);
    return PS_OK;
}

const ps_command ps_command_key_retire = {
    .name = "key retire",
    .operands = "ID",
    .help = "forget a previous key, if no file needs it",
    .least = 1,
    .most = 1,
    .run = run_retire,
};
