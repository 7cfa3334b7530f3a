/* Happy path: bytes gather in `held`; as long as the row can tell where the next piece ends, it is
 * encoded; what cannot be told yet stays. With added tokens on, the text between two of them is a
 * text of its own, and as many bytes stay as the beginning of one could have. It fails where the
 * row does; memory is bounded by a block and by what the caller feeds at once. */
#include "common/base/mem.h"
#include "common/base/utf8.h"
#include "common/tokenizer/tokenizer_internal.h"

struct ps_encoder {
    const ps_tokenizer *tokenizer;
    ps_scratch scratch;
    ps_buf held;
    size_t looked; /* bytes of it that begin no added token */
    bool added;
    bool first;     /* nothing of the text went by */
    bool at_start;  /* of what is between two added tokens */
    bool prefixed;  /* its space is there */
    bool skipping;  /* white space behind an added token with rstrip */
    uint8_t before; /* the character that went by last, for an added token that stands alone: */
    uint8_t last[4];
};

void ps_ids_add(ps_ids *ids, uint32_t id)
{
    if (ids->n == ids->capacity) {
        ids->capacity = ids->capacity ? ids->capacity * 2 : 256;
        ids->at = ps_realloc(ids->at, ids->capacity * sizeof *ids->at);
    }
    ids->at[ids->n++] = id;
}

void ps_ids_free(ps_ids *ids)
{
    ps_free(&ids->at);
    *ids = PS_IDS_EMPTY;
}

static void start(ps_encoder *e)
{
    e->first = e->at_start = true;
    e->prefixed = e->skipping = false;
    e->before = 0;
}

ps_encoder *ps_encoder_new(const ps_tokenizer *t, bool added)
{
    ps_encoder *e = ps_new(ps_encoder);
    e->tokenizer = t;
    e->added = added && t->raw.n;
    e->scratch.added = added;
    e->scratch.bpe = t->bpe ? ps_bpe_scratch_new() : NULL;
    start(e);
    return e;
}

void ps_encoder_free(ps_encoder **encoder)
{
    ps_encoder *e = *encoder;
    if (!e)
        return;
    ps_bpe_scratch_free(&e->scratch.bpe);
    for (size_t i = 0; i < 2; i++) {
        ps_cut_pieces_free(&e->scratch.pieces[i]);
        ps_buf_free(&e->scratch.text[i]);
    }
    ps_spans_free(&e->scratch.spans);
    ps_ids_free(&e->scratch.ids);
    ps_free(&e->scratch.best);
    ps_buf_free(&e->held);
    ps_free(encoder);
}

/* The first n bytes of what is held from `at` on go by. */
static void go_by(ps_encoder *e, size_t *at, size_t n)
{
    *at += n;
    e->first = false;
    e->before = (uint8_t)(*at < sizeof e->last ? *at : sizeof e->last);
    memcpy(e->last, e->held.data + *at - e->before, e->before);
}

/* Encodes what is certain of the first `end` bytes of held, from *at on. whole: the text ends
 * there. */
static ps_status encode_up_to(ps_encoder *e, size_t *at, size_t end, bool whole, ps_ids *out)
{
    const ps_tokenizer *t = e->tokenizer;
    while (*at < end) {
        ps_slice rest = ps_slice_of(e->held.data + *at, end - *at);
        size_t n = t->row->split(rest, whole);
        if (!n)
            return PS_OK;
        ps_block block = {.text = ps_slice_of(rest.data, n),
                          .first = e->first,
                          .edges = {.begins = e->at_start, .ends = whole && n == rest.len}};
        ps_status st = t->row->encode(t, &e->scratch, &block, out);
        if (st)
            return st;
        e->at_start = false;
        go_by(e, at, n);
    }
    return PS_OK;
}

/* The space that a tokenizer with add_prefix_space puts first, at held[at]; true: it came. */
static bool put_prefix(ps_encoder *e, size_t at)
{
    bool due = e->at_start && !e->prefixed && e->tokenizer->prefix_space;
    e->prefixed |= due;
    if (!due || e->held.data[at] == ' ')
        return false;
    ps_buf_reserve(&e->held, 1);
    memmove(e->held.data + at + 1, e->held.data + at, e->held.len - at);
    e->held.data[at] = ' ';
    e->held.len++;
    return true;
}

/* Whether the token at `at`, n bytes, may be one here. */
static bool fits(const ps_encoder *e, const ps_added_token *token, size_t at, size_t n)
{
    ps_slice before = at ? ps_slice_of(e->held.data, at) : ps_slice_of(e->last, e->before);
    return ps_added_fits(token, before, ps_slice_of(e->held.data + at + n, e->held.len - at - n));
}

/* The place of the next added token from `at` on, or where the last possible one could begin. */
static size_t find_added(const ps_encoder *e, size_t at, bool whole, const ps_added_token **found,
                         size_t *n)
{
    const ps_tokenizer *t = e->tokenizer;
    size_t margin = whole ? 0 : t->longest_added - 1 + (t->single_word ? 4 : 0);
    *found = NULL;
    at = at < e->looked ? e->looked : at;
    for (; at + margin < e->held.len; at++) {
        const ps_prefix *there =
            ps_prefixes_longest(&t->raw, ps_slice_of(e->held.data + at, e->held.len - at));
        if (!there || !fits(e, &t->added[there->value], at, there->text.len))
            continue;
        *found = &t->added[there->value];
        *n = there->text.len;
        break;
    }
    return at < e->held.len ? at : e->held.len;
}

/* Behind an added token with rstrip; false: there may be more of it. */
static bool skip_spaces(ps_encoder *e, size_t *at, bool whole)
{
    if (!e->skipping)
        return true;
    ps_slice rest = ps_slice_of(e->held.data + *at, e->held.len - *at);
    size_t n = ps_added_spaces(rest, false);
    if (n)
        go_by(e, at, n);
    rest = ps_slice_of(rest.data + n, rest.len - n);
    bool more = !whole && ps_utf8_partial(rest) == rest.len; /* of nothing, too */
    e->skipping = more;
    return !more;
}

static void put_added(ps_encoder *e, const ps_added_token *token, size_t *at, size_t n, ps_ids *out)
{
    ps_ids_add(out, token->id);
    go_by(e, at, n);
    e->at_start = true;
    e->prefixed = false;
    e->skipping = token->rstrip;
}

static ps_status go_on(ps_encoder *e, bool whole, ps_ids *out)
{
    size_t at = 0, n = 0;
    const ps_added_token *found = NULL;
    ps_status st = PS_OK;
    do {
        found = NULL;
        if (!skip_spaces(e, &at, whole))
            break;
        size_t end = e->added ? find_added(e, at, whole, &found, &n) : e->held.len;
        bool closed = whole || found;
        size_t strip = 0;
        if (found && found->lstrip)
            strip = ps_added_spaces(ps_slice_of(e->held.data + at, end - at), true);
        if (end - strip > at)
            end += put_prefix(e, at);
        e->looked = found ? 0 : end;
        st = encode_up_to(e, &at, end - strip, closed, out);
        if (found && !st) {
            at += strip;
            put_added(e, found, &at, n, out);
        }
    } while (found && !st);
    ps_buf_consume(&e->held, st ? e->held.len : at);
    e->looked = !st && e->looked > at ? e->looked - at : 0;
    return st;
}

ps_status ps_encoder_feed(ps_encoder *e, ps_slice bytes, ps_ids *out)
{
    enum { AT_ONCE = 1 << 20 };
    ps_status st = PS_OK;
    while (bytes.len && !st) {
        size_t now = bytes.len < AT_ONCE ? bytes.len : AT_ONCE;
        ps_buf_append(&e->held, bytes.data, now);
        bytes = ps_slice_of(bytes.data + now, bytes.len - now);
        st = go_on(e, false, out);
    }
    return st;
}

ps_status ps_encoder_token(ps_encoder *e, uint32_t id, ps_ids *out)
{
    ps_status st = go_on(e, true, out);
    if (st)
        return st;
    ps_ids_add(out, id);
    start(e);
    e->first = false;
    return PS_OK;
}

ps_status ps_encoder_finish(ps_encoder *e, ps_ids *out)
{
    ps_status st = go_on(e, true, out);
    start(e);
    return st;
}

ps_status ps_tokenizer_encode(const ps_tokenizer *t, ps_slice text, bool added, ps_ids *out)
{
    ps_encoder *e = ps_encoder_new(t, added);
    ps_status st = ps_encoder_feed(e, text, out);
    if (!st)
        st = ps_encoder_finish(e, out);
    ps_encoder_free(&e);
    return st;
}
