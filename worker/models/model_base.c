/* What all architectures share: layout, parameters, gradients and hooks. All parameters lie in one
 * buffer and all gradients in another, each tensor on a 256-byte border. */
#include "common/arch/lora.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/conf/lora_spec.h"
#include "common/form/factors.h"
#include "worker/models/model_row.h"

#include <string.h>

#define ALIGNMENT 256

void ps_model_layout_add(ps_model_layout *layout, const ps_model_parameter_spec *spec)
{
    PS_REQUIRE(spec->rank >= 1 && spec->rank <= PS_TENSOR_RANK_MAX);
    layout->parameters =
        ps_realloc(layout->parameters, (layout->count + 1) * sizeof *layout->parameters);
    layout->parameters[layout->count++] = *spec;
}

void ps_model_layout_free(ps_model_layout *layout)
{
    ps_free(&layout->parameters);
    *layout = (ps_model_layout){0};
}

static ps_status freeze_word(const char *word, ps_model_layout *layout)
{
    size_t n = 0;
    for (size_t i = 0; i < layout->count; i++) {
        ps_model_parameter_spec *spec = &layout->parameters[i];
        bool means = ps_spec_freeze_means(word, spec->name);
        spec->frozen |= means;
        n += means;
    }
    return n ? PS_OK
             : ps_fail(PS_INVALID_ARGUMENT, "train.freeze: '%s' is no parameter of the model",
                       word);
}

/* Gain and bias have their gradients from one operation. */
static ps_status check_norms(const ps_model_layout *layout)
{
    for (size_t i = 1; i < layout->count; i++) {
        const ps_model_parameter_spec *gain = &layout->parameters[i - 1], *bias = gain + 1;
        size_t module = ps_lora_module(gain->name);
        bool pair = gain->role == PS_ROLE_NORM && bias->role == PS_ROLE_NORM &&
                    !strncmp(gain->name, bias->name, module + 1);
        if (pair && gain->frozen != bias->frozen)
            return ps_fail(PS_INVALID_ARGUMENT,
                           "train.freeze: of a norm both or none is frozen, and not %s alone",
                           gain->frozen ? gain->name : bias->name);
    }
    return PS_OK;
}

ps_status ps_model_freeze(const ps_model_config *config, ps_model_layout *layout)
{
    ps_status st = PS_OK;
    size_t trained = 0;
    if (!config->n_freeze)
        return PS_OK;
    const ps_arch *arch = ps_arch_find(config->architecture);
    if (arch->family != PS_ARCH_LAYERS && !ps_arch_reads_tokens(arch))
        return ps_fail(PS_INVALID_ARGUMENT, "train.freeze is not for architecture %s", arch->name);
    for (size_t i = 0; !st && i < config->n_freeze; i++)
        st = freeze_word(config->freeze[i], layout);
    for (size_t i = 0; i < layout->count; i++)
        trained += !layout->parameters[i].frozen;
    if (!st && !trained)
        st = ps_fail(PS_INVALID_ARGUMENT, "train.freeze: nothing is left to be trained");
    return st ? st : check_norms(layout);
}

ps_model_layout ps_model_layout_stored(const ps_model_layout *layout)
{
    return (ps_model_layout){.parameters = layout->parameters,
                             .count = layout->base ? layout->base : layout->count};
}

ps_status ps_model_use(ps_model *m, const ps_model_hooks *hooks, size_t i)
{
    PS_REQUIRE(i < m->layout.count);
    if (hooks->before_use) {
        bool changed = false;
        ps_status st = hooks->before_use(hooks->user, i, &changed);
        if (st)
            return st;
        m->stale[i] |= changed;
    }
    if (m->stale[i] && m->forms[i].form.row)
        ps_op_form_arrange(m->stream, &m->forms[i]);
    else if (m->stale[i] && m->options.bf16)
        ps_op_cast(m->stream, m->weights[i], m->parameters[i]);
    m->stale[i] = false;
    return PS_OK;
}

void ps_model_at(const ps_model *m, ps_tap_kind kind, int64_t layer, ps_tensor x, int64_t ld)
{
    PS_REQUIRE(x.rank == 2);
    if (m->watching && m->watching->at)
        m->watching->at(m->watching->user, (ps_tap){kind, layer}, x, ld ? ld : x.shape[1]);
}

bool ps_model_shows_gradients(const ps_model *m)
{
    return m->watching && m->watching->gradient_at;
}

void ps_model_gradient_at(const ps_model *m, ps_tap_kind kind, int64_t layer, ps_tensor dx,
                          int64_t ld)
{
    PS_REQUIRE(dx.rank == 2);
    if (ps_model_shows_gradients(m))
        m->watching->gradient_at(m->watching->user, (ps_tap){kind, layer}, dx,
                                 ld ? ld : dx.shape[1]);
}

ps_status ps_model_pass(ps_model *m, ps_model_pass_fn *pass, const ps_model_hooks *hooks)
{
    static const ps_model_hooks none;
    m->watching = hooks ? hooks : &none;
    PS_REQUIRE(!(ps_model_shows_gradients(m) && m->options.recompute));
    ps_status st = pass(m, m->watching);
    m->watching = NULL;
    return st;
}

ps_status ps_model_ready(const ps_model_hooks *hooks, size_t parameter)
{
    return hooks->gradient_ready ? hooks->gradient_ready(hooks->user, parameter) : PS_OK;
}

size_t ps_model_place(size_t *offset, int64_t elements, ps_dtype dtype)
{
    PS_REQUIRE(elements >= 0 && *offset % ALIGNMENT == 0);
    size_t at = *offset, bytes = (size_t)elements * ps_dtype_bytes(dtype);
    *offset += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return at;
}

int64_t ps_model_parameter_elements(const ps_model_parameter_spec *spec)
{
    int64_t n = 1;
    for (int i = 0; i < spec->rank; i++)
        n *= spec->shape[i];
    return n;
}

/* ---- forms ---- */

/* Rows and columns that a parameter has in a form. */
static int64_t form_rows(const ps_model_parameter_spec *spec)
{
    return spec->shape[spec->input_major ? 1 : 0];
}

static int64_t form_columns(const ps_model_parameter_spec *spec)
{
    return spec->shape[spec->input_major ? 0 : 1];
}

static ps_status check_form(const ps_model_parameter_spec *spec, ps_form form)
{
    char text[PS_FORM_TEXT];
    if (spec->rank == 2 && ps_form_divides(form, (uint64_t)form_columns(spec)))
        return PS_OK;
    if (spec->rank != 2)
        return ps_fail(PS_INVALID_ARGUMENT, "parameter %s is no matrix and cannot be in form %s",
                       spec->name, ps_form_text(form, text));
    return ps_fail(PS_INVALID_ARGUMENT,
                   "parameter %s: rows of %lld numbers are no whole blocks of form %s", spec->name,
                   (long long)form_columns(spec), ps_form_text(form, text));
}

static ps_status check_factors(const ps_model_parameter_spec *spec, ps_form form)
{
    if (spec->of_block &&
        ps_factors_fit(form.rank, (uint64_t)form_rows(spec), (uint64_t)form_columns(spec)))
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT, "parameter %s cannot be two factors of rank %u", spec->name,
                   form.rank);
}

/* Which parameters are in a form; they have no memory yet. */
static ps_status take_forms(ps_model *m)
{
    const ps_form *forms = m->options.forms;
    m->options.forms = NULL; /* borrowed for the call alone */
    m->forms = ps_alloc_array(m->layout.count, sizeof *m->forms);
    m->ranks = ps_alloc_array(m->layout.count, sizeof *m->ranks);
    PS_REQUIRE(!forms || m->options.inference);
    for (size_t i = 0; forms && i < m->layout.count; i++) {
        const ps_model_parameter_spec *spec = &m->layout.parameters[i];
        if (!forms[i].row)
            continue;
        ps_status st = forms[i].rank ? check_factors(spec, forms[i]) : check_form(spec, forms[i]);
        if (st)
            return st;
        m->ranks[i] = forms[i].rank;
        if (!forms[i].rank)
            m->forms[i] = (ps_form_matrix){.form = forms[i], .columns = form_columns(spec)};
    }
    return PS_OK;
}

/* ---- memory ---- */

/* What it takes in a buffer, as elements of its dtype, but no place yet. */
static ps_tensor shape_of(const ps_model *m, size_t i, ps_dtype dtype)
{
    const ps_model_parameter_spec *spec = &m->layout.parameters[i];
    const ps_form_matrix *form = &m->forms[i];
    if (form->form.row)
        return ps_tensor_2d(NULL, 0, PS_DTYPE_U8, form_rows(spec),
                            (int64_t)ps_form_row_bytes(form->form, (uint64_t)form->columns));
    if (m->ranks[i])
        return ps_tensor_2d(NULL, 0, dtype, form_rows(spec) + form_columns(spec), m->ranks[i]);
    ps_tensor t = {.dtype = dtype, .rank = spec->rank};
    for (int d = 0; d < spec->rank; d++)
        t.shape[d] = spec->shape[d];
    return t;
}

/* One buffer with a view a parameter, of gradients only of what is trained; float32 begins as
 * zeros, and so do forms, which are in no other. */
static ps_status make_tensors(ps_model *m, ps_dtype dtype, bool trained, ps_buffer **memory,
                              ps_tensor **views)
{
    size_t bytes = 0;
    *views = ps_alloc_array(m->layout.count, sizeof **views);
    for (size_t i = 0; i < m->layout.count; i++) {
        ps_tensor t = shape_of(m, i, dtype);
        if ((m->forms[i].form.row && dtype != PS_DTYPE_F32) ||
            (trained && m->layout.parameters[i].frozen))
            continue;
        t.offset = ps_model_place(&bytes, ps_tensor_count(t), t.dtype);
        (*views)[i] = t;
    }
    ps_status st = ps_buffer_new(m->backend, bytes ? bytes : 1, memory);
    if (st)
        return st;
    m->memory += bytes;
    if (dtype == PS_DTYPE_F32)
        ps_op_fill(m->stream, ps_tensor_1d(*memory, 0, dtype, (int64_t)(bytes / sizeof(float))), 0);
    for (size_t i = 0; i < m->layout.count; i++)
        (*views)[i].buffer = (*views)[i].rank ? *memory : NULL;
    return PS_OK;
}

static ps_status make_weights(ps_model *m)
{
    m->stale = ps_alloc_array(m->layout.count, sizeof *m->stale);
    ps_model_refresh(m);
    if (m->options.bf16)
        return make_tensors(m, PS_DTYPE_BF16, false, &m->weight_memory, &m->weights);
    m->weights = ps_alloc_array(m->layout.count, sizeof *m->weights);
    memcpy(m->weights, m->parameters, m->layout.count * sizeof *m->weights);
    return PS_OK;
}

ps_status ps_model_make_between(ps_model *m, int64_t rows)
{
    int64_t most = 0;
    for (size_t i = 0; i < m->layout.count; i++)
        most = m->ranks[i] > most ? m->ranks[i] : most;
    if (!most)
        return PS_OK;
    size_t bytes = (size_t)(rows * most) * sizeof(float);
    ps_status st = ps_buffer_new(m->backend, bytes, &m->between_memory);
    if (st)
        return ps_wrap(st, "batches of %lld rows between two factors", (long long)rows);
    m->between = ps_tensor_2d(m->between_memory, 0, PS_DTYPE_F32, rows, most);
    m->memory += bytes;
    return PS_OK;
}

/* The parts of base_init that a failure leaves for base_fini. */
static ps_status fill(ps_model *m, const ps_model_config *config)
{
    ps_status st = m->row->describe(config, &m->layout);
    if (!st)
        st = ps_model_freeze(config, &m->layout);
    if (st)
        return st;
    st = ps_stream_new(m->backend, &m->stream);
    if (st)
        return st;
    st = take_forms(m);
    if (st)
        return st;
    st = make_tensors(m, PS_DTYPE_F32, false, &m->parameter_memory, &m->parameters);
    if (st)
        return ps_wrap(st, "parameters of the model");
    for (size_t i = 0; i < m->layout.count; i++)
        m->forms[i].bytes = m->parameters[i];
    st = make_weights(m);
    if (st)
        return ps_wrap(st, "bfloat16 weights of the model");
    if (m->options.inference || m->options.explain)
        return PS_OK;
    st = make_tensors(m, PS_DTYPE_F32, true, &m->gradient_memory, &m->gradients);
    return st ? ps_wrap(st, "gradients of the model") : PS_OK;
}

ps_status ps_model_base_init(ps_model *m, const ps_model_row *row, ps_backend *backend,
                             const ps_model_config *config, const ps_model_options *options)
{
    const ps_model_options *o = options;
    PS_REQUIRE(!(o->explain && (o->inference || o->bf16 || o->recompute || o->decode || o->forms)));
    *m = (ps_model){.row = row, .backend = backend, .options = *options};
    ps_status st = fill(m, config);
    if (st)
        ps_model_base_fini(m);
    return st;
}

void ps_model_base_fini(ps_model *m)
{
    ps_stream_free(&m->stream); /* first: it waits for what still uses the rest */
    ps_loss_fini(&m->loss, m->backend);
    ps_buffer_free(m->backend, &m->gradient_memory);
    ps_buffer_free(m->backend, &m->parameter_memory);
    ps_buffer_free(m->backend, &m->weight_memory);
    ps_buffer_free(m->backend, &m->between_memory);
    ps_free(&m->weights);
    ps_free(&m->forms);
    ps_free(&m->ranks);
    ps_free(&m->stale);
    ps_free(&m->points_host);
    ps_free(&m->gradients);
    ps_free(&m->parameters);
    ps_model_layout_free(&m->layout);
}
