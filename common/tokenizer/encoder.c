/* Happy path: bytes gather in `held`; as long as the row can tell where the next piece ends, it is
 * encoded; what cannot be told yet stays. With added tokens on, the text between two of them is a
 * text of its own, and as many bytes stay as the beginning of one could have. Cannot fail: memory
 * is bounded by a piece and by what the caller feeds at once. */
#include "common/base/mem.h"
#include "common/tokenizer/tokenizer_internal.h"

struct ps_encoder {
    const ps_tokenizer *tokenizer;
    ps_bpe_scratch *scratch;
    ps_buf held;
    bool starts[256]; /* an added token that is looked for begins with this byte */
    bool added;
    bool at_start; /* of a text */
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

ps_encoder *ps_encoder_new(const ps_tokenizer *t, bool added)
{
    ps_encoder *e = ps_new(ps_encoder);
    e->tokenizer = t;
    e->added = added && t->n_added;
    e->at_start = true;
    e->scratch = t->bpe ? ps_bpe_scratch_new() : NULL;
    for (size_t i = 0; i < t->n_added; i++)
        e->starts[ps_vocab_at(t->vocab, t->added[i].id).data[0]] = true;
    return e;
}

void ps_encoder_free(ps_encoder **encoder)
{
    ps_encoder *e = *encoder;
    if (!e)
        return;
    ps_bpe_scratch_free(&e->scratch);
    ps_buf_free(&e->held);
    ps_free(encoder);
}

/* The longest added token at the start of rest; NULL: none. */
static const ps_added_token *added_at(const ps_encoder *e, ps_slice rest)
{
    const ps_tokenizer *t = e->tokenizer;
    const ps_added_token *best = NULL;
    size_t longest = 0;
    for (size_t i = 0; e->starts[rest.data[0]] && i < t->n_added; i++) {
        ps_slice text = ps_vocab_at(t->vocab, t->added[i].id);
        if (text.len > longest && text.len <= rest.len && !memcmp(text.data, rest.data, text.len)) {
            best = &t->added[i];
            longest = text.len;
        }
    }
    return best;
}

/* Encodes what is certain of the first `end` bytes of held, from *at on. whole: the text ends
 * there. */
static void encode_up_to(ps_encoder *e, size_t *at, size_t end, bool whole, ps_ids *out)
{
    while (*at < end) {
        ps_slice rest = ps_slice_of(e->held.data + *at, end - *at);
        size_t n = e->tokenizer->row->split(rest, whole);
        if (!n)
            return;
        e->tokenizer->row->encode(e->tokenizer, e->scratch, ps_slice_of(rest.data, n), out);
        *at += n;
    }
}

/* The space that a tokenizer with add_prefix_space puts first, at held[at]. */
static void put_prefix(ps_encoder *e, size_t at)
{
    bool wanted = e->at_start && e->tokenizer->prefix_space && e->held.data[at] != ' ';
    e->at_start = false;
    if (!wanted)
        return;
    ps_buf_reserve(&e->held, 1);
    memmove(e->held.data + at + 1, e->held.data + at, e->held.len - at);
    e->held.data[at] = ' ';
    e->held.len++;
}

/* The place of the next added token from `at` on, or where the last possible one could begin. */
static size_t find_added(const ps_encoder *e, size_t at, bool whole, const ps_added_token **found)
{
    size_t margin = whole ? 0 : e->tokenizer->longest_added - 1;
    *found = NULL;
    for (; at + margin < e->held.len; at++) {
        *found = added_at(e, ps_slice_of(e->held.data + at, e->held.len - at));
        if (*found)
            break;
    }
    return at < e->held.len ? at : e->held.len;
}

static void go_on(ps_encoder *e, bool whole, ps_ids *out)
{
    size_t at = 0;
    const ps_added_token *found = NULL;
    do {
        size_t end = e->added ? find_added(e, at, whole, &found) : e->held.len;
        bool closed = whole || found;
        if (end > at) {
            size_t before = e->held.len;
            put_prefix(e, at);
            end += e->held.len - before;
        }
        encode_up_to(e, &at, end, closed, out);
        if (found) {
            ps_ids_add(out, found->id);
            at = end + ps_vocab_at(e->tokenizer->vocab, found->id).len;
            e->at_start = true;
        }
    } while (found);
    ps_buf_consume(&e->held, at);
}

void ps_encoder_feed(ps_encoder *e, ps_slice bytes, ps_ids *out)
{
    enum { AT_ONCE = 1 << 20 };
    while (bytes.len) {
        size_t now = bytes.len < AT_ONCE ? bytes.len : AT_ONCE;
        ps_buf_append(&e->held, bytes.data, now);
        bytes = ps_slice_of(bytes.data + now, bytes.len - now);
        go_on(e, false, out);
    }
}

void ps_encoder_token(ps_encoder *e, uint32_t id, ps_ids *out)
{
    go_on(e, true, out);
    ps_ids_add(out, id);
    e->at_start = true;
}

void ps_encoder_finish(ps_encoder *e, ps_ids *out)
{
    go_on(e, true, out);
    e->at_start = true;
}

void ps_tokenizer_encode(const ps_tokenizer *t, ps_slice text, bool added, ps_ids *out)
{
    ps_encoder *e = ps_encoder_new(t, added);
    ps_encoder_feed(e, text, out);
    ps_encoder_finish(e, out);
    ps_encoder_free(&e);
}
