/* tokenizer: ids are those of the independent library that made tests/golden/tokenizer (make.py
 * there), however the text is cut; decoding gives the bytes again; files that would be read wrongly
 * are refused with the reason. */
#include "common/base/rng.h"
#include "common/json/json.h"
#include "common/tokenizer/tokenizer.h"
#include "tests/lib/check_main.h"
#include "tests/lib/conf_example.h"

#define GOLDEN "tests/golden/tokenizer/"

static ps_tokenizer *from_json(ps_buf *json)
{
    ps_tokenizer *t = NULL;
    ps_status st = ps_tokenizer_from_json(ps_buf_slice(json), &t);
    ck_assert_msg(st == PS_OK, "%s", ps_error_message());
    return t;
}

static ps_tokenizer *golden(void)
{
    ps_buf json = ps_test_source_file(GOLDEN "tokenizer.json");
    ps_tokenizer *t = from_json(&json);
    ps_buf_free(&json);
    return t;
}

/* text with `from` replaced once */
static void replace(ps_buf *text, const char *from, const char *to)
{
    char *at = strstr(ps_buf_cstr(text), from);
    ck_assert_ptr_nonnull(at);
    ps_buf out = PS_BUF_EMPTY;
    ps_buf_append(&out, text->data, (size_t)(at - (char *)text->data));
    ps_buf_puts(&out, to);
    ps_buf_puts(&out, at + strlen(from));
    ps_buf_free(text);
    *text = out;
}

static void same(const ps_ids *got, const ps_ids *want, ps_slice text, const char *how)
{
    bool equal = got->n == want->n;
    for (size_t i = 0; equal && i < got->n; i++)
        equal = got->at[i] == want->at[i];
    ck_assert_msg(equal, "%s: '%.*s': %zu ids, expected %zu", how, (int)text.len, text.data, got->n,
                  want->n);
}

static void encode_in_pieces(const ps_tokenizer *t, ps_slice text, size_t piece, bool added,
                             ps_ids *out)
{
    ps_encoder *e = ps_encoder_new(t, added);
    for (size_t at = 0; at < text.len; at += piece)
        ck_ok(ps_encoder_feed(
            e, ps_slice_of(text.data + at, text.len - at < piece ? text.len - at : piece), out));
    ck_ok(ps_encoder_finish(e, out));
    ps_encoder_free(&e);
}

static void check_case(const ps_tokenizer *t, ps_slice text, bool added, const ps_ids *want,
                       const char *how)
{
    static const size_t pieces[] = {1, 2, 3, 7, 1 << 20};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        ps_ids got = PS_IDS_EMPTY;
        encode_in_pieces(t, text, pieces[i], added, &got);
        same(&got, want, text, how);
        ps_ids_free(&got);
    }
}

static void check_decoding(const ps_tokenizer *t, ps_slice text, const ps_ids *ids)
{
    ps_buf out = PS_BUF_EMPTY;
    ps_decoder d;
    ps_decoder_init(&d, t, true);
    for (size_t i = 0; i < ids->n; i++)
        ps_decoder_put(&d, ids->at[i], &out);
    ps_decoder_finish(&d, &out);
    ck_assert_uint_eq(out.len, text.len);
    ck_assert(!text.len || !memcmp(out.data, text.data, text.len));
    ps_buf_free(&out);
}

/* The length of the golden tokenizer's added token at the start of rest; 0: none is there. */
static size_t added_at(const ps_tokenizer *t, ps_slice rest, uint32_t *id)
{
    static const char *const texts[] = {"<|endoftext|>", "<xx>", "<x>"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        size_t len = strlen(texts[i]);
        if (len <= rest.len && !memcmp(rest.data, texts[i], len))
            return ps_tokenizer_added(t, texts[i], id) ? len : 0;
    }
    return 0;
}

/* What stands between added tokens is fed, and they are put, as if nothing of them were text. */
static void check_put(const ps_tokenizer *t, ps_slice text, const ps_ids *want)
{
    ps_ids got = PS_IDS_EMPTY;
    ps_encoder *e = ps_encoder_new(t, false);
    for (size_t at = 0, len; at < text.len; at += len) {
        uint32_t id;
        len = added_at(t, ps_slice_of(text.data + at, text.len - at), &id);
        if (len)
            ck_ok(ps_encoder_token(e, id, &got));
        else
            ck_ok(ps_encoder_feed(e, ps_slice_of(text.data + at, len = 1), &got));
    }
    ck_ok(ps_encoder_finish(e, &got));
    same(&got, want, text, "tokens that are put");
    ps_encoder_free(&e);
    ps_ids_free(&got);
}

typedef struct golden_case {
    ps_buf text;
    ps_ids plain, added, prefixed;
} golden_case;

/* The next object of the list; false at its end. */
static bool read_case(ps_json_reader *r, golden_case *c)
{
    ps_json_token token;
    ck_ok(ps_json_next(r, &token));
    if (token.kind == PS_JSON_ARRAY_END)
        return false;
    for (;;) {
        ck_ok(ps_json_next(r, &token));
        if (token.kind == PS_JSON_OBJECT_END)
            return true;
        ps_ids *ids = token.text.data[0] == 'a'                         ? &c->added
                      : !strcmp((const char *)token.text.data, "plain") ? &c->plain
                                                                        : &c->prefixed;
        bool text = token.text.data[0] == 't';
        ck_ok(ps_json_next(r, &token));
        if (text) {
            ps_buf_append(&c->text, token.text.data, token.text.len);
            continue;
        }
        while (ps_json_next(r, &token) == PS_OK && token.kind == PS_JSON_NUMBER)
            ps_ids_add(ids, (uint32_t)token.u64);
    }
}

START_TEST(ids_are_those_of_the_independent_library)
{
    ps_buf json = ps_test_source_file(GOLDEN "tokenizer.json");
    ps_tokenizer *t = from_json(&json);
    replace(&json, "\"add_prefix_space\":false", "\"add_prefix_space\":true");
    ps_tokenizer *prefixed = from_json(&json);
    ps_buf cases = ps_test_source_file(GOLDEN "cases.json");
    ps_json_reader r;
    ps_json_token token;
    size_t n = 0;
    ps_json_reader_init(&r, ps_buf_slice(&cases));
    ck_ok(ps_json_expect(&r, PS_JSON_ARRAY, &token));
    for (golden_case c = {0}; read_case(&r, &c); n++) {
        ps_slice text = ps_buf_slice(&c.text);
        check_case(t, text, false, &c.plain, "plain");
        check_case(t, text, true, &c.added, "added");
        check_put(t, text, &c.added);
        check_case(prefixed, text, false, &c.prefixed, "prefixed");
        check_decoding(t, text, &c.plain);
        check_decoding(t, text, &c.added);
        ps_buf_free(&c.text);
        ps_ids_free(&c.plain);
        ps_ids_free(&c.added);
        ps_ids_free(&c.prefixed);
        c = (golden_case){0};
    }
    ck_assert_uint_ge(n, 200);
    ps_json_reader_free(&r);
    ps_tokenizer_free(&t);
    ps_tokenizer_free(&prefixed);
    ps_buf_free(&cases);
    ps_buf_free(&json);
}
END_TEST

START_TEST(any_bytes_come_back_however_they_are_cut)
{
    ps_tokenizer *rows[] = {golden(), ps_tokenizer_bytes()};
    ps_rng rng;
    ps_rng_seed(&rng, 5);
    for (int round = 0; round < 400; round++) {
        uint8_t text[200];
        size_t len = ps_rng_below(&rng, sizeof text);
        for (size_t i = 0; i < len; i++) /* more of what means something in UTF-8 and the pattern */
            text[i] = (uint8_t)(round % 2 ? ps_rng_below(&rng, 256)
                                          : (uint64_t) " '\xe2\x80\xa8\xf0\x9f"
                                                       "a1.s"[ps_rng_below(&rng, 12)]);
        for (size_t r = 0; r < 2; r++) {
            ps_ids whole = PS_IDS_EMPTY;
            ck_ok(ps_tokenizer_encode(rows[r], ps_slice_of(text, len), false, &whole));
            check_case(rows[r], ps_slice_of(text, len), false, &whole, "random bytes");
            ps_buf back = PS_BUF_EMPTY;
            for (size_t i = 0; i < whole.n; i++) {
                ck_assert_uint_lt(whole.at[i], ps_tokenizer_vocab_size(rows[r]));
                ps_tokenizer_token(rows[r], whole.at[i], &back);
            }
            ck_assert_uint_eq(back.len, len);
            ck_assert(!len || !memcmp(back.data, text, len));
            ps_buf_free(&back);
            ps_ids_free(&whole);
        }
    }
    ps_tokenizer_free(&rows[0]);
    ps_tokenizer_free(&rows[1]);
}
END_TEST

START_TEST(vocab_and_merges_are_the_same_tokenizer)
{
    ps_tokenizer *a = NULL, *b = NULL, *json = golden();
    ps_buf vocab = ps_test_source_file(GOLDEN "vocab.json");
    ps_buf merges = ps_test_source_file(GOLDEN "merges.txt");
    ck_ok(ps_tokenizer_from_vocab(ps_buf_slice(&vocab), ps_buf_slice(&merges), &a));
    ck_assert_uint_eq(ps_tokenizer_vocab_size(a), 998); /* without the two that were added */
    ck_assert_uint_eq(ps_tokenizer_merges(a), ps_tokenizer_merges(json));
    uint32_t id = 7;
    ck_assert(ps_tokenizer_added(a, "<|endoftext|>", &id) && id == 0);
    ck_assert(ps_tokenizer_added(json, "<xx>", &id) && id == 999);
    ck_assert(!ps_tokenizer_added(json, "the", &id));
    ck_assert_int_eq(ps_tokenizer_kind(json, 0), PS_TOKEN_SPECIAL);
    ck_assert_int_eq(ps_tokenizer_kind(json, 999), PS_TOKEN_ADDED);
    ck_assert_int_eq(ps_tokenizer_kind(json, 1000), PS_TOKEN_UNUSED);
    ck_assert_int_eq(ps_tokenizer_kind(json, 500), PS_TOKEN_NORMAL);
    /* merges with a byte order mark and in windows' line ends, and without the version's line */
    ps_buf other = PS_BUF_EMPTY;
    ps_buf_puts(&other, "\xef\xbb\xbf");
    for (const char *s = strchr(ps_buf_cstr(&merges), '\n') + 1; *s; s++)
        ps_buf_puts(&other, *s == '\n' ? "\r\n" : (char[]){*s, 0});
    ck_ok(ps_tokenizer_from_vocab(ps_buf_slice(&vocab), ps_buf_slice(&other), &b));
    ck_assert_uint_eq(ps_tokenizer_hash(a), ps_tokenizer_hash(b));
    ck_assert_uint_ne(ps_tokenizer_hash(a), ps_tokenizer_hash(json));
    char *bang = memmem(vocab.data, vocab.len, "\"!\"", 3);
    ck_assert_ptr_nonnull(bang);
    bang[1] = ' '; /* that byte has no token now */
    ps_buf_free(&other);
    ps_tokenizer_free(&b);
    ck_assert_int_eq(ps_tokenizer_from_vocab(ps_buf_slice(&vocab), ps_buf_slice(&merges), &b),
                     PS_INVALID_ARGUMENT);
    ck_assert(strstr(ps_error_message(), "has no token for some byte") != NULL);
    ps_buf_free(&vocab);
    ps_buf_free(&merges);
    ps_tokenizer_free(&a);
    ps_tokenizer_free(&json);
}
END_TEST

START_TEST(a_tokenizer_that_is_written_reads_back_the_same)
{
    ps_tokenizer *t = golden();
    ps_buf json = PS_BUF_EMPTY;
    ps_tokenizer_to_json(t, &json);
    ps_tokenizer *again = from_json(&json);
    ck_assert_uint_eq(ps_tokenizer_hash(t), ps_tokenizer_hash(again));
    ck_assert_int_eq(ps_tokenizer_kind(again, 999), PS_TOKEN_ADDED);
    ps_tokenizer_free(&again);
    ps_tokenizer_free(&t);
    ps_buf_free(&json);
}
END_TEST

START_TEST(a_decoder_holds_back_what_may_become_a_character)
{
    static const struct {
        const char *bytes;
        const char *after[5]; /* out after each byte, and at the end */
    } cases[] = {
        {"\xc3\xa9", {"", "\xc3\xa9", "\xc3\xa9"}},
        {"\xf0\x9f\x98\x80", {"", "", "", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"}},
        {"\xe2\x82", {"", "", "\xef\xbf\xbd"}}, /* cut at the end: one for all of it */
        {"\xe2\x82"
         "a",
         {"", "",
          "\xef\xbf\xbd"
          "a",
          "\xef\xbf\xbd"
          "a"}},
        {"\xed\xa0\x80",
         {"", "\xef\xbf\xbd\xef\xbf\xbd", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
          "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}}, /* no surrogates */
        {"\xff"
         "b",
         {"\xef\xbf\xbd",
          "\xef\xbf\xbd"
          "b",
          "\xef\xbf\xbd"
          "b"}},
    };
    ps_tokenizer *t = ps_tokenizer_bytes();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ps_decoder d;
        ps_buf out = PS_BUF_EMPTY;
        ps_decoder_init(&d, t, true);
        size_t n = strlen(cases[i].bytes);
        for (size_t k = 0; k < n; k++) {
            ps_decoder_put(&d, (uint8_t)cases[i].bytes[k], &out);
            ck_assert_str_eq(ps_buf_cstr(&out), cases[i].after[k]);
        }
        ps_decoder_finish(&d, &out);
        ck_assert_str_eq(ps_buf_cstr(&out), cases[i].after[n]);
        ps_buf_free(&out);
    }
    ps_tokenizer_free(&t);
}
END_TEST

START_TEST(a_run_without_end_is_cut_and_takes_n_log_n)
{
    ps_tokenizer *t = golden();
    size_t len = 3 * PS_TOKENIZER_MAX_PIECE + 17;
    ps_buf text = PS_BUF_EMPTY;
    ps_buf_reserve(&text, len);
    memset(text.data, 'e', len);
    text.len = len;
    ps_ids whole = PS_IDS_EMPTY, pieces = PS_IDS_EMPTY;
    ck_ok(ps_tokenizer_encode(t, ps_buf_slice(&text), false, &whole));
    encode_in_pieces(t, ps_buf_slice(&text), 100000, false, &pieces);
    same(&pieces, &whole, ps_slice_of("", 0), "a long run");
    check_decoding(t, ps_buf_slice(&text), &whole);
    ps_ids_free(&whole);
    ps_ids_free(&pieces);
    ps_buf_free(&text);
    ps_tokenizer_free(&t);
}
END_TEST

/* As `tokenizers` has it: a line of the version is no merge, wherever it stands. */
START_TEST(a_line_of_the_version_is_no_merge)
{
    ps_buf json = ps_test_source_file(GOLDEN "tokenizer.json");
    ps_tokenizer *plain = NULL, *versioned = NULL;
    ck_ok(ps_tokenizer_from_json(ps_buf_slice(&json), &plain));
    replace(&json, "\"merges\":[", "\"merges\":[\"#version: 0.2\",");
    ck_ok(ps_tokenizer_from_json(ps_buf_slice(&json), &versioned));
    ck_assert_uint_eq(ps_tokenizer_hash(plain), ps_tokenizer_hash(versioned));
    ps_tokenizer_free(&plain);
    ps_tokenizer_free(&versioned);
    ps_buf_free(&json);
}
END_TEST

static void refuses(const char *from, const char *to, const char *message)
{
    ps_buf json = ps_test_source_file(GOLDEN "tokenizer.json");
    replace(&json, from, to);
    ps_tokenizer *t = NULL;
    ck_assert_int_eq(ps_tokenizer_from_json(ps_buf_slice(&json), &t), PS_INVALID_ARGUMENT);
    ck_assert_ptr_null(t);
    ck_assert_msg(strstr(ps_error_message(), message), "%s", ps_error_message());
    ps_buf_free(&json);
}

START_TEST(files_that_would_be_read_wrongly_are_refused)
{
    refuses("\"normalizer\":null", "\"normalizer\":{\"type\":\"Uppercase\"}",
            "normalizer: type 'Uppercase' is not supported; psd knows NFC, ");
    refuses("\"normalizer\":null",
            "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{\"type\":"
            "\"Sequence\",\"normalizers\":[{\"type\":\"Foo\"}]}]}",
            "normalizer.normalizers[1].normalizers[0]: type 'Foo' is not supported");
    refuses("\"normalizer\":null",
            "\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"a(\"},\"content\":\"\"}",
            "normalizer.pattern: the pattern is not understood at byte 1: a ( without its )");
    refuses("\"normalizer\":null",
            "\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"/////w==\"}",
            "normalizer: precompiled_charsmap: its trie does not fit in it");
    refuses("\"type\":\"ByteLevel\"", "\"type\":\"Syllables\"",
            "pre_tokenizer: type 'Syllables' is not supported; psd knows ByteLevel, Split, ");
    refuses("\"decoder\":{\"type\":\"ByteLevel\"",
            "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Fuse\"},{\"type\":"
            "\"CTC\"}]},\"x\":{\"type\":\"ByteLevel\"",
            "decoder.decoders[1]: CTC goes with no other step");
    refuses("\"use_regex\":true", "\"use_regex\":1", "use_regex must be true or false");
    refuses("\"type\":\"BPE\"", "\"type\":\"Hashes\"",
            "model: type 'Hashes' is not supported; psd knows BPE, Unigram, ");
    refuses("\"type\":\"BPE\"", "\"type\":\"Unigram\"",
            "model: a vocab of Unigram is a list of tokens and scores");
    refuses("\"dropout\":null", "\"dropout\":0.1", "model: dropout is not supported");
    refuses("\"!\":1,", "\"!\":2,", "token id 2 is there twice");
    refuses("\"!\":1,", "\"!\":1048576,", "token id 1048576 is out of range");
    refuses("\"!\":1,", "\"!\":-1,", "a token's id must be an integer from 0");
    refuses("\"!\":1,", "\"!\":1,\"!\":1004,", "token ids 1004 and 1 have the same text");
    refuses("\"merges\":[", "\"merges\":[[\"!\",\"zqzq\"],", "merges[0]: its parts or what they");
    refuses("\"merges\":[", "\"merges\":[\"!\",", "merges[0]: two texts and a space between");
    refuses("\"merges\":[", "\"merges\":[3,", "merges must be a list of texts or pairs");
    refuses("\"id\":998", "\"id\":997", "added_tokens[1]: token id 997 is there twice");
    refuses("\"content\":\"<xx>\"", "\"content\":\"<x>\"", "added_tokens[2]: its text has another");
    refuses("\"merges\":[", "\"joins\":[", "model has no merges");
    refuses("\"vocab\":{", "\"words\":{", "it is no tokenizer.json: it has no model with a vocab");
    refuses("{\"version\"", "{\"versio", "byte ");
}
END_TEST

START_TEST(a_missing_tokenizer_says_what_was_looked_for)
{
    ps_tokenizer *t = NULL;
    ck_assert_int_eq(ps_tokenizer_open(NULL, "/nonexistent/tokenizer.json", &t), PS_NOT_FOUND);
    ck_assert_int_eq(ps_tokenizer_open(NULL, "/", &t), PS_NOT_FOUND);
    ck_assert_str_eq(ps_error_message(),
                     "/ has no tokenizer: tokenizer.json, vocab.json and merges.txt, "
                     "tokenizer.model, spiece.model or vocab.txt");
    ck_ok(ps_tokenizer_open(NULL, "bytes", &t));
    ck_assert_str_eq(ps_tokenizer_name(t), "bytes");
    ck_assert_uint_eq(ps_tokenizer_vocab_size(t), 256);
    ps_tokenizer_free(&t);
}
END_TEST

static const ps_check_case tests[] = {
    {&ids_are_those_of_the_independent_library},
    {&any_bytes_come_back_however_they_are_cut},
    {&vocab_and_merges_are_the_same_tokenizer},
    {&a_line_of_the_version_is_no_merge},
    {&a_tokenizer_that_is_written_reads_back_the_same},
    {&a_decoder_holds_back_what_may_become_a_character},
    {&a_run_without_end_is_cut_and_takes_n_log_n},
    {&files_that_would_be_read_wrongly_are_refused},
    {&a_missing_tokenizer_says_what_was_looked_for},
    {0},
};

int main(void)
{
    return ps_check_main("tokenizer/tokenizer", tests);
}
