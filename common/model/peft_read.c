/* Happy path: the configuration's keys say how much each adapter counts; the tensors, which
 * products have one. It fails with the key or the tensor that psd does nothing with: an adapter
 * without it would be another one. */
#include "common/model/peft.h"

#include "common/arch/lora.h"
#include "common/base/mem.h"
#include "common/model/lm_layout.h"
#include "common/model/peft_config.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const char prefix[] = "base_model.model.";

/* SIZE_MAX: there is none. */
static size_t find_tensor(const ps_spec_model *model, const ps_safetensors *file,
                          const ps_lm_tensor *beside, ps_lora_half half)
{
    char own[PS_LM_NAME], name[PS_PEFT_NAME];
    if (!ps_lora_name(beside->name, half, own))
        return SIZE_MAX;
    ps_peft_name(model, own, name);
    const ps_safetensors_tensor *found = ps_safetensors_find(file, name);
    return found ? (size_t)(found - file->tensors) : SIZE_MAX;
}

/* The module of a product as PEFT calls it; the caller's. */
static char *module_of(const ps_spec_model *model, const ps_lm_tensor *beside)
{
    char name[PS_PEFT_NAME];
    ps_peft_name(model, beside->name, name);
    char *module = ps_strdup(name + sizeof prefix - 1);
    module[ps_lora_module(module)] = '\0';
    return module;
}

/* Of a tensor that has `is` of what the product beside it has `want` of. */
static ps_status fail_side(const ps_safetensors_tensor *t, uint64_t is, uint64_t want,
                           const char *what)
{
    return ps_fail(PS_INVALID_ARGUMENT,
                   PS_PEFT_FILE ": tensor %s has %" PRIu64 " %s, the product beside it %" PRIu64
                                ": the adapter is for a model of other sizes",
                   t->name, is, what, want);
}

static ps_status fail_rank(const ps_safetensors_tensor *t, const char *why)
{
    return ps_fail(PS_INVALID_ARGUMENT, PS_PEFT_FILE ": tensor %s is of rank %" PRIu64 ", %s",
                   t->name, t->shape[0], why);
}

static ps_status check_rank(const ps_safetensors_tensor *a, const ps_safetensors_tensor *b,
                            const char *module, const ps_peft_config *c)
{
    uint64_t rank = a->shape[0];
    const ps_peft_word *own = ps_peft_words_find(&c->ranks, module);
    double said = own ? own->number : c->rank;
    if (rank != b->shape[1])
        return fail_rank(a, "its lora_B of another; the file is damaged");
    if (!rank || rank > PS_LORA_RANK_MAX)
        return fail_rank(a, "which is not from 1 to 1024");
    if (!(said > 0) || (double)rank == said)
        return PS_OK;
    char *why = ps_asprintf(PS_PEFT_CONFIG " says %g (%s%s); they are not of one adapter", said,
                            own ? "rank_pattern: " : "r", own ? own->name : "");
    ps_status st = fail_rank(a, why);
    ps_free(&why);
    return st;
}

static ps_status check_pair(const ps_safetensors_tensor *a, const ps_safetensors_tensor *b,
                            const ps_lm_tensor *beside, const char *module, const ps_peft_config *c)
{
    if (a->n_dims != 2 || b->n_dims != 2)
        return ps_fail(PS_INVALID_ARGUMENT,
                       PS_PEFT_FILE ": tensor %s is no matrix; was it written before the parts of "
                                    "a training on many GPUs were gathered?",
                       a->n_dims != 2 ? a->name : b->name);
    if (a->shape[1] != ps_lora_inputs(beside))
        return fail_side(a, a->shape[1], ps_lora_inputs(beside), "inputs");
    if (b->shape[0] != ps_lora_outputs(beside))
        return fail_side(b, b->shape[0], ps_lora_outputs(beside), "outputs");
    if (!ps_peft_config_names(c, module))
        return ps_fail(PS_INVALID_ARGUMENT,
                       PS_PEFT_FILE
                       " has an adapter of %s, which target_modules, exclude_modules and "
                       "layers_to_transform of " PS_PEFT_CONFIG " leave out",
                       module);
    return check_rank(a, b, module, c);
}

static ps_status read_pair(const ps_safetensors *file, const ps_lm_tensor *beside,
                           const char *module, const ps_peft_config *c, ps_peft_pair *out)
{
    const ps_safetensors_tensor *a = &file->tensors[out->a];
    ps_status st = check_pair(a, &file->tensors[out->b], beside, module, c);
    if (st)
        return st;
    const ps_peft_word *own = ps_peft_words_find(&c->alphas, module);
    double rank = (double)a->shape[0], alpha = own ? own->number : c->alpha;
    out->beside = *beside;
    out->rank = a->shape[0];
    out->scale = alpha / (c->rslora ? sqrt(rank) : rank);
    return PS_OK;
}

/* A product that has none: may it be without? */
static ps_status check_none(const char *module, const ps_peft_config *c)
{
    if (c->any_target || c->any_excluded || !ps_peft_config_names(c, module))
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT,
                   PS_PEFT_CONFIG ": target_modules names %s, of which " PS_PEFT_FILE
                                  " has no adapter; the file is not whole, or of another adapter",
                   module);
}

/* Of a file in which nothing fits, and of one tensor that does not. */
static ps_status fail_beside(const char *name, bool none)
{
    const char *why = none ? "the adapter is for another architecture"
                           : "the model has no such block or product, or it is none of a block, "
                             "where psd has no adapters; merge it in PEFT (merge_and_unload)";
    return ps_fail(PS_INVALID_ARGUMENT,
                   PS_PEFT_FILE ": tensor %s is beside no product of the model's blocks: %s", name,
                   why);
}

/* Which tensor has no product? */
static ps_status check_all(const ps_safetensors *file, const ps_peft_pair *pairs, size_t n)
{
    for (size_t i = 0; i < file->n_tensors; i++) {
        size_t k = 0;
        while (k < n && pairs[k].a != i && pairs[k].b != i)
            k++;
        if (k == n)
            return fail_beside(file->tensors[i].name, !n);
    }
    return n ? PS_OK : ps_fail(PS_INVALID_ARGUMENT, PS_PEFT_FILE " has no tensors");
}

static ps_status read_product(const ps_spec_model *model, const ps_safetensors *file,
                              const ps_peft_config *c, const ps_lm_tensor *t, ps_peft_pair *out,
                              bool *none)
{
    out->a = find_tensor(model, file, t, PS_LORA_A);
    out->b = find_tensor(model, file, t, PS_LORA_B);
    *none = out->a == SIZE_MAX && out->b == SIZE_MAX;
    if (!*none && (out->a == SIZE_MAX || out->b == SIZE_MAX))
        return ps_fail(PS_INVALID_ARGUMENT,
                       PS_PEFT_FILE ": %s has one half of an adapter; the file is not whole",
                       t->name);
    char *module = module_of(model, t);
    ps_status st = *none ? PS_OK : read_pair(file, t, module, c, out);
    ps_free(&module);
    return st;
}

static ps_status read_pairs(const ps_spec_model *model, const ps_safetensors *file,
                            const ps_peft_config *c, const ps_lm_tensor *layout, size_t n_layout,
                            ps_peft_pair *out, size_t *n)
{
    ps_status st = PS_OK;
    char *missing = NULL; /* the first that is to have one */
    for (size_t i = 0; !st && i < n_layout; i++) {
        bool none = true;
        if (!ps_lora_means(&layout[i], "all-linear"))
            continue;
        st = read_product(model, file, c, &layout[i], &out[*n], &none);
        *n += !st && !none;
        if (!st && none && !missing) {
            missing = module_of(model, &layout[i]);
            if (!check_none(missing, c))
                ps_free(&missing);
        }
    }
    if (!st)
        st = check_all(file, out, *n); /* an adapter of another model first */
    if (!st && missing)
        st = check_none(missing, c);
    ps_free(&missing);
    return st;
}

/* What it says that it is for, behind what is wrong with it. */
static ps_status add_base(ps_status st, ps_peft_config *c)
{
    if (!c->base.len || st != PS_INVALID_ARGUMENT)
        return st;
    return ps_fail(st, "%s (" PS_PEFT_CONFIG " says that it is for %.100s)", ps_error_message(),
                   ps_buf_cstr(&c->base));
}

ps_status ps_peft_read(const ps_spec_model *model, ps_slice json, const ps_safetensors *file,
                       ps_peft_pair **out, size_t *n)
{
    ps_peft_config c;
    ps_lm_tensor *layout = NULL;
    size_t n_layout = 0;
    *n = 0;
    ps_status st = ps_peft_config_read(json, &c);
    ps_lm_layout(model, &layout, &n_layout);
    *out = ps_alloc_array(n_layout + 1, sizeof **out);
    if (!st)
        st = add_base(read_pairs(model, file, &c, layout, n_layout, *out, n), &c);
    ps_peft_config_free(&c);
    ps_free(&layout);
    if (st)
        ps_free(out);
    return st;
}
