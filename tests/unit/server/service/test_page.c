/* page: sizes, and tokens that come back as they went out or not at all. */
#include "server/service/page.h"

#include "tests/lib/check_main.h"

#include <stdlib.h>
#include <string.h>

START_TEST(a_page_has_100_rows_or_as_many_as_asked_for_up_to_1000)
{
    static const struct {
        int32_t asked;
        size_t rows;
    } rows[] = {{0, 100}, {1, 1}, {99, 99}, {1000, 1000}, {1001, 1000}, {INT32_MAX, 1000}};
    ps_page page;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ck_ok(ps_page_read("jobs", 0, rows[i].asked, i % 2 ? "" : NULL, &page));
        ck_assert_uint_eq(page.rows, rows[i].rows);
        ck_assert_str_eq(page.after, "");
    }
    ck_assert_int_eq(ps_page_read("jobs", 0, -1, "", &page), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "page_size -1, allowed 0 and more");
}
END_TEST

START_TEST(a_token_gives_back_its_key)
{
    char longest[PS_PAGE_KEY_MAX];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    const char *const keys[] = {"1", "18446744073709551615", "fashion-mlp", "\xc3\xa9", longest};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char *token = ps_page_token("jobs", 3, keys[i]);
        ps_page page;
        ck_ok(ps_page_read("jobs", 3, 7, token, &page));
        ck_assert_str_eq(page.after, keys[i]);
        ck_assert_uint_eq(page.rows, 7);
        ck_assert_uint_eq(strspn(token, "0123456789abcdef"), strlen(token)); /* fits into a URL */
        free(token);
    }
}
END_TEST

static void refuses(const char *list, uint32_t filter, const char *token, const char *words)
{
    ps_page page = {.rows = 5};
    ck_assert_msg(ps_page_read(list, filter, 0, token, &page) == PS_INVALID_ARGUMENT, "%s", token);
    ck_assert_msg(strstr(ps_error_message(), words) != NULL, "%s", ps_error_message());
    ck_assert_uint_eq(page.rows, 5); /* untouched */
}

START_TEST(a_token_of_another_list_or_filter_is_refused)
{
    char *token = ps_page_token("jobs", 3, "17");
    refuses("models", 3, token, "page_token: not one of the list of models");
    refuses("jobs", 4, token, "page_token: of a request with another filter");
    free(token);
}
END_TEST

START_TEST(a_token_that_was_changed_is_refused)
{
    char *token = ps_page_token("jobs", 0, "1234");
    size_t len = strlen(token);
    for (size_t i = 0; i < len; i++) {
        char copy[128];
        strcpy(copy, token);
        copy[i] = copy[i] == '0' ? '1' : '0';
        refuses("jobs", 0, copy, "page_token: not one of the list of jobs");
        copy[i] = 'g';
        refuses("jobs", 0, copy, "page_token: not one of the list of jobs");
        memcpy(copy, token, i);
        copy[i] = 0;
        if (i)
            refuses("jobs", 0, copy, "page_token: not one of the list of jobs");
    }
    char big[4096];
    memset(big, 'a', sizeof big - 1);
    big[sizeof big - 1] = 0;
    refuses("jobs", 0, big, "page_token: not one of the list of jobs");
    big[sizeof big - 2] = 0;
    refuses("jobs", 0, big, "page_token: not one of the list of jobs");
    free(token);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_page_has_100_rows_or_as_many_as_asked_for_up_to_1000},
    {&a_token_gives_back_its_key},
    {&a_token_of_another_list_or_filter_is_refused},
    {&a_token_that_was_changed_is_refused},
    {0},
};

int main(void)
{
    return ps_check_main("server/service/page", cases);
}
