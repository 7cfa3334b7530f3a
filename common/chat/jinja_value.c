/* Happy path: an operand, and what stands behind it: parts, filters, tests; each makes something of
 * a few kinds of values, and of the rest ANY with a hole of which no row has the name. Bounded:
 * forms by the template's length, as nothing is repeated in them. */
#include "common/chat/jinja_value.h"

#include "common/base/mem.h"
#include "common/chat/jinja_parts.h"

#include <string.h>

void ps_jinja_fail(ps_jinja_scope *s, const char *why)
{
    if (!s->failed)
        s->failed = why;
}

static void set(ps_jinja_value *v, ps_jinja_is is)
{
    ps_buf_clear(&v->form);
    v->is = is;
}

static void hole(ps_jinja_value *v, ps_jinja_is is, const char *name, size_t len)
{
    set(v, is);
    ps_buf_putc(&v->form, PS_CHAT_HOLE);
    ps_buf_append(&v->form, name, len);
    ps_buf_putc(&v->form, PS_CHAT_HOLE_END);
}

/* Something that is computed: no row knows it. */
void ps_jinja_unknown(ps_jinja_value *v)
{
    hole(v, PS_IS_ANY, "...", 3);
}

static bool is_token(const ps_jinja_scope *s, const char *text)
{
    const ps_jinja_token *t = &s->lexer->token;
    return (t->kind == PS_JINJA_SIGN || t->kind == PS_JINJA_NAME) && ps_slice_is(t->text, text);
}

bool ps_jinja_take(ps_jinja_scope *s, const char *text)
{
    if (s->failed || !is_token(s, text))
        return false;
    ps_jinja_next(s->lexer);
    return true;
}

void ps_jinja_expect(ps_jinja_scope *s, const char *text)
{
    if (!ps_jinja_take(s, text))
        ps_jinja_fail(s, "an expression that it does not read");
}

ps_jinja_truth ps_jinja_truth_of(const ps_jinja_value *v)
{
    switch (v->is) {
    case PS_IS_UNDEFINED:
    case PS_IS_NONE:
    case PS_IS_FALSE:
        return PS_NO;
    case PS_IS_TEXT:
        return v->form.len ? PS_YES : PS_NO;
    case PS_IS_ANY:
    case PS_IS_CONTENT:
        return PS_PERHAPS;
    default:
        return PS_YES;
    }
}

void ps_jinja_set_truth(ps_jinja_value *v, ps_jinja_truth truth)
{
    if (truth == PS_PERHAPS)
        ps_jinja_unknown(v);
    else
        set(v, truth == PS_YES ? PS_IS_TRUE : PS_IS_FALSE);
}

ps_jinja_truth ps_jinja_opposite(ps_jinja_truth t)
{
    return t == PS_YES ? PS_NO : t == PS_NO ? PS_YES : PS_PERHAPS;
}

/* ---- names ---- */

ps_jinja_variable *ps_jinja_variable_of(ps_jinja_scope *s, ps_slice name)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->variables[i].name.len == name.len &&
            !memcmp(s->variables[i].name.data, name.data, name.len))
            return &s->variables[i];
    if (s->n == PS_JINJA_VARIABLES) {
        ps_jinja_fail(s, "more variables than it reads");
        return NULL;
    }
    s->variables[s->n] = (ps_jinja_variable){.name = name, .is = PS_IS_UNDEFINED};
    return &s->variables[s->n++];
}

/* What transformers gives to a template when there are no tools. */
static const struct {
    const char *name;
    ps_jinja_is is;
} given[] = {{"messages", PS_IS_MESSAGES},
             {"add_generation_prompt", PS_IS_TRUE},
             {"loop", PS_IS_LOOP},
             {"tools", PS_IS_NONE},
             {"documents", PS_IS_NONE},
             {"true", PS_IS_TRUE},
             {"True", PS_IS_TRUE},
             {"false", PS_IS_FALSE},
             {"False", PS_IS_FALSE},
             {"none", PS_IS_NONE},
             {"None", PS_IS_NONE},
             {"strftime_now", PS_IS_FUNCTION},
             {"raise_exception", PS_IS_FUNCTION},
             {"namespace", PS_IS_FUNCTION},
             {"range", PS_IS_FUNCTION},
             {"bos_token", PS_IS_ANY},
             {"eos_token", PS_IS_ANY}};

static void name_value(ps_jinja_scope *s, ps_slice name, ps_jinja_value *v)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->variables[i].name.len == name.len &&
            !memcmp(s->variables[i].name.data, name.data, name.len)) {
            hole(v, s->variables[i].is, "$", 1);
            v->form.len--;
            ps_buf_append(&v->form, name.data, name.len);
            ps_buf_putc(&v->form, PS_CHAT_HOLE_END);
            return;
        }
    set(v, PS_IS_UNDEFINED);
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        if (ps_slice_is(name, given[i].name))
            ps_jinja_unknown(v), v->is = given[i].is;
    if (ps_slice_is(name, "bos_token"))
        hole(v, PS_IS_ANY, "bos", 3);
    if (ps_slice_is(name, "eos_token"))
        hole(v, PS_IS_ANY, "eos", 3);
}

/* ---- literals and calls ---- */

/* Up to the closing sign, whatever stands there. */
static void skip_to(ps_jinja_scope *s, const char *closing)
{
    ps_jinja_value inner = {0};
    while (!s->failed && !is_token(s, closing)) {
        ps_jinja_expression(s, &inner);
        while (ps_jinja_take(s, ",") || ps_jinja_take(s, ":") || ps_jinja_take(s, "="))
            continue;
    }
    ps_buf_free(&inner.form);
    ps_jinja_expect(s, closing);
}

bool ps_jinja_is_role(const ps_jinja_value *v)
{
    ps_slice text = ps_buf_slice(&v->form);
    return v->is == PS_IS_TEXT && (ps_slice_is(text, "system") || ps_slice_is(text, "user") ||
                                   ps_slice_is(text, "assistant"));
}

static void list(ps_jinja_scope *s, ps_jinja_value *v)
{
    ps_jinja_is is = PS_IS_OTHERS;
    ps_jinja_value element = {0};
    while (!s->failed && !is_token(s, "]")) {
        ps_jinja_expression(s, &element);
        if (ps_jinja_is_role(&element) && is == PS_IS_OTHERS)
            is = PS_IS_ROLES;
        else if (element.is != PS_IS_TEXT)
            is = PS_IS_ANY;
        if (!ps_jinja_take(s, ","))
            break;
    }
    ps_buf_free(&element.form);
    ps_jinja_expect(s, "]");
    ps_jinja_unknown(v);
    v->is = is;
}

static void literal(ps_jinja_scope *s, ps_slice text, ps_jinja_value *v)
{
    set(v, PS_IS_TEXT);
    ps_jinja_string(text, &v->form);
    for (size_t i = 0; i < v->form.len; i++)
        if (v->form.data[i] <= PS_CHAT_HOLE_END)
            ps_jinja_fail(s, "a text with control characters");
}

/* After the opening parenthesis of name(…). */
static void call(ps_jinja_scope *s, ps_slice name, ps_jinja_value *v)
{
    if (ps_slice_is(name, "raise_exception")) {
        skip_to(s, ")");
        set(v, PS_IS_REFUSAL);
        return;
    }
    bool now = ps_slice_is(name, "strftime_now") && s->lexer->token.kind == PS_JINJA_STRING;
    ps_slice format = s->lexer->token.text;
    skip_to(s, ")");
    ps_jinja_unknown(v);
    if (now) {
        ps_buf_clear(&v->form);
        ps_buf_putc(&v->form, PS_CHAT_HOLE);
        ps_buf_puts(&v->form, "now ");
        ps_buf_append(&v->form, format.data, format.len);
        ps_buf_putc(&v->form, PS_CHAT_HOLE_END);
    }
}

static void primary(ps_jinja_scope *s, ps_jinja_value *v)
{
    ps_jinja_token t = s->lexer->token;
    if (t.kind == PS_JINJA_CLOSE || t.kind == PS_JINJA_BAD)
        ps_jinja_fail(s, "an expression that it does not read");
    if (s->failed)
        return;
    ps_jinja_next(s->lexer);
    if (t.kind == PS_JINJA_STRING) {
        literal(s, t.text, v);
    } else if (t.kind == PS_JINJA_NUMBER) {
        ps_jinja_unknown(v);
    } else if (t.kind == PS_JINJA_NAME) {
        if (ps_jinja_take(s, "("))
            call(s, t.text, v);
        else
            name_value(s, t.text, v);
    } else if (ps_slice_is(t.text, "(")) {
        ps_jinja_expression(s, v);
        if (is_token(s, ",")) {
            skip_to(s, ")");
            ps_jinja_unknown(v);
        } else {
            ps_jinja_expect(s, ")");
        }
    } else if (ps_slice_is(t.text, "[")) {
        list(s, v);
    } else if (ps_slice_is(t.text, "{")) {
        skip_to(s, "}");
        ps_jinja_unknown(v);
    } else {
        ps_jinja_fail(s, "an expression that it does not read");
    }
}

/* ---- parts, filters, tests ---- */

static void trim(ps_jinja_value *v)
{
    if (v->is == PS_IS_TEXT || !v->form.len || v->form.data[v->form.len - 1] != PS_CHAT_HOLE_END) {
        ps_jinja_unknown(v);
    } else {
        v->form.data[v->form.len - 1] = '!';
        ps_buf_putc(&v->form, PS_CHAT_HOLE_END);
    }
}

static void part_of(ps_jinja_scope *s, ps_slice name, ps_jinja_value *v)
{
    bool content = ps_slice_is(name, "content"), role = ps_slice_is(name, "role");
    if (v->is == PS_IS_MESSAGE && content)
        hole(v, PS_IS_CONTENT, "content", 7);
    else if (v->is == PS_IS_FIRST && content)
        hole(v, PS_IS_CONTENT, "first", 5);
    else if (v->is == PS_IS_MESSAGE && role)
        hole(v, PS_IS_ROLE, "role", 4);
    else if (v->is == PS_IS_FIRST && role)
        hole(v, PS_IS_FIRST_ROLE, "first role", 10);
    else if (v->is == PS_IS_MESSAGE || v->is == PS_IS_FIRST || v->is == PS_IS_NONE ||
             v->is == PS_IS_UNDEFINED)
        set(v, PS_IS_UNDEFINED);
    else if (v->is == PS_IS_LOOP) {
        s->first |= ps_slice_is(name, "first") || ps_slice_is(name, "index0");
        s->last |= ps_slice_is(name, "last");
        ps_jinja_unknown(v);
    } else
        ps_jinja_unknown(v);
}

/* After a dot. */
static void member(ps_jinja_scope *s, ps_jinja_value *v)
{
    ps_jinja_token t = s->lexer->token;
    if (t.kind != PS_JINJA_NAME) {
        ps_jinja_fail(s, "an expression that it does not read");
        return;
    }
    ps_jinja_next(s->lexer);
    if (!ps_jinja_take(s, "(")) {
        part_of(s, t.text, v);
        return;
    }
    bool plain = is_token(s, ")");
    skip_to(s, ")");
    if (plain && ps_slice_is(t.text, "strip"))
        trim(v);
    else
        ps_jinja_unknown(v);
}

/* After an opening bracket: a name, the first message, or all but that. */
static void index_of(ps_jinja_scope *s, ps_jinja_value *v)
{
    ps_jinja_token t = s->lexer->token;
    if (t.kind == PS_JINJA_STRING) {
        ps_jinja_next(s->lexer);
        part_of(s, t.text, v);
        ps_jinja_expect(s, "]");
        return;
    }
    bool first = t.kind == PS_JINJA_NUMBER && ps_slice_is(t.text, "0");
    bool second = t.kind == PS_JINJA_NUMBER && ps_slice_is(t.text, "1");
    unsigned values = 0, colons = 0;
    ps_jinja_value inner = {0};
    while (!s->failed && !is_token(s, "]")) {
        if (ps_jinja_take(s, ":")) {
            colons++;
        } else {
            ps_jinja_expression(s, &inner);
            values++;
        }
    }
    ps_buf_free(&inner.form);
    ps_jinja_expect(s, "]");
    ps_jinja_is was = v->is;
    ps_jinja_unknown(v);
    if (was == PS_IS_MESSAGES && values == 1 && first && !colons)
        v->is = PS_IS_FIRST;
    else if (was == PS_IS_MESSAGES && values == 1 && second && colons == 1)
        v->is = PS_IS_MESSAGES;
}

static void filter(ps_jinja_scope *s, ps_jinja_value *v)
{
    ps_slice name = s->lexer->token.text;
    ps_jinja_next(s->lexer);
    bool called = ps_jinja_take(s, "(");
    if (called)
        skip_to(s, ")");
    if (!called && ps_slice_is(name, "trim"))
        trim(v);
    else
        ps_jinja_unknown(v);
}

static ps_jinja_truth test_holds(const ps_jinja_value *v, ps_slice name)
{
    bool text = v->is == PS_IS_TEXT || v->is == PS_IS_CONTENT || v->is == PS_IS_ROLE ||
                v->is == PS_IS_FIRST_ROLE;
    bool defined = ps_slice_is(name, "defined");
    if (defined || ps_slice_is(name, "undefined"))
        return v->is == PS_IS_ANY                      ? PS_PERHAPS
               : (v->is != PS_IS_UNDEFINED) == defined ? PS_YES
                                                       : PS_NO;
    if (v->is == PS_IS_ANY)
        return PS_PERHAPS;
    if (ps_slice_is(name, "none"))
        return v->is == PS_IS_NONE ? PS_YES : PS_NO;
    if (ps_slice_is(name, "true"))
        return v->is == PS_IS_TRUE ? PS_YES : PS_NO;
    if (ps_slice_is(name, "false"))
        return v->is == PS_IS_FALSE ? PS_YES : PS_NO;
    if (ps_slice_is(name, "string"))
        return text ? PS_YES : PS_NO;
    if (ps_slice_is(name, "mapping") && text)
        return PS_NO;
    return PS_PERHAPS;
}

static void test(ps_jinja_scope *s, ps_jinja_value *v)
{
    bool not = ps_jinja_take(s, "not");
    ps_jinja_truth holds = test_holds(v, s->lexer->token.text);
    ps_jinja_next(s->lexer);
    if (ps_jinja_take(s, "("))
        skip_to(s, ")");
    ps_jinja_set_truth(v, not ? ps_jinja_opposite(holds) : holds);
}

void ps_jinja_operand(ps_jinja_scope *s, ps_jinja_value *v)
{
    if (ps_jinja_take(s, "-") || ps_jinja_take(s, "+")) {
        primary(s, v);
        ps_jinja_unknown(v);
    } else {
        primary(s, v);
    }
    for (;;) {
        if (ps_jinja_take(s, "."))
            member(s, v);
        else if (ps_jinja_take(s, "["))
            index_of(s, v);
        else if (ps_jinja_take(s, "|"))
            filter(s, v);
        else if (ps_jinja_take(s, "is"))
            test(s, v);
        else
            return;
    }
}
