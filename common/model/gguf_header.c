/* Keys first, then the tensors with offsets that follow one another, as llama.cpp wants them. */
#include "common/model/gguf_header.h"

#include "common/base/bits.h"
#include "common/model/gguf_kept.h"
#include "common/model/gguf_keys.h"
#include "common/model/gguf_model.h"
#include "common/model/gguf_parts.h"
#include "common/model/gguf_rope.h"
#include "common/model/gguf_texts.h"
#include "common/model/side_files.h"
#include "common/tokenizer/token_lists.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void put_model(ps_gguf_keys *k, const ps_spec_model *m, ps_buf *remarks)
{
    ps_gguf_key_u32(k, ".context_length", m->context_length);
    ps_gguf_key_u32(k, ".embedding_length", m->hidden_size);
    ps_gguf_key_u32(k, ".block_count", m->num_layers);
    ps_gguf_key_u32(k, ".feed_forward_length", m->intermediate_size);
    ps_gguf_key_u32(k, ".attention.head_count", m->num_heads);
    ps_gguf_key_u32(k, ".vocab_size", m->vocab_size);
    const ps_arch *arch = ps_arch_find(m->architecture);
    for (const ps_arch_gguf_key *key = arch->gguf; key->key; key++) {
        ps_spec_number number = ps_spec_model_number(m, key->name);
        bool zero = number.whole == 0 && !(number.real > 0);
        if (key->unwritten || (key->own_heads && !ps_spec_model_has_own_heads(m)) ||
            (key->nonzero && zero))
            continue;
        if (key->share)
            ps_gguf_key_u32(k, key->key, ps_rope_turned(&m->rope, m->head_dim));
        else if (key->flag)
            ps_gguf_key_bool(k, key->key, number.whole != 0);
        else if (key->real)
            ps_gguf_key_float(k, key->key, number.real);
        else
            ps_gguf_key_u32(k, key->key, number.whole);
    }
    ps_gguf_rope_write(k, m, remarks);
    ps_gguf_texts_write(k, m);
    if (arch->gguf_remark)
        ps_buf_printf(remarks, "%s\n", arch->gguf_remark);
}

static uint32_t kind_of(ps_listed_kind kind)
{
    static const uint32_t kinds[] = {
        [PS_LISTED_NORMAL] = PS_GGUF_TOKEN_NORMAL,   [PS_LISTED_UNKNOWN] = PS_GGUF_TOKEN_UNKNOWN,
        [PS_LISTED_CONTROL] = PS_GGUF_TOKEN_CONTROL, [PS_LISTED_ADDED] = PS_GGUF_TOKEN_USER_DEFINED,
        [PS_LISTED_UNUSED] = PS_GGUF_TOKEN_UNUSED,   [PS_LISTED_BYTE] = PS_GGUF_TOKEN_BYTE};
    return kinds[kind];
}

/* llama.cpp wants a text for each row of the embedding: those without a token have a name. */
static void put_tokens(ps_gguf_keys *k, const ps_token_lists *l)
{
    bool merges = !strcmp(l->model, "gpt2") || !strcmp(l->model, "gemma4");
    ps_gguf_key_array(k, "tokenizer.ggml.tokens", PS_GGUF_STRING, l->n_tokens);
    for (uint32_t id = 0; id < l->n_tokens; id++)
        ps_gguf_put_text(k->out, l->texts[id]);
    ps_gguf_key_array(k, "tokenizer.ggml.token_type", PS_GGUF_I32, l->n_tokens);
    for (uint32_t id = 0; id < l->n_tokens; id++)
        ps_buf_put_u32le(k->out, kind_of(l->kinds[id]));
    if (l->scores)
        ps_gguf_key_array(k, "tokenizer.ggml.scores", PS_GGUF_FLOAT, l->n_tokens);
    for (uint32_t id = 0; l->scores && id < l->n_tokens; id++)
        ps_buf_put_u32le(k->out, ps_bits_of_float(l->scores[id]));
    if (merges)
        ps_gguf_key_array(k, "tokenizer.ggml.merges", PS_GGUF_STRING, l->n_merges);
    for (size_t i = 0; merges && i < l->n_merges; i++)
        ps_gguf_put_text(k->out, l->merges[i]);
}

/* Of a key that came with the model, and goes with it (gguf_kept.h), there is no second. */
static void put_flag(ps_gguf_keys *k, const ps_model_about *about, const char *key, bool v,
                     bool usual)
{
    if (v != usual && !ps_gguf_kept_has(about->file, key))
        ps_gguf_key_bool(k, key, v);
}

static void put_special(ps_gguf_keys *k, const ps_model_about *about, const char *key, uint32_t id)
{
    if (id != PS_LISTED_NO_ID && !ps_gguf_kept_has(about->file, key))
        ps_gguf_key_u32(k, key, id);
}

/* Where llama.cpp would not find it by itself. */
static void put_mask(ps_gguf_keys *k, const ps_model_about *about, const ps_tokenizer *t)
{
    ps_buf name = PS_BUF_EMPTY;
    uint32_t id = 0;
    bool said = ps_side_token(about->file, "mask_token", &name);
    if (ps_tokenizer_added(t, said ? ps_buf_cstr(&name) : "[MASK]", &id))
        put_special(k, about, "tokenizer.ggml.mask_token_id", id);
    ps_buf_free(&name);
}

/* What llama.cpp would not take for granted. */
static void put_rules(ps_gguf_keys *k, const ps_model_about *about, const ps_token_lists *l)
{
    ps_token_lists usual;
    bool bert = !strcmp(l->model, "bert"), gpt2 = !strcmp(l->model, "gpt2");
    if (ps_token_lists_defaults(l->model, l->pre, &usual))
        return;
    if (l->prefix_space != usual.prefix_space)
        ps_gguf_key_bool(k, PS_GGUF_KEY_PREFIX_SPACE, l->prefix_space);
    if (l->strip_spaces)
        ps_gguf_key_bool(k, "tokenizer.ggml.remove_extra_whitespaces", true);
    if (l->charsmap.len) {
        ps_gguf_key_array(k, "tokenizer.ggml.precompiled_charsmap", PS_GGUF_U8, l->charsmap.len);
        ps_buf_append(k->out, l->charsmap.data, l->charsmap.len);
    }
    if (l->keep_case)
        ps_gguf_key_bool(k, "tokenizer.ggml.normalizer.lowercase", false);
    if (l->keep_accents)
        ps_gguf_key_bool(k, "tokenizer.ggml.normalizer.strip_accents", false);
    put_flag(k, about, "tokenizer.ggml.add_bos_token", l->add_bos, usual.add_bos || bert);
    put_flag(k, about, "tokenizer.ggml.add_eos_token", l->add_eos, usual.add_eos || bert);
    if (!gpt2)
        put_special(k, about, "tokenizer.ggml.unknown_token_id", l->unk_id);
    put_special(k, about, "tokenizer.ggml.seperator_token_id", l->sep_id);
    if (bert)
        put_special(k, about, "tokenizer.ggml.cls_token_id", l->bos_id);
}

/* A tokenizer that GGUF has no word for, or that has more ids than the embedding has rows, stays
 * behind with a remark. */
static bool list(const ps_model_about *about, ps_tokenizer **t, ps_token_listing *out)
{
    static const char stays[] = "the tokenizer does not go into the file:";
    int64_t rows = about->model->vocab_size;
    if (!about->tokenizer || !strcmp(about->model->tokenizer, "bytes"))
        return false;
    ps_status st = ps_tokenizer_from_json(ps_slice_str(about->tokenizer), t);
    if (!st && ps_tokenizer_vocab_size(*t) > rows)
        st =
            ps_fail(PS_INVALID_ARGUMENT,
                    "it has %" PRIu32 " ids, and llama.cpp takes no more than vocab_size, %" PRId64,
                    ps_tokenizer_vocab_size(*t), rows);
    if (!st)
        st = ps_tokenizer_list(*t, (uint32_t)rows, out);
    if (st)
        ps_buf_printf(about->remarks, "%s %s\n", stays, ps_error_message());
    return !st;
}

/* What the tokenizer puts around a text goes before what the model says of its own: llama.cpp has
 * one key for both. */
static void put_first(const ps_model_about *about, ps_token_ids *ids, ps_token_role role,
                      uint32_t id)
{
    ps_token_ids old = *ids;
    size_t n = old.of[role].n;
    if (id == PS_LISTED_NO_ID || (n && old.of[role].at[0] == id))
        return;
    ids->of[role].n = 0;
    ps_token_ids_add(ids, role, id);
    for (size_t i = 0; i < n; i++)
        ps_token_ids_add(ids, role, old.of[role].at[i]);
    if (role == PS_TOKEN_BOS && n)
        ps_buf_printf(about->remarks,
                      "the tokenizer puts token %" PRIu32 " before a text, and not bos_token_id, "
                      "%" PRId64 ": GGUF has one key for both, and it says the first\n",
                      id, old.of[role].at[0]);
}

/* One id a key, in their order; what has no key is said. */
static void put_ids(ps_gguf_keys *k, const ps_model_about *about, const ps_token_lists *l)
{
    size_t used[PS_TOKEN_ROLES] = {0};
    uint32_t id = 0;
    ps_token_ids ids = *about->ids;
    ps_token_ids_of_generation(about->file, &ids);
    put_first(about, &ids, PS_TOKEN_BOS, l->bos_id);
    put_first(about, &ids, PS_TOKEN_EOS, l->eos_id);
    for (size_t i = 0; i < PS_GGUF_ID_KEYS; i++) {
        ps_token_role role = ps_gguf_id_keys[i].role;
        if (ps_token_ids_usable(&ids, role, used[role]++, about->model->vocab_size, &id))
            ps_gguf_key_u32(k, ps_gguf_id_keys[i].key, id);
    }
    if (ps_token_ids_usable(&ids, PS_TOKEN_EOS, used[PS_TOKEN_EOS], about->model->vocab_size, &id))
        ps_buf_printf(about->remarks,
                      "GGUF has keys for %zu tokens that end a text, the model has more: %" PRIu32
                      " and the following are left out\n",
                      used[PS_TOKEN_EOS], id);
}

static void put_listing(ps_gguf_keys *k, const ps_model_about *about, const ps_tokenizer *tokenizer,
                        const ps_token_listing *t)
{
    ps_gguf_key_text(k, "tokenizer.ggml.model", t->lists.model);
    ps_gguf_key_text(k, "tokenizer.ggml.pre", *t->lists.pre ? t->lists.pre : "default");
    put_tokens(k, &t->lists);
    put_rules(k, about, &t->lists);
    if (!strcmp(t->lists.model, "bert"))
        put_mask(k, about, tokenizer);
    ps_buf_append(about->remarks, t->remarks.data, t->remarks.len);
}

static void put_tokenizer(ps_gguf_keys *k, const ps_model_about *about)
{
    ps_tokenizer *t = NULL;
    ps_token_listing listing = {.lists = {.bos_id = PS_LISTED_NO_ID, .eos_id = PS_LISTED_NO_ID}};
    if (list(about, &t, &listing))
        put_listing(k, about, t, &listing);
    else
        ps_gguf_key_text(k, "tokenizer.ggml.model", "none");
    put_ids(k, about, &listing.lists);
    ps_token_listing_free(&listing);
    ps_buf template = PS_BUF_EMPTY;
    if (ps_side_chat_template(about->file, &template))
        ps_gguf_key_text(k, PS_GGUF_KEY_CHAT_TEMPLATE, ps_buf_cstr(&template));
    ps_buf_free(&template);
    if (!strcmp(about->model->tokenizer, "bytes"))
        ps_gguf_key_text(k, PS_GGUF_KEY_TOKENIZER, "bytes");
    ps_tokenizer_free(&t);
}

/* ---- tensors ---- */

void ps_gguf_sides(const ps_lm_tensor *t, uint64_t out[2])
{
    bool turned = t->change == PS_LM_TRANSPOSE;
    out[0] = t->n_dims == 1 || turned ? t->shape[0] : t->shape[1];
    out[1] = t->n_dims == 1 ? 1 : turned ? t->shape[1] : t->shape[0];
}

/* "blk.7.": the layer in a name; 0 where there is none. */
static uint64_t layer_of(const ps_lm_tensor *t)
{
    return !strncmp(t->gguf, "blk.", 4) ? strtoull(t->gguf + 4, NULL, 10) : 0;
}

/* The embedding, where there is no other. */
static bool is_head(const ps_spec_model *m)
{
    return m->tie_embeddings || !ps_arch_has(ps_arch_find(m->architecture), PS_PART_HEAD);
}

ps_form ps_gguf_form_of(const ps_mix *mix, const ps_spec_model *m, const ps_lm_tensor *t)
{
    uint64_t sides[2];
    ps_gguf_sides(t, sides);
    return ps_mix_form(mix, &(ps_mix_tensor){.part = t->part,
                                             .n_dims = t->n_dims,
                                             .columns = sides[0],
                                             .layer = layer_of(t),
                                             .layers = (uint64_t)m->num_layers,
                                             .heads = m->num_heads,
                                             .kv_heads = m->num_kv_heads,
                                             .head = t->part == PS_PART_HEAD ||
                                                     (t->part == PS_PART_TOKENS && is_head(m))});
}

uint64_t ps_gguf_bytes(const ps_lm_tensor *t, ps_form form)
{
    uint64_t sides[2];
    ps_gguf_sides(t, sides);
    return sides[1] * ps_form_row_bytes(form, sides[0]);
}

static void put_tensors(const ps_model_about *about, const ps_form *forms,
                        const ps_gguf_share *share, bool factors, ps_buf *out)
{
    uint64_t offset = 0;
    for (size_t i = share->begin; i < share->end; i++) {
        const ps_lm_tensor *t = &about->tensors[i];
        uint64_t sides[2];
        ps_gguf_sides(t, sides);
        ps_gguf_put_tensor(out, t->gguf, t->n_dims, sides, (uint32_t)forms[i].row->ggml, offset);
        offset += ps_gguf_padded(ps_gguf_bytes(t, forms[i]));
    }
    /* F32 is type 0 */
    const uint64_t pairs[] = {ps_gguf_rope_factors(about->model, NULL)};
    if (factors)
        ps_gguf_put_tensor(out, PS_GGUF_ROPE_TENSOR, 1, pairs, 0, offset);
}

static void put_keys(ps_gguf_keys *k, const ps_model_about *about, const ps_mix *mix)
{
    ps_gguf_key_text(k, "general.architecture", k->architecture);
    ps_gguf_key_u32(k, "general.file_type", ps_mix_file_type(mix));
    if (!ps_mix_base(mix).row->plain)
        ps_gguf_key_u32(k, "general.quantization_version", 2);
    put_model(k, about->model, about->remarks);
    put_tokenizer(k, about);
    ps_gguf_kept_put(k, about->file, about->model->vocab_size);
}

/* Of the very types that gguf-split writes: llama.cpp takes no others. */
static void put_split(ps_gguf_keys *k, const ps_gguf_share *share, size_t tensors)
{
    ps_gguf_key_u16(k, PS_GGUF_KEY_SPLIT_NO, (uint16_t)share->at);
    ps_gguf_key_u16(k, PS_GGUF_KEY_SPLIT_COUNT, (uint16_t)share->n);
    ps_gguf_key_i32(k, PS_GGUF_KEY_SPLIT_TENSORS, (int32_t)tensors);
}

void ps_gguf_header(const ps_model_about *about, const ps_mix *mix, const ps_form *forms,
                    const ps_gguf_share *share, ps_buf *out)
{
    const char *name = ps_arch_gguf_name(ps_arch_find(about->model->architecture));
    ps_gguf_keys k = {.out = out, .architecture = name};
    bool any = ps_gguf_rope_factors(about->model, NULL) > 0;
    bool factors = any && share->end == about->n; /* behind all others */
    size_t count_at = ps_gguf_begin(out, share->end - share->begin + factors);
    if (!share->at)
        put_keys(&k, about, mix);
    if (share->n)
        put_split(&k, share, about->n + any);
    ps_gguf_end(out, count_at, &k);
    put_tensors(about, forms, share, factors, out);
    ps_gguf_pad(out);
}
