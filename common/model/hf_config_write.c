/* A config.json with every key that the architecture's row has, those that all have, and psd's own
 * when the tokenizer is one that Hugging Face has no word for. Cannot fail. */
#include "common/arch/arch.h"
#include "common/json/json.h"
#include "common/model/hf_config.h"
#include "common/model/hf_kept.h"
#include "common/model/hf_keys.h"
#include "common/model/hf_texts.h"
#include "common/model/hf_words.h"

#include <string.h>

/* With a point even when it is whole: some versions of transformers tell int from float. */
static void put_float(ps_json_writer *w, const char *key, double v)
{
    ps_json_put_double(w, key, v);
    const char *value = strrchr(ps_buf_cstr(w->out), ':');
    if (!strpbrk(value, ".eE"))
        ps_buf_puts(w->out, ".0");
}

/* All that the type takes; what the section leaves to be computed is left out. */
static void put_rope(ps_json_writer *w, const ps_spec_model *m, const char *key)
{
    if (m->rope.type == PS_ROPE_DEFAULT) {
        ps_json_put_raw(w, key, "null");
        return;
    }
    ps_json_key(w, key);
    ps_json_object(w);
    ps_json_put_string(w, "rope_type", ps_rope_type_names[m->rope.type]);
    for (const ps_hf_rope_key *k = ps_hf_rope_keys; k->key; k++) {
        ps_spec_number number = ps_spec_model_number(m, k->name);
        if (!ps_rope_takes(m->rope.type, k->name))
            continue;
        if (number.is_real && number.real > 0)
            put_float(w, k->key, number.real);
        else if (!number.is_real)
            ps_json_put_int(w, k->key, number.whole ? number.whole : m->context_length);
    }
    ps_json_object_end(w);
}

static void put_word(ps_json_writer *w, const ps_arch_hf_out *key, const char *word)
{
    char text[PS_HF_WORD] = "";
    (void)ps_hf_word(key->words, word, text);
    ps_json_put_string(w, key->key, text);
}

static void put_layers(ps_json_writer *w, const ps_spec_model *m, const char *key)
{
    ps_json_key(w, key);
    ps_json_array(w);
    for (int64_t l = 0; l < m->num_layers; l++)
        ps_json_string(w, ps_arch_slides(&m->choices, l) ? "sliding_attention" : "full_attention");
    ps_json_array_end(w);
}

/* What the key has to say, or what counts where the section leaves it open. */
static ps_spec_number number_of(const ps_spec_model *m, const ps_arch_hf_out *key)
{
    ps_spec_number number = ps_spec_model_number(m, key->name);
    bool rate = key->or_else && !strcmp(key->or_else, "dropout");
    bool open = rate ? number.real < 0 : number.whole == 0 && !(number.real > 0);
    if (key->or_else && open)
        return ps_spec_model_number(m, key->or_else);
    if (!strcmp(key->name, "full_attention_every") && !m->choices.sliding_window)
        number.whole = 1; /* each sees all */
    return number;
}

static void put_key(ps_json_writer *w, const ps_spec_model *m, const ps_arch_hf_out *key)
{
    if ((key->own_heads && !ps_spec_model_has_own_heads(m)) ||
        (key->windowed && !m->choices.sliding_window))
        return;
    if (key->json) {
        ps_json_put_raw(w, key->key, key->json);
        return;
    }
    if (key->layers) {
        put_layers(w, m, key->key);
        return;
    }
    if (key->rope) {
        put_rope(w, m, key->key);
        return;
    }
    ps_spec_number number = number_of(m, key);
    if (key->words) {
        put_word(w, key,
                 ps_arch_act_names[ps_arch_act_of(ps_arch_find(m->architecture), &m->choices)]);
        return;
    }
    if (key->zero_null && number.whole == 0 && !(number.real > 0)) {
        ps_json_put_raw(w, key->key, "null");
        return;
    }
    if (key->whether)
        ps_json_put_bool(w, key->key, number.whole != 0);
    else if (number.is_flag)
        ps_json_put_bool(w, key->key, number.whole != 0);
    else if (number.is_real && key->whole)
        ps_json_put_double(w, key->key, number.real);
    else if (number.is_real)
        put_float(w, key->key, number.real);
    else
        ps_json_put_int(w, key->key, number.whole);
}

void ps_hf_config_write(const ps_spec_model *m, const char *dtype, const ps_token_ids *ids,
                        const char *quantization, const char *kept, ps_buf *out)
{
    const ps_arch *arch = ps_arch_find(m->architecture);
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    ps_json_key(&w, "architectures");
    ps_json_array(&w);
    ps_json_string(&w, m->choices.num_classes ? arch->hf.type_classes : arch->hf.type);
    ps_json_array_end(&w);
    ps_json_put_string(&w, "model_type", ps_arch_model_type(arch));
    ps_token_ids_put(&w, ids);
    if (!ps_hf_kept_has(kept, "initializer_range"))
        put_float(&w, "initializer_range", 0.02);
    for (const ps_arch_hf_out *key = arch->hf.out; key->key; key++)
        put_key(&w, m, key);
    ps_hf_texts_write(m, &w);
    if (quantization)
        ps_json_put_raw(&w, "quantization_config", quantization);
    ps_json_put_bool(&w, "tie_word_embeddings", m->tie_embeddings);
    ps_json_put_string(&w, "torch_dtype", dtype);
    if (!ps_hf_kept_has(kept, "use_cache"))
        ps_json_put_bool(&w, "use_cache", true);
    ps_json_put_int(&w, "vocab_size", m->vocab_size);
    if (!strcmp(m->tokenizer, "bytes"))
        ps_json_put_string(&w, "psd_tokenizer", "bytes");
    if (m->pooling)
        ps_json_put_string(&w, "psd_pooling", ps_spec_pooling_words[m->pooling]);
    if (m->max_text_length)
        ps_json_put_int(&w, "psd_max_text_length", m->max_text_length);
    ps_hf_kept_write(kept, arch, m->choices.num_classes != 0, &w);
    ps_json_object_end(&w);
    ps_buf_putc(out, '\n');
}
