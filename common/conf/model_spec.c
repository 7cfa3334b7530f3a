/* Happy path: every key that was written is one of the architecture's, those it needs are there,
 * what follows from others is filled in, and the sizes fit each other. The first rule that does
 * not hold is reported on the line of its key. */
#include "common/conf/model_spec.h"

#include "common/conf/convolution_spec.h"
#include "common/conf/model_keys.h"
#include "common/conf/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct section {
    const ps_spec_model *model;
    const ps_conf_doc *doc;
    const char *prefix;
    const ps_arch *arch;
} section;

typedef struct path {
    char text[64];
} path;

static path path_of(const section *s, const char *key)
{
    path p;
    (void)snprintf(p.text, sizeof p.text, "%s%s", s->prefix, key);
    return p;
}

static bool written(const section *s, const char *key)
{
    return ps_conf_has(s->doc, path_of(s, key).text);
}

/* It is an integer. */
static ps_status check_needed(const section *s, const char *name)
{
    int64_t value = ps_spec_model_number(s->model, name).whole;
    if (!written(s, name))
        return ps_conf_fail(s->doc, path_of(s, name).text, "missing; architecture %s needs it",
                            s->arch->name);
    if (value == 0)
        return ps_conf_fail(s->doc, path_of(s, name).text, "0 is out of range, allowed from 1");
    return PS_OK;
}

static ps_status check_key(const section *s, const char *name)
{
    const ps_arch_key *key = ps_arch_key_find(s->arch, name);
    if (!key && written(s, name))
        return ps_conf_fail(s->doc, path_of(s, name).text, "not for architecture %s",
                            s->arch->name);
    return key && key->need == PS_ARCH_NEEDED ? check_needed(s, name) : PS_OK;
}

static ps_status check_keys(const section *s)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < ps_n_model_keys; i++)
        st = check_key(s, ps_model_keys[i].key);
    return st;
}

/* A name for each output, and each another one. outputs: the key that says how many there are. */
static ps_status check_classes(const section *s, const char *outputs)
{
    const ps_spec_model *m = s->model;
    path key = path_of(s, "classes");
    int64_t n = ps_spec_model_outputs(m);
    if (!m->n_classes)
        return PS_OK;
    if (m->loss != PS_SPEC_CROSS_ENTROPY)
        return ps_conf_fail(s->doc, key.text, "only with loss cross_entropy");
    if ((int64_t)m->n_classes != n)
        return ps_conf_fail(s->doc, key.text,
                            "%zu names, but %s is %" PRId64 "; they must be the same", m->n_classes,
                            outputs, n);
    for (size_t i = 1; i < m->n_classes; i++)
        for (size_t k = 0; k < i; k++)
            if (!strcmp(m->classes[i], m->classes[k]))
                return ps_conf_fail(s->doc, key.text, "%s is there twice",
                                    ps_conf_quote(m->classes[i]).text);
    return PS_OK;
}

/* Numbers of each input, or of none. */
static ps_status check_inputs(const section *s)
{
    const ps_spec_model *m = s->model;
    size_t inputs = (size_t)ps_spec_model_inputs(m);
    const struct {
        const char *key;
        size_t n;
    } lists[] = {{"input_mean", m->n_input_mean}, {"input_std", m->n_input_std}};
    for (size_t i = 0; i < 2; i++)
        if (lists[i].n && lists[i].n != inputs)
            return ps_conf_fail(s->doc, path_of(s, lists[i].key).text,
                                "%zu numbers, but %s %zu; they must be the same", lists[i].n,
                                ps_spec_model_is_images(m) ? "an image has" : "layers begins with",
                                inputs);
    if (m->n_input_std && !m->n_input_mean)
        return ps_conf_fail(s->doc, path_of(s, "input_std").text, "only with input_mean");
    if (m->input_missing == PS_SPEC_MISSING_MEAN && !m->n_input_mean)
        return ps_conf_fail(s->doc, path_of(s, "input_missing").text, "mean: only with input_mean");
    return PS_OK;
}

/* What is a list of widths ends with the number of outputs. */
static ps_status check_outputs(const section *s)
{
    const ps_spec_model *m = s->model;
    int64_t last = m->layers[m->n_layers - 1];
    if (m->loss == PS_SPEC_CROSS_ENTROPY && last < 2)
        return ps_conf_fail(s->doc, path_of(s, "layers").text,
                            "the last layer is the number of classes and must be at least 2 "
                            "with loss cross_entropy, not %" PRId64,
                            last);
    ps_status st = check_classes(s, "the last of layers");
    return st ? st : check_inputs(s);
}

static ps_status settle_images(const section *s, ps_spec_model *m)
{
    ps_status st = ps_spec_convolutions_settle(m, s->doc, s->prefix);
    return st ? st : check_outputs(s);
}

static ps_status check_mlp(const section *s)
{
    const ps_spec_model *m = s->model;
    const char *key = "layers";
    if (!written(s, key))
        return ps_conf_fail(s->doc, path_of(s, key).text,
                            "missing; a list of integers is required here");
    if (m->n_layers < 2)
        return ps_conf_fail(s->doc, path_of(s, key).text, "%zu entries, allowed 2 to 256",
                            m->n_layers);
    return check_outputs(s);
}

/* Inputs, latents, inputs. */
static ps_status settle_coder(const section *s, ps_spec_model *m)
{
    const char *key = "layers";
    m->loss = PS_SPEC_SQUARED_ERROR;
    if (m->n_layers != 3 || m->layers[0] != m->layers[2])
        return ps_conf_fail(
            s->doc, path_of(s, key).text,
            "three widths are required here: inputs, latents, and the inputs again");
    if (m->layers[0] > PS_SPEC_INPUTS_MAX)
        return ps_conf_fail(s->doc, path_of(s, key).text,
                            "%" PRId64 " inputs; architecture %s takes at most %d", m->layers[0],
                            s->arch->name, PS_SPEC_INPUTS_MAX);
    if ((m->top_k > 0) == (m->l1 > 0))
        return ps_conf_fail(s->doc, path_of(s, m->top_k > 0 ? "l1" : "top_k").text,
                            "one of top_k, how many latents stay active, and l1, what their "
                            "activity costs, is to be more than 0");
    if (m->top_k > m->layers[1])
        return ps_conf_fail(s->doc, path_of(s, "top_k").text,
                            "%" PRId64 " is more than there are latents, %" PRId64, m->top_k,
                            m->layers[1]);
    return check_inputs(s);
}

/* Of the base what the training found out, both or neither. */
static ps_status settle_lens(const section *s, ps_spec_model *m)
{
    size_t digits = strspn(m->base_sha256, "0123456789abcdef");
    m->loss = PS_SPEC_SQUARED_ERROR;
    if (*m->base_sha256 && (digits != 64 || m->base_sha256[digits]))
        return ps_conf_fail(s->doc, path_of(s, "base_sha256").text,
                            "64 hexadecimal digits are required here, or nothing");
    if (*m->base && !ps_job_spec_name_ok(m->base))
        return ps_conf_fail(s->doc, path_of(s, "base").text, "%s is no model's name",
                            ps_conf_quote(m->base).text);
    return PS_OK;
}

/* Pairs are turned, so it must be an even number. */
static ps_status check_share(const section *s, const ps_spec_model *m)
{
    int64_t turned = ps_rope_turned(&m->rope, m->head_dim);
    if (turned >= 2 && turned % 2 == 0)
        return PS_OK;
    return ps_conf_fail(s->doc, path_of(s, "rope_share").text,
                        "%g of a head's %" PRId64 " numbers is %" PRId64
                        "; RoPE needs an even number",
                        m->rope.share, m->head_dim, turned);
}

static ps_status settle_heads(const section *s, ps_spec_model *m)
{
    if (!m->num_kv_heads)
        m->num_kv_heads = m->num_heads;
    bool said = m->head_dim != 0;
    if (!said && m->hidden_size % m->num_heads)
        return ps_conf_fail(s->doc, path_of(s, "hidden_size").text,
                            "%" PRId64 " is not a multiple of num_heads, %" PRId64, m->hidden_size,
                            m->num_heads);
    if (m->num_heads % m->num_kv_heads)
        return ps_conf_fail(s->doc, path_of(s, "num_kv_heads").text,
                            "%" PRId64 " does not divide num_heads, %" PRId64, m->num_kv_heads,
                            m->num_heads);
    if (!said)
        m->head_dim = m->hidden_size / m->num_heads;
    if (ps_arch_key_find(s->arch, "rope_share"))
        return check_share(s, m);
    if (!ps_arch_has(s->arch, PS_PART_POSITIONS) && m->head_dim % 2)
        return ps_conf_fail(s->doc, path_of(s, said ? "head_dim" : "hidden_size").text,
                            "a head has %" PRId64 " numbers%s; RoPE needs an even number",
                            m->head_dim, said ? "" : " (hidden_size / num_heads)");
    return PS_OK;
}

/* An architecture that has one has it in any model. */
static ps_status settle_local_theta(const section *s, ps_rope_spec *r)
{
    static const char key[] = "rope_local_theta";
    if (ps_arch_key_find(s->arch, key) && !written(s, key))
        r->local_theta = 10000;
    else if (written(s, key) && r->local_theta < 1)
        return ps_conf_fail(s->doc, path_of(s, key).text, "%g is out of range, allowed from 1",
                            r->local_theta);
    return PS_OK;
}

/* A type of scaling needs its factor, and takes its own numbers alone. */
static ps_status settle_rope(const section *s, ps_spec_model *m)
{
    ps_rope_spec *r = &m->rope;
    const char *type = ps_rope_type_names[r->type];
    if (!ps_arch_key_find(s->arch, "rope_type"))
        return PS_OK;
    ps_status st = settle_local_theta(s, r);
    if (st)
        return st;
    for (size_t i = 0; i < ps_n_model_keys; i++) {
        const ps_model_key *key = &ps_model_keys[i];
        if (key->of_rope && written(s, key->key) && !ps_rope_takes(r->type, key->key))
            return ps_conf_fail(s->doc, path_of(s, key->key).text, "not for rope_type %s", type);
    }
    if (r->type != PS_ROPE_DEFAULT && !written(s, "rope_factor"))
        return ps_conf_fail(s->doc, path_of(s, "rope_factor").text,
                            "missing; rope_type %s needs it", type);
    if (r->type != PS_ROPE_DEFAULT && r->factor < 1)
        return ps_conf_fail(s->doc, path_of(s, "rope_factor").text,
                            "%g is out of range, allowed from 1", r->factor);
    if (r->original_context == m->context_length)
        r->original_context = 0;
    if (r->type == PS_ROPE_LLAMA3 && r->low_freq_factor >= r->high_freq_factor)
        return ps_conf_fail(s->doc, path_of(s, "rope_low_freq_factor").text,
                            "%g is not less than rope_high_freq_factor, %g", r->low_freq_factor,
                            r->high_freq_factor);
    if (r->type == PS_ROPE_YARN && r->theta <= 1)
        return ps_conf_fail(s->doc, path_of(s, "rope_theta").text,
                            "%g is out of range, rope_type yarn needs more than 1", r->theta);
    if (r->type == PS_ROPE_YARN && r->beta_slow > r->beta_fast)
        return ps_conf_fail(s->doc, path_of(s, "rope_beta_slow").text,
                            "%g is more than rope_beta_fast, %g", r->beta_slow, r->beta_fast);
    return PS_OK;
}

static ps_status check_tokenizer(const section *s)
{
    const ps_spec_model *m = s->model;
    static const char *const names[] = {"",        "bytes",     "gpt2",     "bpe",
                                        "unigram", "wordpiece", "wordlevel"};
    bool bytes = !strcmp(m->tokenizer, "bytes"), known = false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        known |= !strcmp(m->tokenizer, names[i]);
    if (!known)
        return ps_conf_fail(s->doc, path_of(s, "tokenizer").text,
                            "%s is not known; allowed: bytes, gpt2, bpe, unigram, wordpiece, "
                            "wordlevel, or \"\" for "
                            "none",
                            ps_conf_quote(m->tokenizer).text);
    if (bytes && m->vocab_size < 256)
        return ps_conf_fail(s->doc, path_of(s, "vocab_size").text,
                            "%" PRId64 " is less than the 256 of tokenizer bytes", m->vocab_size);
    return PS_OK;
}

/* What says what would hold unsaid becomes that. */
static ps_status settle_choices(const section *s, ps_spec_model *m)
{
    ps_arch_choices *c = &m->choices;
    const struct {
        const char *key;
        double *rate;
    } rates[] = {{"embedding_dropout", &c->embedding_dropout},
                 {"attention_dropout", &c->attention_dropout},
                 {"classifier_dropout", &c->classifier_dropout}};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        if (written(s, rates[i].key) && *rates[i].rate < 0)
            return ps_conf_fail(s->doc, path_of(s, rates[i].key).text,
                                "%g is out of range, allowed 0 to 0.9", *rates[i].rate);
        if (*rates[i].rate == m->dropout)
            *rates[i].rate = -1;
    }
    const struct {
        const char *key;
        double value;
    } reals[] = {{"query_pre_attn_scalar", c->query_pre_attn_scalar},
                 {"attention_softcap", c->attention_softcap},
                 {"logit_softcap", c->logit_softcap}};
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++)
        if (reals[i].value > 0 && reals[i].value < 1e-6) /* float32 would have none of it */
            return ps_conf_fail(s->doc, path_of(s, reals[i].key).text,
                                "%g is out of range, allowed 0, and from 1e-6", reals[i].value);
    if (c->full_attention_first >= m->num_layers || c->full_attention_every == 1)
        c->sliding_window = 0;
    if (!c->sliding_window)
        c->full_attention_first = c->full_attention_every = 0;
    if (c->full_attention_every > m->num_layers)
        c->full_attention_every = 0;
    if (c->query_pre_attn_scalar == (double)m->head_dim)
        c->query_pre_attn_scalar = 0;
    if (c->hidden_act == (unsigned)s->arch->traits.act)
        c->hidden_act = PS_ACT_OWN;
    return PS_OK;
}

static void settle_flags(const section *s, ps_spec_model *m)
{
    for (const ps_arch_key *key = s->arch->keys; key->name; key++)
        if (key->need == PS_ARCH_TRUE && !written(s, key->name))
            *(bool *)(void *)((char *)m + ps_model_key_find(key->name)->offset) = true;
}

static ps_status settle_language(const section *s, ps_spec_model *m)
{
    if (!m->intermediate_size)
        m->intermediate_size = 4 * m->hidden_size;
    settle_flags(s, m);
    ps_status st = settle_heads(s, m);
    if (!st)
        st = settle_rope(s, m);
    if (!st)
        st = settle_choices(s, m);
    return st ? st : check_tokenizer(s);
}

/* What it is beside a decoder's blocks. */
static ps_status settle_encoder(const section *s, ps_spec_model *m)
{
    ps_arch_choices *c = &m->choices;
    if (!written(s, "pooler"))
        c->pooler = true;
    if (!m->intermediate_size)
        m->intermediate_size = 4 * m->hidden_size;
    if (!c->num_classes)
        c->num_classes = (int64_t)m->n_classes;
    if (c->num_classes == 1)
        return ps_conf_fail(s->doc, path_of(s, m->n_classes ? "classes" : "num_classes").text,
                            "one class is none to tell apart, and a number that is learnt "
                            "(regression) is not for architecture %s; allowed: 0, or from 2",
                            s->arch->name);
    if (c->num_classes && !c->pooler)
        return ps_conf_fail(s->doc, path_of(s, "pooler").text,
                            "false is for models without classes; num_classes is %" PRId64,
                            c->num_classes);
    if (m->max_text_length > m->context_length)
        return ps_conf_fail(s->doc, path_of(s, "max_text_length").text,
                            "%" PRId64 " is more than context_length, %" PRId64, m->max_text_length,
                            m->context_length);
    if (m->max_text_length == m->context_length)
        m->max_text_length = 0;
    ps_status st = settle_heads(s, m);
    if (!st)
        st = settle_choices(s, m);
    if (!st)
        st = check_classes(s, "num_classes");
    return st ? st : check_tokenizer(s);
}

ps_status ps_spec_model_settle(ps_spec_model *model, const ps_conf_doc *doc, const char *prefix)
{
    section s = {.model = model, .doc = doc, .prefix = prefix, .arch = ps_model_arch(model)};
    ps_status st = check_keys(&s);
    if (st)
        return st;
    if (s.arch->family == PS_ARCH_CODER)
        return settle_coder(&s, model);
    if (s.arch->family == PS_ARCH_LENS)
        return settle_lens(&s, model);
    if (s.arch->family == PS_ARCH_IMAGES)
        return settle_images(&s, model);
    if (s.arch->family == PS_ARCH_ENCODER)
        return settle_encoder(&s, model);
    return s.arch->family == PS_ARCH_LANGUAGE ? settle_language(&s, model) : check_mlp(&s);
}

bool ps_spec_model_is_coder(const ps_spec_model *model)
{
    return ps_model_arch(model)->family == PS_ARCH_CODER;
}

bool ps_spec_model_is_images(const ps_spec_model *model)
{
    return ps_model_arch(model)->family == PS_ARCH_IMAGES;
}

bool ps_spec_model_is_lens(const ps_spec_model *model)
{
    return ps_model_arch(model)->family == PS_ARCH_LENS;
}

bool ps_spec_model_unlabelled(const ps_spec_model *model)
{
    return ps_spec_model_is_coder(model) || ps_spec_model_is_lens(model);
}

bool ps_kind_takes(const ps_kind_row *kind, const ps_spec_model *model)
{
    if (ps_spec_model_is_lens(model))
        return kind->lenses;
    if (ps_spec_model_is_images(model))
        return kind->images;
    if (ps_spec_model_is_encoder(model))
        return kind->encoders;
    return kind->coders || !ps_spec_model_is_coder(model);
}

int64_t ps_spec_model_inputs(const ps_spec_model *model)
{
    if (ps_spec_model_is_lens(model))
        return (model->num_layers + 1) * model->hidden_size;
    if (ps_spec_model_is_images(model))
        return ps_image_numbers(ps_spec_model_image(model));
    return ps_spec_model_reads_tokens(model) ? 0 : model->layers[0];
}

int64_t ps_spec_model_outputs(const ps_spec_model *model)
{
    return ps_spec_model_is_encoder(model) ? model->choices.num_classes
                                           : model->layers[model->n_layers - 1];
}

bool ps_spec_model_is_language(const ps_spec_model *model)
{
    return ps_model_arch(model)->family == PS_ARCH_LANGUAGE;
}

bool ps_spec_model_is_encoder(const ps_spec_model *model)
{
    return ps_model_arch(model)->family == PS_ARCH_ENCODER;
}

bool ps_spec_model_reads_tokens(const ps_spec_model *model)
{
    return ps_arch_reads_tokens(ps_model_arch(model));
}

/* ---- a section on its own ---- */

static const ps_conf_schema model_schema = {.keys = ps_spec_model_keys,
                                            .size = sizeof(ps_spec_model)};

ps_status ps_spec_model_parse(ps_slice yaml, const char *origin, ps_spec_model **out)
{
    void *data = NULL;
    ps_conf_doc *doc = NULL;
    ps_status st = ps_conf_load(&model_schema, yaml, origin, &doc, &data);
    if (st)
        return st;
    ps_spec_model *model = data;
    st = ps_spec_model_settle(model, doc, "");
    ps_conf_doc_free(&doc);
    if (st)
        ps_spec_model_free(&model);
    else
        *out = model;
    return st;
}

void ps_spec_model_free(ps_spec_model **model)
{
    ps_conf_free(&model_schema, *model);
    *model = NULL;
}
