/* Modules are named by as little of their names as no other module's name ends with: what PEFT's
 * target_modules means, too. Cannot fail. */
#include "common/model/peft.h"

#include "common/arch/lora.h"
#include "common/base/mem.h"
#include "common/json/json.h"

#include <stdio.h>
#include <string.h>

static const char prefix[] = "base_model.model.";

static const char *prefix_of(const ps_spec_model *model)
{
    bool bare = ps_spec_model_is_encoder(model) && !model->choices.num_classes;
    const char *own = bare ? NULL : ps_arch_find(model->architecture)->hf.prefix;
    return own ? own : "";
}

void ps_peft_name(const ps_spec_model *model, const char *name, char out[PS_PEFT_NAME])
{
    (void)snprintf(out, PS_PEFT_NAME, "%s%s%s", prefix, prefix_of(model), name);
}

const ps_lm_tensor *ps_peft_rows(const ps_lm_tensor *tensors, size_t n, const char *name)
{
    char b[PS_LM_NAME];
    for (size_t i = 0; i < n; i++)
        if (tensors[i].by_heads && !tensors[i].bias &&
            ps_lora_name(tensors[i].name, PS_LORA_B, b) && !strcmp(b, name))
            return &tensors[i];
    return NULL;
}

/* ---- target_modules ---- */

typedef struct modules {
    const char *prefix;
    const ps_lm_tensor *tensors;
    bool *adapted; /* [n] */
    size_t n;
} modules;

/* The last `parts` parts of a module's name, "attn.c_attn"; 0: all of it, as Hugging Face has it.
 */
static ps_buf name_of(const modules *m, size_t i, unsigned parts)
{
    const char *name = m->tensors[i].name;
    size_t n = ps_lora_module(name), from = parts ? n : 0;
    while (from > 0 && !(name[from - 1] == '.' && --parts == 0))
        from--;
    ps_buf out = PS_BUF_EMPTY;
    ps_buf_printf(&out, "%s%.*s", from ? "" : m->prefix, (int)(n - from), name + from);
    return out;
}

/* Do the names of so many parts mean what is adapted, and nothing else? */
static bool tells(const modules *m, unsigned parts)
{
    bool same = true;
    for (size_t i = 0; same && i < m->n; i++) {
        if (!m->adapted[i])
            continue;
        ps_buf name = name_of(m, i, parts);
        for (size_t k = 0; same && k < m->n; k++) {
            if (m->adapted[k] || m->tensors[k].bias)
                continue;
            ps_buf other = name_of(m, k, parts);
            same = strcmp(ps_buf_cstr(&name), ps_buf_cstr(&other)) != 0;
            ps_buf_free(&other);
        }
        ps_buf_free(&name);
    }
    return same;
}

/* Each once. */
static void put_names(const modules *m, unsigned parts, ps_json_writer *w)
{
    ps_json_key(w, "target_modules");
    ps_json_array(w);
    for (size_t i = 0; i < m->n; i++) {
        if (!m->adapted[i])
            continue;
        ps_buf name = name_of(m, i, parts);
        bool said = false;
        for (size_t k = 0; !said && k < i; k++) {
            if (!m->adapted[k])
                continue;
            ps_buf other = name_of(m, k, parts);
            said = !strcmp(ps_buf_cstr(&name), ps_buf_cstr(&other));
            ps_buf_free(&other);
        }
        if (!said)
            ps_json_string(w, ps_buf_cstr(&name));
        ps_buf_free(&name);
    }
    ps_json_array_end(w);
}

/* true: weights of the modules are stored [in, out]. */
static bool put_targets(const ps_spec_model *model, const ps_spec_lora *lora, ps_json_writer *w)
{
    ps_lm_tensor *tensors = NULL;
    modules m = {.prefix = prefix_of(model)};
    bool turned = false;
    ps_lm_layout(model, &tensors, &m.n);
    m.tensors = tensors;
    m.adapted = ps_alloc_array(m.n + 1, sizeof *m.adapted);
    for (size_t i = 0; i < m.n; i++) {
        m.adapted[i] =
            ps_lora_adapts(&tensors[i], (const char *const *)lora->targets, lora->n_targets);
        turned |= m.adapted[i] && tensors[i].change == PS_LM_TRANSPOSE;
    }
    unsigned parts = tells(&m, 1) ? 1 : tells(&m, 2) ? 2 : 0;
    put_names(&m, parts, w);
    ps_free(&m.adapted);
    ps_free(&tensors);
    return turned;
}

void ps_peft_config_format(const ps_spec_model *model, const ps_spec_lora *lora, const char *base,
                           ps_buf *out)
{
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    ps_json_put_string(&w, "peft_type", "LORA");
    if (ps_spec_model_is_language(model)) /* of SEQ_CLS PEFT keeps the classes beside adapters */
        ps_json_put_string(&w, "task_type", "CAUSAL_LM");
    ps_json_put_string(&w, "base_model_name_or_path", base);
    ps_json_put_string(&w, "bias", "none");
    bool turned = put_targets(model, lora, &w);
    ps_json_put_bool(&w, "fan_in_fan_out", turned);
    ps_json_put_bool(&w, "inference_mode", true);
    ps_json_put_bool(&w, "init_lora_weights", true);
    ps_json_put_double(&w, "lora_alpha", lora->alpha);
    ps_json_put_double(&w, "lora_dropout", lora->dropout);
    ps_json_put_string(&w, "modules_to_save", NULL);
    ps_json_put_int(&w, "r", lora->rank);
    ps_json_put_bool(&w, "use_rslora", false);
    ps_json_put_bool(&w, "use_dora", false);
    ps_json_object_end(&w);
    ps_buf_puts(out, "\n");
}
