/* Patterns match what those of the independent library match (golden/tokenizers/patterns.cases), or
 * are refused by name. */
#include "common/json/json.h"
#include "common/tokenizer/regex.h"
#include "common/tokenizer/step.h"
#include "tests/lib/check_main.h"
#include "tests/lib/conf_example.h"

enum { MAX_TEXTS = 32, MAX_ENDS = 4096 };

static size_t read_texts(ps_slice line, ps_buf texts[MAX_TEXTS])
{
    ps_json_reader r;
    ps_json_token token;
    size_t n = 0;
    ps_json_reader_init(&r, line);
    ck_ok(ps_json_expect(&r, PS_JSON_OBJECT, &token));
    ck_ok(ps_json_expect(&r, PS_JSON_KEY, &token));
    ck_ok(ps_json_expect(&r, PS_JSON_ARRAY, &token));
    while (ps_json_next(&r, &token) == PS_OK && token.kind == PS_JSON_STRING) {
        ck_assert_uint_lt(n, MAX_TEXTS);
        ps_buf_append(&texts[n++], token.text.data, token.text.len);
    }
    ps_json_reader_free(&r);
    return n;
}

/* Where the pieces of one text end, below zero for a match. */
typedef struct ends {
    size_t n;
    int64_t at[MAX_ENDS];
} ends;

static void read_ends(ps_json_reader *r, ends *out)
{
    ps_json_token token;
    out->n = 0;
    ck_ok(ps_json_expect(r, PS_JSON_ARRAY, &token));
    while (ps_json_next(r, &token) == PS_OK && token.kind == PS_JSON_NUMBER) {
        ck_assert_uint_lt(out->n, MAX_ENDS);
        out->at[out->n++] = (int64_t)token.number;
    }
}

static void check_text(const ps_regex *regex, ps_slice pattern, ps_slice text, const ends *want)
{
    ps_spans spans = {0};
    size_t n = 0;
    bool equal = true;
    ck_ok(ps_regex_spans(regex, text, &spans));
    for (size_t i = 0; i < spans.n; i++) {
        int64_t to = (int64_t)spans.at[i].to;
        if (spans.at[i].from == spans.at[i].to)
            continue;
        equal = equal && n < want->n && want->at[n] == (spans.at[i].match ? -to : to);
        n++;
    }
    ck_assert_msg(equal && n == want->n, "%.*s in '%.*s': %zu pieces, expected %zu",
                  (int)pattern.len, (const char *)pattern.data, (int)text.len,
                  (const char *)text.data, n, want->n);
    ps_spans_free(&spans);
}

/* {"pattern":…, "in":[…], "ends":[[…], …]}, or the pattern alone. */
static void check_pattern(ps_slice line, const ps_buf texts[MAX_TEXTS])
{
    ps_json_reader r;
    ps_json_token token;
    ps_regex *regex = NULL;
    ends in, want;
    ps_json_reader_init(&r, line);
    ck_ok(ps_json_expect(&r, PS_JSON_OBJECT, &token));
    ck_ok(ps_json_expect(&r, PS_JSON_KEY, &token));
    ck_ok(ps_json_expect(&r, PS_JSON_STRING, &token));
    ps_buf pattern = PS_BUF_EMPTY;
    ps_buf_append(&pattern, token.text.data, token.text.len);
    ps_status st = ps_regex_new(ps_buf_slice(&pattern), &regex);
    ck_ok(ps_json_next(&r, &token));
    bool can = token.kind == PS_JSON_KEY;
    /* What is refused though it could be is in the list below. */
    ck_assert_msg(can || st == PS_INVALID_ARGUMENT, "not refused: %s", ps_buf_cstr(&pattern));
    if (can && !st) {
        read_ends(&r, &in);
        ck_ok(ps_json_expect(&r, PS_JSON_KEY, &token));
        ck_ok(ps_json_expect(&r, PS_JSON_ARRAY, &token));
        for (size_t i = 0; i < in.n; i++) {
            read_ends(&r, &want);
            check_text(regex, ps_buf_slice(&pattern), ps_buf_slice(&texts[in.at[i]]), &want);
        }
    }
    ps_regex_free(&regex);
    ps_buf_free(&pattern);
    ps_json_reader_free(&r);
}

START_TEST(patterns_match_what_those_of_the_independent_library_match)
{
    ps_buf cases = ps_test_source_file("tests/golden/tokenizers/patterns.cases");
    ps_buf texts[MAX_TEXTS] = {0};
    size_t lines = 0;
    for (size_t at = 0; at < cases.len; lines++) {
        const uint8_t *end = memchr(cases.data + at, '\n', cases.len - at);
        ck_assert_ptr_nonnull(end);
        ps_slice line = ps_slice_of(cases.data + at, (size_t)(end - cases.data) - at);
        if (!lines)
            ck_assert_uint_gt(read_texts(line, texts), 0);
        else
            check_pattern(line, texts);
        at += line.len + 1;
    }
    ck_assert_uint_gt(lines, 250);
    for (size_t i = 0; i < MAX_TEXTS; i++)
        ps_buf_free(&texts[i]);
    ps_buf_free(&cases);
}
END_TEST

/* Of those that the library has, all that psd has not. */
static const struct {
    const char *pattern, *said;
} refused[] = {
    {"a\\y", "at byte 1: \\y is not supported"},
    {"\\X", "at byte 0: \\X is not supported"},
    {"\\Ga", "at byte 0: \\G is not supported"},
    {"(?<n>a)\\g<n>", "at byte 7: \\g is not supported"},
    {"(a)\\2", "at byte 3: \\2 is supported behind its group only, up to \\9"},
    {"(?~ab)", "at byte 0: a group (?~ is not supported"},
    {"a(?W)b", "at byte 1: a group (?W is not supported"},
    {"(?(1)a|b)", "at byte 0: a group (?( is not supported"},
    {"(*FAIL)", "at byte 0: a group (* is not supported"},
    {"(?i)ss", "at byte 5: with (?i), characters that are one in another case (as ss is)"},
    {"(?i)\xc3\x9f", "at byte 4: with (?i), a character that is several in the other case"},
    {"(?i)[\xc3\x9f]", "at byte 5: with (?i), a character that is several in the other case"},
    {"(?i)[\\x{c0}-\\x{ff}]",
     "at byte 12: with (?i), a range with a character that is several in the other case"},
    {"(?i)[\\p{Lu}]", "at byte 5: with (?i), a set with lu in it"},
    {"(?i)[[:upper:]]", "at byte 5: with (?i), a set with upper in it"},
    {"(?i)[a[^b]]", "at byte 6: with (?i), a set that is made of others"},
    {"(?i)[a-z&&[bc]]", "at byte 4: with (?i), a set that is made of others"},
    {"[a-[b]]", "at byte 3: a range without its end"},
    {"[\\x{61 62}]", "at byte 1: one number is wanted between { and }"},
    {"\\xe3\\x81\\x82", "at byte 0: e3 is no character, or a byte of one"},
    {"\\cA", "at byte 0: \\c is not supported"},
    {"\\p{In_Basic_Latin}", "at byte 0: the property inbasiclatin of characters is not known"},
    {"(?<=a+)d", "lookbehind assertion is not fixed length"},
    {"a*********", "at byte 10: more than 8 quantifiers of one item"},
    {"(?<n>a)|(?<n>b)", "two named subpatterns have the same name"},
};

START_TEST(what_has_no_words_in_pcre2_is_refused_by_name)
{
    ps_regex *regex = NULL;
    ck_assert_int_eq(ps_regex_new(ps_slice_str(refused[_i].pattern), &regex), PS_INVALID_ARGUMENT);
    ck_assert_ptr_null(regex);
    ck_assert_msg(strstr(ps_error_message(), refused[_i].said), "%s: %s", refused[_i].pattern,
                  ps_error_message());
}
END_TEST

START_TEST(sets_and_groups_nest_to_a_limit)
{
    static const char *const opens[] = {"(", "[a", "(?i)", "[^a&&"};
    for (size_t i = 0; i < sizeof opens / sizeof *opens; i++) {
        ps_buf pattern = PS_BUF_EMPTY;
        ps_regex *regex = NULL;
        for (int n = 0; n < 30000 / (int)strlen(opens[i]); n++)
            ps_buf_puts(&pattern, opens[i]);
        ck_assert_int_eq(ps_regex_new(ps_buf_slice(&pattern), &regex), PS_INVALID_ARGUMENT);
        ck_assert_msg(strstr(ps_error_message(), "nested"), "%s", ps_error_message());
        ps_buf_free(&pattern);
    }
}
END_TEST

/* As many as a tokenizer has steps: what a letter may be part of is not looked for anew. */
START_TEST(long_patterns_with_option_i_are_read_in_seconds)
{
    ps_buf pattern = PS_BUF_EMPTY;
    ps_buf_puts(&pattern, "(?i)");
    for (int i = 0; i < 30000; i++)
        ps_buf_puts(&pattern, "x");
    for (int i = 0; i < PS_TOKENIZER_MAX_STEPS; i++) {
        ps_regex *regex = NULL;
        ck_ok(ps_regex_new(ps_buf_slice(&pattern), &regex));
        ps_regex_free(&regex);
    }
    ps_buf_free(&pattern);
}
END_TEST

static const ps_check_case tests[] = {
    {&patterns_match_what_those_of_the_independent_library_match},
    {&what_has_no_words_in_pcre2_is_refused_by_name, .repeat = sizeof refused / sizeof *refused},
    {&sets_and_groups_nest_to_a_limit},
    {&long_patterns_with_option_i_are_read_in_seconds},
    {0},
};

int main(void)
{
    return ps_check_main("tokenizer/regex", tests);
}
