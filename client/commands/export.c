/* export: a stored model into a file or folder, which is there whole or not at all. safetensors is
 * psd's own file as it is; the other formats are made of it while it arrives. */
#include "client/call/client.h"
#include "client/call/file_receive.h"
#include "client/call/file_windows.h"
#include "client/call/imatrix_receive.h"
#include "client/call/streams.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/show/human.h"
#include "common/base/crc32c.h"
#include "common/base/mem.h"
#include "common/base/new_file.h"
#include "common/base/target.h"
#include "common/form/mix.h"
#include "common/model/export_check.h"
#include "common/model/model_format.h"
#include "common/transport/call/message.h"
#include "psd/v1/models.pb-c.h"

#include <string.h>

typedef struct options {
    const char *path;
    const char *format;
    const char *dtype;
    const char *activations;
    bool force;
} options;

static const char *const activation_words[] = {"int8", "fp8", NULL};

static const ps_flag flags[] = {
    {.name = "to",
     .letter = 'o',
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, path),
     .value = "PATH",
     .help = "where to (default: NAME.safetensors, NAME.gguf or NAME here); - is standard output"},
    {.name = "format",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, format),
     .value = "FORMAT",
     .words = ps_model_format_names,
     .help =
         "safetensors (default), gguf, hf: a Hugging Face folder, or hf-ct, hf-gptq, hf-awq: one "
         "of codes; imatrix: what its job was calibrated on, for llama-quantize"},
    {.name = "dtype",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, dtype),
     .value = "TYPE",
     .words = ps_mix_names, /* of all formats; each has its own of them */
     .help = "hf: f32 (default), bf16, f16; gguf: f16 (default), f32, bf16, or one of llama.cpp's "
             "kinds, as q8_0, q4_0, q4_k_m"},
    {.name = "activations",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, activations),
     .value = "TYPE",
     .words = activation_words,
     .help = "hf-ct, of int8/row or fp8/row: whoever loads it rounds what goes into products, too"},
    {.name = "force",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, force),
     .help = "overwrite a file that is there"},
    {.name = NULL},
};

typedef struct sink {
    ps_new_file *file;       /* safetensors, */
    uint32_t checksum;       /* and of what came for it; */
    ps_model_export *stream; /* or this */
    char *config, *version;  /* of the model, */
    uint64_t job_id;         /* and the job that made it; 0: none */
} sink;

static ps_status take_piece(void *user, ps_slice piece)
{
    sink *s = user;
    if (s->stream)
        return ps_model_export_feed(s->stream, piece);
    s->checksum = ps_crc32c(s->checksum, piece.data, piece.len);
    return ps_new_file_write(s->file, piece.data, piece.len);
}

/* sums: not the model, but the importance matrix of its calibration. */
static void report(ps_client *client, const char *name, const char *path, uint64_t bytes, bool sums)
{
    if (client->json) {
        ps_json_writer w = ps_json_begin(client);
        ps_json_object(&w);
        ps_json_put_string(&w, "model", name);
        ps_json_put_string(&w, "file", path);
        ps_json_put_uint(&w, "bytes", bytes);
        ps_json_object_end(&w);
        ps_json_finish(client);
    } else {
        char *shown = ps_shown(path);
        ps_buf_printf(&client->out, "%s %s is in %s (%s)\n",
                      sums ? "the importance matrix of" : "model", name, shown,
                      ps_human_bytes((double)bytes).text);
        ps_free(&shown);
    }
    ps_streams_report(client, path);
}

static ps_status take_model(void *user, ps_slice message)
{
    sink *s = user;
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_message_unpack(message, &psd__v1__model__descriptor, &reply, NULL);
    if (st)
        return st;
    s->job_id = ((Psd__V1__Model *)(void *)reply)->job_id;
    s->version = ps_strdup(((Psd__V1__Model *)(void *)reply)->version);
    s->config = ps_strdup(((Psd__V1__Model *)(void *)reply)->config);
    ps_reply_free(&reply);
    return PS_END;
}

/* The config that the catalog has, and of which version; as a stream, which an interruption ends in
 * order. */
static ps_status find_model(ps_client *client, const char *name, sink *s)
{
    Psd__V1__GetModelRequest request = PSD__V1__GET_MODEL_REQUEST__INIT;
    request.name = ps_borrow(name);
    ps_status st = ps_client_stream(client, "/psd.v1.Models/Get", &request.base, take_model, s);
    return !st && !s->config ? ps_fail(PS_DATA_LOSS, "psd says nothing of model %s", name) : st;
}

static ps_status open_sink(ps_client *client, const char *name, const options *o, const char *path,
                           sink *s)
{
    const ps_model_format *format = ps_model_format_find(o->format);
    ps_model_out_options out = {.path = path, .activations = o->activations, .force = o->force};
    ps_status st = ps_streams_check_output(client, path);
    if (st)
        return st;
    if (format->folder && ps_target_descriptor(path) >= 0)
        return ps_client_usage(client, "format %s is a folder, which needs a name: --to FOLDER",
                               format->name);
    if (!format->out && o->dtype)
        return ps_client_usage(client, "--dtype is for other formats than %s", format->name);
    if (o->activations && strcmp(format->name, "hf-ct") != 0)
        return ps_client_usage(client, "--activations is for format hf-ct");
    if (!format->out)
        return ps_new_file_open(path, &(ps_new_file_options){.force = o->force}, &s->file);
    out.dtype = ps_model_format_dtype(format, o->dtype);
    out.keep = !o->dtype;
    if (!out.dtype)
        return ps_client_usage(client, "format %s has no dtype %s", format->name, o->dtype);
    st = find_model(client, name, s);
    if (!st)
        s->stream = ps_model_export_new(format, s->config, &out);
    return st;
}

/* It is read back and compared with psd's file, got: so many bytes, before it has its name. psd's
 * own needs no second download for that. */
static ps_status finish(ps_client *client, const char *name, sink *s, uint64_t got, uint64_t *bytes)
{
    *bytes = got;
    if (!s->stream)
        return ps_export_finish_file(&s->file, NULL, s->checksum);
    ps_file_windows *file = ps_file_windows_new(client, name, s->version, got);
    const ps_export_original original = {
        .config = s->config, .range = ps_file_windows_read, .user = file};
    ps_status st = ps_export_finish(s->stream, &original, bytes);
    ps_file_windows_free(&file);
    return st;
}

static ps_status export_model(ps_client *client, const char *name, const options *o,
                              const char *path)
{
    Psd__V1__ExportRequest request = PSD__V1__EXPORT_REQUEST__INIT;
    request.name = ps_borrow(name);
    sink s = {0};
    uint64_t got = 0, bytes = 0;
    ps_status st = open_sink(client, request.name, o, path, &s);
    if (s.version)
        request.version = s.version;
    if (!st)
        st = ps_receive_file(client, "/psd.v1.Models/Export", &request.base, take_piece, &s, &got);
    if (!st)
        st = finish(client, request.name, &s, got, &bytes);
    if (!st && s.stream)
        ps_print_remarks(ps_model_export_remarks(s.stream));
    if (!st)
        report(client, request.name, path, bytes, false);
    ps_new_file_drop(&s.file);
    ps_model_export_free(&s.stream);
    ps_free(&s.version);
    ps_free(&s.config);
    return st;
}

/* No model, but what its job has left of its calibration; it is small. */
static ps_status export_imatrix(ps_client *client, const char *name, const options *o,
                                const char *path)
{
    sink s = {0};
    ps_buf gguf = PS_BUF_EMPTY;
    ps_status st = ps_streams_check_output(client, path);
    if (!st && (o->dtype || o->activations))
        st = ps_client_usage(client, "--%s is not for format imatrix",
                             o->dtype ? "dtype" : "activations");
    if (!st)
        st = find_model(client, name, &s);
    if (!st)
        st = ps_imatrix_receive(client, name, s.job_id, &gguf);
    if (!st)
        st = ps_new_file_save(path, ps_buf_slice(&gguf), &(ps_new_file_options){.force = o->force});
    if (!st)
        report(client, name, path, gguf.len, true);
    ps_buf_free(&gguf);
    ps_free(&s.version);
    ps_free(&s.config);
    return st;
}

static ps_status run(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    const ps_model_format *format = ps_model_format_find(o->format);
    const char *name = args->operands.at[0];
    ps_status st = ps_check_model_name(name);
    if (st)
        return st;
    char *path = o->path ? ps_strdup(o->path) : ps_asprintf("%s%s", name, format->ending);
    st = format->sums ? export_imatrix(client, name, o, path) : export_model(client, name, o, path);
    ps_free(&path);
    return st;
}

const ps_command ps_command_export = {
    .name = "export",
    .operands = "NAME",
    .help = "write a stored model into a file, or a folder that transformers loads",
    .details = "Formats hf and gguf are for language models. A tokenizer that came with the\n"
               "model goes with it. Without --dtype, what is stored in blocks of llama.cpp's\n"
               "keeps them in gguf. Format imatrix is no model, but llama.cpp's importance\n"
               "matrix of the calibration that its compress job has kept.\n",
    .flags = flags,
    .options_size = sizeof(options),
    .least = 1,
    .most = 1,
    .run = run,
};
