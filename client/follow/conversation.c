/* Happy path: the turns become the template's text, that becomes tokens, and these a generate job
 * that ends at the model's eos or the template's end of a turn. It fails where a question alone is
 * longer than the model's context. */
#include "client/follow/conversation.h"

#include "client/call/support.h"
#include "common/base/mem.h"
#include "common/model/side_files.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- the template ---- */

/* Of a token that the tokenizer's config names; without one, the model's own ids. */
static void find_token(const ps_speaker *s, const char *key, ps_token_role role, char **text,
                       uint32_t *id)
{
    ps_buf name = PS_BUF_EMPTY;
    bool config = ps_safetensors_metadata(s->header, "tokenizer_config.json") != NULL;
    bool found = config && ps_side_token(s->header, key, &name) &&
                 ps_tokenizer_added(s->tokenizer, ps_buf_cstr(&name), id);
    if (!config && ps_token_ids_usable(&s->ids, role, 0, s->vocab_size, id)) {
        ps_buf_clear(&name);
        ps_tokenizer_token(s->tokenizer, *id, &name);
        found = true;
    }
    if (found)
        *text = ps_strdup(ps_buf_cstr(&name));
    ps_buf_free(&name);
}

static ps_status read_template(const ps_speaker *s, ps_chat **out)
{
    ps_buf text = PS_BUF_EMPTY;
    if (!ps_side_chat_template(s->header, &text)) {
        ps_buf_free(&text);
        return ps_fail(PS_FAILED_PRECONDITION,
                       "model %s came without a chat template; name one: --template NAME (%s)",
                       s->name, ps_chat_list().text);
    }
    ps_status st = ps_chat_read(ps_buf_slice(&text), out);
    ps_buf_free(&text);
    if (!st)
        return PS_OK;
    char *why = ps_strdup(ps_error_message());
    st = ps_fail(PS_FAILED_PRECONDITION,
                 "the chat template of model %s: %s; name another: --template NAME (%s)", s->name,
                 why, ps_chat_list().text);
    ps_free(&why);
    return st;
}

ps_status ps_conversation_open(ps_client *client, const ps_speaker *speaker,
                               const ps_say_keys *keys, const char *template, ps_conversation *out)
{
    *out = (ps_conversation){.client = client, .speaker = speaker, .keys = keys};
    ps_status st =
        template ? ps_chat_named(template, &out->chat) : read_template(speaker, &out->chat);
    if (!st)
        st = ps_chat_check_tokens(out->chat, speaker->tokenizer);
    if (st)
        return st;
    find_token(speaker, "bos_token", PS_TOKEN_BOS, &out->bos, &out->bos_id);
    find_token(speaker, "eos_token", PS_TOKEN_EOS, &out->eos, &out->eos_id);
    return PS_OK;
}

void ps_conversation_reset(ps_conversation *c)
{
    for (size_t i = 0; i < c->n; i++)
        ps_free(&c->turns[i].text);
    c->n = c->left_out = 0;
}

void ps_conversation_free(ps_conversation *c)
{
    ps_conversation_reset(c);
    ps_free(&c->turns);
    ps_free(&c->system);
    ps_free(&c->bos);
    ps_free(&c->eos);
    ps_chat_free(&c->chat);
}

/* ---- turns ---- */

static void add_turn(ps_conversation *c, bool by_model, const char *text)
{
    if (c->n == c->capacity) {
        c->capacity = c->capacity ? c->capacity * 2 : 16;
        c->turns = ps_realloc(c->turns, c->capacity * sizeof *c->turns);
    }
    c->turns[c->n++] = (ps_turn){.by_model = by_model, .text = ps_strdup(text)};
}

static void drop_last(ps_conversation *c)
{
    c->n--;
    ps_free(&c->turns[c->n].text);
}

/* The turns from `from` on, as tokens. */
static ps_status encode(const ps_conversation *c, size_t from, ps_ids *out)
{
    const ps_chat_day today = ps_chat_today();
    const ps_chat_ends ends = {c->bos, c->eos, c->bos_id, c->eos_id};
    ps_chat_message *messages = ps_alloc_array(c->n + 1, sizeof *messages);
    size_t n = 0;
    ps_chat_text text;
    if (c->system)
        messages[n++] = (ps_chat_message){PS_CHAT_ROLE_SYSTEM, ps_slice_str(c->system)};
    for (size_t i = from; i < c->n; i++)
        messages[n++] =
            (ps_chat_message){c->turns[i].by_model ? PS_CHAT_ROLE_ANSWER : PS_CHAT_ROLE_USER,
                              ps_slice_str(c->turns[i].text)};
    ps_status st = ps_chat_write(c->chat, &ends, today.text, messages, n, &text);
    if (!st)
        st = ps_chat_encode(&text, c->speaker->tokenizer, c->special, out);
    ps_chat_text_free(&text);
    ps_free(&messages);
    return st;
}

ps_status ps_conversation_system(ps_conversation *c, const char *text)
{
    char *before = c->system;
    ps_ids ids = PS_IDS_EMPTY;
    c->system = text ? ps_strdup(text) : NULL;
    ps_status st = encode(c, c->n, &ids);
    ps_ids_free(&ids);
    if (st) {
        ps_free(&c->system);
        c->system = before;
        return ps_wrap(st, "model %s", c->speaker->name);
    }
    ps_free(&before);
    return PS_OK;
}

/* An answer wants room: as much as it may have, but no more than a quarter of the context. */
static int64_t room(const ps_conversation *c)
{
    int64_t quarter = c->speaker->context_length / 4;
    return c->most < quarter ? c->most : quarter;
}

/* The prompt, of as many of the newest turns as leave room. */
static ps_status fit(ps_conversation *c, ps_ids *prompt)
{
    size_t from = c->left_out;
    int64_t context = c->speaker->context_length;
    ps_status st = encode(c, from, prompt);
    while (!st && (int64_t)prompt->n + room(c) > context && from + 2 < c->n) {
        from += 2;
        prompt->n = 0;
        st = encode(c, from, prompt);
    }
    if (!st && (int64_t)prompt->n > context)
        return ps_fail(
            PS_INVALID_ARGUMENT,
            "with what belongs to it the message has %zu tokens, the context of model %s "
            "has %" PRId64,
            prompt->n, c->speaker->name, context);
    if (!st && !prompt->n)
        return ps_fail(PS_INVALID_ARGUMENT, "the message is empty");
    if (!st && from > c->left_out)
        ps_remark("the conversation no longer fits into the model's context of %" PRId64
                  " tokens: its first %zu turns are left out",
                  context, from / 2);
    c->left_out = st ? c->left_out : from;
    return st;
}

/* ---- a question ---- */

static void add_once(ps_ids *ids, uint32_t id)
{
    for (size_t i = 0; i < ids->n; i++)
        if (ids->at[i] == id)
            return;
    if (ids->n < PS_TOKEN_IDS_MAX)
        ps_ids_add(ids, id);
}

static void find_ends(const ps_conversation *c, ps_ids *out)
{
    const char *end = ps_chat_end(c->chat);
    uint32_t id;
    if (end && ps_tokenizer_added(c->speaker->tokenizer, end, &id))
        add_once(out, id);
    if (c->eos)
        add_once(out, c->eos_id);
    for (size_t i = 0; ps_speaker_mark(c->speaker, PS_TOKEN_EOS, i, &id); i++)
        add_once(out, id);
}

ps_status ps_conversation_ask(ps_conversation *c, const char *text, ps_say *say)
{
    ps_ids prompt = PS_IDS_EMPTY, stop = PS_IDS_EMPTY;
    *say = (ps_say){.client = c->client,
                    .speaker = c->speaker,
                    .job = "chat",
                    .keys = c->keys,
                    .prompt = &prompt,
                    .stop = &stop};
    add_turn(c, false, text);
    ps_status st = fit(c, &prompt);
    if (!st) {
        find_ends(c, &stop);
        st = ps_say_run(say);
    }
    if (!st || c->client->interrupted)
        add_turn(c, true, ps_buf_cstr(&say->text));
    else
        drop_last(c);
    say->prompt = say->stop = NULL;
    ps_ids_free(&prompt);
    ps_ids_free(&stop);
    return st;
}
