/* Happy path: the turns one after the other, each between what its template writes; then the same
 * text again as ids, from mark to mark. Writing fails only for a system prompt that has no place.
 */
#include "common/base/mem.h"
#include "common/base/utf8.h"
#include "common/chat/chat.h"
#include "common/chat/rows.h"

#include <string.h>
#include <time.h>

typedef struct writer {
    const ps_chat *chat;
    const ps_chat_ends *ends;
    const char *today;
    ps_chat_text *out;
} writer;

static void mark(writer *w, ps_chat_mark mark, const char *text, size_t len)
{
    ps_chat_text *out = w->out;
    if (out->n == out->capacity) {
        out->capacity = out->capacity ? out->capacity * 2 : 16;
        out->marks = ps_realloc(out->marks, out->capacity * sizeof *out->marks);
    }
    mark.at = out->text.len;
    mark.len = len;
    out->marks[out->n++] = mark;
    ps_buf_append(&out->text, text, len);
}

/* Of a template's text at p: bytes of the token there, 0 when there is none. */
static size_t token_at(const writer *w, const char *p)
{
    for (const char *const *t = w->chat->row->tokens; *t; t++)
        if (!strncmp(p, *t, strlen(*t)))
            return strlen(*t);
    return 0;
}

static bool skip(const char **p, const char *word)
{
    bool there = !strncmp(*p, word, strlen(word));
    *p += there ? strlen(word) : 0;
    return there;
}

static void put_own(writer *w, const char *p)
{
    const ps_chat_ends *ends = w->ends;
    while (*p) {
        size_t token = token_at(w, p);
        if (token) {
            mark(w, (ps_chat_mark){0}, p, token);
            p += token;
        } else if (skip(&p, "{bos}")) {
            if (ends->bos)
                mark(w, (ps_chat_mark){.known = true, .id = ends->bos_id}, ends->bos,
                     strlen(ends->bos));
        } else if (skip(&p, "{eos}")) {
            if (ends->eos)
                mark(w, (ps_chat_mark){.known = true, .id = ends->eos_id}, ends->eos,
                     strlen(ends->eos));
        } else if (skip(&p, "{date}")) {
            ps_buf_puts(&w->out->text, w->chat->date ? w->chat->date : w->today);
        } else {
            ps_buf_putc(&w->out->text, *p++);
        }
    }
}

/* ---- what people say ---- */

/* Python's str.isspace: what its strip takes away. */
static bool is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

static ps_slice trimmed(ps_slice text)
{
    size_t n;
    while ((n = ps_utf8_length(text)) && is_space(ps_utf8_decode(text)))
        text = ps_slice_of(text.data + n, text.len - n);
    for (;;) {
        size_t begin = text.len;
        while (begin && text.len - begin < 4 &&
               (begin == text.len || (text.data[begin] & 0xc0) == 0x80))
            begin--;
        ps_slice last = ps_slice_of(text.data + begin, text.len - begin);
        n = ps_utf8_length(last);
        if (!n || n != last.len || !is_space(ps_utf8_decode(last)))
            return text;
        text.len = begin;
    }
}

static ps_slice said(const writer *w, unsigned whose, ps_slice text)
{
    static const char end[] = "</think>";
    if (whose == PS_CHAT_ANSWER && (w->chat->tells & PS_CHAT_THOUGHTS)) {
        size_t from = 0;
        for (size_t i = 0; i + strlen(end) <= text.len; i++)
            if (!memcmp(text.data + i, end, strlen(end)))
                from = i + strlen(end);
        while (from && from < text.len && text.data[from] == '\n')
            from++;
        text = ps_slice_of(text.data + from, text.len - from);
    }
    return w->chat->trims & whose ? trimmed(text) : text;
}

static void put_said(writer *w, ps_slice text)
{
    ps_buf_append(&w->out->text, text.data, text.len);
}

static void put_turn(writer *w, const ps_chat_turn *turn, ps_slice text)
{
    put_own(w, turn->before);
    put_said(w, text);
    put_own(w, turn->after);
}

/* A message of the user's, and in it the system prompt; NULL: not in this one. */
static void put_user(writer *w, const ps_slice *system, ps_slice text)
{
    const ps_chat_variant *v = w->chat->variant;
    if (!system) {
        put_turn(w, &v->user, said(w, PS_CHAT_USER, text));
        return;
    }
    put_own(w, v->user.before);
    ps_buf both = PS_BUF_EMPTY;
    ps_slice prompt = said(w, PS_CHAT_SYSTEM, *system);
    ps_slice message = v->trims_both ? text : said(w, PS_CHAT_USER, text);
    ps_buf_puts(&both, v->system.before);
    ps_buf_append(&both, prompt.data, prompt.len);
    ps_buf_puts(&both, v->system.after);
    ps_buf_append(&both, message.data, message.len);
    put_said(w, v->trims_both ? said(w, PS_CHAT_USER, ps_buf_slice(&both)) : ps_buf_slice(&both));
    ps_buf_free(&both);
    put_own(w, v->user.after);
}

ps_chat_day ps_chat_today(void)
{
    ps_chat_day day = {""};
    struct tm tm;
    time_t now = time(NULL);
    if (localtime_r(&now, &tm))
        (void)strftime(day.text, sizeof day.text, "%d %b %Y", &tm);
    return day;
}

ps_status ps_chat_write(const ps_chat *chat, const ps_chat_ends *ends, const char *today,
                        const ps_chat_message *messages, size_t n, ps_chat_text *out)
{
    const ps_chat_variant *v = chat->variant;
    writer w = {.chat = chat, .ends = ends, .today = today, .out = out};
    ps_slice system = chat->default_system ? ps_slice_str(chat->default_system) : ps_slice_str("");
    bool given = n && messages[0].role == PS_CHAT_ROLE_SYSTEM;
    bool has_system = given || chat->default_system;
    *out = (ps_chat_text){0};
    if (given && v->place == PS_CHAT_NOWHERE)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "its chat template (%s) has no place for a system prompt", chat->row->name);
    if (given)
        system = messages[0].text;
    if (chat->tells & PS_CHAT_BOS)
        put_own(&w, "{bos}");
    if (v->place == PS_CHAT_OWN_TURN && (has_system || v->always))
        put_turn(&w, &v->system, said(&w, PS_CHAT_SYSTEM, system));
    for (size_t i = given, first = given; i < n; i++) {
        bool in_this = has_system && ((v->place == PS_CHAT_IN_FIRST && i == first) ||
                                      (v->place == PS_CHAT_IN_LAST && i + 1 == n));
        if (messages[i].role == PS_CHAT_ROLE_ANSWER)
            put_turn(&w, &v->answer, said(&w, PS_CHAT_ANSWER, messages[i].text));
        else
            put_user(&w, in_this ? &system : NULL, messages[i].text);
    }
    put_own(&w, v->ask);
    return PS_OK;
}

void ps_chat_text_free(ps_chat_text *text)
{
    ps_buf_free(&text->text);
    ps_free(&text->marks);
    *text = (ps_chat_text){0};
}

/* ---- ids ---- */

ps_status ps_chat_check_tokens(const ps_chat *chat, const ps_tokenizer *tokenizer)
{
    uint32_t id;
    for (const char *const *t = chat->row->tokens; chat->row->needs_tokens && *t; t++)
        if (!ps_tokenizer_added(tokenizer, *t, &id))
            return ps_fail(PS_INVALID_ARGUMENT,
                           "chat template %s writes the token %s, which the model's tokenizer does "
                           "not have",
                           chat->row->name, *t);
    return PS_OK;
}

static ps_status feed(ps_encoder *e, const ps_buf *text, size_t from, size_t to, ps_ids *out)
{
    return to > from ? ps_encoder_feed(e, ps_slice_of(text->data + from, to - from), out) : PS_OK;
}

ps_status ps_chat_encode(const ps_chat_text *text, const ps_tokenizer *tokenizer, bool special,
                         ps_ids *out)
{
    ps_encoder *e = ps_encoder_new(tokenizer, special);
    size_t at = 0;
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < text->n; i++) {
        const ps_chat_mark *m = &text->marks[i];
        uint32_t id = m->id;
        char *name = ps_asprintf("%.*s", (int)m->len, (const char *)text->text.data + m->at);
        if (m->known || ps_tokenizer_added(tokenizer, name, &id)) {
            st = feed(e, &text->text, at, m->at, out);
            if (!st)
                st = ps_encoder_token(e, id, out);
            at = m->at + m->len;
        }
        ps_free(&name);
    }
    if (!st)
        st = feed(e, &text->text, at, text->text.len, out);
    if (!st)
        st = ps_encoder_finish(e, out);
    ps_encoder_free(&e);
    return st;
}
