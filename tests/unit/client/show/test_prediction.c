/* prediction: lines that come in pieces, rows that are wanted, files that are damaged. */
#include "client/show/prediction.h"
#include "tests/lib/check_main.h"

#include <string.h>

static const char lines[] =
    "{\"row\": 0, \"class\": 2, \"probabilities\": [0.1, 0.2, 0.7]}\n"
    "{\"row\": 1, \"class\": 0, \"probabilities\": [0.5, 0.25, 0.25]}\n"
    "{\"class\": 1, \"probabilities\": [0, 1, 0], \"more\": {\"x\": []}}"; /* no last newline */

/* Feeds text in pieces of `step` bytes. */
static ps_status feed(ps_predictions *p, const char *text, size_t step, ps_buf *out)
{
    size_t len = strlen(text);
    for (size_t at = 0; at < len; at += step) {
        ps_status st =
            ps_predictions_feed(p, ps_slice_of(text + at, len - at < step ? len - at : step), out);
        if (st)
            return st;
    }
    return PS_OK;
}

static void shows(bool json, uint64_t begin, uint64_t end, size_t step, const char *expected)
{
    ps_predictions p;
    ps_predictions_init(&p, begin, end, json, (ps_style){0});
    ps_buf out = PS_BUF_EMPTY;
    ps_status st = feed(&p, lines, step, &out);
    ck_assert(st == PS_OK || st == PS_END);
    ck_ok(ps_predictions_finish(&p, &out));
    ck_assert_str_eq(ps_buf_cstr(&out), expected);
    ps_buf_free(&out);
    ps_predictions_free(&p);
}

START_TEST(every_row_has_its_class_and_the_next_best)
{
    static const size_t steps[] = {1, 7, 1000};
    for (size_t i = 0; i < 3; i++)
        shows(false, 0, UINT64_MAX, steps[i],
              "     ROW  CLASS  PROBABILITY  NEXT\n"
              "       0      2       0.7000  1 0.2000, 0 0.1000\n"
              "       1      0       0.5000  1 0.2500, 2 0.2500\n"
              "       2      1       1.0000  0 0.0000, 2 0.0000\n");
}
END_TEST

START_TEST(json_is_one_document_of_the_wanted_rows)
{
    shows(true, 1, UINT64_MAX, 5,
          "{\"predictions\":[{\"row\":1,\"class\":0,\"probabilities\":[0.5,0.25,0.25]},"
          "{\"row\":2,\"class\":1,\"probabilities\":[0,1,0]}]}\n");
    shows(true, 5, 9, 5, "{\"predictions\":[]}\n");
}
END_TEST

START_TEST(it_stops_when_all_wanted_rows_were_there)
{
    ps_predictions p;
    ps_predictions_init(&p, 0, 1, true, (ps_style){0});
    ps_buf out = PS_BUF_EMPTY;
    ck_assert_int_eq(feed(&p, lines, 1000, &out), PS_END);
    ck_ok(ps_predictions_finish(&p, &out));
    ck_assert_str_eq(ps_buf_cstr(&out), "{\"predictions\":[{\"row\":0,\"class\":2,"
                                        "\"probabilities\":[0.1,0.2,0.7]}]}\n");
    ps_buf_free(&out);
    ps_predictions_free(&p);
}
END_TEST

START_TEST(a_model_without_classes_shows_its_outputs)
{
    ps_predictions p;
    ps_predictions_init(&p, 0, UINT64_MAX, false, (ps_style){0});
    ps_buf out = PS_BUF_EMPTY;
    ck_ok(feed(&p, "{\"row\":3,\"outputs\":[1.5,-2]}\n", 9, &out));
    ck_ok(ps_predictions_finish(&p, &out));
    ck_assert_str_eq(ps_buf_cstr(&out), "     ROW  OUTPUTS\n       3  1.5  -2\n");
    ps_buf_free(&out);
    ps_predictions_free(&p);
}
END_TEST

START_TEST(what_is_not_finite_is_null)
{
    static const char nulls[] =
        "{\"row\":0,\"outputs\":[3e+38,null]}\n{\"row\":1,\"outputs\":[1,2]}\n",
                      classes[] = "{\"row\":0,\"class\":null,\"probabilities\":[null,null]}\n"
                                  "{\"row\":1,\"class\":1,\"probabilities\":[0.25,0.75]}\n";
    static const struct {
        const char *lines, *expected;
        bool json;
    } cases[] = {
        {nulls, "     ROW  OUTPUTS\n       0  3e+38  null\n       1  1  2\n", false},
        {nulls,
         "{\"predictions\":[{\"row\":0,\"outputs\":[3e+38,null]},{\"row\":1,\"outputs\":[1,2]}]}\n",
         true},
        {classes,
         "     ROW  CLASS  PROBABILITY  NEXT\n       0   null         null\n"
         "       1      1       0.7500  0 0.2500\n",
         false},
        {classes,
         "{\"predictions\":[{\"row\":0,\"class\":null,\"probabilities\":[null,null]},"
         "{\"row\":1,\"class\":1,\"probabilities\":[0.25,0.75]}]}\n",
         true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ps_predictions p;
        ps_predictions_init(&p, 0, UINT64_MAX, cases[i].json, (ps_style){0});
        ps_buf out = PS_BUF_EMPTY;
        ck_ok(feed(&p, cases[i].lines, 9, &out));
        ck_ok(ps_predictions_finish(&p, &out));
        ck_assert_str_eq(ps_buf_cstr(&out), cases[i].expected);
        ck_assert_uint_eq(p.nulls, 1);
        ps_buf_free(&out);
        ps_predictions_free(&p);
    }
}
END_TEST

START_TEST(a_line_says_what_its_class_is_called)
{
    static const char said[] =
        "{\"row\":0,\"class\":2,\"label\":\"coat\",\"probabilities\":[0.1,0.2,0.7]}\n";
    static const char *const expected[] = {"     ROW  CLASS  PROBABILITY  NEXT\n"
                                           "       0   coat       0.7000  1 0.2000, 0 0.1000\n",
                                           "{\"predictions\":[{\"row\":0,\"class\":2,\"label\":"
                                           "\"coat\",\"probabilities\":[0.1,0.2,0.7]}]}\n"};
    for (int json = 0; json < 2; json++) {
        ps_predictions p;
        ps_predictions_init(&p, 0, 1, json, (ps_style){0});
        ps_buf out = PS_BUF_EMPTY;
        ck_assert_int_eq(feed(&p, said, 7, &out), PS_END);
        ck_ok(ps_predictions_finish(&p, &out));
        ck_assert_str_eq(ps_buf_cstr(&out), expected[json]);
        ps_buf_free(&out);
        ps_predictions_free(&p);
    }
}
END_TEST

START_TEST(classes_are_called_by_their_names)
{
    static char boot[] = "ankle boot", bag[] = "bag", coat[] = "coat", *names[] = {boot, bag, coat};
    static const char *const expected[] = {
        "     ROW       CLASS  PROBABILITY  NEXT\n"
        "       0        coat       0.7000  bag 0.2000, ankle boot 0.1000\n",
        "{\"predictions\":[{\"row\":0,\"class\":2,\"label\":\"coat\",\"probabilities\":[0.1,0.2,0."
        "7]}]}\n"};
    for (int json = 0; json < 2; json++) {
        ps_predictions p;
        ps_predictions_init(&p, 0, 1, json, (ps_style){0});
        p.names = names;
        p.n_names = 3;
        ps_buf out = PS_BUF_EMPTY;
        ck_assert_int_eq(feed(&p, lines, 1000, &out), PS_END);
        ck_ok(ps_predictions_finish(&p, &out));
        ck_assert_str_eq(ps_buf_cstr(&out), expected[json]);
        ps_buf_free(&out);
        ps_predictions_free(&p);
    }
}
END_TEST

START_TEST(names_of_classes_are_fit_for_a_terminal)
{
    static char wide[] = "\u9774\u9774\u9774",
                bidi[] = "b\u202e\xc2\x9b"
                         "ag",
                bag[] = "bag";
    static char *names[] = {wide, bidi, bag};
    ps_predictions p;
    ps_predictions_init(&p, 0, UINT64_MAX, false, (ps_style){.utf8 = true});
    p.names = names;
    p.n_names = 3;
    ps_buf out = PS_BUF_EMPTY;
    ck_ok(feed(&p, lines, 1000, &out));
    ck_ok(ps_predictions_finish(&p, &out));
    ck_assert_str_eq(ps_buf_cstr(&out), "     ROW   CLASS  PROBABILITY  NEXT\n"
                                        "       0     bag       0.7000  b??ag 0.2000, "
                                        "\u9774\u9774\u9774 0.1000\n"
                                        "       1  \u9774\u9774\u9774       0.5000  b??ag 0.2500, "
                                        "bag 0.2500\n"
                                        "       2   b??ag       1.0000  \u9774\u9774\u9774 0.0000, "
                                        "bag 0.0000\n");
    ps_buf_free(&out);
    ps_predictions_free(&p);
}
END_TEST

START_TEST(a_document_that_breaks_off_is_one)
{
    ps_predictions p;
    ps_predictions_init(&p, 0, UINT64_MAX, true, (ps_style){0});
    ps_buf out = PS_BUF_EMPTY;
    ps_predictions_break(&p, "nothing was begun", &out);
    ck_assert_uint_eq(out.len, 0);
    ck_ok(feed(&p, "{\"row\":0,\"outputs\":[1]}\n{", 9, &out));
    ps_predictions_break(&p, "lost \"it\"", &out);
    ck_assert_str_eq(ps_buf_cstr(&out), "{\"predictions\":[{\"row\":0,\"outputs\":[1]}],"
                                        "\"error\":\"lost \\\"it\\\"\"}\n");
    ps_buf_free(&out);
    ps_predictions_free(&p);
}
END_TEST

START_TEST(a_damaged_line_is_named)
{
    static const char *const bad[] = {
        "{\"row\": 0, \"class\": 2, \"probabilities\": [0.1,]}\n",
        "{\"row\": -1}\n",
        "{\"row\": 0, \"probabilities\": [\"x\"]}\n",
        "[]\n",
        "{} {}\n",
        "{\"row\": 0\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ps_predictions p;
        ps_predictions_init(&p, 0, UINT64_MAX, true, (ps_style){0});
        ps_buf out = PS_BUF_EMPTY;
        ck_ok(feed(&p, "{\"row\":0}\n", 3, &out));
        ck_assert_msg(feed(&p, bad[i], 3, &out) == PS_CORRUPT, "%s", bad[i]);
        ck_assert_ptr_nonnull(strstr(ps_error_message(), "line 2"));
        ps_buf_free(&out);
        ps_predictions_free(&p);
    }
}
END_TEST

START_TEST(a_line_without_end_is_bounded)
{
    ps_predictions p;
    ps_predictions_init(&p, 0, UINT64_MAX, true, (ps_style){0});
    ps_buf out = PS_BUF_EMPTY;
    static char much[65536];
    memset(much, ' ', sizeof much);
    ps_status st = PS_OK;
    for (int i = 0; i < 32 && !st; i++)
        st = ps_predictions_feed(&p, ps_slice_of(much, sizeof much), &out);
    ck_assert_int_eq(st, PS_CORRUPT);
    ps_buf_free(&out);
    ps_predictions_free(&p);
}
END_TEST

START_TEST(ranges_of_rows_are_half_open)
{
    static const struct {
        const char *text;
        uint64_t begin, end;
    } good[] = {{"3:7", 3, 7}, {"3:", 3, UINT64_MAX}, {":7", 0, 7}, {"5", 5, 6}, {"0:1", 0, 1}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint64_t begin = 99, end = 99;
        ck_ok(ps_predictions_rows(good[i].text, &begin, &end));
        ck_assert_uint_eq(begin, good[i].begin);
        ck_assert_uint_eq(end, good[i].end);
    }
    static const char *const bad[] = {"",    ":",   "7:3",   "3:3", "-1:2",
                                      "1:x", "1-2", "1:2:3", " 1",  "99999999999999999999:"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t begin = 99, end = 99;
        ck_assert_msg(ps_predictions_rows(bad[i], &begin, &end) == PS_INVALID_ARGUMENT, "%s",
                      bad[i]);
        ck_assert_uint_eq(begin, 99);
    }
}
END_TEST

static const ps_check_case tests[] = {
    {&every_row_has_its_class_and_the_next_best},
    {&json_is_one_document_of_the_wanted_rows},
    {&it_stops_when_all_wanted_rows_were_there},
    {&a_model_without_classes_shows_its_outputs},
    {&what_is_not_finite_is_null},
    {&a_line_says_what_its_class_is_called},
    {&classes_are_called_by_their_names},
    {&names_of_classes_are_fit_for_a_terminal},
    {&a_document_that_breaks_off_is_one},
    {&a_damaged_line_is_named},
    {&a_line_without_end_is_bounded},
    {&ranges_of_rows_are_half_open},
    {0},
};

int main(void)
{
    return ps_check_main("client/show/prediction", tests);
}
