/* A config.json with every key that GPT2Config and LlamaConfig need, and psd's own when the
 * tokenizer is one that Hugging Face has no word for. Cannot fail. */
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

static void put_gpt2(ps_json_writer *w, const ps_spec_model *m)
{
    ps_json_put_string(w, "activation_function", "gelu_new");
    put_float(w, "attn_pdrop", m->dropout);
    put_float(w, "embd_pdrop", m->dropout);
    put_float(w, "resid_pdrop", m->dropout);
    put_float(w, "layer_norm_epsilon", m->norm_epsilon);
    ps_json_put_int(w, "n_ctx", m->context_length);
    ps_json_put_int(w, "n_positions", m->context_length);
    ps_json_put_int(w, "n_embd", m->hidden_size);
    ps_json_put_int(w, "n_layer", m->num_layers);
    ps_json_put_int(w, "n_head", m->num_heads);
    ps_json_put_int(w, "n_inner", m->intermediate_size);
    ps_json_put_bool(w, "scale_attn_weights", true);
    ps_json_put_bool(w, "scale_attn_by_inverse_layer_idx", false);
    ps_json_put_bool(w, "reorder_and_upcast_attn", false);
}

static void put_llama(ps_json_writer *w, const ps_spec_model *m)
{
    ps_json_put_bool(w, "attention_bias", false);
    put_float(w, "attention_dropout", m->dropout);
    ps_json_put_int(w, "head_dim", m->hidden_size / m->num_heads);
    ps_json_put_string(w, "hidden_act", "silu");
    ps_json_put_int(w, "hidden_size", m->hidden_size);
    ps_json_put_int(w, "intermediate_size", m->intermediate_size);
    ps_json_put_int(w, "max_position_embeddings", m->context_length);
    ps_json_put_bool(w, "mlp_bias", false);
    ps_json_put_int(w, "num_attention_heads", m->num_heads);
    ps_json_put_int(w, "num_hidden_layers", m->num_layers);
    ps_json_put_int(w, "num_key_value_heads", m->num_kv_heads);
    ps_json_put_int(w, "pretraining_tp", 1);
    put_float(w, "rms_norm_eps", m->norm_epsilon);
    ps_json_key(w, "rope_scaling");
    ps_json_null(w);
    put_float(w, "rope_theta", m->rope_theta);
}

void ps_hf_config_write(const ps_spec_model *m, const char *dtype, const ps_token_ids *ids,
                        ps_buf *out)
{
    bool llama = !strcmp(m->architecture, "llama");
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    ps_json_key(&w, "architectures");
    ps_json_array(&w);
    ps_json_string(&w, llama ? "LlamaForCausalLM" : "GPT2LMHeadModel");
    ps_json_array_end(&w);
    ps_json_put_string(&w, "model_type", m->architecture);
    ps_token_ids_put(&w, ids);
    put_float(&w, "initializer_range", 0.02);
    if (llama)
        put_llama(&w, m);
    else
        put_gpt2(&w, m);
    ps_json_put_bool(&w, "tie_word_embeddings", m->tie_embeddings);
    ps_json_put_string(&w, "torch_dtype", dtype);
    ps_json_put_bool(&w, "use_cache", true);
    ps_json_put_int(&w, "vocab_size", m->vocab_size);
    if (!strcmp(m->tokenizer, "bytes"))
        ps_json_put_string(&w, "psd_tokenizer", "bytes");
    ps_json_object_end(&w);
    ps_buf_putc(out, '\n');
}
