/* vocab.txt of BERT and what stands beside it, against the ids and the tokenizer.json of the
 * independent library (golden/vocabs/words.cases); and what of it is refused. */
#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/conf_example.h"
#include "tests/lib/tokenizer_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A folder, or a text with the ids that its tokenizer makes. */
typedef struct one {
    ps_buf files[PS_TEST_BESIDE], vocab, json, in;
    ps_ids ids, around, pair, types;
} one;

static void free_one(one *c)
{
    for (size_t i = 0; i < PS_TEST_BESIDE; i++)
        ps_buf_free(&c->files[i]);
    ps_buf_free(&c->vocab);
    ps_buf_free(&c->json);
    ps_buf_free(&c->in);
    ps_ids_free(&c->ids);
    ps_ids_free(&c->around);
    ps_ids_free(&c->pair);
    ps_ids_free(&c->types);
}

static void read_member(ps_json_reader *r, ps_slice key, one *c)
{
    const struct {
        const char *key;
        ps_ids *to;
    } lists[] = {
        {"ids", &c->ids}, {"around", &c->around}, {"pair", &c->pair}, {"types", &c->types}};
    ps_json_token token;
    ps_buf *text = ps_slice_is(key, "vocab")  ? &c->vocab
                   : ps_slice_is(key, "json") ? &c->json
                                              : &c->in;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (ps_slice_is(key, lists[i].key)) {
            ps_test_read_ids(r, lists[i].to);
            return;
        }
    for (size_t i = 0; i < PS_TEST_BESIDE; i++)
        if (ps_slice_is(key, ps_test_beside_keys[i]))
            text = &c->files[i];
    ck_ok(ps_json_expect(r, PS_JSON_STRING, &token));
    ps_buf_append(text, token.text.data, token.text.len);
}

static void read_one(ps_slice line, one *c)
{
    ps_json_reader r;
    ps_json_token token;
    ps_json_reader_init(&r, line);
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &token);
    while (ps_json_member(&r, &token, &st)) {
        char key[8] = "";
        ck_assert_uint_lt(token.text.len, sizeof key);
        memcpy(key, token.text.data, token.text.len);
        read_member(&r, ps_slice_str(key), c);
    }
    ck_ok(st);
    ps_json_reader_free(&r);
}

/* ---- against the library ---- */

/* Every key that a tokenizer has, written back, is as that of the library's file. */
static void same_json(const ps_tokenizer *t, const one *c)
{
    ps_tokenizer *want = NULL;
    ps_buf got_json = PS_BUF_EMPTY, want_json = PS_BUF_EMPTY;
    ck_ok(ps_tokenizer_from_json(ps_buf_slice(&c->json), &want));
    ps_tokenizer_to_json(t, &got_json);
    ps_tokenizer_to_json(want, &want_json);
    ck_assert_str_eq(ps_buf_cstr(&got_json), ps_buf_cstr(&want_json));
    ck_assert_uint_eq(ps_tokenizer_hash(t), ps_tokenizer_hash(want));
    ps_tokenizer_free(&want);
    ps_buf_free(&got_json);
    ps_buf_free(&want_json);
}

static void same(const ps_ids *got, const ps_ids *want, const one *c)
{
    bool equal = got->n == want->n;
    for (size_t i = 0; equal && i < got->n; i++)
        equal = got->at[i] == want->at[i];
    ck_assert_msg(equal, "'%.*s'", (int)c->in.len, (const char *)c->in.data);
}

static void same_ids(const ps_tokenizer *t, const one *c)
{
    ps_ids ids = PS_IDS_EMPTY, around = PS_IDS_EMPTY, second = PS_IDS_EMPTY, pair = PS_IDS_EMPTY,
           types = PS_IDS_EMPTY;
    ck_ok(ps_tokenizer_encode(t, ps_buf_slice(&c->in), true, &ids));
    same(&ids, &c->ids, c);
    ps_tokenizer_join(t, &ids, NULL, &around, NULL);
    same(&around, &c->around, c);
    ck_ok(ps_tokenizer_encode(t, ps_slice_str("of it"), true, &second));
    ps_tokenizer_join(t, &ids, &second, &pair, &types);
    same(&pair, &c->pair, c);
    same(&types, &c->types, c);
    ps_ids_free(&ids);
    ps_ids_free(&around);
    ps_ids_free(&second);
    ps_ids_free(&pair);
    ps_ids_free(&types);
}

START_TEST(ids_and_tokenizer_json_are_those_of_the_independent_library)
{
    ps_buf cases = ps_test_source_file("tests/golden/vocabs/words.cases");
    ps_tokenizer *t = NULL;
    size_t folders = 0, texts = 0;
    for (size_t at = 0; at < cases.len;) {
        const uint8_t *end = memchr(cases.data + at, '\n', cases.len - at);
        size_t len = (size_t)(end - (cases.data + at));
        one c = {0};
        read_one(ps_slice_of(cases.data + at, len), &c);
        if (c.vocab.len) {
            ps_tokenizer_free(&t);
            ck_ok(ps_test_tokenizer_folder("vocab.txt", ps_buf_slice(&c.vocab), c.files, &t));
            same_json(t, &c);
            folders++;
        } else {
            same_ids(t, &c);
            texts++;
        }
        free_one(&c);
        at += len + 1;
    }
    ck_assert_uint_ge(folders, 11);
    ck_assert_uint_ge(texts, 140);
    ps_tokenizer_free(&t);
    ps_buf_free(&cases);
}
END_TEST

/* ---- what is refused ---- */

#define WORDS "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n"

START_TEST(what_is_not_done_here_is_named)
{
    static const struct {
        const char *vocab, *files[PS_TEST_BESIDE], *why;
    } rows[] = {
        {"[PAD]\n[CLS]\n[SEP]\na\n", {0}, "vocab.txt: no line is '[UNK]'"},
        {"\n", {0}, "vocab.txt: no line is '[UNK]'"},
        {WORDS, {"{\"unk_token\":\"<unk>\"}"}, "no line is '<unk>'"},
        {WORDS "b\n\xc3\nc\n", {0}, "vocab.txt: line 8: it is no UTF-8"},
        {"\xef\xbb\xbf" WORDS, {0}, "vocab.txt: line 1: it begins with a byte order mark"},
        {WORDS "a\n", {"{\"bos_token\":\"<s>\"}"}, "lines 6 and 7 are the same, so no id is"},
        {WORDS "\nb\n \n", {"{\"bos_token\":\"<s>\"}"}, "lines 7 and 9 are the same, so no id is"},
        {WORDS,
         {"{\"tokenizer_class\":\"MPNetTokenizer\"}"},
         "'MPNetTokenizer': psd makes no such"},
        {WORDS, {"{\"tokenizer_class\":\"BertTokenizerF\"}"}, "tokenizer_class 'BertTokenizerF'"},
        {WORDS, {"{\"do_basic_tokenize\":false}"}, "do_basic_tokenize false is not supported"},
        {WORDS, {"{\"never_split\":[\"a\"]}"}, "never_split is not supported"},
        {WORDS, {"{\"split_special_tokens\":true}"}, "split_special_tokens true is not supported"},
        {WORDS, {"{\"do_lower_case\":1}"}, "do_lower_case must be true or false"},
        {WORDS, {"{\"cls_token\":null}"}, "cls_token is null, and such a token is needed"},
        {WORDS, {"{}", "{\"sep_token\":null}"}, "sep_token is null, and such a token is needed"},
        {WORDS, {"{\"added_tokens_decoder\":{\"7\":\"<x>\"}}"}, "file, where 6 is the next that"},
        {WORDS, {"{\"added_tokens_decoder\":{\"3\":\"a\"}}"}, "id 3 beside the file, and 5 in it"},
        {WORDS, {"", "", "{\"<x>\":9}"}, "'<x>' has id 9 beside the file, where 6 is the next"},
        {WORDS, {"", "", "[]"}, "added_tokens.json: texts and their ids are wanted"},
        {"version https://git-lfs.github.com/spec/v1\n", {0}, "vocab.txt is a pointer of Git LFS"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ps_buf files[PS_TEST_BESIDE] = {PS_BUF_EMPTY};
        ps_tokenizer *t = NULL;
        for (size_t f = 0; f < PS_TEST_BESIDE; f++)
            ps_buf_puts(&files[f], rows[i].files[f] ? rows[i].files[f] : "");
        ps_status st =
            ps_test_tokenizer_folder("vocab.txt", ps_slice_str(rows[i].vocab), files, &t);
        ck_assert_msg(st == PS_INVALID_ARGUMENT || st == PS_CORRUPT, "%zu", i);
        ck_assert_msg(strstr(ps_error_message(), rows[i].why) != NULL, "%s", ps_error_message());
        for (size_t f = 0; f < PS_TEST_BESIDE; f++)
            ps_buf_free(&files[f]);
    }
}
END_TEST

static void refuses(const ps_buf *vocab, const char *why)
{
    const ps_buf none[PS_TEST_BESIDE] = {PS_BUF_EMPTY};
    ps_tokenizer *t = NULL;
    ck_assert_int_eq(ps_test_tokenizer_folder("vocab.txt", ps_buf_slice(vocab), none, &t),
                     PS_INVALID_ARGUMENT);
    ck_assert_msg(strstr(ps_error_message(), why) != NULL, "%s", ps_error_message());
}

static void repeat(ps_buf *out, char c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ps_buf_putc(out, c);
}

START_TEST(lines_and_tokens_have_limits)
{
    ps_buf vocab = PS_BUF_EMPTY;
    ps_buf_puts(&vocab, WORDS);
    ps_buf_append(&vocab, "b\0c\n", 4);
    refuses(&vocab, "line 7: a token with a zero byte");
    ps_buf_clear(&vocab);
    ps_buf_puts(&vocab, WORDS);
    repeat(&vocab, 'x', PS_TOKENIZER_MAX_TOKEN + 1);
    refuses(&vocab, "line 7: a token of 4097 bytes, allowed 1 to 4096");
    ps_buf_clear(&vocab);
    ps_buf_puts(&vocab, WORDS);
    repeat(&vocab, 'x', 513);
    refuses(&vocab, "token 6 has 513 bytes, allowed 512");
    ps_buf_clear(&vocab);
    ps_buf_puts(&vocab, WORDS);
    repeat(&vocab, '\n', PS_TOKENIZER_MAX_VOCAB);
    refuses(&vocab, "1048582 lines, allowed 1048576");
    ps_buf_free(&vocab);
}
END_TEST

/* ---- alone ---- */

/* A path that is the file: what stands beside it is not looked at. */
START_TEST(a_vocab_txt_alone_is_in_lower_case)
{
    const ps_buf none[PS_TEST_BESIDE] = {PS_BUF_EMPTY};
    ps_tokenizer *folder = NULL, *alone = NULL;
    char path[] = "/tmp/psd-test-XXXXXX-vocab.txt";
    int file = mkstemps(path, (int)strlen("-vocab.txt"));
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(write(file, WORDS, strlen(WORDS)), (ssize_t)strlen(WORDS));
    ck_assert_int_eq(close(file), 0);
    ck_ok(ps_tokenizer_open(NULL, path, &alone));
    ck_assert_int_eq(unlink(path), 0);
    ck_ok(ps_test_tokenizer_folder("vocab.txt", ps_slice_str(WORDS), none, &folder));
    ck_assert_uint_eq(ps_tokenizer_hash(alone), ps_tokenizer_hash(folder));
    ck_assert_uint_eq(ps_tokenizer_vocab_size(alone), 6);
    ps_ids ids = PS_IDS_EMPTY;
    ck_ok(ps_tokenizer_encode(alone, ps_slice_str("\xc3\x81"), false, &ids));
    ck_assert_uint_eq(ids.n, 1);
    ck_assert_uint_eq(ids.at[0], 5);
    ps_ids_free(&ids);
    ps_tokenizer_free(&alone);
    ps_tokenizer_free(&folder);
}
END_TEST

static const ps_check_case tests[] = {
    {&ids_and_tokenizer_json_are_those_of_the_independent_library, .timeout_s = 60},
    {&what_is_not_done_here_is_named},
    {&lines_and_tokens_have_limits},
    {&a_vocab_txt_alone_is_in_lower_case},
    {0},
};

int main(void)
{
    return ps_check_main("tokenizer/words", tests);
}
