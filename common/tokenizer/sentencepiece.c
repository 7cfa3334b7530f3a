/* Happy path: the message is read twice, first for the number of its pieces and for the specs, then
 * for the pieces; together they are lists, of which a tokenizer is made as of a GGUF file's. */
#include "common/tokenizer/sentencepiece.h"

#include "common/base/bits.h"
#include "common/base/mem.h"
#include "common/base/utf8.h"

#include <inttypes.h>

/* Wire types of protobuf, and numbers of the fields that are read. */
enum { VARINT = 0, WIDE = 1, BYTES = 2, FLOAT = 5 };
enum { PIECES = 1, TRAINER = 2, NORMALIZER = 3 };
enum { PIECE_TEXT = 1, PIECE_SCORE = 2, PIECE_TYPE = 3 };
enum { MODEL_TYPE = 3, SUFFIX = 24, BOS_ID = 41, EOS_ID = 42 };
enum { CHARSMAP = 2, PREFIX = 3, STRIP = 4, ESCAPE = 5 };
enum { UNIGRAM = 1, BPE, WORD, CHAR };

typedef struct field {
    uint64_t number;
    unsigned wire;
    uint64_t value; /* of a varint; the bits of a float */
    ps_slice bytes;
} field;

typedef struct maker {
    ps_slice *texts;
    ps_listed_kind *kinds;
    float *scores;
    uint32_t n, made;
    uint64_t type;
    bool suffix, escape;
    ps_token_lists lists;
} maker;

/* False at the end, and when the message is none: then the cursor failed. */
static bool next(ps_cursor *c, field *out)
{
    if (!ps_cursor_left(c))
        return false;
    uint64_t tag = ps_read_varint(c);
    *out = (field){.number = tag >> 3, .wire = tag & 7};
    switch (out->wire) {
    case VARINT:
        out->value = ps_read_varint(c);
        break;
    case WIDE:
        out->value = ps_read_u64le(c);
        break;
    case BYTES: {
        uint64_t len = ps_read_varint(c);
        if (len > ps_cursor_left(c))
            c->failed = true;
        else
            out->bytes = ps_read_bytes(c, (size_t)len);
        break;
    }
    case FLOAT:
        out->value = ps_read_u32le(c);
        break;
    default: /* groups, which it never has */
        c->failed = true;
    }
    return !c->failed;
}

static ps_status ended(const ps_cursor *c, const char *what)
{
    return c->failed ? ps_fail(PS_CORRUPT, "it is no SentencePiece model: %s cannot be read", what)
                     : PS_OK;
}

static bool is(const field *f, uint64_t number, unsigned wire)
{
    return f->number == number && f->wire == wire;
}

/* ---- the specs ---- */

static uint32_t id_of(uint64_t value)
{
    return value <= INT32_MAX ? (uint32_t)value : PS_LISTED_NO_ID; /* -1: there is none */
}

static ps_status read_trainer(maker *m, ps_slice bytes)
{
    ps_cursor c = ps_cursor_of(bytes);
    field f;
    while (next(&c, &f)) {
        if (is(&f, MODEL_TYPE, VARINT))
            m->type = f.value;
        else if (is(&f, SUFFIX, VARINT))
            m->suffix = f.value != 0;
        else if (is(&f, BOS_ID, VARINT))
            m->lists.bos_id = id_of(f.value);
        else if (is(&f, EOS_ID, VARINT))
            m->lists.eos_id = id_of(f.value);
    }
    return ended(&c, "trainer_spec");
}

static ps_status read_normalizer(maker *m, ps_slice bytes)
{
    ps_cursor c = ps_cursor_of(bytes);
    field f;
    while (next(&c, &f)) {
        if (is(&f, CHARSMAP, BYTES))
            m->lists.charsmap = f.bytes;
        else if (is(&f, PREFIX, VARINT))
            m->lists.prefix_space = f.value != 0;
        else if (is(&f, STRIP, VARINT))
            m->lists.strip_spaces = f.value != 0;
        else if (is(&f, ESCAPE, VARINT))
            m->escape = f.value != 0;
    }
    return ended(&c, "normalizer_spec");
}

static ps_status read_specs(maker *m, ps_slice bytes)
{
    ps_cursor c = ps_cursor_of(bytes);
    field f;
    ps_status st = PS_OK;
    while (!st && next(&c, &f)) {
        if (is(&f, PIECES, BYTES) && ++m->n > PS_TOKENIZER_MAX_VOCAB)
            st = ps_fail(PS_INVALID_ARGUMENT, "more than %d pieces", PS_TOKENIZER_MAX_VOCAB);
        else if (is(&f, TRAINER, BYTES))
            st = read_trainer(m, f.bytes);
        else if (is(&f, NORMALIZER, BYTES))
            st = read_normalizer(m, f.bytes);
    }
    if (!st)
        st = ended(&c, "a field");
    return st || m->n ? st : ps_fail(PS_CORRUPT, "it is no SentencePiece model: it has no pieces");
}

/* ---- the pieces ---- */

static ps_status kind_of(uint64_t type, ps_listed_kind *out)
{
    static const ps_listed_kind kinds[] = {
        [1] = PS_LISTED_NORMAL, [2] = PS_LISTED_UNKNOWN, [3] = PS_LISTED_CONTROL,
        [4] = PS_LISTED_ADDED,  [5] = PS_LISTED_UNUSED,  [6] = PS_LISTED_BYTE};
    if (!type || type >= sizeof kinds / sizeof *kinds)
        return ps_fail(PS_INVALID_ARGUMENT, "it has type %" PRIu64 ", which psd has not", type);
    *out = kinds[type];
    return PS_OK;
}

static ps_status read_piece(maker *m, ps_slice bytes)
{
    ps_cursor c = ps_cursor_of(bytes);
    field f;
    uint64_t type = 1;
    uint32_t id = m->made++;
    m->scores[id] = 0;
    while (next(&c, &f)) {
        if (is(&f, PIECE_TEXT, BYTES))
            m->texts[id] = f.bytes;
        else if (is(&f, PIECE_SCORE, FLOAT))
            m->scores[id] = ps_float_of_bits((uint32_t)f.value);
        else if (is(&f, PIECE_TYPE, VARINT))
            type = f.value;
    }
    ps_status st = ended(&c, "a piece");
    if (!st)
        st = kind_of(type, &m->kinds[id]);
    if (!st && m->kinds[id] == PS_LISTED_UNKNOWN)
        m->lists.unk_id = id;
    return st ? ps_wrap(st, "piece %" PRIu32, id) : PS_OK;
}

static ps_status read_pieces(maker *m, ps_slice bytes)
{
    ps_cursor c = ps_cursor_of(bytes);
    field f;
    ps_status st = PS_OK;
    m->texts = ps_try_alloc(m->n * sizeof *m->texts);
    m->kinds = ps_try_alloc(m->n * sizeof *m->kinds);
    m->scores = ps_try_alloc(m->n * sizeof *m->scores);
    if (!m->texts || !m->kinds || !m->scores)
        return ps_fail(PS_NO_MEMORY, "no memory for %" PRIu32 " pieces", m->n);
    while (!st && next(&c, &f))
        if (is(&f, PIECES, BYTES))
            st = read_piece(m, f.bytes);
    return st;
}

/* ---- the whole ---- */

static ps_status check(const maker *m)
{
    static const char *const types[] = {[WORD] = "word", [CHAR] = "char"};
    if (m->type == WORD || m->type == CHAR)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "model_type %s is not supported; psd knows bpe and "
                       "unigram",
                       types[m->type]);
    if (m->type != UNIGRAM && m->type != BPE)
        return ps_fail(PS_INVALID_ARGUMENT, "model_type %" PRIu64 " is not known", m->type);
    if (m->suffix)
        return ps_fail(PS_INVALID_ARGUMENT, "treat_whitespace_as_suffix is not supported");
    if (!m->escape)
        return ps_fail(PS_INVALID_ARGUMENT, "escape_whitespaces false is not supported");
    return PS_OK;
}

/* What stands around a text the file does not say: as Llama has it with BPE, and T5 with Unigram.
 */
static ps_status make(maker *m, ps_tokenizer **out)
{
    ps_token_lists *l = &m->lists;
    l->model = m->type == BPE ? "llama" : "t5";
    l->add_bos = m->type == BPE && l->bos_id < m->n && m->kinds[l->bos_id] == PS_LISTED_CONTROL;
    l->add_eos = m->type == UNIGRAM && l->eos_id < m->n && m->kinds[l->eos_id] == PS_LISTED_CONTROL;
    l->n_tokens = m->n;
    l->texts = m->texts;
    l->kinds = m->kinds;
    l->scores = m->scores;
    return ps_tokenizer_from_lists(l, out);
}

ps_status ps_tokenizer_from_sentencepiece(ps_slice bytes, ps_tokenizer **out)
{
    /* what the message means where it does not say */
    maker m = {.type = UNIGRAM,
               .escape = true,
               .lists = {.pre = "",
                         .prefix_space = true,
                         .strip_spaces = true,
                         .bos_id = 1,
                         .eos_id = 2,
                         .unk_id = PS_LISTED_NO_ID,
                         .sep_id = PS_LISTED_NO_ID}};
    ps_status st = read_specs(&m, bytes);
    if (!st)
        st = check(&m);
    if (!st)
        st = read_pieces(&m, bytes);
    if (!st)
        st = make(&m, out);
    ps_free(&m.texts);
    ps_free(&m.kinds);
    ps_free(&m.scores);
    return st;
}
