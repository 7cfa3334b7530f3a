/* Happy path: a descent through Jinja's operators, weakest first; what is not known of one side is
 * not known of the whole. Its depth is bounded by PS_JINJA_DEPTH. */
#include "common/chat/jinja_parts.h"

#include <string.h>

/* ---- operators ---- */

static void product(ps_jinja_scope *s, ps_jinja_value *v)
{
    ps_jinja_value other = {0};
    ps_jinja_operand(s, v);
    while (ps_jinja_take(s, "*") || ps_jinja_take(s, "/") || ps_jinja_take(s, "//") ||
           ps_jinja_take(s, "%") || ps_jinja_take(s, "**")) {
        ps_jinja_operand(s, &other);
        ps_jinja_unknown(v);
    }
    ps_buf_free(&other.form);
}

static void sum(ps_jinja_scope *s, ps_jinja_value *v)
{
    ps_jinja_value other = {0};
    product(s, v);
    for (;;) {
        bool joins = ps_jinja_take(s, "+") || ps_jinja_take(s, "~");
        if (!joins && !ps_jinja_take(s, "-"))
            break;
        product(s, &other);
        v->is = joins && v->is == PS_IS_TEXT && other.is == PS_IS_TEXT ? PS_IS_TEXT : PS_IS_ANY;
        if (joins)
            ps_buf_append(&v->form, other.form.data, other.form.len);
        else
            ps_jinja_unknown(v);
    }
    ps_buf_free(&other.form);
}

static ps_jinja_truth equal(const ps_jinja_scope *s, const ps_jinja_value *a,
                            const ps_jinja_value *b)
{
    const ps_jinja_value *text = a->is == PS_IS_TEXT ? a : b, *other = text == a ? b : a;
    if (a->is == PS_IS_ANY || b->is == PS_IS_ANY)
        return PS_PERHAPS;
    if (text->is == PS_IS_TEXT && other->is == PS_IS_TEXT)
        return a->form.len == b->form.len &&
                       (!a->form.len || !memcmp(a->form.data, b->form.data, a->form.len))
                   ? PS_YES
                   : PS_NO;
    if (text->is == PS_IS_TEXT && other->is == PS_IS_ROLE && s->role)
        return ps_slice_is(ps_buf_slice(&text->form), s->role) ? PS_YES : PS_NO;
    if (text->is == PS_IS_TEXT && (other->is == PS_IS_ROLE || other->is == PS_IS_FIRST_ROLE))
        return ps_jinja_is_role(text) ? PS_PERHAPS : PS_NO;
    if (text->is == PS_IS_TEXT && other->is == PS_IS_CONTENT)
        return PS_PERHAPS;
    if (a->is == b->is)
        return a->is <= PS_IS_FALSE ? PS_YES : PS_PERHAPS;
    return a->is <= PS_IS_TEXT && b->is <= PS_IS_TEXT ? PS_NO : PS_PERHAPS;
}

static ps_jinja_truth within(const ps_jinja_value *a, const ps_jinja_value *b)
{
    ps_slice text = ps_buf_slice(&a->form);
    if (a->is == PS_IS_TEXT && (b->is == PS_IS_MESSAGE || b->is == PS_IS_FIRST))
        return ps_slice_is(text, "role") || ps_slice_is(text, "content") ? PS_YES : PS_NO;
    if ((a->is == PS_IS_ROLE || a->is == PS_IS_FIRST_ROLE) && b->is == PS_IS_OTHERS)
        return PS_NO;
    return PS_PERHAPS;
}

static void comparison(ps_jinja_scope *s, ps_jinja_value *v)
{
    static const char *const orders[] = {"<", ">", "<=", ">="};
    ps_jinja_value other = {0};
    sum(s, v);
    for (;;) {
        bool differs = false, ordered = false, in = false, not = false;
        for (size_t i = 0; !ordered && i < sizeof orders / sizeof *orders; i++)
            ordered = ps_jinja_take(s, orders[i]);
        if (!ordered && ps_jinja_take(s, "not")) {
            not = in = true;
            ps_jinja_expect(s, "in");
        }
        if (!ordered && !in && !(in = ps_jinja_take(s, "in")) &&
            !(differs = ps_jinja_take(s, "!=")) && !ps_jinja_take(s, "=="))
            break;
        sum(s, &other);
        ps_jinja_truth t = ordered ? PS_PERHAPS : in ? within(v, &other) : equal(s, v, &other);
        ps_jinja_set_truth(v, differs || not ? ps_jinja_opposite(t) : t);
    }
    ps_buf_free(&other.form);
}

static void negation(ps_jinja_scope *s, ps_jinja_value *v)
{
    bool not = false;
    while (ps_jinja_take(s, "not"))
        not = !not ;
    comparison(s, v);
    if (not )
        ps_jinja_set_truth(v, ps_jinja_opposite(ps_jinja_truth_of(v)));
}

/* What it writes is not known when it is not the one value that was read. */
static void conjunction(ps_jinja_scope *s, ps_jinja_value *v)
{
    ps_jinja_value other = {0};
    negation(s, v);
    while (ps_jinja_take(s, "and")) {
        negation(s, &other);
        ps_jinja_truth a = ps_jinja_truth_of(v), b = ps_jinja_truth_of(&other);
        ps_jinja_set_truth(v, a == PS_NO || b == PS_NO     ? PS_NO
                              : a == PS_YES && b == PS_YES ? PS_YES
                                                           : PS_PERHAPS);
    }
    ps_buf_free(&other.form);
}

static void disjunction(ps_jinja_scope *s, ps_jinja_value *v)
{
    ps_jinja_value other = {0};
    conjunction(s, v);
    while (ps_jinja_take(s, "or")) {
        conjunction(s, &other);
        ps_jinja_truth a = ps_jinja_truth_of(v), b = ps_jinja_truth_of(&other);
        ps_jinja_set_truth(v, a == PS_YES || b == PS_YES ? PS_YES
                              : a == PS_NO && b == PS_NO ? PS_NO
                                                         : PS_PERHAPS);
    }
    ps_buf_free(&other.form);
}

static void choose(ps_jinja_value *v, ps_jinja_truth truth, ps_jinja_value *other)
{
    if (truth == PS_YES)
        return;
    if (truth == PS_NO) {
        ps_jinja_value was = *v;
        *v = *other;
        *other = was;
        return;
    }
    ps_buf form = PS_BUF_EMPTY;
    ps_buf_putc(&form, PS_CHAT_HOLE);
    ps_buf_append(&form, v->form.data, v->form.len);
    ps_buf_puts(&form, " or ");
    ps_buf_append(&form, other->form.data, other->form.len);
    ps_buf_putc(&form, PS_CHAT_HOLE_END);
    ps_buf_free(&v->form);
    *v = (ps_jinja_value){PS_IS_ANY, form};
}

void ps_jinja_expression(ps_jinja_scope *s, ps_jinja_value *v)
{
    if (++s->depth > PS_JINJA_DEPTH)
        ps_jinja_fail(s, "expressions nested deeper than it reads");
    if (!s->failed)
        disjunction(s, v);
    if (ps_jinja_take(s, "if")) {
        ps_jinja_value condition = {0}, other = {.is = PS_IS_UNDEFINED};
        disjunction(s, &condition);
        if (ps_jinja_take(s, "else"))
            ps_jinja_expression(s, &other);
        choose(v, ps_jinja_truth_of(&condition), &other);
        ps_buf_free(&condition.form);
        ps_buf_free(&other.form);
    }
    s->depth--;
}

void ps_jinja_value_read(ps_jinja_scope *s, ps_jinja_value *out)
{
    *out = (ps_jinja_value){0};
    s->depth = 0;
    ps_jinja_expression(s, out);
}
