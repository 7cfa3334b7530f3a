#include "common/model/hf_tokenizer_config.h"

#include "common/json/json.h"
#include "common/tokenizer/tokenizer.h"

/* The text of the first id of a role, when it is an added token, as it stands in the tokenizer;
 * NULL. */
static const char *text_of(const ps_tokenizer *t, const ps_model_about *about, ps_token_role role,
                           ps_buf *out)
{
    uint32_t id = 0;
    if (!t || !ps_token_ids_usable(about->ids, role, 0, about->model->vocab_size, &id))
        return NULL;
    ps_token_kind kind = ps_tokenizer_kind(t, id);
    if (kind != PS_TOKEN_SPECIAL && kind != PS_TOKEN_ADDED)
        return NULL;
    ps_slice text = ps_tokenizer_text(t, id);
    ps_buf_clear(out);
    ps_buf_append(out, text.data, text.len);
    return ps_buf_cstr(out);
}

/* The roles that a model has no ids of, by how their tokens are spelt everywhere: without its mask
 * a tokenizer of BERT's fills none. */
static void put_spelt(const ps_tokenizer *t, ps_json_writer *w)
{
    static const struct {
        const char *key, *text;
    } spelt[] = {{"cls_token", "[CLS]"},
                 {"sep_token", "[SEP]"},
                 {"mask_token", "[MASK]"},
                 {"unk_token", "[UNK]"}};
    uint32_t id = 0;
    for (size_t i = 0; t && i < sizeof spelt / sizeof *spelt; i++)
        if (ps_tokenizer_added(t, spelt[i].text, &id))
            ps_json_put_string(w, spelt[i].key, spelt[i].text);
}

void ps_hf_tokenizer_config(const ps_model_about *about, ps_buf *out)
{
    static const char *const names[PS_TOKEN_ROLES] = {"bos_token", "eos_token", "pad_token"};
    ps_tokenizer *t = NULL;
    ps_buf text = PS_BUF_EMPTY;
    if (ps_tokenizer_from_json(ps_slice_str(about->tokenizer), &t))
        t = NULL; /* one that psd does not know goes out all the same */
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    ps_json_put_string(&w, "tokenizer_class", "PreTrainedTokenizerFast");
    const ps_spec_model *m = about->model;
    ps_json_put_int(&w, "model_max_length",
                    m->max_text_length ? m->max_text_length : m->context_length);
    ps_json_put_bool(&w, "clean_up_tokenization_spaces", false);
    for (ps_token_role role = 0; role < PS_TOKEN_ROLES; role++) {
        const char *word = text_of(t, about, role, &text);
        if (word)
            ps_json_put_string(&w, names[role], word);
    }
    put_spelt(t, &w);
    ps_json_object_end(&w);
    ps_buf_putc(out, '\n');
    ps_tokenizer_free(&t);
    ps_buf_free(&text);
}
