/* The row BPE. Happy path: a piece of bytes goes to the merges as it is; one of letters begins as
 * the ids of its characters, or of their bytes (byte_fallback), or as unknown ones. Where no merge
 * goes over the beginning of a word (SentencePiece's texts are one piece, with U+2581 before each
 * word), each word is a piece, and most came before. */
#include "common/base/mem.h"
#include "common/base/utf8.h"
#include "common/tokenizer/byte_text.h"
#include "common/tokenizer/tokenizer_internal.h"

#include <inttypes.h>

static const char lower_block[] = "\xe2\x96\x81"; /* U+2581 */
enum { BLOCK = 3 };

/* Finds the bytes in the vocabulary; false: one has no token. */
static bool find_bytes(const ps_tokenizer *t, uint32_t first[256])
{
    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t text[4];
        size_t n = ps_byte_text((uint8_t)byte, text);
        if (!ps_vocab_find(t->vocab, ps_slice_of(text, n), &first[byte]))
            return false;
    }
    return true;
}

/* Some lack bytes that no text of theirs had, as SmolLM2's does; then pieces are letters, and those
 * that have no token are left out. */
static ps_status make(ps_tokenizer *t)
{
    uint32_t first[256] = {0};
    ps_step *last = t->pre_tokenizer.n ? &t->pre_tokenizer.at[t->pre_tokenizer.n - 1] : NULL;
    bool letters = last && !strcmp(last->row->type, "ByteLevel");
    bool whole = letters && find_bytes(t, first);
    t->byte_level = whole && !t->keys.prefix.len && !t->keys.suffix.len;
    if (t->byte_level)
        last->is[2] = true;
    t->bpe = ps_bpe_new(first);
    return PS_OK;
}

/* Whether a word begins inside the text. */
static bool has_word_inside(ps_slice text)
{
    bool other = false;
    for (size_t i = 0; i < text.len; i++) {
        bool block = text.len - i >= BLOCK && !memcmp(text.data + i, lower_block, BLOCK);
        if (block && other)
            return true;
        other |= !block;
        i += block ? BLOCK - 1 : 0;
    }
    return false;
}

static ps_status settle(ps_tokenizer *t)
{
    uint32_t id = 0;
    t->words = !t->pre_tokenizer.n && !t->keys.ignore_merges && !t->keys.prefix.len &&
               !t->keys.suffix.len && ps_tokenizer_find(t, ps_slice_str(lower_block), &id);
    for (size_t i = 0; t->words && i < ps_bpe_merges(t->bpe); i++)
        t->words = !has_word_inside(ps_vocab_at(t->vocab, ps_bpe_result(t->bpe, i)));
    return PS_OK;
}

/* ---- a piece of letters ---- */

typedef struct start {
    const ps_tokenizer *t;
    ps_ids *ids;
    bool unknown; /* one is due */
} start;

static void put_unknown(start *s)
{
    if (s->unknown)
        ps_ids_add(s->ids, (uint32_t)s->t->keys.unk_id);
    s->unknown = false;
}

static void put_character(start *s, ps_slice character, ps_slice bare)
{
    uint32_t id = 0;
    if (ps_tokenizer_find(s->t, character, &id)) {
        put_unknown(s);
        ps_ids_add(s->ids, id);
    } else if (s->t->keys.byte_fallback && ps_tokenizer_put_bytes(s->t, bare, s->ids)) {
        return;
    } else if (s->t->keys.has_unk) {
        if (!s->t->keys.fuse_unk)
            put_unknown(s);
        s->unknown = true;
    }
}

/* The characters of a piece, each with the prefix or suffix that its place asks for. */
static void begin(const ps_tokenizer *t, ps_slice piece, ps_buf *text, ps_ids *ids)
{
    const ps_model_keys *k = &t->keys;
    start s = {.t = t, .ids = ids};
    ids->n = 0;
    for (size_t at = 0, n = 0; at < piece.len; at += n) {
        (void)ps_step_char(ps_slice_of(piece.data + at, piece.len - at), &n);
        ps_slice bare = ps_slice_of(piece.data + at, n);
        if (!k->prefix.len && !k->suffix.len) {
            put_character(&s, bare, bare);
            continue;
        }
        ps_buf_clear(text);
        if (at)
            ps_buf_append(text, k->prefix.data, k->prefix.len);
        ps_buf_append(text, bare.data, bare.len);
        if (at + n == piece.len)
            ps_buf_append(text, k->suffix.data, k->suffix.len);
        put_character(&s, ps_buf_slice(text), ps_buf_slice(text));
    }
    put_unknown(&s);
}

static void encode_letters(const ps_tokenizer *t, ps_scratch *s, ps_slice piece, ps_ids *out)
{
    uint32_t id = 0;
    if (ps_bpe_known(t->bpe, s->bpe, piece, out))
        return;
    if (t->keys.ignore_merges && ps_tokenizer_find_in(t, s, piece, &id)) {
        ps_ids_add(out, id);
        return;
    }
    begin(t, piece, &s->text[0], &s->ids);
    ps_bpe_encode_ids(t->bpe, s->bpe, piece, s->ids.at, s->ids.n, out);
}

/* ---- a piece of bytes ---- */

static bool is_token(const ps_tokenizer *t, ps_scratch *s, ps_slice piece, uint32_t *id)
{
    ps_buf_clear(&s->text[0]);
    if (piece.len > PS_TOKENIZER_MAX_TOKEN)
        return false;
    for (size_t i = 0; i < piece.len; i++) {
        uint8_t letter[4];
        ps_buf_append(&s->text[0], letter, ps_byte_text(piece.data[i], letter));
    }
    return ps_tokenizer_find_in(t, s, ps_buf_slice(&s->text[0]), id);
}

static void encode_bytes(const ps_tokenizer *t, ps_scratch *s, ps_slice piece, ps_ids *out)
{
    uint32_t id = 0;
    if (t->keys.ignore_merges && !ps_bpe_known(t->bpe, s->bpe, piece, out)) {
        if (is_token(t, s, piece, &id))
            ps_bpe_encode_ids(t->bpe, s->bpe, piece, &id, 1, out);
        else
            ps_bpe_encode(t->bpe, s->bpe, piece, out);
    } else if (!t->keys.ignore_merges) {
        ps_bpe_encode(t->bpe, s->bpe, piece, out);
    }
}

/* Bytes of the first word of a text that has U+2581 before each. */
static size_t word(ps_slice text)
{
    bool other = false;
    for (size_t at = 0; at < text.len; at++) {
        bool block = text.len - at >= BLOCK && !memcmp(text.data + at, lower_block, BLOCK);
        if (block && other)
            return at;
        other |= !block;
        at += block ? BLOCK - 1 : 0;
    }
    return text.len;
}

static ps_status encode(const ps_tokenizer *t, ps_scratch *s, ps_slice piece, ps_ids *out)
{
    if (t->byte_level) {
        encode_bytes(t, s, piece, out);
        return PS_OK;
    }
    for (size_t n = 0; piece.len; piece = ps_slice_of(piece.data + n, piece.len - n)) {
        n = t->words ? word(piece) : piece.len;
        encode_letters(t, s, ps_slice_of(piece.data, n), out);
    }
    return PS_OK;
}

const ps_token_model ps_model_bpe = {
    .type = "BPE", .name = "bpe", .merges = true, .make = make, .settle = settle, .encode = encode};
