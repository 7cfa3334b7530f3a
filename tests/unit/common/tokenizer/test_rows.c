/* The rows of tokenizers against the ids that the independent library makes (golden/tokenizers):
 * whole and in pieces, with special tokens around, and back to text. */
#include "common/json/json.h"
#include "common/tokenizer/tokenizer.h"
#include "tests/lib/check_main.h"
#include "tests/lib/conf_example.h"

#include <stdio.h>

#define GOLDEN "tests/golden/tokenizers/"

typedef struct one {
    ps_buf in, out;
    bool has_out;
    ps_ids ids, pair, types;
} one;

static void read_list(ps_json_reader *r, ps_ids *out)
{
    ps_json_token token;
    ck_ok(ps_json_expect(r, PS_JSON_ARRAY, &token));
    while (ps_json_next(r, &token) == PS_OK && token.kind == PS_JSON_NUMBER)
        ps_ids_add(out, (uint32_t)token.u64);
}

static void read_text(ps_json_reader *r, ps_buf *out)
{
    ps_json_token token;
    ck_ok(ps_json_expect(r, PS_JSON_STRING, &token));
    ps_buf_append(out, token.text.data, token.text.len);
}

static void read_one(ps_slice line, one *c)
{
    ps_json_reader r;
    ps_json_token token;
    ps_json_reader_init(&r, line);
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &token);
    while (ps_json_member(&r, &token, &st)) {
        if (ps_slice_is(token.text, "in")) {
            read_text(&r, &c->in);
        } else if (ps_slice_is(token.text, "out")) {
            c->has_out = true;
            read_text(&r, &c->out);
        } else {
            read_list(&r, ps_slice_is(token.text, "ids")    ? &c->ids
                          : ps_slice_is(token.text, "pair") ? &c->pair
                                                            : &c->types);
        }
    }
    ck_ok(st);
    ps_json_reader_free(&r);
}

static void free_one(one *c)
{
    ps_buf_free(&c->in);
    ps_buf_free(&c->out);
    ps_ids_free(&c->ids);
    ps_ids_free(&c->pair);
    ps_ids_free(&c->types);
    *c = (one){0};
}

static void same(const ps_ids *got, const ps_ids *want, const char *name, ps_slice text)
{
    bool equal = got->n == want->n;
    for (size_t i = 0; equal && i < got->n; i++)
        equal = got->at[i] == want->at[i];
    ck_assert_msg(equal, "%s: '%.*s': %zu ids, expected %zu", name, (int)text.len, text.data,
                  got->n, want->n);
}

static void encode(const ps_tokenizer *t, ps_slice text, size_t piece, ps_ids *out)
{
    ps_encoder *e = ps_encoder_new(t, true);
    for (size_t at = 0; at < text.len; at += piece)
        ck_ok(ps_encoder_feed(
            e, ps_slice_of(text.data + at, text.len - at < piece ? text.len - at : piece), out));
    ck_ok(ps_encoder_finish(e, out));
    ps_encoder_free(&e);
}

static void check_out(const ps_tokenizer *t, const one *c, const char *name)
{
    ps_buf out = PS_BUF_EMPTY;
    ps_decoder d;
    ps_decoder_init(&d, t, true);
    for (size_t i = 0; i < c->ids.n; i++)
        ps_decoder_put(&d, c->ids.at[i], &out);
    ps_decoder_finish(&d, &out);
    bool equal = out.len == c->out.len && (!out.len || !memcmp(out.data, c->out.data, out.len));
    ck_assert_msg(equal, "%s: '%.*s' and not '%.*s'", name, (int)out.len, (const char *)out.data,
                  (int)c->out.len, (const char *)c->out.data);
    ps_buf_free(&out);
}

static void check_one(const ps_tokenizer *t, const one *c, const char *name)
{
    static const size_t pieces[] = {1, 7, 1 << 20};
    ps_slice text = ps_buf_slice(&c->in);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        ps_ids got = PS_IDS_EMPTY;
        encode(t, text, pieces[i], &got);
        same(&got, &c->ids, name, text);
        ps_ids_free(&got);
    }
    ps_ids first = PS_IDS_EMPTY, second = PS_IDS_EMPTY, both = PS_IDS_EMPTY, types = PS_IDS_EMPTY;
    encode(t, text, text.len + 1, &first);
    encode(t, ps_slice_str("of it"), 100, &second);
    ps_tokenizer_join(t, &first, &second, &both, &types);
    same(&both, &c->pair, name, text);
    same(&types, &c->types, name, text);
    ps_ids_free(&first);
    ps_ids_free(&second);
    ps_ids_free(&both);
    ps_ids_free(&types);
    if (c->has_out)
        check_out(t, c, name);
}

START_TEST(ids_are_those_of_the_independent_library)
{
    static const struct {
        const char *name, *row;
    } files[] = {{"llama3", "bpe"},     {"qwen2", "bpe"},       {"smollm", "bpe"},
                 {"roberta", "gpt2"},   {"clip", "bpe"},        {"llama2", "bpe"},
                 {"mistral", "bpe"},    {"bert", "wordpiece"},  {"unigram", "unigram"},
                 {"t5", "unigram"},     {"words", "unigram"},   {"first", "bpe"},
                 {"scores", "unigram"}, {"threes", "bpe"},      {"nmt", "bpe"},
                 {"letters", "bpe"},    {"scripts", "unigram"}, {"wordlevel", "wordlevel"},
                 {"ctc", "wordlevel"},  {"longer", "bpe"}};
    const char *name = files[_i].name;
    char path[128];
    (void)snprintf(path, sizeof path, GOLDEN "%s.json", name);
    ps_buf json = ps_test_source_file(path);
    (void)snprintf(path, sizeof path, GOLDEN "%s.cases", name);
    ps_buf cases = ps_test_source_file(path);
    ps_tokenizer *t = NULL;
    ps_status st = ps_tokenizer_from_json(ps_buf_slice(&json), &t);
    ck_assert_msg(st == PS_OK, "%s: %s", name, ps_error_message());
    ck_assert_str_eq(ps_tokenizer_name(t), files[_i].row);
    size_t n = 0;
    for (size_t at = 0; at < cases.len; n++) {
        const uint8_t *end = memchr(cases.data + at, '\n', cases.len - at);
        size_t len = (size_t)(end - (cases.data + at));
        one c = {0};
        read_one(ps_slice_of(cases.data + at, len), &c);
        check_one(t, &c, name);
        free_one(&c);
        at += len + 1;
    }
    ck_assert_uint_ge(n, 100);
    ps_tokenizer_free(&t);
    ps_buf_free(&json);
    ps_buf_free(&cases);
}
END_TEST

static const ps_check_case tests[] = {
    {&ids_are_those_of_the_independent_library, .timeout_s = 60, .repeat = 20},
    {0},
};

int main(void)
{
    return ps_check_main("tokenizer/rows", tests);
}
