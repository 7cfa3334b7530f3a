/* What bounds a tokenizer.json that means harm, and a text that meets a slow one: time of patterns,
 * sizes of parts, and what a block of text may become. Each limit is met here: without it, a test
 * takes longer than its time, or passes what must be refused. */
#include "common/tokenizer/regex.h"
#include "common/tokenizer/step.h"
#include "common/tokenizer/tokenizer.h"
#include "tests/lib/check_main.h"

#include <string.h>
#include <time.h>

#define LETTERS "{\"type\":\"BPE\",\"unk_token\":\"u\",\"vocab\":{\"u\":0,\"a\":1},\"merges\":[]}"

static double processor_seconds(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void fill(ps_buf *out, const char *what, size_t times)
{
    for (size_t i = 0; i < times; i++)
        ps_buf_puts(out, what);
}

static void expect_said(const char *part)
{
    ck_assert_msg(strstr(ps_error_message(), part) != NULL, "'%s' is not in: %s", part,
                  ps_error_message());
}

/* ---- patterns ---- */

static ps_status match(const char *pattern, ps_slice text, ps_spans *spans)
{
    ps_regex *regex = NULL;
    ck_ok(ps_regex_new(ps_slice_str(pattern), &regex));
    ps_status st = ps_regex_spans(regex, text, spans);
    ps_regex_free(&regex);
    return st;
}

START_TEST(a_quadratic_pattern_meets_the_deadline_of_all_its_places)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_spans spans = {.seconds = 0.02};
    fill(&text, "a", PS_TOKENIZER_MAX_PIECE);
    double began = processor_seconds();
    ck_assert_int_eq(match("a*[bc]", ps_buf_slice(&text), &spans), PS_RESOURCE_EXHAUSTED);
    expect_said("patterns took 0.02 seconds");
    /* A second pattern of the same block has no time of its own. */
    ck_assert_int_eq(match("a*[bc]", ps_buf_slice(&text), &spans), PS_RESOURCE_EXHAUSTED);
    ck_assert(processor_seconds() - began < 2);
    ps_spans_free(&spans);
    ps_buf_free(&text);
}
END_TEST

START_TEST(a_block_of_text_that_is_new_has_the_whole_time)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_spans spans = {.seconds = 0.02};
    fill(&text, "a", PS_TOKENIZER_MAX_PIECE);
    ck_assert_int_eq(match("a*[bc]", ps_buf_slice(&text), &spans), PS_RESOURCE_EXHAUSTED);
    ps_spans_restart(&spans);
    ck_ok(match("a+", ps_buf_slice(&text), &spans));
    ck_assert_uint_eq(spans.n, 1);
    ck_assert_uint_eq(spans.at[0].to, text.len);
    ps_spans_free(&spans);
    ps_buf_free(&text);
}
END_TEST

START_TEST(nested_quantifiers_meet_the_limit_of_one_place)
{
    ps_spans spans = {0};
    ck_assert_int_eq(
        match("(?:a+)+[bc]", ps_slice_str("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaad"), &spans),
        PS_RESOURCE_EXHAUSTED);
    expect_said("a pattern backtracks for too long");
    ps_spans_free(&spans);
}
END_TEST

START_TEST(a_pattern_that_is_large_or_nested_is_refused)
{
    ps_regex *regex = NULL;
    ps_buf pattern = PS_BUF_EMPTY;
    fill(&pattern, "a", PS_REGEX_MAX_PATTERN + 1);
    ck_assert_int_eq(ps_regex_new(ps_buf_slice(&pattern), &regex), PS_INVALID_ARGUMENT);
    expect_said("a pattern of 65537 bytes, allowed 65536");
    ps_buf_clear(&pattern);
    fill(&pattern, "(", 101);
    fill(&pattern, ")", 101);
    ck_assert_int_eq(ps_regex_new(ps_buf_slice(&pattern), &regex), PS_INVALID_ARGUMENT);
    expect_said("nested");
    ck_assert_int_eq(ps_regex_new(ps_slice_str("(?:(?:[^x]\\x{1}){1000}){1000}"), &regex),
                     PS_INVALID_ARGUMENT);
    ck_assert_ptr_null(regex);
    ps_buf_free(&pattern);
}
END_TEST

/* ---- files ---- */

/* A tokenizer.json of LETTERS (or another model) with one part more: key:value. */
static ps_status make(const char *model, const char *key, const char *value, ps_tokenizer **out)
{
    ps_buf json = PS_BUF_EMPTY;
    ps_buf_printf(&json, "{\"model\":%s,\"%s\":%s}", model, key, value);
    ps_status st = ps_tokenizer_from_json(ps_buf_slice(&json), out);
    ps_buf_free(&json);
    return st;
}

static void refused(const char *model, const char *key, ps_buf *value, const char *said)
{
    ps_tokenizer *t = NULL;
    ck_assert_int_eq(make(model, key, ps_buf_cstr(value), &t), PS_INVALID_ARGUMENT);
    expect_said(said);
    ps_buf_free(value);
}

START_TEST(parts_have_sizes)
{
    ps_buf value = PS_BUF_EMPTY;
    ps_buf_puts(&value, "{\"type\":\"Prepend\",\"prepend\":\"");
    fill(&value, "a", PS_TOKENIZER_MAX_WORD + 1);
    ps_buf_puts(&value, "\"}");
    refused(LETTERS, "normalizer", &value, "normalizer");

    ps_buf_puts(&value, "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"}");
    fill(&value, ",{\"type\":\"NFC\"}", PS_TOKENIZER_MAX_STEPS);
    ps_buf_puts(&value, "]}");
    refused(LETTERS, "normalizer", &value, "64");

    ps_buf_puts(&value, "{\"type\":\"TemplateProcessing\",\"single\":[");
    fill(&value, "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},", 256);
    ps_buf_puts(&value, "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}]}");
    refused(LETTERS, "post_processor", &value, "more than 256 places");

    ps_buf_puts(&value, "{\"type\":\"NFC\",\"x\":\"");
    fill(&value, "0123456789abcdef", (4 << 20) / 16);
    ps_buf_puts(&value, "\"}");
    refused(LETTERS, "normalizer", &value, "allowed 4194304");
}
END_TEST

START_TEST(tokens_of_unigram_have_a_size)
{
    ps_buf model = PS_BUF_EMPTY, value = PS_BUF_EMPTY;
    ps_buf_puts(&model, "{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"u\",0],[\"");
    fill(&model, "a", 513);
    ps_buf_puts(&model, "\",-1]]}");
    ps_buf_puts(&value, "null");
    refused(ps_buf_cstr(&model), "normalizer", &value, "token 1 has 513 bytes, allowed 512");
    ps_buf_free(&model);
}
END_TEST

/* ---- texts ---- */

static void grows_too_much(const char *key, const char *value, const char *what, size_t times,
                           const char *said)
{
    ps_tokenizer *t = NULL;
    ps_ids ids = PS_IDS_EMPTY;
    ps_buf text = PS_BUF_EMPTY;
    fill(&text, what, times);
    ck_ok(make(LETTERS, key, value, &t));
    ck_assert_int_eq(ps_tokenizer_encode(t, ps_buf_slice(&text), false, &ids),
                     PS_RESOURCE_EXHAUSTED);
    expect_said(said);
    ps_tokenizer_free(&t);
    ps_ids_free(&ids);
    ps_buf_free(&text);
}

START_TEST(a_block_grows_only_so_far)
{
    grows_too_much("normalizer",
                   "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":"
                   "\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"}",
                   "a", 100000, "the tokenizer's normalizer: more than 4194304 bytes");
    grows_too_much("pre_tokenizer",
                   "{\"type\":\"Sequence\",\"pretokenizers\":["
                   "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false},"
                   "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false},"
                   "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false},"
                   "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false},"
                   "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}]}",
                   "\xc3\xa9", 120000, "the tokenizer's pre-tokenizer: more than 4194304 bytes");
}
END_TEST

/* What the first character becomes by itself may be more than the text. */
START_TEST(a_text_of_spaces_is_stripped_to_nothing)
{
    ps_tokenizer *t = NULL;
    ps_ids ids = PS_IDS_EMPTY;
    ck_ok(make(LETTERS, "normalizer",
               "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Strip\",\"strip_left\":false,"
               "\"strip_right\":true},{\"type\":\"BertNormalizer\"}]}",
               &t));
    ck_ok(ps_tokenizer_encode(t, ps_slice_str("   "), true, &ids));
    ck_assert_uint_eq(ids.n, 0);
    ps_ids_free(&ids);
    ps_tokenizer_free(&t);
}
END_TEST

START_TEST(a_long_word_takes_time_as_its_length)
{
    static const char *const models[] = {
        "{\"type\":\"BPE\",\"unk_token\":\"u\",\"vocab\":{\"u\":0,\"a\":1,\"aa\":2,\"aaaa\":3},"
        "\"merges\":[\"a a\",\"aa aa\"]}",
        "{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"u\",0],[\"a\",-3],[\"aa\",-4],"
        "[\"aaaa\",-5]]}",
        "{\"type\":\"WordPiece\",\"unk_token\":\"u\",\"continuing_subword_prefix\":\"\","
        "\"max_input_chars_per_word\":10000000,\"vocab\":{\"u\":0,\"a\":1,\"aa\":2,\"aaaa\":3}}"};
    enum { WORD = 1 << 20 };
    ps_tokenizer *t = NULL;
    ps_ids ids = PS_IDS_EMPTY;
    ps_buf text = PS_BUF_EMPTY;
    fill(&text, "a", WORD);
    ck_ok(make(models[_i], "normalizer", "null", &t));
    ck_ok(ps_tokenizer_encode(t, ps_buf_slice(&text), false, &ids));
    ck_assert_uint_eq(ids.n, WORD / 4);
    for (size_t i = 0; i < ids.n; i++)
        ck_assert_uint_eq(ids.at[i], 3);
    ps_tokenizer_free(&t);
    ps_ids_free(&ids);
    ps_buf_free(&text);
}
END_TEST

START_TEST(a_text_that_may_have_no_added_tokens_has_no_special_one)
{
    static const char *const models[] = {
        "{\"type\":\"BPE\",\"unk_token\":\"u\",\"ignore_merges\":true,"
        "\"vocab\":{\"u\":0,\"<s>\":1,\"<\":2,\"s\":3,\">\":4},\"merges\":[]}",
        "{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"u\",0],[\"<s>\",0],[\"<\",-3],[\"s\",-4],"
        "[\">\",-5]]}",
        "{\"type\":\"WordPiece\",\"unk_token\":\"u\",\"continuing_subword_prefix\":\"\","
        "\"vocab\":{\"u\":0,\"<s>\":1,\"<\":2,\"s\":3,\">\":4}}"};
    ps_tokenizer *t = NULL;
    ps_ids plain = PS_IDS_EMPTY, added = PS_IDS_EMPTY;
    ck_ok(make(models[_i], "added_tokens",
               "[{\"id\":1,\"content\":\"<s>\",\"special\":true,\"normalized\":false,"
               "\"lstrip\":false,\"rstrip\":false,\"single_word\":false}]",
               &t));
    ck_ok(ps_tokenizer_encode(t, ps_slice_str("<s>"), false, &plain));
    ck_ok(ps_tokenizer_encode(t, ps_slice_str("<s>"), true, &added));
    ck_assert_uint_eq(plain.n, 3);
    for (uint32_t i = 0; i < 3; i++)
        ck_assert_uint_eq(plain.at[i], 2 + i);
    ck_assert_uint_eq(added.n, 1);
    ck_assert_uint_eq(added.at[0], 1);
    ps_tokenizer_free(&t);
    ps_ids_free(&plain);
    ps_ids_free(&added);
}
END_TEST

static const ps_check_case tests[] = {
    {&a_quadratic_pattern_meets_the_deadline_of_all_its_places},
    {&a_block_of_text_that_is_new_has_the_whole_time},
    {&nested_quantifiers_meet_the_limit_of_one_place},
    {&a_pattern_that_is_large_or_nested_is_refused},
    {&parts_have_sizes},
    {&tokens_of_unigram_have_a_size},
    {&a_block_grows_only_so_far},
    {&a_text_of_spaces_is_stripped_to_nothing},
    {&a_long_word_takes_time_as_its_length, .repeat = 3},
    {&a_text_that_may_have_no_added_tokens_has_no_special_one, .repeat = 3},
    {0},
};

int main(void)
{
    return ps_check_main("tokenizer/bounds", tests);
}
