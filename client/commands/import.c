/* import: a safetensors file, the folder of a Hugging Face model, or a GGUF file becomes a stored
 * model. It goes up in pieces of 1 MiB, no more of them at a time than the connection takes; what
 * is not psd's own file is turned into one on the way, and what is encrypted by age is opened a
 * chunk at a time: nothing of it is written anywhere. */
#include "client/call/client.h"
#include "client/call/model_source.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "common/base/mem.h"
#include "common/model/model_files.h"
#include "common/model/model_in.h"
#include "common/model/peft.h"

#include <stdio.h>
#include <string.h>

enum { PIECE = 1 << 20 };

typedef struct options {
    const char *config;
    const char *base;
    const char *identity;
    bool replace;
    bool float32;
    bool float_activations;
} options;

static const ps_flag flags[] = {
    {.name = "model",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, config),
     .value = "CONFIG",
     .help = "its architecture: '{architecture: mlp, layers: [784,10]}'"},
    {.name = "base",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, base),
     .value = "MODEL",
     .help = "FOLDER is an adapter (LoRA) of PEFT; add it to this stored model"},
    {.name = "identity",
     .letter = 'i',
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, identity),
     .value = "FILE",
     .help = "open what is encrypted by age with the identities of this file (age-keygen)"},
    {.name = "replace",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, replace),
     .help = "take the place of a model of that name"},
    {.name = "float32",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, float32),
     .help = "decode blocks and codes, in place of keeping them as they are"},
    {.name = "float-activations",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, float_activations),
     .help = "take a folder whose activations are to be rounded (W8A8), and do not round them"},
    {.name = NULL},
};

typedef struct source {
    ps_model_source given;
    int file;                            /* psd's own; -1 */
    ps_model_in *model;                  /* or this */
    const Psd__V1__ImportHeader *header; /* NULL once it is sent */
} source;

static void release_piece(void *user)
{
    ps_free(&user);
}

/* *got is 0 at the end. */
static ps_status read_piece(source *s, uint8_t *piece, size_t *got)
{
    if (s->model)
        return ps_model_in_read(s->model, piece, PIECE, got);
    const ps_disk *disk = s->given.disk ? s->given.disk : &ps_disk_system;
    ps_status st = disk->read(disk->state, s->file, piece, PIECE, got);
    return st ? ps_wrap(st, "%s", s->given.path) : PS_OK;
}

static ps_status next(void *user, ps_call *call)
{
    source *s = user;
    Psd__V1__ImportRequest request = PSD__V1__IMPORT_REQUEST__INIT;
    if (s->header) {
        Psd__V1__ImportHeader header = *s->header;
        s->header = NULL;
        request.header = &header;
        ps_call_send(call, &request.base, NULL);
        return PS_OK;
    }
    uint8_t *piece = ps_alloc(PIECE);
    size_t n = 0;
    ps_status st = read_piece(s, piece, &n);
    if (st || !n) {
        ps_free(&piece);
        return st ? st : PS_END;
    }
    ps_payload payload = {.bytes = ps_slice_of(piece, n), .release = release_piece, .user = piece};
    ps_call_send(call, &request.base, &payload);
    return PS_OK;
}

static ps_status open_source(source *s, const char *path, const options *o)
{
    bool other = false;
    uint64_t size;
    ps_status st = ps_model_source_open(path, o->identity, &s->given);
    if (!st)
        st = ps_model_in_takes(s->given.disk, s->given.path, &other);
    if (!st && other)
        return ps_model_in_open(s->given.path,
                                &(ps_model_in_options){.disk = s->given.disk,
                                                       .float32 = o->float32,
                                                       .float_activations = o->float_activations},
                                &s->model);
    return st ? st : ps_model_input_open(s->given.disk, s->given.path, &s->file, &size);
}

static void close_source(source *s)
{
    if (s->file >= 0)
        ps_model_file_close(s->given.disk, s->file);
    ps_model_in_close(&s->model);
    ps_model_source_clear(&s->given);
}

/* For people without its tensors, of which there may be hundreds: psctl model has them. */
static void show(ps_client *client, const Psd__V1__Model *model)
{
    Psd__V1__Model head = *model; /* borrows */
    head.n_tensors = client->json ? head.n_tensors : 0;
    ps_show_model(client, &head);
}

static ps_status check_usage(ps_client *client, const source *s, const options *o)
{
    if (s->model && ps_model_in_knows_model(s->model) && o->config)
        return ps_client_usage(client, "--model is for a safetensors file; folders and GGUF files "
                                       "say what they are");
    char *folder = o->config ? NULL : ps_model_source_folder(&s->given);
    ps_status st = PS_OK;
    if (folder)
        st = ps_fail(PS_INVALID_ARGUMENT,
                     "%s has a model's weights, and not which model it is; the folder that it is "
                     "in has both: psctl import %s NAME (or say it by --model CONFIG)",
                     s->given.path, folder);
    ps_free(&folder);
    if (st)
        return st;
    if (!s->model && (o->float32 || o->float_activations))
        return ps_client_usage(client, "--float32 and --float-activations are for GGUF files and "
                                       "folders; psd's own file is taken as it is");
    return PS_OK;
}

/* An adapter needs a model beside it, and --base an adapter. */
static ps_status check_kind(const char *path, const options *o)
{
    char *folder = NULL;
    bool is_folder = false;
    const char *name = o->base ? o->base : "MODEL";
    ps_status st = ps_model_file_kind(NULL, path, &is_folder);
    if (!st)
        st = ps_peft_find(NULL, path, &folder);
    if (!st && folder && !(o->base && is_folder))
        st = ps_fail(PS_INVALID_ARGUMENT,
                     "%s is %san adapter (LoRA) and no model by itself; psctl import --base %s %s "
                     "NAME adds it to the stored model that it is for",
                     path, is_folder ? "" : "of ", name, folder);
    else if (!st && !folder && o->base)
        st = ps_fail(PS_INVALID_ARGUMENT,
                     "%s is no adapter's folder, which --base is for: it has no " PS_PEFT_CONFIG,
                     path);
    ps_free(&folder);
    return st;
}

/* The two files of an adapter's folder: the configuration goes as what the model is, the tensors as
 * a file of numbers. */
static ps_status open_adapter(ps_client *client, source *s, const char *folder, const options *o,
                              ps_buf *config)
{
    ps_peft_about about;
    if (o->config || o->identity || o->float_activations)
        return ps_client_usage(client, "--base goes with none of --model, --identity and "
                                       "--float-activations");
    ps_status st = ps_check_model_name(o->base);
    if (st)
        return st;
    st = ps_peft_look(NULL, folder, &about);
    ps_peft_about_free(&about);
    char *path = ps_asprintf("%s/" PS_PEFT_CONFIG, folder);
    if (!st)
        st = ps_read_small_file(path, PS_PEFT_CONFIG_MAX, config);
    ps_free(&path);
    path = ps_asprintf("%s/" PS_PEFT_FILE, folder);
    if (!st)
        st = open_source(s, path, o);
    ps_free(&path);
    return st;
}

static ps_status run(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    ps_buf config = PS_BUF_EMPTY;
    Psd__V1__ImportHeader header = PSD__V1__IMPORT_HEADER__INIT;
    header.name = ps_borrow(args->operands.at[1]);
    header.replace = o->replace;
    header.adapter_of = ps_borrow(o->base ? o->base : "");
    source s = {.file = -1, .header = &header};
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_check_model_name(header.name);
    if (!st && !o->identity && strcmp(args->operands.at[0], "-") != 0)
        st = check_kind(args->operands.at[0], o);
    if (!st)
        st = o->base ? open_adapter(client, &s, args->operands.at[0], o, &config)
                     : open_source(&s, args->operands.at[0], o);
    header.config = ps_borrow(o->base ? ps_buf_cstr(&config) : o->config ? o->config : "");
    if (!st && !o->base)
        st = check_usage(client, &s, o);
    if (!st)
        ps_print_remarks(s.model ? ps_model_in_remarks(s.model) : "");
    if (!st)
        st = ps_client_upload(client, "/psd.v1.Models/Import", next, &s,
                              &psd__v1__model__descriptor, &reply);
    close_source(&s);
    ps_buf_free(&config);
    if (st == PS_ALREADY_EXISTS)
        return ps_fail(st, "%s (--replace)", ps_error_message());
    if (st)
        return st;
    show(client, (const Psd__V1__Model *)(void *)reply);
    ps_reply_free(&reply);
    return PS_OK;
}

const ps_command ps_command_import = {
    .name = "import",
    .operands = "FILE|FOLDER NAME",
    .help = "store a safetensors or GGUF file, or a Hugging Face folder, as a model",
    .details =
        "Without --model the architecture is that of the file's metadata (psd.model), which\n"
        "every file that psd exports has; its tensors are F32, F16, BF16 or F64. A folder has\n"
        "config.json, of a language model, and model.safetensors or its shards. A GGUF\n"
        "file is of a language model too, its tensors of any type that psd has a form for; of\n"
        "one in several files (NAME-00001-of-00003.gguf) any stands for all, which lie beside\n"
        "it. Floats become float32, blocks (Q4_0, Q4_K …) are kept. - is standard input.\n"
        "With --identity the file, or those of the folder, may be encrypted by age (.age); what\n"
        "was changed or cut is refused. With --base FOLDER is an adapter (LoRA) as Hugging\n"
        "Face's PEFT keeps it: adapter_config.json and adapter_model.safetensors.\n",
    .flags = flags,
    .options_size = sizeof(options),
    .least = 2,
    .most = 2,
    .run = run,
};
