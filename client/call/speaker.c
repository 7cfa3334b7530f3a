/* Happy path: the model's record, then the header of its file. */
#include "client/call/speaker.h"

#include "client/call/model_tokenizer.h"
#include "client/call/support.h"
#include "common/arch/arch.h"
#include "common/base/mem.h"

/* Can it do what it is for? */
static ps_status check(const ps_speaker *s, bool embeds)
{
    const ps_spec_model *model = s->model;
    if (embeds)
        return ps_spec_model_is_encoder(model)
                   ? PS_OK
                   : ps_fail(PS_FAILED_PRECONDITION,
                             "model %s is of architecture %s, which embeds no texts; models of "
                             "texts do: bert",
                             s->name, model->architecture);
    return ps_spec_model_is_language(model)
               ? PS_OK
               : ps_fail(PS_FAILED_PRECONDITION,
                         "model %s is of architecture %s, which says no text; language models do: "
                         "%s",
                         s->name, model->architecture, ps_arch_list_language().text);
}

static ps_status open_config(ps_client *client, const char *config, bool embeds,
                             const char *tokenizer, ps_speaker *s)
{
    ps_status st = ps_spec_model_parse(ps_slice_str(config), "its config", &s->model);
    if (st)
        return ps_wrap(st, "model %s", s->name);
    st = check(s, embeds);
    if (!st)
        st = ps_model_header(client, s->name, s->version, &s->header);
    if (!st)
        st = ps_model_tokenizer_in(s->header, s->name, s->model, tokenizer, &s->tokenizer, &s->ids);
    s->vocab_size = s->model->vocab_size;
    s->context_length = s->model->context_length;
    return st;
}

static ps_status open_any(ps_client *client, const char *name, bool embeds, const char *tokenizer,
                          ps_speaker *out)
{
    Psd__V1__Model *model = NULL;
    *out = (ps_speaker){.name = name};
    ps_status st = ps_get_model(client, name, NULL, &model);
    if (st)
        return st;
    out->version = ps_strdup(model->version);
    st = open_config(client, model->config, embeds, tokenizer, out);
    ps_reply_free(&model);
    return st;
}

ps_status ps_speaker_open(ps_client *client, const char *name, const char *tokenizer,
                          ps_speaker *out)
{
    return open_any(client, name, false, tokenizer, out);
}

ps_status ps_speaker_open_texts(ps_client *client, const char *name, const char *tokenizer,
                                ps_speaker *out)
{
    return open_any(client, name, true, tokenizer, out);
}

void ps_speaker_free(ps_speaker *s)
{
    ps_tokenizer_free(&s->tokenizer);
    ps_safetensors_free(&s->header);
    if (s->model)
        ps_spec_model_free(&s->model);
    ps_free(&s->version);
}

bool ps_speaker_mark(const ps_speaker *s, ps_token_role role, size_t i, uint32_t *id)
{
    if (s->ids.of[role].n)
        return ps_token_ids_usable(&s->ids, role, i, s->vocab_size, id);
    return !i && ps_tokenizer_added(s->tokenizer, "<|endoftext|>", id);
}
