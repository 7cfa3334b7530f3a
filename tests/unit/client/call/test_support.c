/* support: what psd says is looked at before it becomes a file's name or a word of the shell. */
#include "client/call/row_list.h"
#include "client/call/support.h"

#include "tests/lib/check_main.h"

START_TEST(psd_cannot_name_a_file_that_is_not_plain)
{
    static char good[] = "describe.json";
    static char bad[][16] = {"",    "../.bashrc", "/etc/passwd", "$(reboot)",
                             "a b", ".hidden",    "a\033[2J"};
    Psd__V1__Artifact first = PSD__V1__ARTIFACT__INIT, second = PSD__V1__ARTIFACT__INIT;
    Psd__V1__Artifact *both[] = {&first, &second};
    Psd__V1__ListArtifactsResponse list = PSD__V1__LIST_ARTIFACTS_RESPONSE__INIT;
    ck_ok(ps_check_artifacts(&list));
    list.artifacts = both;
    list.n_artifacts = 2;
    first.name = second.name = good;
    ck_ok(ps_check_artifacts(&list));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        second.name = bad[i];
        ck_assert_msg(ps_check_artifacts(&list) == PS_INVALID_ARGUMENT, "%s", bad[i]);
    }
}
END_TEST

START_TEST(rows_are_named_as_the_data_count_them)
{
    ps_explanation_row rows[] = {{.row = 10}, {.row = 11}, {.row = 14}, {.row = 30}};
    const ps_explanation m = {.job = 7, .rows = rows, .n_rows = 4};
    static const struct {
        const char *text;
        size_t n;
        uint64_t places[4];
    } good[] = {{"30", 1, {3}},           {"14,10", 2, {2, 0}},  {"10:14", 2, {0, 1}},
                {":12", 2, {0, 1}},       {"11:", 3, {1, 2, 3}}, {"30,:100", 4, {3, 0, 1, 2}},
                {"0:31", 4, {0, 1, 2, 3}}};
    static const char *const bad[] = {
        "",      ",",   "10,",  "10,,11", ":",     "a",     "10-12",
        "12:10", " 10", "10:x", "12",     "10,99", "31:40", "99999999999999999999999999",
        "1:2:3", "+10"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ps_row_list list;
        ck_ok(ps_row_list_parse(good[i].text, &m, &list));
        ck_assert_uint_eq(list.n, good[i].n);
        ck_assert_mem_eq(list.places, good[i].places, list.n * sizeof *list.places);
        ps_row_list_free(&list);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ps_row_list list;
        ck_assert_msg(ps_row_list_parse(bad[i], &m, &list) == PS_INVALID_ARGUMENT, "%s", bad[i]);
    }
}
END_TEST

START_TEST(who_is_not_beside_the_ca_hears_how_to_name_it)
{
    static const char hint[] = "x: No such file; go to the CA's folder, or name its files by "
                               "--ca-cert and --ca-key";
    ck_assert_int_eq(ps_where_ca_is(ps_fail(PS_NOT_FOUND, "x: No such file"), "no/ca.pem"),
                     PS_NOT_FOUND);
    ck_assert_str_eq(ps_error_message(), hint);
    /* another file is missing, or something else is wrong */
    ck_assert_int_eq(ps_where_ca_is(ps_fail(PS_NOT_FOUND, "y"), "/"), PS_NOT_FOUND);
    ck_assert_str_eq(ps_error_message(), "y");
    ck_assert_int_eq(ps_where_ca_is(ps_fail(PS_CORRUPT, "z"), "no/ca.pem"), PS_CORRUPT);
    ck_assert_str_eq(ps_error_message(), "z");
    ck_ok(ps_where_ca_is(PS_OK, "no/ca.pem"));
}
END_TEST

static const ps_check_case cases[] = {
    {&psd_cannot_name_a_file_that_is_not_plain},
    {&rows_are_named_as_the_data_count_them},
    {&who_is_not_beside_the_ca_hears_how_to_name_it},
    {0},
};

int main(void)
{
    return ps_check_main("client/call/support", cases);
}
