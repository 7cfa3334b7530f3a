/* What stands beside a tokenizer.model, against the ids of the independent library
 * (golden/vocabs/beside.cases); and what of it is refused. */
#include "common/base/mem.h"
#include "common/json/json.h"
#include "common/tokenizer/tokenizer.h"
#include "tests/lib/check_main.h"
#include "tests/lib/conf_example.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {"tokenizer_config.json", "special_tokens_map.json",
                                    "added_tokens.json", "tokenizer.model"};
enum { FILES = 3 };

static char folder[64];

static void put(const char *name, const void *bytes, size_t len)
{
    char *path = ps_asprintf("%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, len, f), len);
    ck_assert_int_eq(fclose(f), 0);
    ps_free(&path);
}

/* files: texts; empty: there is none. */
static ps_status open_with(const ps_buf *model, const ps_buf files[FILES], ps_tokenizer **out)
{
    strcpy(folder, "/tmp/psd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    put(names[FILES], model->data, model->len);
    for (size_t i = 0; i < FILES; i++)
        if (files[i].len)
            put(names[i], files[i].data, files[i].len);
    ps_status st = ps_tokenizer_open(NULL, folder, out);
    for (size_t i = 0; i <= FILES; i++) {
        char *path = ps_asprintf("%s/%s", folder, names[i]);
        (void)unlink(path);
        ps_free(&path);
    }
    ck_assert_int_eq(rmdir(folder), 0);
    return st;
}

typedef struct one {
    ps_buf files[FILES], in;
    ps_ids ids, around;
} one;

static void read_ids(ps_json_reader *r, ps_ids *out)
{
    ps_json_token token;
    ck_ok(ps_json_expect(r, PS_JSON_ARRAY, &token));
    while (ps_json_next(r, &token) == PS_OK && token.kind == PS_JSON_NUMBER)
        ps_ids_add(out, (uint32_t)token.u64);
}

static void read_one(ps_slice line, one *c)
{
    static const char *const keys[] = {"config", "map", "added", "in"};
    ps_json_reader r;
    ps_json_token token;
    ps_json_reader_init(&r, line);
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &token);
    while (ps_json_member(&r, &token, &st)) {
        size_t i = 0;
        while (i < 4 && !ps_slice_is(token.text, keys[i]))
            i++;
        if (i == 4) {
            read_ids(&r, ps_slice_is(token.text, "ids") ? &c->ids : &c->around);
            continue;
        }
        ck_ok(ps_json_expect(&r, PS_JSON_STRING, &token));
        ps_buf_append(i < FILES ? &c->files[i] : &c->in, token.text.data, token.text.len);
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
    ck_ok(open_with(model, c->files, &t));
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
    for (size_t i = 0; i < FILES; i++)
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
        const char *model, *files[FILES], *why;
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
        ps_buf files[FILES] = {PS_BUF_EMPTY};
        ps_tokenizer *t = NULL;
        (void)snprintf(path, sizeof path, "tests/golden/vocabs/%s.model", rows[i].model);
        ps_buf model = ps_test_source_file(path);
        for (size_t f = 0; f < FILES; f++)
            ps_buf_puts(&files[f], rows[i].files[f] ? rows[i].files[f] : "");
        ck_assert_int_eq(open_with(&model, files, &t), PS_INVALID_ARGUMENT);
        ck_assert_msg(strstr(ps_error_message(), rows[i].why) != NULL, "%s", ps_error_message());
        for (size_t f = 0; f < FILES; f++)
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
