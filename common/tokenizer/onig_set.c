/* Happy path: what stands between [ and ] is gathered as what PCRE2 can have there, and what nests
 * as other things that match one character; operands of && become lookaheads. Fails where
 * Oniguruma does, and at ranges that it half forgets ([a-[b]]). */
#include "common/tokenizer/onig_internal.h"

void ps_onig_set_clear(ps_onig_set *set)
{
    ps_buf_free(&set->flat);
    ps_buf_free(&set->others);
}

static void put_slice(ps_buf *out, const ps_buf *text)
{
    ps_buf_append(out, text->data, text->len);
}

/* Of PCRE2: \d, or \p{…}. */
static bool is_one_escape(const ps_buf *flat)
{
    const char *end = flat->len > 2 ? memchr(flat->data, '}', flat->len) : NULL;
    return flat->len && flat->data[0] == '\\' &&
           (flat->len == 2 || (end && (const uint8_t *)end == flat->data + flat->len - 1 &&
                               (flat->data[1] == 'p' || flat->data[1] == 'P')));
}

static void put_flat(const ps_onig_set *set, bool negated, ps_buf *out)
{
    bool bare = !negated && is_one_escape(&set->flat);
    ps_buf_puts(out, bare ? "" : negated ? "[^" : "[");
    put_slice(out, &set->flat);
    ps_buf_puts(out, bare ? "" : "]");
}

void ps_onig_set_put(const ps_onig_set *set, bool negated, ps_buf *out)
{
    if (!set->others.len && set->flat.len) {
        put_flat(set, negated, out);
        return;
    }
    ps_buf_puts(out, negated ? "(?:(?!" : "(?:");
    if (set->flat.len)
        put_flat(set, false, out);
    else
        ps_buf_puts(out, "(?!)");
    put_slice(out, &set->others);
    ps_buf_puts(out, negated ? ")(?s:.))" : ")");
}

typedef enum before { NOTHING, CHARACTER, KIND, WHOLE /* a range, or a set */ } before;

/* One set. */
typedef struct reading {
    ps_onig *o;
    size_t from;
    ps_onig_set set; /* since the last && */
    ps_buf ands;     /* the operands before it, as lookaheads */
    before before;
    uint32_t last; /* where a character is before */
    bool negated;
} reading;

static bool ends_here(const ps_onig *o)
{
    return ps_onig_is(o, "]") || ps_onig_is(o, "&&");
}

/* The character c stands there: read. */
static ps_status add(reading *r, size_t at, uint32_t c)
{
    ps_onig alone = *r->o;
    alone.last = 0;
    r->before = CHARACTER;
    r->last = c;
    ps_onig_literal(&r->set.flat, c);
    return ps_onig_check_case(&alone, at, c);
}

/* The end of a range whose - was read. */
static ps_status add_range(reading *r)
{
    ps_onig *o = r->o;
    size_t at = o->at;
    uint32_t c = 0;
    if (at == o->in.len || ps_onig_is(o, "["))
        return ps_onig_fail(at, "a range without its end");
    bool escaped = ps_onig_skip(o, "\\"), is = false;
    ps_onig_set kind = {0};
    ps_status st = escaped ? ps_onig_kind(o, true, &kind, &is) : PS_OK;
    ps_onig_set_clear(&kind);
    if (st || is)
        return st ? st : ps_onig_fail(at, "a range that ends with a kind of characters");
    if (escaped)
        st = ps_onig_escaped(o, &c);
    else
        c = ps_onig_take(o);
    if (st || c < r->last)
        return st ? st : ps_onig_fail(at, "a range whose end is before its beginning");
    ps_buf_putc(&r->set.flat, '-');
    ps_onig_literal(&r->set.flat, c);
    r->before = WHOLE;
    return r->negated ? PS_OK : ps_onig_check_range(o, at, r->last, c);
}

/* Behind a -. */
static ps_status add_dash(reading *r)
{
    size_t at = r->o->at - 1;
    if (r->before == CHARACTER && !ends_here(r->o))
        return add_range(r);
    if (r->before == KIND && !ends_here(r->o))
        return ps_onig_fail(at, "a range that begins with a kind of characters");
    return add(r, at, '-');
}

static ps_status add_escape(reading *r)
{
    bool is = false;
    uint32_t c = 0;
    size_t at = r->o->at - 1;
    ps_status st = ps_onig_kind(r->o, true, &r->set, &is);
    if (is)
        r->before = KIND;
    if (!st && !is)
        st = ps_onig_escaped(r->o, &c);
    return st || is ? st : add(r, at, c);
}

static ps_status take_class(ps_onig *o, bool inner, ps_buf *out);

/* Behind a [ in a set. */
static ps_status add_set(reading *r)
{
    bool is = false;
    ps_status st = ps_onig_bracket(r->o, &r->set, &is);
    r->before = is ? KIND : WHOLE;
    if (st || is)
        return st;
    ps_buf_putc(&r->set.others, '|');
    return take_class(r->o, true, &r->set.others);
}

static void begin_operand(reading *r)
{
    ps_buf_puts(&r->ands, "(?=");
    ps_onig_set_put(&r->set, false, &r->ands);
    ps_buf_putc(&r->ands, ')');
    ps_onig_set_clear(&r->set);
    r->before = NOTHING;
}

static ps_status read_set(reading *r)
{
    ps_onig *o = r->o;
    ps_status st = PS_OK;
    for (bool first = true; !st; first = false) {
        if (o->at == o->in.len)
            return ps_onig_fail(r->from, "a [ without its ]");
        if (!first && ps_onig_skip(o, "]"))
            break;
        if (ps_onig_skip(o, "&&"))
            begin_operand(r);
        else if (ps_onig_skip(o, "["))
            st = add_set(r);
        else if (ps_onig_skip(o, "-"))
            st = add_dash(r);
        else if (ps_onig_skip(o, "\\"))
            st = add_escape(r);
        else {
            size_t at = o->at;
            st = add(r, at, ps_onig_take(o));
        }
    }
    return st;
}

static ps_status take_class(ps_onig *o, bool inner, ps_buf *out)
{
    reading r = {.o = o, .from = o->at - 1};
    if (++o->depth > PS_ONIG_MAX_DEPTH)
        return ps_onig_fail(r.from, "sets nested more than %d times", PS_ONIG_MAX_DEPTH);
    r.negated = ps_onig_skip(o, "^");
    ps_status st = read_set(&r);
    /* Oniguruma adds the other case to what comes out, PCRE2 to what goes in. */
    if (!st && o->any_case && (r.ands.len || (r.negated && inner)))
        st = ps_onig_fail(r.from, "with (?i), a set that is made of others");
    o->depth--;
    if (!st && !r.ands.len)
        ps_onig_set_put(&r.set, r.negated, out);
    else if (!st) {
        ps_buf_puts(out, r.negated ? "(?:(?!" : "(?:");
        put_slice(out, &r.ands);
        ps_onig_set_put(&r.set, false, out);
        ps_buf_puts(out, r.negated ? ")(?s:.))" : ")");
    }
    ps_onig_set_clear(&r.set);
    ps_buf_free(&r.ands);
    return st;
}

ps_status ps_onig_class(ps_onig *o, ps_buf *out)
{
    return take_class(o, false, out);
}
