/* Happy path: bytes gather until the header is whole; it says which model this is, in which order
 * its tensors come and how they are stored; from there on bytes are numbers of the next tensor, or
 * go on as they are. */
#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/format/numbers.h"
#include "common/model/form_stream.h"
#include "common/model/model_format.h"
#include "common/tokenizer/tokenizer.h"

#include <inttypes.h>
#include <math.h>

struct ps_model_export {
    const ps_model_format *format;
    const ps_model_out_row *row; /* of it */
    ps_model_out_options options;
    char *config;
    ps_model_out *out;
    ps_safetensors *header; /* NULL: it is not whole yet; */
    ps_model_form *stored;  /* and how it stores each tensor */
    ps_form_stream *numbers;
    ps_buf held; /* of the header */
    ps_buf remarks;
    size_t at;     /* the tensor that comes next, */
    uint64_t done; /* and how many bytes of it have come */
};

/* Narrowing makes no infinity out of a number, and hides none that is there. */
static ps_status check(const ps_model_export *s, const ps_model_form *t, uint64_t first,
                       const float *values, size_t n)
{
    float limit = s->row->limit(s->out, s->at);
    size_t i = isinf(limit) ? n : ps_numbers_beyond(values, n, limit);
    if (i == n)
        return PS_OK;
    return ps_fail(PS_FAILED_PRECONDITION,
                   "tensor %s: element %s is %.9g, which is no number of %s; --dtype f32 holds it",
                   t->name, ps_sides_at(t->shape, t->n_dims, first + i).text, (double)values[i],
                   s->options.dtype);
}

static ps_status take_numbers(void *user, const ps_model_form *tensor, uint64_t first,
                              const float *values, size_t n)
{
    const ps_model_export *s = user;
    ps_status st = check(s, tensor, first, values, n);
    return st ? st : s->row->data(s->out, values, n);
}

ps_model_export *ps_model_export_new(const ps_model_format *format, const char *config,
                                     const ps_model_out_options *options)
{
    ps_model_export *s = ps_new(ps_model_export);
    s->format = format;
    s->row = format->out;
    s->options = *options;
    s->config = ps_strdup(config);
    s->numbers = ps_form_stream_new((ps_form_sink){take_numbers, s});
    return s;
}

void ps_model_export_free(ps_model_export **stream)
{
    ps_model_export *s = *stream;
    if (!s)
        return;
    s->row->drop(&s->out);
    ps_safetensors_free(&s->header);
    ps_free(&s->stored);
    ps_form_stream_free(&s->numbers);
    ps_buf_free(&s->held);
    ps_buf_free(&s->remarks);
    ps_free(&s->config);
    ps_free(stream);
}

static const ps_lm_tensor *find(const ps_lm_tensor *layout, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(layout[i].name, name))
            return &layout[i];
    return NULL;
}

/* The layout, in the order of the file. */
static ps_status sort(const ps_model_export *s, const ps_lm_tensor *layout, size_t n,
                      ps_lm_tensor *out)
{
    if (s->header->n_tensors != n)
        return ps_fail(PS_FAILED_PRECONDITION, "it has %zu tensors, its config says %zu",
                       s->header->n_tensors, n);
    for (size_t i = 0; i < n; i++) {
        const ps_model_form *have = &s->stored[i];
        const ps_lm_tensor *want = find(layout, n, have->name);
        if (!want || want->n_dims != have->n_dims ||
            memcmp(want->shape, have->shape, want->n_dims * sizeof *want->shape) != 0)
            return ps_fail(PS_FAILED_PRECONDITION, "tensor %s does not fit its config", have->name);
        out[i] = *want;
    }
    return PS_OK;
}

/* Of a model that was trained here nobody has said them: then GPT-2's mark is both. */
static void find_ids(const ps_safetensors *header, const char *tokenizer, ps_token_ids *ids)
{
    ps_tokenizer *t = NULL;
    uint32_t id = 0;
    ps_token_ids_of_file(header, ids);
    if (ps_token_ids_any(ids) || !tokenizer ||
        ps_tokenizer_from_json(ps_slice_str(tokenizer), &t) != PS_OK)
        return;
    if (ps_tokenizer_added(t, "<|endoftext|>", &id)) {
        ps_token_ids_add(ids, PS_TOKEN_BOS, id);
        ps_token_ids_add(ids, PS_TOKEN_EOS, id);
    }
    ps_tokenizer_free(&t);
}

static ps_status open_out(ps_model_export *s, const ps_spec_model *model)
{
    ps_lm_tensor *layout = NULL;
    size_t n = 0;
    ps_lm_layout(model, &layout, &n);
    ps_lm_tensor *tensors = ps_alloc_array(n, sizeof *tensors);
    ps_status st = sort(s, layout, n, tensors);
    const char *tokenizer = ps_safetensors_metadata(s->header, PS_MODEL_META_TOKENIZER);
    ps_token_ids ids = {0};
    find_ids(s->header, tokenizer, &ids);
    if (!st)
        st = s->row->open(&s->options,
                          &(ps_model_about){.model = model,
                                            .tokenizer = tokenizer,
                                            .ids = &ids,
                                            .file = s->header,
                                            .remarks = &s->remarks,
                                            .tensors = tensors,
                                            .stored = s->stored,
                                            .n = n},
                          &s->out);
    ps_free(&layout);
    ps_free(&tensors);
    return st;
}

static ps_status begin(ps_model_export *s)
{
    uint64_t size = 0;
    if (s->held.len < 8)
        return PS_OK;
    ps_status st = ps_safetensors_header_bytes(ps_buf_slice(&s->held), &size);
    if (st || s->held.len < size)
        return st;
    st = ps_safetensors_parse(ps_slice_of(s->held.data, (size_t)size), UINT64_MAX, &s->header);
    if (!st)
        st = ps_model_forms_parse(s->header, &s->stored);
    if (!st)
        st = ps_model_forms_check_growth(s->stored, s->header->n_tensors);
    if (st)
        return st;
    ps_spec_model *model = NULL;
    st = ps_spec_model_parse(ps_slice_str(s->config), "the model's config", &model);
    if (!st && !ps_spec_model_reads_tokens(model))
        st = ps_fail(
            PS_FAILED_PRECONDITION,
            "format %s is for models that read tokens (%s), this model is of %s; use format "
            "safetensors",
            s->format->name, ps_arch_list_tokens().text, model->architecture);
    if (!st)
        st = open_out(s, model);
    if (model)
        ps_spec_model_free(&model);
    ps_buf_consume(&s->held, (size_t)size);
    return st;
}

/* What there is of the next tensor. */
static ps_status take(ps_model_export *s, ps_slice *bytes)
{
    const ps_safetensors_tensor *t = &s->header->tensors[s->at];
    uint64_t left = t->end - t->begin - s->done;
    ps_slice part = ps_slice_of(bytes->data, left < bytes->len ? (size_t)left : bytes->len);
    ps_status st = PS_OK;
    if (s->row->as_stored && s->row->as_stored(s->out, s->at)) {
        st = s->row->bytes(s->out, part);
    } else {
        if (!s->done)
            st = ps_form_stream_begin(s->numbers, &s->stored[s->at]);
        if (!st)
            st = ps_form_stream_feed(s->numbers, part);
    }
    *bytes = ps_slice_of(bytes->data + part.len, bytes->len - part.len);
    s->done += part.len;
    if (part.len == left) {
        s->at++;
        s->done = 0;
    }
    return st;
}

static ps_status take_all(ps_model_export *s, ps_slice bytes)
{
    ps_status st = PS_OK;
    while (!st && bytes.len && s->at < s->header->n_tensors)
        st = take(s, &bytes);
    if (!st && bytes.len)
        st = ps_fail(PS_CORRUPT, "more bytes have come than the header says");
    return st;
}

ps_status ps_model_export_feed(ps_model_export *s, ps_slice bytes)
{
    if (s->header)
        return take_all(s, bytes);
    ps_buf_append(&s->held, bytes.data, bytes.len);
    ps_status st = begin(s);
    if (!st && s->header) {
        st = take_all(s, ps_buf_slice(&s->held));
        ps_buf_free(&s->held);
    }
    return st;
}

const char *ps_model_export_remarks(ps_model_export *s)
{
    return ps_buf_cstr(&s->remarks);
}

const char *ps_model_export_unnamed(const ps_model_export *s)
{
    return s->out ? s->row->unnamed(s->out) : NULL;
}

const char *ps_model_export_first(const ps_model_export *s)
{
    return s->out && s->row->first ? s->row->first(s->out) : ps_model_export_unnamed(s);
}

ps_status ps_model_export_seal(ps_model_export *s)
{
    if (!s->header || s->at < s->header->n_tensors)
        return ps_fail(PS_DATA_LOSS, "the model's file is cut short");
    return s->row->seal(s->out);
}

const ps_disk *ps_model_export_disk(const ps_model_export *s)
{
    return s->options.disk;
}

ps_form ps_model_export_form(const ps_model_export *s, size_t i)
{
    PS_REQUIRE(s->header && i < s->header->n_tensors);
    return s->row->form(s->out, i);
}

double ps_model_export_real(const ps_model_export *s, double v)
{
    return s->row->real ? s->row->real(v) : v;
}

float ps_model_export_number(const ps_model_export *s, const ps_lm_tensor *tensor, float v)
{
    return s->row->number ? s->row->number(tensor, v) : v;
}

ps_status ps_model_export_finish(ps_model_export *s, uint64_t *bytes)
{
    return s->row->finish(&s->out, bytes);
}
