/* export: a stored model into a file or folder, which is there whole or not at all. safetensors is
 * psd's own file as it is; the other formats are made of it while it arrives. For recipients each
 * file is encrypted while it is written. */
#include "client/call/client.h"
#include "client/call/export_way.h"
#include "client/call/file_receive.h"
#include "client/call/file_windows.h"
#include "client/call/imatrix_receive.h"
#include "client/call/signed_folder.h"
#include "client/call/streams.h"
#include "client/call/support.h"
#include "client/call/unfinished.h"
#include "client/commands/commands.h"
#include "client/show/human.h"
#include "client/show/signed_view.h"
#include "common/base/crc32c.h"
#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/base/new_file.h"
#include "common/base/target.h"
#include "common/form/mix.h"
#include "common/model/export_check.h"
#include "common/model/model_format.h"
#include "common/transport/call/message.h"
#include "psd/v1/models.pb-c.h"

#include <string.h>
#include <strings.h>

typedef struct options {
    const char *path;
    const char *format;
    const char *dtype;
    const char *activations;
    ps_texts recipients;
    const char *signer_key, *signer_cert;
    uint64_t split;
    bool sign, force;
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
    {.name = "split",
     .type = PS_FLAG_SIZE,
     .offset = offsetof(options, split),
     .value = "SIZE",
     .help = "gguf, hf: several files of so many bytes of tensors at most (2GiB), in a folder"},
    {.name = "recipient",
     .letter = 'r',
     .type = PS_FLAG_TEXTS,
     .offset = offsetof(options, recipients),
     .value = "AGE1",
     .help = "encrypt for whom this recipient of age is (age1…), who opens it by age -d; again for "
             "each"},
    {.name = "sign",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, sign),
     .help = "into a folder, with where the model comes from and signatures: psd-provenance.json, "
             "model.sig, model.slsa.sig"},
    {.name = "signer-key",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, signer_key),
     .value = "FILE",
     .help = "the signer's private key (or the context's)"},
    {.name = "signer-cert",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, signer_cert),
     .value = "FILE",
     .help = "the signer's certificate (or the context's)"},
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
    ps_export_way way;
    Psd__V1__Model *model; /* as the catalog has it */
    ps_signer_files signer;
    ps_signed_folder *folder;  /* --sign: that it goes into; NULL: none */
    const char *unnamed;       /* what was begun beside it; NULL: nothing, or nothing yet */
    ps_unfinished *unfinished; /* either */
    ps_model_signed done;      /* then: what was signed */
} sink;

/* Of a signed export it is the folder that is unfinished, and stays it. */
static void hold(const sink *s)
{
    if (!s->folder)
        ps_unfinished_hold(s->unfinished);
}

static void go_on(sink *s, const char *unnamed)
{
    if (s->folder)
        return;
    s->unnamed = unnamed;
    ps_unfinished_go_on(s->unfinished, unnamed);
}

static ps_status take_piece(void *user, ps_slice piece)
{
    sink *s = user;
    if (s->stream) {
        ps_status st = ps_model_export_feed(s->stream, piece);
        if (!s->unnamed) {
            hold(s);
            go_on(s, ps_model_export_unnamed(s->stream));
        }
        return st;
    }
    s->checksum = ps_crc32c(s->checksum, piece.data, piece.len);
    return ps_new_file_write(s->file, piece.data, piece.len);
}

/* sums: not the model, but the importance matrix of its calibration. */
static void report(ps_client *client, const sink *s, const char *path, uint64_t bytes, bool sums)
{
    const char *name = s->model->name;
    const size_t recipients = s->way.recipients.n;
    if (client->json) {
        ps_json_writer w = ps_json_begin(client);
        ps_json_object(&w);
        ps_json_put_string(&w, "model", name);
        ps_json_put_string(&w, "file", path);
        ps_json_put_uint(&w, "bytes", bytes);
        ps_json_put_uint(&w, "recipients", recipients);
        if (*s->done.root) {
            ps_json_key(&w, "signature");
            ps_signed_json(&w, "signed", path, &s->done);
        }
        ps_json_object_end(&w);
        ps_json_finish(client);
    } else {
        char *shown = ps_shown(path);
        ps_buf_printf(&client->out, "%s %s is in %s (%s)",
                      sums ? "the importance matrix of" : "model", name, shown,
                      ps_human_bytes((double)bytes).text);
        if (recipients)
            ps_buf_printf(&client->out, ", encrypted for %zu recipient%s", recipients,
                          recipients == 1 ? "" : "s");
        if (*s->done.signer)
            ps_buf_printf(&client->out, ", signed by %s", s->done.signer);
        else if (*s->done.root)
            ps_buf_printf(&client->out, ", signed by key %s", s->done.key);
        ps_buf_putc(&client->out, '\n');
        ps_free(&shown);
    }
    ps_streams_report(client, path);
}

static ps_status take_model(void *user, ps_slice message)
{
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_message_unpack(message, &psd__v1__model__descriptor, &reply, NULL);
    if (st)
        return st;
    ((sink *)user)->model = (Psd__V1__Model *)(void *)reply;
    return PS_END;
}

/* What the catalog says of it, its version too; as a stream, which an interruption ends in order.
 * And with it who is to read what leaves psd. */
static ps_status find_model(ps_client *client, const char *name, bool lineage, sink *s)
{
    Psd__V1__GetModelRequest request = PSD__V1__GET_MODEL_REQUEST__INIT;
    request.name = ps_borrow(name);
    request.lineage = lineage;
    ps_status st = ps_client_stream(client, "/psd.v1.Models/Get", &request.base, take_model, s);
    if (!st && !s->model)
        st = ps_fail(PS_DATA_LOSS, "psd says nothing of model %s", name);
    return st ? st : ps_export_way_settle(client, s->model, &s->way);
}

/* A name that ends as files of another format do, and no word of it: it would hold what nobody who
 * goes by the name can read. */
static ps_status check_ending(ps_client *client, const options *o)
{
    const size_t len = o->path && !o->format ? strlen(o->path) : 0;
    for (const ps_model_format *const *f = ps_model_formats; *f; f++) {
        const size_t ending = strlen((*f)->ending);
        if ((*f)->out && ending && len >= ending &&
            !strcasecmp(o->path + len - ending, (*f)->ending))
            return ps_client_usage(client,
                                   "--to %s: without --format it is %s that is written; "
                                   "did you mean --format %s?",
                                   o->path, ps_model_formats[0]->name, (*f)->name);
    }
    return PS_OK;
}

static ps_status check_usage(ps_client *client, const ps_model_format *format, const options *o)
{
    if (o->sign && format->sums)
        return ps_client_usage(client, "--sign is of models; format %s is none", format->name);
    if (!o->sign && (o->signer_key || o->signer_cert))
        return ps_client_usage(client, "--signer-key and --signer-cert are for --sign");
    if (o->split && strcmp(format->name, "gguf") != 0 && strcmp(format->name, "hf") != 0)
        return ps_client_usage(client, "--split is for formats gguf and hf");
    if (o->sign && o->path && ps_target_descriptor(o->path) >= 0)
        return ps_client_usage(client, "a signed export is a folder, which needs a name: --to "
                                       "FOLDER");
    if (o->path && (format->folder || o->split) && ps_target_descriptor(o->path) >= 0)
        return ps_client_usage(client, "%s%s is a folder, which needs a name: --to FOLDER",
                               o->split ? "--split: it" : "format ", o->split ? "" : format->name);
    if (!format->out && o->dtype)
        return ps_client_usage(client, "--dtype is for other formats than %s", format->name);
    if (o->activations && strcmp(format->name, "hf-ct") != 0)
        return ps_client_usage(client, "--activations is for format hf-ct");
    if (format->out && !ps_model_format_dtype(format, o->dtype))
        return ps_client_usage(client, "format %s has no dtype %s", format->name, o->dtype);
    if (o->sign && o->path && !*o->path)
        return ps_client_usage(client, "--to: the name of a folder to write is empty");
    return o->path ? ps_streams_check_output(client, o->path) : PS_OK;
}

/* It is read back and compared with psd's file, got: so many bytes, before it has its name. psd's
 * own needs no second download for that. */
static ps_status finish(ps_client *client, sink *s, uint64_t got, uint64_t *bytes)
{
    *bytes = got;
    if (!s->stream)
        return ps_export_finish_file(&s->file, ps_export_way_disk(&s->way), s->checksum);
    ps_file_windows *file = ps_file_windows_new(client, s->model->name, s->model->version, got);
    const ps_export_original original = {
        .config = s->model->config, .range = ps_file_windows_read, .user = file};
    ps_status st = ps_export_seal(s->stream, &original);
    ps_file_windows_free(&file);
    if (st || !s->unnamed) /* a pipe may take it for ever: it is not held */
        return st ? st : ps_model_export_finish(s->stream, bytes);
    hold(s);
    st = ps_model_export_finish(s->stream, bytes);
    go_on(s, NULL);
    return st;
}

/* What does not wait for psd's bytes: those of other formats begin with the first of them. */
static ps_status open_sink(const ps_model_format *format, const options *o, const char *path,
                           sink *s)
{
    const ps_disk *disk = ps_export_way_disk(&s->way);
    if (format->out) {
        const ps_model_out_options out = {.path = path,
                                          .dtype = ps_model_format_dtype(format, o->dtype),
                                          .activations = o->activations,
                                          .disk = disk,
                                          .ending = ps_export_way_ending(&s->way),
                                          .name = s->model->name,
                                          .split = o->split,
                                          .keep = !o->dtype,
                                          .force = o->force};
        s->stream = ps_model_export_new(format, s->model->config, &out);
        return PS_OK;
    }
    hold(s);
    ps_status st =
        ps_new_file_open(path, &(ps_new_file_options){.force = o->force, .disk = disk}, &s->file);
    go_on(s, s->file ? ps_new_file_temporary(s->file) : NULL);
    return st;
}

/* *bytes of a model in a file or folder of that path. */
static ps_status write_model(ps_client *client, const ps_model_format *format, const options *o,
                             const char *path, sink *s, uint64_t *bytes)
{
    Psd__V1__ExportRequest request = PSD__V1__EXPORT_REQUEST__INIT;
    request.name = s->model->name;
    request.version = s->model->version;
    uint64_t got = 0;
    ps_status st = open_sink(format, o, path, s);
    if (!st)
        st = ps_receive_file(client, "/psd.v1.Models/Export", &request.base, take_piece, s, &got);
    if (!st)
        st = finish(client, s, got, bytes);
    if (!st && s->stream)
        ps_print_remarks(ps_model_export_remarks(s->stream));
    return st;
}

static ps_status export_model(ps_client *client, const ps_model_format *format, const options *o,
                              const char *path, sink *s)
{
    uint64_t bytes = 0;
    ps_status st = write_model(client, format, o, path, s, &bytes);
    if (!st)
        report(client, s, path, bytes, false);
    return st;
}

/* Its files are signed as they lie there: encrypted, if they are. */
static ps_status export_signed(ps_client *client, const ps_model_format *format, const options *o,
                               const char *folder, sink *s)
{
    uint64_t bytes = 0;
    ps_status st =
        ps_signer_files_find(&client->globals, o->signer_key, o->signer_cert, &s->signer);
    if (!st)
        st = ps_signed_folder_begin(folder, !format->folder && !o->split, &s->signer, s->unfinished,
                                    &s->folder);
    if (st)
        return st;
    const char *into = ps_signed_folder_path(s->folder);
    char *path = format->folder || o->split
                     ? ps_strdup(into)
                     : ps_asprintf("%s/%s%s%s", into, s->model->name, format->ending,
                                   ps_export_way_ending(&s->way));
    st = write_model(client, format, o, path, s, &bytes);
    if (!st)
        st = ps_signed_folder_finish(&s->folder, s->model->lineage, ps_export_way_disk(&s->way),
                                     ps_export_way_ending(&s->way), &s->done);
    if (!st)
        report(client, s, folder, bytes, false);
    ps_free(&path);
    return st;
}

/* No model, but what its job has left of its calibration; it is small. */
static ps_status export_imatrix(ps_client *client, const ps_model_format *format, const options *o,
                                const char *path, sink *s)
{
    ps_buf gguf = PS_BUF_EMPTY;
    ps_status st = ps_imatrix_receive(client, s->model->name, s->model->job_id, &gguf);
    if (!st)
        st = open_sink(format, o, path, s);
    if (!st)
        st = ps_new_file_write(s->file, gguf.data, gguf.len);
    if (!st)
        st = ps_new_file_finish(&s->file);
    if (!st)
        report(client, s, path, gguf.len, true);
    ps_buf_free(&gguf);
    return st;
}

/* Of a folder it is its files that are encrypted. */
static char *path_of(const ps_model_format *format, const options *o, const char *name,
                     const sink *s)
{
    if (o->path || o->sign)
        return ps_strdup(o->path ? o->path : name);
    if (o->split)
        return ps_strdup(name);
    return ps_asprintf("%s%s%s", name, format->ending,
                       format->folder ? "" : ps_export_way_ending(&s->way));
}

static ps_status run(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    const ps_model_format *format = ps_model_format_find(o->format);
    const char *name = args->operands.at[0];
    sink s = {0};
    ps_status st = ps_check_model_name(name);
    if (!st)
        st = check_usage(client, format, o);
    if (!st)
        st = check_ending(client, o);
    if (!st)
        st = ps_export_way_begin(client, &o->recipients, &s.way);
    if (!st)
        st = find_model(client, name, o->sign, &s);
    if (!st) {
        char *path = path_of(format, o, name, &s);
        s.unfinished = ps_unfinished_begin(NULL);
        st = format->sums ? export_imatrix(client, format, o, path, &s)
             : o->sign    ? export_signed(client, format, o, path, &s)
                          : export_model(client, format, o, path, &s);
        ps_free(&path);
    }
    ps_new_file_drop(&s.file);
    ps_model_export_free(&s.stream);
    ps_signed_folder_drop(&s.folder);
    ps_unfinished_end(&s.unfinished);
    ps_signer_files_clear(&s.signer);
    ps_export_way_clear(&s.way);
    ps_reply_free(&s.model);
    return st;
}

const ps_command ps_command_export = {
    .name = "export",
    .operands = "NAME",
    .help = "write a stored model into a file, or a folder that transformers loads",
    .details =
        "Formats hf and gguf are for language models. A tokenizer that came with the\n"
        "model goes with it. Without --dtype, what is stored in blocks of llama.cpp's\n"
        "keeps them in gguf. Format imatrix is no model, but llama.cpp's importance\n"
        "matrix of the calibration that its compress job has kept. With --recipient files\n"
        "are encrypted and end in .age, those of a folder one by one; age -d opens them,\n"
        "and psctl import --identity. With --sign PATH is a folder, which must not be there\n"
        "yet; psctl model verify checks it.\n",
    .flags = flags,
    .options_size = sizeof(options),
    .least = 1,
    .most = 1,
    .run = run,
};
