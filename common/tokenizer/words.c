/* Happy path: the lines go into a vocabulary, the last first, as that is the one that counts; the
 * tokens that stand beside the file are found in it, or come behind it; and all is written as a
 * tokenizer.json. It fails with PS_INVALID_ARGUMENT. */
#include "common/tokenizer/words.h"

#include "common/base/mem.h"
#include "common/base/utf8.h"
#include "common/conf/value.h"
#include "common/tokenizer/classes.h"

#include <inttypes.h>
#include <stdlib.h>

typedef struct added {
    uint64_t id;
    const ps_beside_token *token;
} added;

typedef struct words {
    const ps_beside *beside;
    ps_vocab *vocab;
    uint32_t n;       /* lines */
    uint32_t same[2]; /* numbers from 1 of two lines that are the same; 0: there are none */
    uint32_t next;    /* id of a token that is in no line */
    added *added;     /* one for each token beside the file */
} words;

/* ---- the lines ---- */

static size_t count_lines(ps_slice text)
{
    size_t n = text.len && text.data[text.len - 1] != '\n';
    const uint8_t *end = text.data + text.len, *at = text.data;
    while (at < end && (at = memchr(at, '\n', (size_t)(end - at)))) {
        n++;
        at++;
    }
    return n;
}

/* Takes it away from the end of text, its line feed too. */
static ps_slice take_last(ps_slice *text)
{
    size_t end = text->len - (text->data[text->len - 1] == '\n');
    const uint8_t *feed = end ? memrchr(text->data, '\n', end) : NULL;
    size_t start = feed ? (size_t)(feed - text->data) + 1 : 0;
    ps_slice line = ps_slice_of(text->data + start, end - start);
    text->len = start;
    return line;
}

/* Of well-formed text. */
static ps_slice without_spaces(ps_slice line)
{
    while (line.len) {
        size_t start = line.len - 1;
        while (start && (line.data[start] & 0xc0) == 0x80)
            start--;
        if (!ps_class_space(ps_utf8_decode(ps_slice_of(line.data + start, line.len - start))))
            break;
        line.len = start;
    }
    return line;
}

static ps_status add_line(words *w, ps_slice line, uint32_t id, uint32_t *empty)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf}; /* of byte order */
    uint32_t later = *empty;
    if (!ps_utf8_is(line))
        return ps_fail(PS_INVALID_ARGUMENT, "it is no UTF-8");
    if (!id && line.len >= sizeof mark && !memcmp(line.data, mark, sizeof mark))
        return ps_fail(PS_INVALID_ARGUMENT, "it begins with a byte order mark, which would be part "
                                            "of its token; take it away");
    line = without_spaces(line);
    if (!line.len)
        *empty = id;
    if (line.len ? ps_vocab_find(w->vocab, line, &later) : later != UINT32_MAX) {
        w->same[0] = id + 1;
        w->same[1] = later + 1;
        return PS_OK;
    }
    w->next++;
    return line.len ? ps_vocab_add(w->vocab, line, id) : PS_OK;
}

static ps_status read_lines(words *w, ps_slice text)
{
    size_t n = count_lines(text);
    uint32_t empty = UINT32_MAX; /* the id of a line without a token */
    ps_status st = PS_OK;
    if (n > PS_TOKENIZER_MAX_VOCAB)
        return ps_fail(PS_INVALID_ARGUMENT, "%zu lines, allowed %d", n, PS_TOKENIZER_MAX_VOCAB);
    w->n = (uint32_t)n;
    for (uint32_t id = w->n; !st && id-- > 0;) {
        st = add_line(w, take_last(&text), id, &empty);
        if (st)
            st = ps_wrap(st, "line %" PRIu32, id + 1);
    }
    return st;
}

/* ---- the tokens beside it ---- */

static ps_conf_quoted quote(const ps_buf *text)
{
    char *bare = ps_asprintf("%.*s", (int)text->len, (const char *)text->data);
    ps_conf_quoted quoted = ps_conf_quote(bare);
    ps_free(&bare);
    return quoted;
}

/* What no line has `transformers` counts on from the number of tokens. */
static ps_status add_token(words *w, const ps_beside_token *token, added *out)
{
    ps_slice text = ps_buf_slice(&token->text);
    uint32_t id = w->next;
    bool there = ps_vocab_find(w->vocab, text, &id);
    *out = (added){.id = id, .token = token};
    if (!there && w->same[0])
        return ps_fail(PS_INVALID_ARGUMENT,
                       "lines %" PRIu32 " and %" PRIu32 " are the same, so no id is certain for "
                       "the token %s, which is in no line",
                       w->same[0], w->same[1], quote(&token->text).text);
    ps_status st = ps_beside_check_id(token, "the file", there, id);
    if (st || there)
        return st;
    w->next++;
    return ps_vocab_add(w->vocab, text, id);
}

static int by_id(const void *a, const void *b)
{
    const added *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static ps_status add_tokens(words *w)
{
    const ps_beside *b = w->beside;
    const ps_buf *unknown = &b->roles[PS_ROLE_UNK];
    uint32_t id = 0;
    ps_status st = PS_OK;
    if (!ps_vocab_find(w->vocab, ps_buf_slice(unknown), &id))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "no line is %s, the token of a word that no others make (unk_token)",
                       quote(unknown).text);
    w->added = ps_alloc_array(b->n + 1, sizeof *w->added);
    for (size_t i = 0; !st && i < b->n; i++)
        st = add_token(w, &b->tokens[i], &w->added[i]);
    if (!st)
        qsort(w->added, b->n, sizeof *w->added, by_id);
    return st;
}

/* ---- the tokenizer.json ---- */

static void put_added(ps_json_writer *j, const words *w)
{
    ps_json_key(j, "added_tokens");
    ps_json_array(j);
    for (size_t i = 0; i < w->beside->n; i++) {
        const ps_beside_token *token = w->added[i].token;
        ps_json_object(j);
        ps_json_put_uint(j, "id", w->added[i].id);
        ps_json_key(j, "content");
        ps_json_string_n(j, ps_buf_slice(&token->text));
        ps_json_put_bool(j, "single_word", token->like.single_word);
        ps_json_put_bool(j, "lstrip", token->like.lstrip);
        ps_json_put_bool(j, "rstrip", token->like.rstrip);
        ps_json_put_bool(j, "normalized", token->like.normalized);
        ps_json_put_bool(j, "special", token->like.special);
        ps_json_object_end(j);
    }
    ps_json_array_end(j);
}

static void put_steps(ps_json_writer *j, const ps_beside *b)
{
    ps_json_key(j, "normalizer");
    ps_json_object(j);
    ps_json_put_string(j, "type", "BertNormalizer");
    ps_json_put_bool(j, "clean_text", true);
    ps_json_put_bool(j, "handle_chinese_chars", b->chinese_chars != 0);
    ps_json_key(j, "strip_accents");
    if (b->strip_accents == PS_UNSAID)
        ps_json_null(j); /* as lowercase */
    else
        ps_json_bool(j, b->strip_accents);
    ps_json_put_bool(j, "lowercase", b->lower_case != 0);
    ps_json_object_end(j);
    ps_json_put_raw(j, "pre_tokenizer", "{\"type\":\"BertPreTokenizer\"}");
    ps_json_put_raw(j, "decoder", "{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true}");
}

static void put_place(ps_json_writer *j, const char *what, ps_slice id, unsigned type)
{
    ps_json_object(j);
    ps_json_key(j, what);
    ps_json_object(j);
    ps_json_key(j, "id");
    ps_json_string_n(j, id);
    ps_json_put_uint(j, "type_id", type);
    ps_json_object_end(j);
    ps_json_object_end(j);
}

/* [CLS] A [SEP], or [CLS] A [SEP] B [SEP] */
static void put_template(ps_json_writer *j, const ps_beside *b, bool pair)
{
    ps_slice cls = ps_buf_slice(&b->roles[PS_ROLE_CLS]);
    ps_slice sep = ps_buf_slice(&b->roles[PS_ROLE_SEP]);
    ps_json_key(j, pair ? "pair" : "single");
    ps_json_array(j);
    put_place(j, "SpecialToken", cls, 0);
    put_place(j, "Sequence", ps_slice_str("A"), 0);
    put_place(j, "SpecialToken", sep, 0);
    if (pair) {
        put_place(j, "Sequence", ps_slice_str("B"), 1);
        put_place(j, "SpecialToken", sep, 1);
    }
    ps_json_array_end(j);
}

static void put_special(ps_json_writer *j, const words *w, ps_beside_role role, ps_buf *key)
{
    const ps_buf *text = &w->beside->roles[role];
    uint32_t id = 0;
    (void)ps_vocab_find(w->vocab, ps_buf_slice(text), &id); /* add_tokens has seen to it */
    ps_buf_clear(key);
    ps_buf_append(key, text->data, text->len);
    ps_json_key(j, ps_buf_cstr(key));
    ps_json_object(j);
    ps_json_put_string(j, "id", ps_buf_cstr(key));
    ps_json_key(j, "ids");
    ps_json_array(j);
    ps_json_uint(j, id);
    ps_json_array_end(j);
    ps_json_key(j, "tokens");
    ps_json_array(j);
    ps_json_string(j, ps_buf_cstr(key));
    ps_json_array_end(j);
    ps_json_object_end(j);
}

static int compare(const ps_buf *a, const ps_buf *b)
{
    size_t n = a->len < b->len ? a->len : b->len;
    int order = memcmp(a->data, b->data, n);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

/* Its tokens are sorted, as `tokenizers` writes them. */
static void put_post(ps_json_writer *j, const words *w, ps_buf *key)
{
    const ps_beside *b = w->beside;
    int order = compare(&b->roles[PS_ROLE_CLS], &b->roles[PS_ROLE_SEP]);
    ps_json_key(j, "post_processor");
    ps_json_object(j);
    ps_json_put_string(j, "type", "TemplateProcessing");
    put_template(j, b, false);
    put_template(j, b, true);
    ps_json_key(j, "special_tokens");
    ps_json_object(j);
    put_special(j, w, order <= 0 ? PS_ROLE_CLS : PS_ROLE_SEP, key);
    if (order)
        put_special(j, w, order <= 0 ? PS_ROLE_SEP : PS_ROLE_CLS, key);
    ps_json_object_end(j);
    ps_json_object_end(j);
}

/* PS_INVALID_ARGUMENT: more than a tokenizer.json may have, as what controls a terminal takes six
 * bytes there. */
static ps_status put_model(ps_json_writer *j, const words *w, ps_buf *key)
{
    ps_json_key(j, "model");
    ps_json_object(j);
    ps_json_put_string(j, "type", "WordPiece");
    ps_json_key(j, "unk_token");
    ps_json_string_n(j, ps_buf_slice(&w->beside->roles[PS_ROLE_UNK]));
    ps_json_put_string(j, "continuing_subword_prefix", "##");
    ps_json_put_uint(j, "max_input_chars_per_word", PS_WORDPIECE_MAX_CHARS);
    ps_json_key(j, "vocab");
    ps_json_object(j);
    for (uint32_t id = 0; id < w->n && j->out->len <= PS_TOKENIZER_MAX_FILE; id++) {
        ps_slice text = ps_vocab_at(w->vocab, id);
        ps_buf_clear(key);
        ps_buf_append(key, text.data, text.len);
        if (text.len)
            ps_json_put_uint(j, ps_buf_cstr(key), id);
    }
    ps_json_object_end(j);
    ps_json_object_end(j);
    return j->out->len <= PS_TOKENIZER_MAX_FILE
               ? PS_OK
               : ps_fail(PS_INVALID_ARGUMENT, "its tokenizer.json has more than %d bytes",
                         PS_TOKENIZER_MAX_FILE);
}

static ps_status put_all(const words *w, ps_buf *json)
{
    ps_buf key = PS_BUF_EMPTY;
    ps_json_writer j = ps_json_writer_to(json);
    ps_json_object(&j);
    ps_json_put_string(&j, "version", "1.0");
    put_added(&j, w);
    put_steps(&j, w->beside);
    put_post(&j, w, &key);
    ps_status st = put_model(&j, w, &key);
    ps_json_object_end(&j);
    ps_buf_free(&key);
    return st;
}

/* ---- the whole ---- */

static ps_status make(ps_slice text, const ps_beside *beside, ps_tokenizer **out)
{
    words w = {.beside = beside, .vocab = ps_vocab_new()};
    ps_buf json = PS_BUF_EMPTY;
    ps_status st = read_lines(&w, text);
    if (!st)
        st = add_tokens(&w);
    if (!st)
        st = put_all(&w, &json);
    if (!st)
        st = ps_tokenizer_from_json(ps_buf_slice(&json), out);
    ps_buf_free(&json);
    ps_free(&w.added);
    ps_vocab_free(&w.vocab);
    return st;
}

ps_status ps_tokenizer_from_words(ps_slice text, const ps_beside *beside, ps_tokenizer **out)
{
    ps_beside none = {0};
    ps_slice no_file = {0};
    ps_status st =
        beside ? PS_OK : ps_beside_read(PS_BESIDE_WORDS, no_file, no_file, no_file, &none);
    if (!st)
        st = make(text, beside ? beside : &none, out);
    ps_beside_clear(&none);
    return st;
}
