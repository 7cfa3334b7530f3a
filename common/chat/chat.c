/* Happy path: the template is read, and the first row all of whose lines fit it is the one. It
 * fails with the line that the nearest row does not have. */
#include "common/chat/chat.h"

#include "common/base/mem.h"
#include "common/chat/jinja_value.h"
#include "common/chat/reading.h"
#include "common/chat/rows.h"

#include <stdio.h>
#include <string.h>

#define ROW(name) &ps_chat_row_##name,
static const ps_chat_row *const rows[] = {PS_CHAT_ROWS(ROW)};
enum { ROWS = sizeof rows / sizeof *rows };

enum { WHOSE = PS_CHAT_USER | PS_CHAT_ANSWER | PS_CHAT_SYSTEM };

ps_chat_names ps_chat_list(void)
{
    ps_chat_names names = {""};
    for (size_t i = 0; i < ROWS; i++) {
        size_t len = strlen(names.text);
        (void)snprintf(names.text + len, sizeof names.text - len, "%s%s", i ? ", " : "",
                       rows[i]->name);
    }
    return names;
}

ps_status ps_chat_named(const char *name, ps_chat **out)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (strcmp(rows[i]->name, name) != 0)
            continue;
        const ps_chat_variant *variant = &rows[i]->variants[0];
        ps_chat *chat = ps_new(ps_chat);
        *chat = (ps_chat){.row = rows[i],
                          .variant = variant,
                          .tells = variant->has & ~(unsigned)WHOSE,
                          .trims = variant->has & WHOSE};
        *out = chat;
        return PS_OK;
    }
    return ps_fail(PS_INVALID_ARGUMENT, "there is no chat template %s; there are: %s", name,
                   ps_chat_list().text);
}

void ps_chat_free(ps_chat **chat)
{
    if (!*chat)
        return;
    ps_free(&(*chat)->default_system);
    ps_free(&(*chat)->date);
    ps_free(chat);
}

const char *ps_chat_name(const ps_chat *chat)
{
    return chat->row->name;
}

const char *ps_chat_end(const ps_chat *chat)
{
    return chat->row->end;
}

const char *ps_chat_default_system(const ps_chat *chat)
{
    return chat->default_system;
}

/* ---- lines and patterns ---- */

typedef struct fit {
    bool trims;      /* ~ */
    ps_slice caught; /* * */
} fit;

static bool fits(const char *pattern, ps_slice form, fit *out)
{
    size_t i = 0;
    for (const char *p = pattern; *p; p++) {
        uint8_t c = i < form.len ? form.data[i] : 0;
        if (*p == '*') {
            size_t rest = strlen(p + 1);
            if (form.len < i + rest)
                return false;
            out->caught = ps_slice_of(form.data + i, form.len - rest - i);
            for (size_t k = 0; k < out->caught.len; k++)
                if (out->caught.data[k] <= PS_CHAT_HOLE_END)
                    return false;
            i = form.len - rest;
        } else if (*p == '~') {
            out->trims = c == '!';
            i += out->trims;
        } else {
            uint8_t wanted = *p == '{'   ? (uint8_t)PS_CHAT_HOLE
                             : *p == '}' ? (uint8_t)PS_CHAT_HOLE_END
                                         : (uint8_t)*p;
            if (i >= form.len || c != wanted)
                return false;
            i++;
        }
    }
    return i == form.len;
}

static void keep(char **at, ps_slice text)
{
    ps_free(at);
    *at = ps_asprintf("%.*s", (int)text.len, (const char *)text.data);
}

/* The line's place among a variant's; what it tells goes into the chat. */
static bool take_line(const ps_chat_variant *variant, const ps_chat_line *line, ps_chat *chat)
{
    for (const ps_chat_pattern *p = variant->lines; p->line; p++) {
        fit f = {0};
        if (!fits(p->line, ps_buf_slice(&line->form), &f) ||
            ((p->tells & PS_CHAT_AT_FIRST) && !line->first) ||
            ((p->tells & PS_CHAT_AT_LAST) && !line->last))
            continue;
        unsigned tells = p->tells & (line->whose | ~(unsigned)(PS_CHAT_USER | PS_CHAT_ANSWER));
        chat->tells |= tells;
        chat->trims |= f.trims ? tells & WHOSE : 0;
        if (p->tells & PS_CHAT_DEFAULT)
            keep(&chat->default_system, f.caught);
        if (p->tells & PS_CHAT_DATE)
            keep(&chat->date, f.caught);
        return true;
    }
    return false;
}

/* How many lines fit before one does not; *chat is complete when all do. */
static size_t try_variant(const ps_chat_variant *variant, const ps_chat_reading *reading,
                          ps_chat *chat)
{
    size_t i = 0;
    while (i < reading->n && take_line(variant, &reading->lines[i], chat))
        i++;
    return i;
}

/* ---- which of them it is ---- */

typedef struct nearest {
    const ps_chat_row *row; /* NULL: none has anything of it */
    size_t fitting;
} nearest;

static bool has(ps_slice form, const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i + len <= form.len; i++)
        if (!memcmp(form.data + i, text, len))
            return true;
    return false;
}

/* A row counts as near when one of its tokens is written. */
static bool is_near(const ps_chat_row *row, const ps_chat_reading *reading)
{
    for (size_t i = 0; i < reading->n; i++)
        for (const char *const *t = row->tokens; *t; t++)
            if (has(ps_buf_slice(&reading->lines[i].form), *t))
                return true;
    return false;
}

static ps_chat *find(const ps_chat_reading *reading, nearest *near)
{
    for (size_t r = 0; r < ROWS; r++)
        for (size_t v = 0; v < rows[r]->n; v++) {
            const ps_chat_variant *variant = &rows[r]->variants[v];
            ps_chat *chat = ps_new(ps_chat);
            *chat = (ps_chat){.row = rows[r], .variant = variant};
            size_t fitting = try_variant(variant, reading, chat);
            if (fitting == reading->n && (chat->tells & variant->needs) == variant->needs)
                return chat;
            ps_chat_free(&chat);
            if ((!near->row || fitting > near->fitting) && is_near(rows[r], reading))
                *near = (nearest){rows[r], fitting};
        }
    return NULL;
}

/* A line as people may read it: holes in braces, line ends as \n, and not too long. */
static void put_line(ps_buf *out, ps_slice form)
{
    enum { MOST = 60 };
    for (size_t i = 0; i < form.len && i < MOST; i++) {
        uint8_t c = form.data[i];
        if (c == PS_CHAT_HOLE || c == PS_CHAT_HOLE_END)
            ps_buf_putc(out, c == PS_CHAT_HOLE ? '{' : '}');
        else if (c == '\n')
            ps_buf_puts(out, "\\n");
        else
            ps_buf_putc(out, c < ' ' || c > '~' ? '?' : (char)c);
    }
    ps_buf_puts(out, form.len > MOST ? "..." : "");
}

static ps_status refuse(const ps_chat_reading *reading, const nearest *near)
{
    if (!near->row)
        return ps_fail(PS_INVALID_ARGUMENT, "it is none that psctl knows");
    if (near->fitting == reading->n)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "it is none that psctl knows: it writes as %s does, but not each message",
                       near->row->name);
    ps_buf line = PS_BUF_EMPTY;
    put_line(&line, ps_buf_slice(&reading->lines[near->fitting].form));
    ps_status st = ps_fail(PS_INVALID_ARGUMENT,
                           "it is none that psctl knows: the nearest is %s, without \"%s\"",
                           near->row->name, ps_buf_cstr(&line));
    ps_buf_free(&line);
    return st;
}

ps_status ps_chat_read(ps_slice text, ps_chat **out)
{
    ps_chat_reading reading;
    nearest near = {0};
    ps_status st = ps_chat_reading_make(text, &reading);
    if (!st) {
        *out = find(&reading, &near);
        if (!*out)
            st = refuse(&reading, &near);
    }
    ps_chat_reading_free(&reading);
    return st;
}
