/* The row `hf`. Happy path: a folder under a temporary name beside its own gets config.json, the
 * tokenizer and the files that came beside it, model.safetensors is written as the numbers come,
 * and the folder takes its name. With force, and a folder there already, each of these files
 * replaces the one of its name at the end. Rows hf-ct, hf-gptq and hf-awq write the same, but
 * matrices of the blocks as packed codes (hf_pack.h).
 */
#include "common/base/buf.h"
#include "common/base/half.h"
#include "common/base/mem.h"
#include "common/base/new_file.h"
#include "common/base/require.h"
#include "common/json/json.h"
#include "common/model/hf_config.h"
#include "common/model/hf_kept.h"
#include "common/model/hf_pack.h"
#include "common/model/hf_quantization.h"
#include "common/model/hf_rows.h"
#include "common/model/hf_sentence.h"
#include "common/model/hf_tokenizer_config.h"
#include "common/model/out_folder.h"
#include "common/model/side_files.h"
#include "common/tokenizer/tokenizer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const dtypes[] = {"f32", "bf16", "f16", NULL};
static const char *const packed_dtypes[] = {"f16", "bf16", "f32", NULL};
/* Besides side_files. */
static const char *const files[] = {"config.json",           "tokenizer.json",
                                    "tokenizer_config.json", "quantize_config.json",
                                    "model.safetensors",     NULL};

struct ps_model_out {
    ps_out_folder *folder;
    const ps_disk *disk; /* that files are written through, with this end of their names */
    const char *ending;
    ps_safetensors_dtype dtype;
    ps_hf_pack *pack;             /* NULL: all are numbers */
    const char *prefix, *outside; /* of names, but of those that begin so; NULL: there is none */
    ps_lm_tensor *tensors;
    size_t n, at;          /* the tensor whose numbers come, */
    uint64_t came;         /* and how many of them have */
    float *gathered;       /* all of it, when its rows change; else NULL */
    size_t *part, n_files; /* [n]: which file has each, of how many */
    ps_new_file *file;
    ps_safetensors_writer *writer;
    uint64_t bytes, data; /* of all files, and of the tensors in them */
};

static ps_status write_text(ps_model_out *o, const char *name, ps_slice text)
{
    char *path = ps_out_folder_file(o->folder, name);
    ps_status st =
        ps_new_file_save(path, text, &(ps_new_file_options){.force = true, .disk = o->disk});
    ps_free(&path);
    o->bytes += text.len;
    return st;
}

static ps_status write_tokenizer_config(ps_model_out *o, const ps_model_about *about)
{
    ps_buf config = PS_BUF_EMPTY;
    ps_hf_tokenizer_config(about, &config);
    ps_status st = write_text(o, "tokenizer_config.json", ps_buf_slice(&config));
    ps_buf_free(&config);
    return st;
}

/* In a folder that was there: of another model maybe, and whoever loads this one reads it, too. */
static void remark_if_there(const ps_model_out *o, const ps_model_about *about, const char *name)
{
    if (ps_out_folder_had(o->folder, name, o->ending))
        ps_buf_printf(about->remarks, "%s/%s%s was there before and is not of this model\n",
                      ps_out_folder_path(o->folder), name, o->ending);
}

/* Of encrypted files those that are not would be read in their place. */
static void remark_if_plain(const ps_model_out *o, const ps_model_about *about, const char *name)
{
    if (*o->ending && ps_out_folder_had(o->folder, name, ""))
        ps_buf_printf(about->remarks, "%s/%s was there before and is not encrypted\n",
                      ps_out_folder_path(o->folder), name);
}

static void remark_plain(const ps_model_out *o, const ps_model_about *about)
{
    for (size_t i = 0; files[i]; i++)
        remark_if_plain(o, about, files[i]);
    for (size_t i = 0; i < PS_SIDE_FILES; i++)
        remark_if_plain(o, about, ps_side_files[i].name);
}

/* The files that came with the model, as they came; and what a tokenizer cannot be without. */
static ps_status write_beside(ps_model_out *o, const ps_model_about *about)
{
    ps_status st = PS_OK;
    ps_buf bytes = PS_BUF_EMPTY;
    if (about->tokenizer)
        st = write_text(o, "tokenizer.json", ps_slice_str(about->tokenizer));
    if (!st && about->tokenizer && !ps_safetensors_metadata(about->file, "tokenizer_config.json"))
        st = write_tokenizer_config(o, about);
    for (size_t i = 0; !st && i < PS_SIDE_FILES; i++) {
        bool there = ps_side_bytes(about->file, &ps_side_files[i], &bytes);
        there |= ps_hf_sentence_make(about->model, about->file, ps_side_files[i].name, &bytes);
        bool made = about->tokenizer && !strcmp(ps_side_files[i].name, "tokenizer_config.json");
        if (there && (about->tokenizer || !ps_side_files[i].tokenizer))
            st = write_text(o, ps_side_files[i].name, ps_buf_slice(&bytes));
        else if (!made)
            remark_if_there(o, about, ps_side_files[i].name);
    }
    if (!about->tokenizer)
        remark_if_there(o, about, "tokenizer.json");
    ps_buf_free(&bytes);
    return st;
}

static ps_status write_config(ps_model_out *o, const ps_model_about *about)
{
    static const char *const names[PS_SAFETENSORS_DTYPE_COUNT] = {[PS_SAFETENSORS_F32] = "float32",
                                                                  [PS_SAFETENSORS_BF16] =
                                                                      "bfloat16",
                                                                  [PS_SAFETENSORS_F16] = "float16"};
    ps_buf text = PS_BUF_EMPTY, quantization = PS_BUF_EMPTY;
    if (o->pack)
        ps_hf_pack_config(o->pack, &quantization);
    ps_hf_config_write(about->model, names[o->dtype], about->ids,
                       o->pack ? ps_buf_cstr(&quantization) : NULL,
                       ps_safetensors_metadata(about->file, PS_MODEL_META_HF_CONFIG), &text);
    ps_status st = write_text(o, "config.json", ps_buf_slice(&text));
    const char *beside = o->pack ? ps_hf_pack_beside(o->pack) : NULL;
    if (!st && beside)
        st = write_text(o, beside, ps_buf_slice(&quantization));
    for (const ps_hf_beside *other = ps_hf_besides; other->file; other++)
        if (!beside || strcmp(beside, other->file) != 0)
            remark_if_there(o, about, other->file);
    ps_buf_free(&text);
    ps_buf_free(&quantization);
    return st;
}

static ps_status sink(void *state, const void *data, size_t len)
{
    return ps_new_file_write(((ps_model_out *)state)->file, data, len);
}

enum { PREFIX = 16 };

/* transformers finds a model that is saved whole by the prefix of its names, and takes one without
 * for the inner one alone, which has no classes. */
static void whole_name(const ps_model_out *o, const char *name, char out[PS_LM_NAME + PREFIX])
{
    bool inner = o->outside && strncmp(name, o->outside, strlen(o->outside)) != 0;
    (void)snprintf(out, PS_LM_NAME + PREFIX, "%s%s", inner ? o->prefix : "", name);
}

/* ---- files of tensors ---- */

static char *name_of(const ps_model_out *o, size_t file)
{
    return o->n_files == 1 ? ps_strdup("model.safetensors")
                           : ps_asprintf("model-%05zu-of-%05zu.safetensors", file + 1, o->n_files);
}

/* Numbers of one dtype come in the order of the data; codes and scales, of several, as given. */
static ps_status begin_writer(ps_model_out *o, size_t file)
{
    const ps_safetensors_sink to = {sink, o};
    const ps_safetensors_tensor *packed = NULL;
    ps_safetensors_pair format = {"format", "pt"};
    if (o->pack) {
        size_t n = ps_hf_pack_tensors(o->pack, o->dtype, &packed);
        return ps_safetensors_writer_new_as_given(packed, n, &format, 1, to, &o->writer);
    }
    ps_safetensors_tensor *tensors = ps_alloc_array(o->n, sizeof *tensors);
    char(*names)[PS_LM_NAME + PREFIX] = ps_alloc_array(o->n, sizeof *names);
    size_t n = 0;
    for (size_t i = 0; i < o->n; i++) {
        const ps_lm_tensor *t = &o->tensors[i];
        if (o->part[i] != file)
            continue;
        whole_name(o, t->name, names[n]);
        tensors[n] =
            (ps_safetensors_tensor){.name = names[n], .dtype = o->dtype, .n_dims = t->n_dims};
        memcpy(tensors[n++].shape, t->shape, sizeof t->shape);
    }
    ps_status st = ps_safetensors_writer_new(tensors, n, &format, 1, to, &o->writer);
    ps_free(&tensors);
    ps_free(&names);
    return st;
}

static ps_status begin_file(ps_model_out *o, size_t file)
{
    char *name = name_of(o, file), *path = ps_out_folder_file(o->folder, name);
    ps_status st =
        ps_new_file_open(path, &(ps_new_file_options){.force = true, .disk = o->disk}, &o->file);
    ps_free(&name);
    ps_free(&path);
    return st ? st : begin_writer(o, file);
}

static ps_status end_file(ps_model_out *o)
{
    ps_status st = ps_safetensors_writer_finish(&o->writer);
    o->bytes += ps_new_file_bytes(o->file);
    return st ? st : ps_new_file_finish(&o->file);
}

/* Weights that were there, in one file or in as many as it was: some readers look for the one
 * first, and some for the index. */
static void take_weights_away(const ps_model_out *o)
{
    ps_out_folder_takes_away(o->folder, "model.safetensors");
    ps_out_folder_takes_away(o->folder, "model.safetensors.index.json");
    ps_out_folder_takes_parts_away(o->folder, "model", ".safetensors");
}

static ps_status begin_tensors(ps_model_out *o, uint64_t most)
{
    uint64_t *bytes = ps_alloc_array(o->n + 1, sizeof *bytes);
    o->part = ps_alloc_array(o->n + 1, sizeof *o->part);
    for (size_t i = 0; i < o->n; i++) {
        bytes[i] = ps_lm_numbers(&o->tensors[i]) * ps_safetensors_dtype_size(o->dtype);
        o->data += bytes[i];
    }
    o->n_files = ps_out_parts(bytes, o->n, most ? most : UINT64_MAX, o->part);
    ps_free(&bytes);
    take_weights_away(o);
    return begin_file(o, 0);
}

/* Which file has which tensor, where there are several. */
static ps_status write_index(ps_model_out *o)
{
    ps_buf json = PS_BUF_EMPTY;
    char whole[PS_LM_NAME + PREFIX];
    ps_json_writer w = ps_json_writer_to(&json);
    ps_json_object(&w);
    ps_json_key(&w, "metadata");
    ps_json_object(&w);
    ps_json_put_uint(&w, "total_size", o->data);
    ps_json_object_end(&w);
    ps_json_key(&w, "weight_map");
    ps_json_object(&w);
    for (size_t i = 0; i < o->n; i++) {
        char *name = name_of(o, o->part[i]);
        whole_name(o, o->tensors[i].name, whole);
        ps_json_put_string(&w, whole, name);
        ps_free(&name);
    }
    ps_json_object_end(&w);
    ps_json_object_end(&w);
    ps_buf_putc(&json, '\n');
    ps_status st = write_text(o, "model.safetensors.index.json", ps_buf_slice(&json));
    ps_buf_free(&json);
    return st;
}

static void hf_drop(ps_model_out **out)
{
    ps_model_out *o = *out;
    if (!o)
        return;
    ps_hf_pack_free(&o->pack);
    ps_free(&o->tensors);
    ps_free(&o->part);
    ps_free(&o->gathered);
    ps_safetensors_writer_free(&o->writer);
    ps_new_file_drop(&o->file);
    ps_out_folder_drop(&o->folder);
    ps_free(out);
}

static ps_status check_heads(const ps_spec_model *model)
{
    bool has_key = false;
    for (const ps_arch_hf_out *key = ps_arch_find(model->architecture)->hf.out; key->key; key++)
        has_key |= key->name && !strcmp(key->name, "head_dim");
    return ps_lm_check_heads(model, has_key, "a Hugging Face folder");
}

static ps_status open_as(const ps_packed_row *packed, const ps_model_out_options *options,
                         const ps_model_about *about, ps_model_out **out)
{
    ps_status st = check_heads(about->model);
    if (!st && packed && options->split)
        st = ps_fail(PS_INVALID_ARGUMENT, "a folder of codes is not split");
    if (!st && packed && ps_spec_model_is_encoder(about->model))
        st = ps_fail(PS_FAILED_PRECONDITION,
                     "packed codes are for language models, not for architecture %s; use format hf",
                     about->model->architecture);
    if (st)
        return st;
    ps_model_out *o = ps_new(ps_model_out);
    if (about->model->choices.num_classes) {
        o->prefix = ps_arch_find(about->model->architecture)->hf.prefix;
        o->outside = ps_arch_find(about->model->architecture)->hf.outside;
    }
    o->n = about->n;
    o->tensors = ps_alloc_array(o->n, sizeof *o->tensors);
    memcpy(o->tensors, about->tensors, o->n * sizeof *o->tensors);
    o->disk = options->disk;
    o->ending = options->ending ? options->ending : "";
    o->dtype = !strcmp(options->dtype, "f32")   ? PS_SAFETENSORS_F32
               : !strcmp(options->dtype, "f16") ? PS_SAFETENSORS_F16
                                                : PS_SAFETENSORS_BF16;
    if (packed)
        st = ps_hf_pack_new(packed, about, options->activations, &o->pack);
    if (!st)
        st = ps_out_folder_open(options, &o->folder);
    if (!st) {
        remark_plain(o, about);
        st = write_beside(o, about);
    }
    if (!st)
        st = write_config(o, about);
    if (!st)
        st = begin_tensors(o, options->split);
    if (st)
        hf_drop(&o);
    else
        *out = o;
    return st;
}

static ps_status hf_open(const ps_model_out_options *options, const ps_model_about *about,
                         ps_model_out **out)
{
    return open_as(NULL, options, about, out);
}

static bool is_packed(const ps_model_out *o, size_t tensor)
{
    return ps_hf_pack_is_packed(o->pack, tensor);
}

static float hf_limit(const ps_model_out *o, size_t tensor)
{
    return o->dtype == PS_SAFETENSORS_F16    ? PS_F16_LIMIT
           : o->dtype == PS_SAFETENSORS_BF16 ? PS_BF16_LIMIT
                                             : INFINITY;
}

static ps_status write_numbers(ps_model_out *o, const float *values, size_t n)
{
    if (o->dtype == PS_SAFETENSORS_F32)
        return ps_safetensors_writer_data(o->writer, values, n * sizeof *values);
    uint8_t halves[4096];
    for (size_t at = 0; at < n;) {
        size_t part = n - at < sizeof halves / 2 ? n - at : sizeof halves / 2;
        for (size_t i = 0; i < part; i++) {
            uint16_t half = o->dtype == PS_SAFETENSORS_F16 ? ps_f16_of(values[at + i])
                                                           : ps_bf16_of(values[at + i]);
            halves[2 * i] = (uint8_t)half;
            halves[2 * i + 1] = (uint8_t)(half >> 8);
        }
        ps_status st = ps_safetensors_writer_data(o->writer, halves, 2 * part);
        if (st)
            return st;
        at += part;
    }
    return PS_OK;
}

/* Rows that Hugging Face has in another order wait for the last of them. */
static ps_status gather(ps_model_out *o, const float *values, size_t n)
{
    const ps_lm_tensor *t = &o->tensors[o->at];
    size_t all = (size_t)ps_lm_numbers(t), columns = all / (size_t)t->shape[0];
    if (!o->gathered)
        o->gathered = ps_try_alloc_raw(all * sizeof *o->gathered);
    float *theirs = NULL;
    if (o->gathered)
        memcpy(o->gathered + o->came, values, n * sizeof *values);
    if (o->gathered && o->came + n < all)
        return PS_OK;
    if (o->gathered)
        theirs = ps_try_alloc_raw(all * sizeof *theirs);
    if (!theirs)
        return ps_fail(PS_NO_MEMORY, "no memory for the rows of tensor %s", t->name);
    ps_hf_rows_out(t, o->gathered, columns * sizeof *theirs, theirs);
    ps_free(&o->gathered);
    ps_status st = write_numbers(o, theirs, all);
    ps_free(&theirs);
    return st;
}

static ps_status hf_data(ps_model_out *o, const float *values, size_t n)
{
    while (o->pack && ps_hf_pack_is_packed(o->pack, o->at))
        o->at++; /* its bytes have come */
    PS_REQUIRE(o->at < o->n);
    const ps_lm_tensor *t = &o->tensors[o->at];
    ps_status st = t->by_heads ? gather(o, values, n) : write_numbers(o, values, n);
    o->came += n;
    if (st || o->came < ps_lm_numbers(t))
        return st;
    o->at++;
    o->came = 0;
    if (o->at == o->n || o->part[o->at] == o->part[o->at - 1])
        return PS_OK;
    st = end_file(o);
    return st ? st : begin_file(o, o->part[o->at]);
}

static ps_status hf_bytes(ps_model_out *o, ps_slice bytes)
{
    return ps_hf_pack_bytes(o->pack, bytes, o->writer);
}

static ps_form hf_form(const ps_model_out *o, size_t tensor)
{
    const char *name = o->dtype == PS_SAFETENSORS_F16    ? "float16"
                       : o->dtype == PS_SAFETENSORS_BF16 ? "bfloat16"
                                                         : "float32";
    bool packed = o->pack && ps_hf_pack_is_packed(o->pack, tensor);
    return (ps_form){packed ? NULL : ps_form_find(name), 1};
}

static const char *hf_unnamed(const ps_model_out *o)
{
    return ps_out_folder_unnamed(o->folder);
}

static ps_status hf_seal(ps_model_out *o)
{
    ps_status st = end_file(o);
    return st || o->n_files == 1 ? st : write_index(o);
}

static ps_status hf_finish(ps_model_out **out, uint64_t *bytes)
{
    ps_model_out *o = *out;
    ps_status st = ps_out_folder_finish(&o->folder);
    *bytes = o->bytes;
    hf_drop(out);
    return st;
}

const ps_model_out_row ps_model_out_hf = {.dtypes = dtypes,
                                          .open = hf_open,
                                          .limit = hf_limit,
                                          .data = hf_data,
                                          .form = hf_form,
                                          .unnamed = hf_unnamed,
                                          .seal = hf_seal,
                                          .finish = hf_finish,
                                          .drop = hf_drop};

#define PACKED(word)                                                                               \
    static ps_status open_##word(const ps_model_out_options *options, const ps_model_about *about, \
                                 ps_model_out **out)                                               \
    {                                                                                              \
        return open_as(&ps_packed_##word, options, about, out);                                    \
    }                                                                                              \
    const ps_model_out_row ps_model_out_##word = {.dtypes = packed_dtypes,                         \
                                                  .open = open_##word,                             \
                                                  .limit = hf_limit,                               \
                                                  .data = hf_data,                                 \
                                                  .as_stored = is_packed,                          \
                                                  .bytes = hf_bytes,                               \
                                                  .form = hf_form,                                 \
                                                  .unnamed = hf_unnamed,                           \
                                                  .seal = hf_seal,                                 \
                                                  .finish = hf_finish,                             \
                                                  .drop = hf_drop};

PACKED(ct)
PACKED(gptq)
PACKED(awq)
