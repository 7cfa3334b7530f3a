/* Happy path: the message is read twice, first for the number of its pieces and for the specs, then
 * for the pieces; together they are lists, of which a tokenizer is made as of a GGUF file's. */
#include "common/tokenizer/sentencepiece.h"

#include "common/base/bits.h"
#include "common/base/mem.h"
#include "common/base/utf8.h"
#include "common/conf/value.h"

#include <inttypes.h>
#include <string.h>

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
    uint8_t *rules;
    uint32_t n, made; /* pieces; of made, also tokens that stand beside the model */
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

/* more: tokens that may come. */
static ps_status read_pieces(maker *m, ps_slice bytes, size_t more)
{
    ps_cursor c = ps_cursor_of(bytes);
    field f;
    ps_status st = PS_OK;
    m->texts = ps_try_alloc((m->n + more) * sizeof *m->texts);
    m->kinds = ps_try_alloc((m->n + more) * sizeof *m->kinds);
    m->scores = ps_try_alloc((m->n + more) * sizeof *m->scores);
    m->rules = ps_try_alloc(m->n + more);
    if (!m->texts || !m->kinds || !m->scores || !m->rules)
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

/* ---- what stands beside it ---- */

/* The kind and the rules of an id that a file beside the model has. A piece keeps its role. */
static void mark(maker *m, uint32_t id, const ps_added_token *like)
{
    bool control = m->kinds[id] == PS_LISTED_CONTROL || m->kinds[id] == PS_LISTED_UNKNOWN;
    if (!control)
        m->kinds[id] = like->special ? PS_LISTED_CONTROL : PS_LISTED_ADDED;
    m->rules[id] =
        (uint8_t)((like->lstrip ? PS_LISTED_LSTRIP : 0) | (like->rstrip ? PS_LISTED_RSTRIP : 0) |
                  (like->single_word ? PS_LISTED_SINGLE_WORD : 0));
}

static ps_status add_token(maker *m, ps_vocab *known, const ps_beside_token *token)
{
    ps_slice text = ps_buf_slice(&token->text);
    uint32_t id = m->made;
    bool there = ps_vocab_find(known, text, &id);
    ps_status st = ps_beside_check_id(token, "the model", there, id);
    if (st)
        return st;
    if (token->id == UINT64_MAX && !there && m->type == UNIGRAM) { /* T5's own ids go down there */
        char *bare = ps_asprintf("%.*s", (int)text.len, (const char *)text.data);
        st =
            ps_fail(PS_INVALID_ARGUMENT,
                    "tokenizer_config.json has the token %s, and no added_tokens_decoder that says "
                    "its id",
                    ps_conf_quote(bare).text);
        ps_free(&bare);
        return st;
    }
    if (!there) {
        st = ps_vocab_add(known, text, id);
        if (st)
            return st;
        m->texts[id] = text;
        m->scores[id] = 0;
        m->kinds[id] = PS_LISTED_ADDED;
        m->made++;
    }
    mark(m, id, &token->like);
    return PS_OK;
}

static ps_status add_tokens(maker *m, ps_vocab *known, const ps_beside *b)
{
    ps_status st = PS_OK;
    for (uint32_t id = 0; !st && id < m->n; id++)
        if (m->texts[id].len)
            st = ps_vocab_add(known, m->texts[id], id);
    for (size_t i = 0; !st && i < b->n; i++)
        st = add_token(m, known, &b->tokens[i]);
    return st;
}

/* The id of a text that begins or ends others; as it was where it is not said. */
static void find_end(const ps_vocab *known, const ps_buf *text, uint32_t *id)
{
    if (text->len && !ps_vocab_find(known, ps_buf_slice(text), id))
        *id = PS_LISTED_NO_ID;
}

static ps_status take_beside(maker *m, const ps_beside *b)
{
    ps_token_lists *l = &m->lists;
    ps_vocab *known = ps_vocab_new();
    ps_status st = add_tokens(m, known, b);
    find_end(known, &b->roles[PS_ROLE_BOS], &l->bos_id);
    find_end(known, &b->roles[PS_ROLE_EOS], &l->eos_id);
    ps_vocab_free(&known);
    if (m->type == UNIGRAM) /* T5Tokenizer knows no such flags */
        return st;
    if (b->prefix_space != PS_UNSAID)
        l->prefix_space = b->prefix_space;
    l->first_alone = b->legacy == 0 && l->prefix_space;
    return st;
}

/* What stands around a text the file does not say: as Llama has it with BPE, and T5 with Unigram,
 * unless it is said beside it. */
static void put_around(maker *m, const ps_beside *b)
{
    ps_token_lists *l = &m->lists;
    l->add_bos = m->type == BPE && l->bos_id < m->made && m->kinds[l->bos_id] == PS_LISTED_CONTROL;
    l->add_eos =
        m->type == UNIGRAM && l->eos_id < m->made && m->kinds[l->eos_id] == PS_LISTED_CONTROL;
    if (m->type == UNIGRAM)
        return;
    if (b && b->add_bos != PS_UNSAID)
        l->add_bos = b->add_bos && l->bos_id < m->made;
    if (b && b->add_eos != PS_UNSAID)
        l->add_eos = b->add_eos && l->eos_id < m->made;
}

static ps_status make(maker *m, const ps_beside *b, ps_tokenizer **out)
{
    ps_token_lists *l = &m->lists;
    ps_status st = b ? take_beside(m, b) : PS_OK;
    if (st)
        return st;
    put_around(m, b);
    l->model = m->type == BPE ? "llama" : "t5";
    l->n_tokens = m->made;
    l->texts = m->texts;
    l->kinds = m->kinds;
    l->scores = m->scores;
    l->rules = m->rules;
    return ps_tokenizer_from_lists(l, out);
}

ps_status ps_tokenizer_from_sentencepiece(ps_slice bytes, const ps_beside *beside,
                                          ps_tokenizer **out)
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
        st = read_pieces(&m, bytes, beside ? beside->n : 0);
    if (!st)
        st = make(&m, beside, out);
    ps_free(&m.texts);
    ps_free(&m.kinds);
    ps_free(&m.scores);
    ps_free(&m.rules);
    return st;
}
