/* Happy path: the row reads what it needs to know the model and where its tensors are; then psd's
 * header is written into a buffer, and after it tensor by tensor, in the layout's order, what the
 * row makes of the source. */
#include "common/model/model_in.h"

#include "common/base/mem.h"
#include "common/format/numbers.h"
#include "common/format/safetensors.h"
#include "common/model/form_stream.h"
#include "common/model/gguf_kept.h"
#include "common/model/hf_kept.h"
#include "common/model/model_format.h"

struct ps_model_in {
    char *path;
    const ps_model_in_row *row;
    ps_model_reader *reader;
    ps_model_in_about about;
    ps_safetensors_writer *writer;
    ps_safetensors_tensor *tensors; /* of psd's file */
    ps_model_form *stored;          /* of a language model: how it has each */
    ps_form_stream *numbers;        /* of those in a form: they are looked at, too */
    size_t n;
    ps_buf ready;  /* bytes of the file that nobody has taken */
    size_t at;     /* the tensor that comes next, in the order of their data, */
    uint64_t done; /* and how many of its numbers, or bytes, have come */
    float *piece;
};

ps_status ps_model_in_takes(const ps_disk *disk, const char *path, bool *out)
{
    const ps_model_format *format = NULL;
    ps_status st = ps_model_format_of(disk, path, &format);
    if (!st)
        *out = format != NULL;
    return st;
}

static ps_status keep(void *state, const void *data, size_t len)
{
    ps_buf_append(state, data, len);
    return PS_OK;
}

static ps_status begin_file(ps_model_in *in, const ps_safetensors_pair *metadata, size_t n_metadata)
{
    return ps_safetensors_writer_new(in->tensors, in->n, metadata, n_metadata,
                                     (ps_safetensors_sink){keep, &in->ready}, &in->writer);
}

static void put_ids(const ps_token_ids *ids, ps_buf *out)
{
    if (!ps_token_ids_any(ids))
        return;
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    ps_token_ids_put(&w, ids);
    ps_json_object_end(&w);
}

static void add_text(ps_safetensors_pair *pairs, size_t *n, const char *key, ps_buf *text)
{
    if (text->len)
        pairs[(*n)++] = (ps_safetensors_pair){key, ps_buf_cstr(text)};
}

/* What psd will have of each tensor. */
static void describe_tensors(ps_model_in *in)
{
    const ps_model_in_about *about = &in->about;
    in->n = about->n;
    in->tensors = ps_alloc_array(in->n, sizeof *in->tensors);
    in->stored = ps_alloc_array(in->n, sizeof *in->stored);
    for (size_t i = 0; i < in->n; i++) {
        const ps_lm_tensor *t = &about->tensors[i];
        in->stored[i] = (ps_model_form){.name = t->name, .n_dims = t->n_dims};
        memcpy(in->stored[i].shape, t->shape, sizeof t->shape);
        if (about->forms && about->forms[i].row) {
            in->stored[i].form = about->forms[i];
            in->stored[i].transposed = t->change == PS_LM_TRANSPOSE;
        }
        in->tensors[i] = ps_model_form_stored(&in->stored[i]);
    }
}

/* What a row made of its source, as a file that it could have read. */
static ps_status begin_language(ps_model_in *in)
{
    ps_model_in_about *about = &in->about;
    ps_buf config = PS_BUF_EMPTY;
    ps_spec_model_format(about->model, &config);
    ps_buf ids = PS_BUF_EMPTY, forms = PS_BUF_EMPTY;
    put_ids(&about->ids, &ids);
    describe_tensors(in);
    ps_model_forms_format(in->stored, in->n, &forms);
    ps_safetensors_pair metadata[7 + PS_SIDE_FILES];
    size_t n_metadata = 0;
    metadata[n_metadata++] = (ps_safetensors_pair){"format", "pt"};
    metadata[n_metadata++] = (ps_safetensors_pair){PS_MODEL_META_CONFIG, ps_buf_cstr(&config)};
    add_text(metadata, &n_metadata, PS_MODEL_META_TOKENIZER, &about->tokenizer);
    add_text(metadata, &n_metadata, PS_MODEL_META_TOKEN_IDS, &ids);
    add_text(metadata, &n_metadata, PS_MODEL_META_FORMS, &forms);
    add_text(metadata, &n_metadata, PS_MODEL_META_HF_CONFIG, &about->hf_config);
    add_text(metadata, &n_metadata, PS_MODEL_META_GGUF, &about->gguf);
    for (size_t i = 0; i < PS_SIDE_FILES; i++)
        add_text(metadata, &n_metadata, ps_side_files[i].name, &about->side.text[i]);
    ps_status st = begin_file(in, metadata, n_metadata);
    ps_buf_free(&config);
    ps_buf_free(&ids);
    ps_buf_free(&forms);
    return st;
}

static ps_status begin_plain(ps_model_in *in)
{
    const ps_safetensors *from = in->about.plain;
    in->n = from->n_tensors;
    in->tensors = ps_try_alloc((in->n + 1) * sizeof *in->tensors);
    if (!in->tensors)
        return ps_fail(PS_NO_MEMORY, "%zu tensors", in->n);
    if (in->n)
        memcpy(in->tensors, from->tensors, in->n * sizeof *in->tensors);
    for (size_t i = 0; i < in->n; i++)
        in->tensors[i].dtype = PS_SAFETENSORS_F32;
    return begin_file(in, from->metadata, from->n_metadata);
}

static uint64_t numbers_of(const ps_safetensors_tensor *t)
{
    uint64_t n = 1;
    for (uint32_t d = 0; d < t->n_dims; d++)
        n *= t->shape[d]; /* whoever read the header has seen that it fits */
    return n;
}

static void advance(ps_model_in *in, size_t n, bool all)
{
    in->done += n;
    if (all) {
        in->at++;
        in->done = 0;
    }
}

static ps_status next_numbers(ps_model_in *in, size_t i)
{
    const ps_safetensors_tensor *t = &in->tensors[i];
    uint64_t left = numbers_of(t) - in->done;
    size_t n = left < PS_MODEL_IN_PIECE ? (size_t)left : PS_MODEL_IN_PIECE;
    ps_status st = in->row->read(in->reader, i, in->done, n, in->piece);
    if (!st)
        st = ps_numbers_check(t->name, t->shape, t->n_dims, in->done, in->piece, n);
    if (st)
        return ps_wrap(st, "%s", in->path);
    st = ps_safetensors_writer_data(in->writer, in->piece, n * sizeof *in->piece);
    advance(in, n, n == left);
    return st;
}

static ps_status check_numbers(void *user, const ps_model_form *tensor, uint64_t first,
                               const float *values, size_t n)
{
    (void)user;
    return ps_numbers_check(tensor->name, tensor->shape, tensor->n_dims, first, values, n);
}

static ps_status next_bytes(ps_model_in *in, size_t i)
{
    uint8_t *bytes = (uint8_t *)in->piece;
    uint64_t left = ps_model_form_bytes(&in->stored[i]) - in->done;
    size_t n = left < PS_MODEL_IN_BYTES ? (size_t)left : PS_MODEL_IN_BYTES;
    ps_status st = in->done ? PS_OK : ps_form_stream_begin(in->numbers, &in->stored[i]);
    if (!st)
        st = in->row->bytes(in->reader, i, in->done, n, bytes);
    if (!st)
        st = ps_form_stream_feed(in->numbers, ps_slice_of(bytes, n));
    if (st)
        return ps_wrap(st, "%s", in->path);
    st = ps_safetensors_writer_data(in->writer, bytes, n);
    advance(in, n, n == left);
    return st;
}

static ps_status next_piece(ps_model_in *in)
{
    size_t i = ps_safetensors_writer_order(in->writer, in->at);
    return in->stored && in->stored[i].form.row ? next_bytes(in, i) : next_numbers(in, i);
}

ps_status ps_model_in_read(ps_model_in *in, void *out, size_t len, size_t *got)
{
    while (!in->ready.len && in->at < in->n) {
        ps_status st = next_piece(in);
        if (st)
            return st;
    }
    *got = in->ready.len < len ? in->ready.len : len;
    if (*got) {
        memcpy(out, in->ready.data, *got);
        ps_buf_consume(&in->ready, *got);
    }
    return PS_OK;
}

ps_status ps_model_in_open(const char *path, const ps_model_in_options *options, ps_model_in **out)
{
    const ps_model_format *format = NULL;
    ps_status st = ps_model_format_of(options->disk, path, &format);
    if (!st && !format)
        st = ps_fail(PS_INVALID_ARGUMENT, "%s: psd takes it as it is", path);
    if (st)
        return st;
    ps_model_in *in = ps_new(ps_model_in);
    in->row = format->in;
    in->about.options = *options;
    in->path = ps_strdup(path);
    for (size_t len = strlen(path); len > 1 && path[len - 1] == '/'; len--)
        in->path[len - 1] = '\0'; /* for messages: "folder/config.json" */
    in->piece = ps_alloc_array(PS_MODEL_IN_PIECE, sizeof *in->piece);
    in->numbers = ps_form_stream_new((ps_form_sink){.numbers = check_numbers});
    st = in->row->open(in->path, &in->about, &in->reader);
    if (options->float32)
        ps_free(&in->about.forms);
    if (!st)
        st = in->about.plain ? begin_plain(in) : begin_language(in);
    if (st)
        ps_model_in_close(&in);
    else
        *out = in;
    return st == PS_CORRUPT ? PS_INVALID_ARGUMENT : st;
}

void ps_model_in_about_free(ps_model_in_about *about)
{
    if (about->model)
        ps_spec_model_free(&about->model);
    ps_buf_free(&about->tokenizer);
    ps_free(&about->tensors);
    ps_free(&about->forms);
    ps_buf_free(&about->remarks);
    ps_buf_free(&about->hf_config);
    ps_buf_free(&about->gguf);
    ps_side_texts_free(&about->side);
}

void ps_model_in_close(ps_model_in **in)
{
    ps_model_in *m = *in;
    if (!m)
        return;
    m->row->close(&m->reader);
    ps_model_in_about_free(&m->about);
    ps_safetensors_writer_free(&m->writer);
    ps_buf_free(&m->ready);
    ps_free(&m->stored);
    ps_form_stream_free(&m->numbers);
    ps_free(&m->tensors);
    ps_free(&m->piece);
    ps_free(&m->path);
    ps_free(in);
}

const char *ps_model_in_remarks(ps_model_in *in)
{
    return ps_buf_cstr(&in->about.remarks);
}

const ps_model_in_about *ps_model_in_about_of(const ps_model_in *in)
{
    return &in->about;
}

bool ps_model_in_knows_model(const ps_model_in *in)
{
    return !in->about.plain;
}
