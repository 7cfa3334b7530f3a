/* A config.json with every key that the architecture's row has, those that all have, and psd's own
 * when the tokenizer is one that Hugging Face has no word for. Cannot fail. */
#include "common/arch/arch.h"
#include "common/json/json.h"
#include "common/model/hf_config.h"

#include <string.h>

/* With a point even when it is whole: some versions of transformers tell int from float. */
static void put_float(ps_json_writer *w, const char *key, double v)
{
    ps_json_put_double(w, key, v);
    const char *value = strrchr(ps_buf_cstr(w->out), ':');
    if (!strpbrk(value, ".eE"))
        ps_buf_puts(w->out, ".0");
}

static void put_key(ps_json_writer *w, const ps_spec_model *m, const ps_arch_hf_out *key)
{
    if (key->own_heads && !ps_spec_model_has_own_heads(m))
        return;
    if (key->json) {
        ps_json_put_raw(w, key->key, key->json);
        return;
    }
    ps_spec_number number = ps_spec_model_number(m, key->name);
    if (number.is_real)
        put_float(w, key->key, number.real);
    else
        ps_json_put_int(w, key->key, number.whole);
}

void ps_hf_config_write(const ps_spec_model *m, const char *dtype, const ps_token_ids *ids,
                        const char *quantization, ps_buf *out)
{
    const ps_arch *arch = ps_arch_find(m->architecture);
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    ps_json_key(&w, "architectures");
    ps_json_array(&w);
    ps_json_string(&w, arch->hf.type);
    ps_json_array_end(&w);
    ps_json_put_string(&w, "model_type", arch->name);
    ps_token_ids_put(&w, ids);
    put_float(&w, "initializer_range", 0.02);
    for (const ps_arch_hf_out *key = arch->hf.out; key->key; key++)
        put_key(&w, m, key);
    if (quantization)
        ps_json_put_raw(&w, "quantization_config", quantization);
    ps_json_put_bool(&w, "tie_word_embeddings", m->tie_embeddings);
    ps_json_put_string(&w, "torch_dtype", dtype);
    ps_json_put_bool(&w, "use_cache", true);
    ps_json_put_int(&w, "vocab_size", m->vocab_size);
    if (!strcmp(m->tokenizer, "bytes"))
        ps_json_put_string(&w, "psd_tokenizer", "bytes");
    ps_json_object_end(&w);
    ps_buf_putc(out, '\n');
}
