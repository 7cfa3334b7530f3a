/* Happy path: what stands behind an item is read as how often it comes, and written; a second one
 * counts the item with the first. Fails at counts that Oniguruma does not have and at what has no
 * length. */
#include "common/tokenizer/onig_internal.h"

enum {
    MAX_COUNT = 100000, /* of a quantifier, in Oniguruma */
    MAX_STACKED = 8,    /* quantifiers of one item */
};

typedef struct quantity {
    uint32_t least, most; /* UINT32_MAX: without end */
    bool fixed;           /* {n}: neither lazy nor possessive */
    bool lazy, possessive;
} quantity;

/* *n stays when there are no digits. */
static ps_status number(const ps_onig *o, size_t *at, uint32_t *n, bool *is)
{
    uint32_t sum = 0;
    size_t from = *at;
    for (; *at < o->in.len && o->in.data[*at] >= '0' && o->in.data[*at] <= '9'; ++*at) {
        sum = 10 * sum + (uint32_t)(o->in.data[*at] - '0');
        if (sum > MAX_COUNT)
            return ps_onig_fail(from, "a count above %d", MAX_COUNT);
    }
    *is = *at > from;
    *n = *is ? sum : *n;
    return PS_OK;
}

static bool byte_is(const ps_onig *o, size_t at, char c)
{
    return at < o->in.len && o->in.data[at] == (uint8_t)c;
}

/* {n}, {n,}, {,m} and {n,m}; *is: whether a brace is the start of one. If n > m it is {m,n}+. */
static ps_status interval(ps_onig *o, quantity *q, bool *is)
{
    size_t at = o->at + 1;
    bool least = false, most = false;
    *q = (quantity){.most = UINT32_MAX};
    ps_status st = number(o, &at, &q->least, &least);
    if (st)
        return st;
    q->fixed = !byte_is(o, at, ',');
    if (q->fixed)
        q->most = q->least;
    else
        at++;
    if (!q->fixed)
        st = number(o, &at, &q->most, &most);
    *is = !st && (least || most) && byte_is(o, at, '}');
    if (!*is)
        return st;
    o->at = at + 1;
    if (q->least > q->most) {
        uint32_t least_of = q->most;
        q->most = q->least;
        q->least = least_of;
        q->possessive = true;
    }
    return PS_OK;
}

/* *is: whether one comes; it is stepped over. */
static ps_status take_quantity(ps_onig *o, quantity *q, bool *is)
{
    *is = true;
    if (ps_onig_skip(o, "*"))
        *q = (quantity){.most = UINT32_MAX};
    else if (ps_onig_skip(o, "+"))
        *q = (quantity){.least = 1, .most = UINT32_MAX};
    else if (ps_onig_skip(o, "?"))
        *q = (quantity){.most = 1};
    else if (ps_onig_is(o, "{")) {
        ps_status st = interval(o, q, is);
        if (!st && *is && !q->fixed && !q->possessive)
            q->lazy = ps_onig_skip(o, "?");
        return st;
    } else {
        *is = false;
        return PS_OK;
    }
    q->lazy = ps_onig_skip(o, "?");
    q->possessive = !q->lazy && ps_onig_skip(o, "+");
    return PS_OK;
}

static void put_quantity(const quantity *q, ps_buf *out)
{
    ps_buf_printf(out, "{%u,", q->least);
    if (q->most != UINT32_MAX)
        ps_buf_printf(out, "%u", q->most);
    ps_buf_puts(out, q->lazy ? "}?" : q->possessive ? "}+" : "}");
}

/* What was written from `start` on becomes one item. */
static void wrap(ps_buf *out, size_t start)
{
    static const char open[] = "(?:";
    size_t n = sizeof open - 1;
    ps_buf_reserve(out, n);
    memmove(out->data + start + n, out->data + start, out->len - start);
    memcpy(out->data + start, open, n);
    out->len += n;
    ps_buf_putc(out, ')');
}

ps_status ps_onig_quantifiers(ps_onig *o, size_t start)
{
    for (int n = 0;; n++) {
        quantity q;
        bool is = false;
        ps_status st = ps_onig_between(o);
        if (!st && o->at < o->in.len)
            st = take_quantity(o, &q, &is);
        if (st || !is)
            return st;
        if (o->place)
            return ps_onig_fail(o->at, "what has no length is repeated");
        if (n == MAX_STACKED)
            return ps_onig_fail(o->at, "more than %d quantifiers of one item", MAX_STACKED);
        if (n)
            wrap(o->out, start);
        put_quantity(&q, o->out);
        o->last = 0;
    }
}

ps_status ps_onig_check_item(ps_onig *o)
{
    quantity q;
    bool is = false;
    size_t from = o->at;
    ps_status st = take_quantity(o, &q, &is);
    o->at = from;
    return st || !is ? st : ps_onig_fail(from, "nothing to repeat");
}
