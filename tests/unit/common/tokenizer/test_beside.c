/* What stands beside a tokenizer.model, against the ids of the independent library
 * (golden/vocabs/beside.cases); and what of it is refused. */
#include "tests/lib/check_main.h"
#include "tests/lib/conf_example.h"
#include "tests/lib/tokenizer_folder.h"

#include <stdio.h>
#include <string.h>

typedef struct one {
    ps_buf files[PS_TEST_BESIDE], in;
    ps_ids ids, around;
} one;

static void read_one(ps_slice line, one *c)
{
    ps_json_reader r;
    ps_json_token token;
    ps_json_reader_init(&r, line);
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &token);
    while (ps_json_member(&r, &token, &st)) {
        size_t i = 0;
        bool in = ps_slice_is(token.text, "in");
        while (i < PS_TEST_BESIDE && !ps_slice_is(token.text, ps_test_beside_keys[i]))
            i++;
        if (i == PS_TEST_BESIDE && !in) {
            ps_test_read_ids(&r, ps_slice_is(token.text, "ids") ? &c->ids : &c->around);
            continue;
        }
        ck_ok(ps_json_expect(&r, PS_JSON_STRING, &token));
        ps_buf_append(in ? &c->in : &c->files[i], token.text.data, token.text.len);
    }
    ck_ok(st);
    ps_json_reader_free(&r);
}

static void same(const ps_ids *got, const ps_ids *want, const one *c)
{
    bool equal = got->n == want->n;
    for (size_t i = 0; equal && i < got->n; i++)
        equal = got->at[i] == want->at[i];
    ck_assert_msg(equal, "'%.*s' with %.*s", (int)c->in.len, (const char *)c->in.data,
                  (int)c->files[0].len, (const char *)c->files[0].data);
}

static void check_one(const ps_buf *model, one *c)
{
    ps_tokenizer *t = NULL;
    ps_ids ids = PS_IDS_EMPTY, around = PS_IDS_EMPTY;
    ck_ok(ps_test_tokenizer_folder("tokenizer.model", ps_buf_slice(model), c->files, &t));
    ck_ok(ps_tokenizer_encode(t, ps_buf_slice(&c->in), true, &ids));
    same(&ids, &c->ids, c);
    ps_tokenizer_join(t, &ids, NULL, &around, NULL);
    same(&around, &c->around, c);
    ps_ids_free(&ids);
    ps_ids_free(&around);
    ps_tokenizer_free(&t);
}

static void free_one(one *c)
{
    for (size_t i = 0; i < PS_TEST_BESIDE; i++)
        ps_buf_free(&c->files[i]);
    ps_buf_free(&c->in);
    ps_ids_free(&c->ids);
    ps_ids_free(&c->around);
}

START_TEST(ids_are_those_of_the_independent_library)
{
    ps_buf model = ps_test_source_file("tests/golden/vocabs/bpe.model");
    ps_buf cases = ps_test_source_file("tests/golden/vocabs/beside.cases");
    size_t n = 0;
    for (size_t at = 0; at < cases.len; n++) {
        const uint8_t *end = memchr(cases.data + at, '\n', cases.len - at);
        size_t len = (size_t)(end - (cases.data + at));
        one c = {0};
        read_one(ps_slice_of(cases.data + at, len), &c);
        check_one(&model, &c);
        free_one(&c);
        at += len + 1;
    }
    ck_assert_uint_ge(n, 80);
    ps_buf_free(&model);
    ps_buf_free(&cases);
}
END_TEST

START_TEST(what_is_not_done_here_is_named)
{
    static const struct {
        const char *model, *files[PS_TEST_BESIDE], *why;
    } rows[] = {
        {"bpe", {"{\"tokenizer_class\":\"AlbertTokenizer\"}"}, "tokenizer_class 'AlbertTokenizer'"},
        {"bpe", {"{\"added_tokens_decoder\":{\"705\":\"<x>\"}}"}, "where 700 is the next"},
        {"bpe", {"{\"added_tokens_decoder\":{\"7\":\"<x>\"}}"}, "'<x>' has id 7 beside the model"},
        {"bpe", {"{\"added_tokens_decoder\":{\"7\":\"<s>\"}}"}, "has id 7 beside the model, and 1"},
        {"bpe", {"{\"added_tokens_decoder\":{\"x\":\"<s>\"}}"}, "decoder.x: an id is wanted"},
        {"bpe", {"{\"added_tokens_decoder\":{\"700\":{\"content\":5}}}"}, "content must be a text"},
        {"bpe", {"{\"added_tokens_decoder\":{\"700\":\"\"}}"}, "decoder.700: a token is wanted"},
        {"bpe", {"{\"added_tokens_decoder\":[]}"}, "added_tokens_decoder: it must be an object"},
        {"bpe", {"{\"add_bos_token\":1}"}, "add_bos_token must be true or false"},
        {"bpe", {"{\"bos_token\":5}"}, "bos_token: a token is wanted"},
        {"bpe", {"{\"extra_special_tokens\":5}"}, "extra_special_tokens must be a list"},
        {"bpe", {"{"}, "tokenizer_config.json"},
        {"bpe", {"{}", "{\"pad_token\":[]}"}, "special_tokens_map.json.pad_token"},
        {"bpe", {"", "", "{\"<x>\":\"700\"}"}, "added_tokens.json: texts and their ids"},
        {"bpe", {"", "", "[]"}, "added_tokens.json: texts and their ids"},
        {"unigram", {"{\"pad_token\":\"<new>\"}"}, "no added_tokens_decoder that says its id"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char path[64];
        ps_buf files[PS_TEST_BESIDE] = {PS_BUF_EMPTY};
        ps_tokenizer *t = NULL;
        (void)snprintf(path, sizeof path, "tests/golden/vocabs/%s.model", rows[i].model);
        ps_buf model = ps_test_source_file(path);
        for (size_t f = 0; f < PS_TEST_BESIDE; f++)
            ps_buf_puts(&files[f], rows[i].files[f] ? rows[i].files[f] : "");
        ck_assert_int_eq(
            ps_test_tokenizer_folder("tokenizer.model", ps_buf_slice(&model), files, &t),
            PS_INVALID_ARGUMENT);
        ck_assert_msg(strstr(ps_error_message(), rows[i].why) != NULL, "%s", ps_error_message());
        for (size_t f = 0; f < PS_TEST_BESIDE; f++)
            ps_buf_free(&files[f]);
        ps_buf_free(&model);
    }
}
END_TEST

static const ps_check_case tests[] = {
    {&ids_are_those_of_the_independent_library, .timeout_s = 60},
    {&what_is_not_done_here_is_named},
    {0},
};

int main(void)
{
    return ps_check_main("tokenizer/beside", tests);
}
