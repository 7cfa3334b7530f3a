/* Cannot fail. */
#include "common/model/hf_keys.h"

#include <string.h>

const ps_arch_hf_key ps_hf_shared_keys[] = {
    {"vocab_size", "vocab_size"},
    {"psd_tokenizer", "tokenizer", .only = " bytes "},
    /* what is not in psd's models */
    {"attention_bias", .fallback = "false", .only = " false "},
    {"mlp_bias", .fallback = "false", .only = " false "},
    {"rope_type", .fallback = "default", .only = " default "}, /* of rope_scaling, ... */
    {"truncate", .fallback = "true", .only = " true "},        /* likewise */
    {"partial_rotary_factor", .fallback = "1", .only = " 1 "},
    {"rope_interleaved", .fallback = "false", .only = " false "},
    {"add_cross_attention", .fallback = "false", .only = " false "},
    {"is_encoder_decoder", .fallback = "false", .only = " false "},
    {"use_sliding_window", .fallback = "false", .only = " false "},
    {"use_qk_norm", .fallback = "false", .only = " false "},
    {"logit_scale", .fallback = "1", .only = " 1 "},
    {"pruned_heads", .fallback = "{}", .only = " {} "},
    {NULL},
};

/* Keys of GPT2Config, LlamaConfig and their base in any version of transformers, and some that
 * programs for training leave, by which none of them computes other logits. */
static const char *const harmless[] = {
    /* ids, which come with the model (token_ids.h) */
    "bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "cls_token_id", "mask_token_id",
    "unk_token_id", "decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id",
    /* where it comes from, and as what it is held */
    "_name_or_path", "_commit_hash", "architectures", "transformers_version", "torch_dtype",
    "dtype", "tokenizer_class", "prefix", "model_max_length", "max_sequence_length",
    "is_llama_config", "transformers.js_config", "unsloth_version", "unsloth_fixed",
    "torchao_version", "vocab_file", "custom_pipelines", "directionality",
    /* read by itself (hf_quantization.h) */
    "quantization_config",
    /* how it is computed, not what */
    "use_cache", "reorder_and_upcast_attn", "pretraining_tp", "gradient_checkpointing",
    "chunk_size_feed_forward", "attn_implementation", "_attn_implementation",
    "_attn_implementation_autoset", "_flash_attn_2_enabled", "torchscript", "use_bfloat16",
    "base_model_tp_plan", "base_model_pp_plan", "return_dict", "output_hidden_states",
    "output_attentions", "output_past", "keys_to_ignore_at_inference", "is_decoder",
    "tie_encoder_decoder", "cross_attention_hidden_size",
    /* how it was trained, and heads that it does not have here */
    "initializer_range", "neftune_noise_alpha", "loss_type", "tf_legacy_loss", "n_ctx", "n_special",
    "predict_special_tokens", "summary_type", "summary_use_proj", "summary_activation",
    "summary_proj_to_labels", "summary_first_dropout", "classifier_dropout", "finetuning_task",
    "id2label", "label2id", "num_labels", "_num_labels", "problem_type", "pooler_type",
    "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers", "pooler_size_per_head",
    "sentence_transformers", "sbert_ce_default_activation_function",
    /* how it is sampled, by older versions */
    "task_specific_params", "max_length", "max_new_tokens", "min_length", "do_sample",
    "early_stopping", "num_beams", "num_beam_groups", "diversity_penalty", "temperature", "top_k",
    "top_p", "typical_p", "repetition_penalty", "length_penalty", "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences", "output_scores",
    "return_dict_in_generate", "remove_invalid_values", "exponential_decay_length_penalty",
    "suppress_tokens", "begin_suppress_tokens"};

/* Keys of rope_scaling and rope_parameters, each of some types of scaling, and of no meaning to the
 * others (common/arch/rope.h). They are kept under names that no other key has. */
const ps_hf_rope_key ps_hf_rope_keys[] = {
    {"factor", "rope_factor"},
    {"original_max_position_embeddings", "rope_original_context"},
    {"low_freq_factor", "rope_low_freq_factor"},
    {"high_freq_factor", "rope_high_freq_factor"},
    {"beta_fast", "rope_beta_fast"},
    {"beta_slow", "rope_beta_slow"},
    {"attention_factor", "rope_attention_factor"},
    {NULL, NULL},
};

bool ps_hf_config_passes_over(const char *key)
{
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (!strcmp(harmless[i], key))
            return true;
    return false;
}

const ps_arch_hf_key *ps_hf_key_in(const ps_arch_hf_key *keys, const char *key)
{
    for (; keys && keys->key; keys++)
        if (!strcmp(keys->key, key) || (keys->alias && !strcmp(keys->alias, key)))
            return keys;
    return NULL;
}

const ps_arch_hf_key *ps_hf_key_of(const ps_arch *arch, const char *key)
{
    const ps_arch_hf_key *found = ps_hf_key_in(arch->hf.keys, key);
    return found ? found : ps_hf_key_in(ps_hf_shared_keys, key);
}

const ps_arch_hf_key *ps_hf_key_any(const char *key)
{
    const ps_arch_hf_key *found = ps_hf_key_in(ps_hf_shared_keys, key);
    for (size_t i = 0; !found && ps_archs[i]; i++)
        found = ps_hf_key_in(ps_archs[i]->hf.keys, key);
    return found;
}

const char *ps_hf_key_name(const char *key)
{
    const ps_arch_hf_key *found = ps_hf_key_any(key);
    if (!found)
        return NULL;
    return strcmp(found->key, key) ? found->alias : found->key;
}

bool ps_hf_null_says(const char *key)
{
    bool says = false;
    for (size_t i = 0; ps_archs[i]; i++) {
        const ps_arch_hf_key *row = ps_hf_key_in(ps_archs[i]->hf.keys, key);
        says |= row && row->null;
    }
    return says;
}
