/* Happy path: alternatives of items, each with its quantifiers, are read once from left to right
 * and written as they are read. Fails at what is not understood, or is but has no words in PCRE2.
 */
#include "common/tokenizer/onig.h"

#include "common/base/utf8.h"
#include "common/tokenizer/classes.h"
#include "common/tokenizer/onig_internal.h"

#include <stdarg.h>
#include <stdio.h>

ps_status ps_onig_fail(size_t at, const char *format, ...)
{
    char what[160];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return ps_fail(PS_INVALID_ARGUMENT, "the pattern is not understood at byte %zu: %s", at, what);
}

bool ps_onig_is(const ps_onig *o, const char *text)
{
    size_t n = strlen(text);
    return o->in.len - o->at >= n && !memcmp(o->in.data + o->at, text, n);
}

bool ps_onig_skip(ps_onig *o, const char *text)
{
    bool is = ps_onig_is(o, text);
    o->at += is ? strlen(text) : 0;
    return is;
}

uint32_t ps_onig_take(ps_onig *o)
{
    ps_slice rest = ps_slice_of(o->in.data + o->at, o->in.len - o->at);
    o->at += ps_utf8_length(rest);
    return ps_utf8_decode(rest);
}

void ps_onig_literal(ps_buf *out, uint32_t c)
{
    bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (plain)
        ps_buf_putc(out, (char)c);
    else
        ps_buf_printf(out, "\\x{%x}", c);
}

static ps_status alternatives(ps_onig *o);

/* ---- between items ---- */

static void skip_line(ps_onig *o)
{
    while (o->at < o->in.len && o->in.data[o->at++] != '\n')
        continue;
}

/* Behind a "(?#". */
static ps_status skip_comment(ps_onig *o, size_t from)
{
    while (o->at < o->in.len && o->in.data[o->at] != ')')
        o->at += o->in.data[o->at] == '\\' ? 2 : 1;
    return o->at < o->in.len ? o->at++, PS_OK : ps_onig_fail(from, "a comment without its )");
}

/* Comments, and with option x spaces. */
ps_status ps_onig_between(ps_onig *o)
{
    while (o->at < o->in.len) {
        size_t from = o->at;
        if (ps_onig_skip(o, "(?#")) {
            ps_status st = skip_comment(o, from);
            if (st)
                return st;
        } else if (o->spaced && ps_onig_skip(o, "#")) {
            skip_line(o);
        } else if (!o->spaced || !ps_class_space(ps_onig_take(o))) {
            o->at = from;
            break;
        }
    }
    return PS_OK;
}

/* ---- groups ---- */

/* Up to the ) of a group whose beginning is written, or to the end of what surrounds one that an
 * option began (`rest`), whose ) is left there. */
static ps_status inside(ps_onig *o, size_t from, bool rest)
{
    bool any_case = o->any_case, any_char = o->any_char, spaced = o->spaced;
    if (++o->depth > PS_ONIG_MAX_DEPTH)
        return ps_onig_fail(from, "groups nested more than %d times", PS_ONIG_MAX_DEPTH);
    ps_status st = alternatives(o);
    o->depth--;
    if (!st && !rest && !ps_onig_skip(o, ")"))
        st = ps_onig_fail(from, "a ( without its )");
    o->any_case = any_case;
    o->any_char = any_char;
    o->spaced = spaced;
    o->last = 0;
    o->place = false;
    ps_buf_putc(o->out, ')');
    return st;
}

/* (?i-mx:…) and (?i-mx)…, behind the ?. */
static ps_status options(ps_onig *o, size_t from)
{
    bool was_case = o->any_case, was_char = o->any_char, was_spaced = o->spaced, on = true;
    ps_status st = PS_OK;
    for (; !st && o->at < o->in.len && !ps_onig_is(o, ")") && !ps_onig_is(o, ":"); o->at++) {
        uint8_t c = o->in.data[o->at];
        if (c == '-')
            on = false;
        else if (c == 'i')
            o->any_case = on;
        else if (c == 'm')
            o->any_char = on;
        else if (c == 'x')
            o->spaced = on;
        else
            st = ps_onig_fail(from, "a group (?%c is not supported",
                              c > ' ' && c < 0x7f ? (char)c : '.');
    }
    if (st)
        return st;
    ps_buf_puts(o->out, "(?");
    ps_buf_puts(o->out, o->any_case && !was_case ? "i" : "");
    ps_buf_puts(o->out, o->any_char && !was_char ? "s" : "");
    if ((was_case && !o->any_case) || (was_char && !o->any_char))
        ps_buf_putc(o->out, '-');
    ps_buf_puts(o->out, was_case && !o->any_case ? "i" : "");
    ps_buf_puts(o->out, was_char && !o->any_char ? "s" : "");
    ps_buf_putc(o->out, ':');
    bool rest = !ps_onig_skip(o, ":");
    if (rest && !ps_onig_skip(o, ")"))
        return ps_onig_fail(from, "a ( without its )");
    st = inside(o, from, rest);
    o->any_case = was_case;
    o->any_char = was_char;
    o->spaced = was_spaced;
    return st;
}

/* The name of a group up to its end, written as <name>. */
static ps_status name(ps_onig *o, size_t from, char end)
{
    ps_buf_putc(o->out, '<');
    for (size_t n = 0;; n++) {
        uint8_t c = o->at < o->in.len ? o->in.data[o->at++] : 0;
        bool digit = c >= '0' && c <= '9';
        if (c == (uint8_t)end && n)
            break;
        if (!(digit && n) && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && c != '_')
            return ps_onig_fail(from, "a name of a group is of letters, digits and _");
        ps_buf_putc(o->out, (char)c);
    }
    ps_buf_putc(o->out, '>');
    return PS_OK;
}

static ps_status group(ps_onig *o, size_t from)
{
    static const char *const kinds[] = {"?:", "?=", "?!", "?>", "?<=", "?<!"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (ps_onig_skip(o, kinds[i])) {
            ps_buf_putc(o->out, '(');
            ps_buf_puts(o->out, kinds[i]);
            ps_status st = inside(o, from, false);
            o->place = kinds[i][1] != ':' && kinds[i][1] != '>';
            return st;
        }
    bool angle = ps_onig_skip(o, "?<");
    if (angle || ps_onig_skip(o, "?'")) {
        ps_buf_puts(o->out, "(?");
        ps_status st = name(o, from, angle ? '>' : '\'');
        o->named = true;
        o->groups++;
        return st ? st : inside(o, from, false);
    }
    if (ps_onig_skip(o, "?"))
        return options(o, from);
    if (ps_onig_is(o, "*"))
        return ps_onig_fail(from, "a group (* is not supported");
    ps_buf_putc(o->out, '(');
    o->groups++;
    return inside(o, from, false);
}

/* ---- what stands behind a backslash ---- */

static const struct {
    char escape;
    bool place;
    const char *is;
} others[] = {
    {'A', true, "\\A"},  {'z', true, "\\z"},     {'Z', true, "\\Z"},  {'K', true, "\\K"},
    {'N', false, "\\N"}, {'O', false, "(?s:.)"}, {'R', false, "\\R"},
};

static const char word[] = "[" PS_ONIG_WORD_ALONE "]";

/* An edge of words, or no such. */
static void edge(bool is, ps_buf *out)
{
    if (is)
        ps_buf_printf(out, "(?:(?<=%s)(?!%s)|(?<!%s)(?=%s))", word, word, word, word);
    else
        ps_buf_printf(out, "(?:(?<=%s)(?=%s)|(?<!%s)(?!%s))", word, word, word, word);
}

/* \1 to \9, and \k<name>. */
static ps_status reference(ps_onig *o, size_t from)
{
    uint8_t c = o->in.data[o->at++];
    if (c == 'k') {
        ps_buf_puts(o->out, "\\k");
        return ps_onig_skip(o, "<") ? name(o, from, '>')
                                    : ps_onig_fail(from, "\\k without a <name>");
    }
    bool more = o->at < o->in.len && o->in.data[o->at] >= '0' && o->in.data[o->at] <= '9';
    if (more || (uint32_t)(c - '0') > o->groups)
        return ps_onig_fail(from, "\\%c is supported behind its group only, up to \\9", c);
    ps_buf_printf(o->out, "\\g{%c}", c);
    o->numbered = true;
    return PS_OK;
}

static ps_status literal(ps_onig *o, size_t from, uint32_t c)
{
    ps_status st = ps_onig_check_case(o, from, c);
    ps_onig_literal(o->out, ps_class_known(c));
    o->last = c;
    return st;
}

/* A kind of characters, which option i does not change here, or one character. */
static ps_status kind_or_literal(ps_onig *o, size_t from, uint32_t last)
{
    ps_onig_set set = {0};
    bool is = false;
    uint32_t c = 0;
    ps_status st = ps_onig_kind(o, false, &set, &is);
    if (!st && is) {
        ps_buf_puts(o->out, o->any_case ? "(?-i:" : "");
        ps_onig_set_put(&set, false, o->out);
        ps_buf_puts(o->out, o->any_case ? ")" : "");
    }
    ps_onig_set_clear(&set);
    if (st || is)
        return st;
    st = ps_onig_escaped(o, &c);
    o->last = last;
    return st ? st : literal(o, from, c);
}

static ps_status escape(ps_onig *o, size_t from, uint32_t last)
{
    char next = o->at < o->in.len ? (char)o->in.data[o->at] : '\0';
    if (next && strchr("yYXGg", next))
        return ps_onig_fail(from, "\\%c is not supported", next);
    if (next == 'k' || (next >= '1' && next <= '9'))
        return reference(o, from);
    if (next == 'b' || next == 'B') {
        edge(next == 'b', o->out);
        o->place = true;
        o->at++;
        return PS_OK;
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (next == others[i].escape) {
            ps_buf_puts(o->out, others[i].is);
            o->place = others[i].place;
            o->at++;
            return PS_OK;
        }
    return kind_or_literal(o, from, last);
}

/* ---- items ---- */

static ps_status item(ps_onig *o)
{
    size_t from = o->at;
    ps_status st = ps_onig_check_item(o);
    if (st)
        return st;
    uint32_t c = ps_onig_take(o), last = o->last;
    o->last = 0;
    o->place = c == '^' || c == '$';
    switch (c) {
    case '(':
        return group(o, from);
    case '[':
        return ps_onig_class(o, o->out);
    case '\\':
        return escape(o, from, last);
    case '^':
        ps_buf_puts(o->out, "(?m:^)");
        return PS_OK;
    case '$':
        ps_buf_puts(o->out, "(?m:$)");
        return PS_OK;
    case '.':
        ps_buf_putc(o->out, '.');
        return PS_OK;
    default:
        o->last = last;
        return literal(o, from, c);
    }
}

/* Up to a ) or the end. */
static ps_status alternatives(ps_onig *o)
{
    ps_status st = PS_OK;
    while (!st) {
        st = ps_onig_between(o);
        if (st || o->at == o->in.len || ps_onig_is(o, ")"))
            break;
        if (ps_onig_skip(o, "|")) {
            o->last = 0;
            ps_buf_putc(o->out, '|');
            continue;
        }
        size_t start = o->out->len;
        st = item(o);
        if (!st)
            st = ps_onig_quantifiers(o, start);
    }
    return st;
}

ps_status ps_onig_translate(ps_slice pattern, ps_buf *out)
{
    if (!ps_utf8_is(pattern))
        return ps_fail(PS_INVALID_ARGUMENT, "the pattern is no UTF-8");
    ps_onig_folds folds = {.n = 0};
    ps_onig o = {.in = pattern, .out = out, .folds = &folds};
    ps_status st = alternatives(&o);
    if (!st && o.at < pattern.len)
        st = ps_onig_fail(o.at, "a ) without its (");
    if (!st && o.named && o.numbered)
        st = ps_onig_fail(0, "where groups have names, \\1 to \\9 mean none");
    return st;
}
