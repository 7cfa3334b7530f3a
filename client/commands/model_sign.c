/* model sign, verify, provenance: the folder of a model on this machine, without a server. */
#include "common/signing/model_sign.h"
#include "client/call/client.h"
#include "client/call/signer_files.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/show/lineage_view.h"
#include "client/show/signed_view.h"
#include "common/base/disk.h"
#include "common/base/mem.h"

#include <string.h>

enum { PROVENANCE_MOST = 16 << 20 };

typedef struct options {
    const char *key, *certificate, *signature; /* sign */
    uint64_t shard_size;
    bool force;
    const char *public_key, *ca, *identity; /* verify */
    ps_texts ignored;
    bool slsa; /* provenance */
} options;

#define FLAG(name_, type_, member, value_, help_)                                                 \
    {                                                                                             \
        .name = (name_), .type = (type_), .offset = offsetof(options, member), .value = (value_), \
        .help = (help_)                                                                           \
    }
#define FLAG_SIGNATURE \
    FLAG("signature", PS_FLAG_TEXT, signature, "FILE", "the signature (default: FOLDER/model.sig)")

static const ps_flag sign_flags[] = {
    FLAG("signer-key", PS_FLAG_TEXT, key, "FILE", "the signer's private key (or the context's)"),
    FLAG("signer-cert", PS_FLAG_TEXT, certificate, "FILE",
         "the signer's certificate (or the context's); without one it is a signature by key"),
    FLAG_SIGNATURE,
    FLAG("shard-size", PS_FLAG_SIZE, shard_size, "SIZE",
         "sign files in pieces of this size: several threads hash a large one (default: whole)"),
    FLAG("force", PS_FLAG_SWITCH, force, NULL, "replace a signature that is there"),
    {.name = NULL},
};

static const ps_flag verify_flags[] = {
    FLAG("signer-ca", PS_FLAG_TEXT, ca, "FILE", "certificate of the signers' CA that you trust"),
    FLAG("identity", PS_FLAG_TEXT, identity, "URI",
         "it must be signed by this one, spiffe://CLUSTER/signer/NAME"),
    FLAG("public-key", PS_FLAG_TEXT, public_key, "FILE", "the key that you trust, instead of a CA"),
    FLAG_SIGNATURE,
    FLAG("ignore", PS_FLAG_TEXTS, ignored, "PATH",
         "a file or folder below FOLDER that need not be signed; may be repeated"),
    {.name = NULL},
};

static const ps_flag provenance_flags[] = {
    FLAG("slsa", PS_FLAG_SWITCH, slsa, NULL, "what model.slsa.sig says of it, for tools of SLSA"),
    {.name = NULL},
};

static void show(ps_client *client, const char *what, const char *folder,
                 const ps_model_signed *model)
{
    if (!client->json) {
        ps_signed_text(&client->out, &client->style, what, folder, model);
        return;
    }
    ps_json_writer w = ps_json_begin(client);
    ps_signed_json(&w, what, folder, model);
    ps_json_finish(client);
}

static ps_status run_sign(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    ps_signer_files files;
    ps_model_signed done;
    ps_status st = ps_signer_files_find(&client->globals, o->key, o->certificate, &files);
    if (st)
        return st;
    const ps_model_signing request = {.folder = args->operands.at[0],
                                      .signature = o->signature,
                                      .key = files.key,
                                      .certificate = files.certificate,
                                      .shard_size = o->shard_size,
                                      .force = o->force};
    st = ps_model_sign(&request, &done);
    if (!st)
        show(client, "signed", args->operands.at[0], &done);
    ps_signer_files_clear(&files);
    return st;
}

static ps_status check(ps_client *client, const options *o)
{
    ps_identity who;
    if (!o->ca == !o->public_key)
        return ps_client_usage(client,
                               "whom do you trust? --signer-ca FILE, the certificate of the "
                               "signers' CA, or --public-key FILE");
    if (o->public_key && (client->globals.crl || o->identity))
        return ps_client_usage(client, "--crl and --identity are of certificates: --signer-ca");
    if (!o->identity)
        return PS_OK;
    ps_status st = ps_identity_parse(ps_slice_str(o->identity), &who);
    if (!st && who.role != PS_ROLE_SIGNER)
        st = ps_fail(PS_INVALID_ARGUMENT, "%s is no signer", o->identity);
    return st ? ps_wrap(st, "--identity") : PS_OK;
}

static ps_status run_verify(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    ps_model_signed found;
    ps_status st = check(client, o);
    if (st)
        return st;
    const char **ignored = ps_alloc_array(o->ignored.n + 1, sizeof *ignored);
    for (size_t i = 0; i < o->ignored.n; i++)
        ignored[i] = o->ignored.at[i];
    const ps_model_verifying request = {
        .folder = args->operands.at[0],
        .signature = o->signature,
        .public_key = o->public_key,
        .trust = {.ca = o->ca, .crl = client->globals.crl, .identity = o->identity},
        .ignored = ignored};
    st = ps_model_verify(&request, &found);
    if (!st)
        show(client, "verified", args->operands.at[0], &found);
    ps_free(&ignored);
    return st;
}

/* A statement of in-toto's is for programs: as it is. */
static ps_status show_slsa(ps_client *client, const char *folder)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_status st = ps_model_read_slsa(folder, &text);
    if (!st) {
        ps_json_writer w = ps_json_begin(client);
        ps_json_embed(&w, ps_buf_cstr(&text));
        ps_json_finish(client);
    }
    ps_buf_free(&text);
    return st;
}

/* The text, which is to be a record before it is shown in whatever form. */
static ps_status show_record(ps_client *client, const char *json)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_status st = ps_lineage_text(&text, &client->style, json);
    if (!st && client->json) {
        ps_json_writer w = ps_json_begin(client);
        ps_json_embed(&w, json);
        ps_json_finish(client);
    } else if (!st) {
        ps_buf_append(&client->out, text.data, text.len);
    }
    ps_buf_free(&text);
    return st;
}

/* It proves nothing by itself: what is in it, whoever wrote the file says. */
static ps_status run_provenance(ps_client *client, const ps_args *args)
{
    if (((const options *)args->options)->slsa)
        return show_slsa(client, args->operands.at[0]);
    ps_buf json = PS_BUF_EMPTY;
    char *path = ps_asprintf("%s/" PS_MODEL_PROVENANCE, args->operands.at[0]);
    ps_status st = ps_disk_read_file(&ps_disk_system, path, PROVENANCE_MOST, &json);
    if (!st && json.len && memchr(json.data, 0, json.len))
        st = ps_fail(PS_CORRUPT, "%s: has a zero byte", path);
    else if (!st && (st = show_record(client, ps_buf_cstr(&json))))
        st = ps_wrap(st, "%s", path);
    ps_buf_free(&json);
    ps_free(&path);
    return st;
}

const ps_command ps_command_model_sign = {
    .name = "model sign",
    .operands = "FOLDER",
    .help = "sign the folder of a model",
    .details = "Writes model.sig, which PyPI's model-signing checks, too. Where FOLDER has a\n"
               "psd-provenance.json, model.slsa.sig says the same to tools that know SLSA.\n"
               "psctl cert create-signer makes certificate and key.\n",
    .flags = sign_flags,
    .options_size = sizeof(options),
    .least = 1,
    .most = 1,
    .run = run_sign,
};

const ps_command ps_command_model_verify = {
    .name = "model verify",
    .operands = "FOLDER",
    .help = "check that a folder is what a signer has signed, and nothing else",
    .details = "The signer's certificate must be in force now, and not revoked as --crl says; it\n"
               "must be a signer's, by a CA of signers. No file may be there that is not signed.\n",
    .flags = verify_flags,
    .options_size = sizeof(options),
    .least = 1,
    .most = 1,
    .run = run_verify,
};

const ps_command ps_command_model_provenance = {
    .name = "model provenance",
    .operands = "FOLDER",
    .help = "show where an exported model comes from",
    .details = "What psd-provenance.json says; psctl model verify says whether to believe it.\n",
    .flags = provenance_flags,
    .options_size = sizeof(options),
    .least = 1,
    .most = 1,
    .run = run_provenance,
};
