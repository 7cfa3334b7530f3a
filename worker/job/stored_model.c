/* When the header is there, each tensor of the file is matched with a parameter, and its data goes
 * there. Who only checks lets the stream go after the header. */
#include "worker/job/stored_model.h"

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/model/form_stream.h"
#include "worker/job/narrow.h"
#include "worker/job/staging.h"

#include <inttypes.h>
#include <string.h>

typedef struct loading {
    ps_model_layout layout; /* what the file has of the model's parameters; borrowed */
    const ps_form *forms;   /* NULL: all float32 */
    ps_model *model;
    size_t *parameter; /* of each of the file's tensors */
    ps_staging *staging;
    bool *narrowed;    /* [the file's tensors]: float32 that becomes bfloat16 */
    ps_narrow *narrow; /* of the one whose data comes */
    /* all are to be float32: those that are not are decoded */
    bool whole;
    const ps_model_form *tensors; /* of the stream, */
    size_t now;                   /* this one's data comes */
    ps_form_stream *decoder;      /* NULL: none is needed */
} loading;

/* ---- is it the architecture's? ---- */

/* "[256, 784]" */
static void put_shape(ps_buf *out, const uint64_t *shape, size_t rank)
{
    ps_buf_puts(out, "[");
    for (size_t d = 0; d < rank; d++)
        ps_buf_printf(out, "%s%" PRIu64, d ? ", " : "", shape[d]);
    ps_buf_puts(out, "]");
}

static ps_status other_shape(const ps_model_form *tensor, const ps_model_parameter_spec *want)
{
    uint64_t shape[PS_TENSOR_RANK_MAX];
    for (int d = 0; d < want->rank; d++)
        shape[d] = (uint64_t)want->shape[d];
    ps_buf text = PS_BUF_EMPTY;
    put_shape(&text, tensor->shape, tensor->n_dims);
    ps_buf_puts(&text, " in the file, and the architecture wants ");
    put_shape(&text, shape, (size_t)want->rank);
    ps_status st =
        ps_fail(PS_FAILED_PRECONDITION, "tensor %s is %s", tensor->name, ps_buf_cstr(&text));
    ps_buf_free(&text);
    return st;
}

static ps_status fits(const ps_model_form *tensor, const ps_model_parameter_spec *want)
{
    bool same = tensor->n_dims == (uint32_t)want->rank;
    for (int d = 0; same && d < want->rank; d++)
        same = tensor->shape[d] == (uint64_t)want->shape[d];
    if (!same)
        return other_shape(tensor, want);
    if (tensor->form.row && tensor->transposed != want->input_major)
        return ps_fail(PS_FAILED_PRECONDITION,
                       "tensor %s is in a form and %s; its rows must be of one output each",
                       tensor->name, want->input_major ? "not transposed" : "transposed");
    return PS_OK;
}

static size_t parameter_of(const ps_model_layout *layout, const char *name)
{
    size_t p = 0;
    while (p < layout->count && strcmp(layout->parameters[p].name, name) != 0)
        p++;
    return p;
}

/* Names are unique on both sides, so after this each parameter is one tensor of the file. */
static ps_status check_head(const ps_model_form *tensors, size_t n, const ps_model_layout *layout)
{
    for (size_t p = 0; p < layout->count; p++) {
        const ps_model_parameter_spec *want = &layout->parameters[p];
        const ps_model_form *tensor = ps_model_form_find(tensors, n, want->name);
        if (!tensor)
            return ps_fail(PS_FAILED_PRECONDITION,
                           "the architecture has a tensor %s, and the file has none of that name",
                           want->name);
        ps_status st = fits(tensor, want);
        if (st)
            return st;
    }
    for (size_t i = 0; i < n; i++)
        if (parameter_of(layout, tensors[i].name) == layout->count)
            return ps_fail(PS_FAILED_PRECONDITION,
                           "tensor %s of the file is not in the architecture", tensors[i].name);
    return PS_OK;
}

/* ---- the stream ---- */

static void restart(void *user)
{
    loading *l = user;
    ps_staging_close(&l->staging);
    ps_narrow_free(&l->narrow);
    ps_form_stream_free(&l->decoder);
    ps_free(&l->narrowed);
    ps_free(&l->parameter);
}

static ps_form bfloat16(void)
{
    ps_form form;
    PS_REQUIRE(ps_form_parse("bfloat16", &form));
    return form;
}

static bool becomes_bf16(const loading *l, ps_form stored, size_t parameter)
{
    return l->forms && ps_form_same(l->forms[parameter], bfloat16()) && !stored.row;
}

/* What the model was made for, of the version that was checked, or its bytes would go astray. */
static ps_status check_form(const loading *l, const ps_model_form *tensor, size_t parameter)
{
    ps_form want = l->forms ? l->forms[parameter] : (ps_form){0};
    if (l->whole || ps_form_same(want, tensor->form) || becomes_bf16(l, tensor->form, parameter))
        return PS_OK;
    return ps_fail(PS_FAILED_PRECONDITION, "tensor %s is in another form than it was before",
                   tensor->name);
}

/* Where the file's tensors go. */
static ps_status match(void *user, const ps_safetensors *file, const ps_model_form *tensors)
{
    loading *l = user;
    ps_status st = check_head(tensors, file->n_tensors, &l->layout);
    if (st)
        return st;
    l->tensors = tensors;
    l->parameter = ps_alloc_array(file->n_tensors, sizeof(*l->parameter));
    l->narrowed = ps_alloc_array(file->n_tensors, sizeof *l->narrowed);
    for (size_t i = 0; !st && i < file->n_tensors; i++) {
        l->parameter[i] = parameter_of(&l->layout, tensors[i].name);
        l->narrowed[i] = becomes_bf16(l, tensors[i].form, l->parameter[i]);
        st = check_form(l, &tensors[i], l->parameter[i]);
    }
    if (st)
        return st;
    return ps_staging_open(ps_model_stream(l->model), &l->staging);
}

static ps_status write_narrowed(loading *l, size_t tensor, uint64_t offset, ps_slice bytes)
{
    size_t p = l->parameter[tensor];
    ps_status st = PS_OK;
    if (offset == 0) {
        ps_narrow_free(&l->narrow);
        st = ps_narrow_create(l->staging, &l->layout.parameters[p], ps_model_parameter(l->model, p),
                              &l->narrow);
    }
    return st ? st : ps_narrow_write(l->narrow, bytes);
}

/* Decoded numbers of the tensor whose data comes. */
static ps_status take_numbers(void *user, const ps_model_form *tensor, uint64_t first,
                              const float *numbers, size_t n)
{
    const loading *l = user;
    return ps_staging_write(l->staging, ps_model_parameter(l->model, l->parameter[l->now]),
                            first * sizeof *numbers, numbers, n * sizeof *numbers);
}

static ps_status write_decoded(loading *l, size_t tensor, uint64_t offset, ps_slice bytes)
{
    ps_status st = PS_OK;
    l->now = tensor;
    if (!l->decoder)
        l->decoder = ps_form_stream_new((ps_form_sink){.numbers = take_numbers, .user = l});
    if (offset == 0)
        st = ps_form_stream_begin(l->decoder, &l->tensors[tensor]);
    return st ? st : ps_form_stream_feed(l->decoder, bytes);
}

static ps_status write_data(void *user, size_t tensor, uint64_t offset, ps_slice bytes)
{
    loading *l = user;
    if (l->whole && l->tensors[tensor].form.row)
        return write_decoded(l, tensor, offset, bytes);
    if (l->narrowed[tensor])
        return write_narrowed(l, tensor, offset, bytes);
    return ps_staging_write(l->staging, ps_model_parameter(l->model, l->parameter[tensor]), offset,
                            bytes.data, bytes.len);
}

static ps_status end(void *user)
{
    const loading *l = user;
    ps_model_refresh(l->model);
    return ps_staging_end(l->staging);
}

static ps_status load(ps_remote *remote, const ps_stored_model *which, loading *l, char *sha256)
{
    ps_status st = ps_stored_stream(remote, which,
                                    &(ps_stored_sink){.restart = restart,
                                                      .head = match,
                                                      .data = write_data,
                                                      .end = end,
                                                      .user = l,
                                                      .sha256 = sha256});
    restart(l);
    return st;
}

ps_status ps_stored_model_load(ps_remote *remote, const ps_stored_model *which,
                               const ps_form *forms, ps_model *model)
{
    loading l = {.layout = ps_model_layout_stored(ps_model_parameters(model)),
                 .forms = forms,
                 .model = model};
    return load(remote, which, &l, NULL);
}

ps_status ps_stored_model_load_whole(ps_remote *remote, const ps_stored_model *which,
                                     ps_model *model, char sha256[PS_DIGEST_TEXT])
{
    loading l = {.layout = ps_model_layout_stored(ps_model_parameters(model)),
                 .model = model,
                 .whole = true};
    return load(remote, which, &l, sha256);
}

/* ---- the header alone ---- */

typedef struct checking {
    ps_model_layout layout;
    ps_form *forms;
} checking;

static void forget(void *user)
{
    checking *c = user;
    ps_free(&c->forms);
}

/* PS_END ends the stream. */
static ps_status take_forms(void *user, const ps_safetensors *file, const ps_model_form *tensors)
{
    checking *c = user;
    ps_status st = check_head(tensors, file->n_tensors, &c->layout);
    for (size_t i = 0; !st && i < file->n_tensors; i++) {
        if (!tensors[i].form.row)
            continue;
        if (!c->forms)
            c->forms = ps_alloc_array(c->layout.count, sizeof *c->forms);
        c->forms[parameter_of(&c->layout, tensors[i].name)] = tensors[i].form;
    }
    return st ? st : PS_END;
}

ps_status ps_stored_model_check(ps_remote *remote, const ps_stored_model *which,
                                const ps_model_config *config, ps_form **forms)
{
    checking c = {.forms = NULL};
    ps_status st = ps_model_describe(config, &c.layout);
    if (st)
        return ps_wrap(st, "model %s", which->name);
    st = ps_stored_stream(remote, which,
                          &(ps_stored_sink){.restart = forget, .head = take_forms, .user = &c});
    ps_model_layout_free(&c.layout);
    if (st != PS_END) {
        forget(&c);
        return st;
    }
    *forms = c.forms;
    return PS_OK;
}

ps_status ps_stored_model_narrow(const ps_model_config *config, ps_form **forms)
{
    ps_model_layout layout;
    ps_status st = ps_model_describe(config, &layout);
    if (st)
        return st;
    if (!*forms)
        *forms = ps_alloc_array(layout.count, sizeof **forms);
    for (size_t i = 0; i < layout.count; i++)
        if (layout.parameters[i].rank == 2 && !(*forms)[i].row)
            (*forms)[i] = bfloat16();
    ps_model_layout_free(&layout);
    return PS_OK;
}
