/* Happy path: the folder's small files say which template and which tokens, as they do to psctl
 * chat once the model is stored. */
#include "client/call/asked.h"

#include "common/base/mem.h"
#include "common/model/model_files.h"
#include "common/model/side_files.h"

#include <string.h>

static void find_token(const ps_asked *a, const ps_side_texts *texts, const char *key, char **text,
                       uint32_t *id)
{
    ps_buf name = PS_BUF_EMPTY;
    if (ps_side_texts_token(texts, key, &name) &&
        ps_tokenizer_added(a->tokenizer, ps_buf_cstr(&name), id))
        *text = ps_strdup(ps_buf_cstr(&name));
    ps_buf_free(&name);
}

static ps_status read_own(const char *folder, const ps_side_texts *texts, ps_chat **out)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_status st = PS_OK;
    if (!ps_side_texts_template(texts, &text))
        st = ps_fail(PS_INVALID_ARGUMENT, "%s has no chat template; name one: %s", folder,
                     ps_chat_list().text);
    else if ((st = ps_chat_read(ps_buf_slice(&text), out)) != PS_OK)
        st = ps_fail(st, "that of %s: %s; name another: %s", folder, ps_error_message(),
                     ps_chat_list().text);
    ps_buf_free(&text);
    return st;
}

bool ps_asked_has_own(const char *folder)
{
    bool is_folder = false;
    return !ps_model_file_kind(NULL, folder, &is_folder) && is_folder &&
           ps_side_folder_has_template(NULL, folder);
}

static ps_status find_end(ps_asked *a)
{
    const char *end = ps_chat_end(a->chat);
    if (end && ps_tokenizer_added(a->tokenizer, end, &a->end))
        return PS_OK;
    a->end = a->eos_id;
    return a->eos ? PS_OK
                  : ps_fail(PS_INVALID_ARGUMENT,
                            "template %s ends an answer with the model's eos_token, and "
                            "tokenizer_config.json names none",
                            ps_chat_name(a->chat));
}

ps_status ps_asked_open(const char *folder, const char *name, const ps_tokenizer *tokenizer,
                        ps_asked *out)
{
    ps_side_texts texts = {0};
    ps_buf remarks = PS_BUF_EMPTY;
    bool is_folder = false;
    *out = (ps_asked){.tokenizer = tokenizer, .today = ps_chat_today()};
    ps_status st = ps_model_file_kind(NULL, folder, &is_folder);
    if (!st && !is_folder)
        st = ps_fail(PS_INVALID_ARGUMENT,
                     "it needs --tokenizer FOLDER, the model's of Hugging Face");
    if (!st)
        st = ps_side_texts_read(NULL, folder, &texts, &remarks);
    if (!st)
        st = strcmp(name, "own") != 0 ? ps_chat_named(name, &out->chat)
                                      : read_own(folder, &texts, &out->chat);
    if (!st)
        st = ps_chat_check_tokens(out->chat, tokenizer);
    if (!st) {
        find_token(out, &texts, "bos_token", &out->bos, &out->bos_id);
        find_token(out, &texts, "eos_token", &out->eos, &out->eos_id);
        st = find_end(out);
    }
    ps_side_texts_free(&texts);
    ps_buf_free(&remarks);
    return st;
}

void ps_asked_free(ps_asked *a)
{
    ps_chat_free(&a->chat);
    ps_free(&a->bos);
    ps_free(&a->eos);
}

ps_status ps_asked_put(const ps_asked *a, ps_slice question, ps_ids *out)
{
    const ps_chat_ends ends = {a->bos, a->eos, a->bos_id, a->eos_id};
    const ps_chat_message message = {PS_CHAT_ROLE_USER, question};
    ps_chat_text text;
    ps_status st = ps_chat_write(a->chat, &ends, a->today.text, &message, 1, &text);
    if (!st)
        st = ps_chat_encode(&text, a->tokenizer, false, out);
    ps_chat_text_free(&text);
    return st;
}
