/* sources: each file of data once for each worker, digest and size; no more than there is room for.
 */
#include "server/sched/sources.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"

#include <stdio.h>
#include <string.h>

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static ps_task_result one(const char *path, const char *sha256, uint64_t bytes)
{
    return (ps_task_result){.files = {{path, sha256, bytes}}, .n_files = 1};
}

START_TEST(a_file_is_told_once_for_each_worker_and_digest)
{
    char *text = NULL;
    ps_task_result a = one("/data/a b.csv", DIGEST, 7), large = one("/data/l", "", 1 << 30);
    ck_assert(ps_sources_add(&text, "w1", &a));
    ck_assert(!ps_sources_add(&text, "w1", &a));
    ck_assert(ps_sources_add(&text, "w2", &a));
    ck_assert(ps_sources_add(&text, "w1", &large));
    ck_assert_str_eq(text, DIGEST " 7 w1 /data/a b.csv\n" DIGEST " 7 w2 /data/a b.csv\n"
                                  "- 1073741824 w1 /data/l\n");
    ps_slice left = ps_slice_str(text);
    ps_source s;
    ck_assert(ps_sources_next(&left, &s));
    ck_assert_str_eq(s.sha256, DIGEST);
    ck_assert_uint_eq(s.bytes, 7);
    ck_assert(ps_slice_is(s.worker, "w1") && ps_slice_is(s.path, "/data/a b.csv"));
    ck_assert(ps_sources_next(&left, &s) && ps_slice_is(s.worker, "w2"));
    ck_assert(ps_sources_next(&left, &s) && !*s.sha256 && s.bytes == 1 << 30);
    ck_assert(!ps_sources_next(&left, &s));
    ps_free(&text);
}
END_TEST

/* A line is no part of another one. */
START_TEST(the_end_of_a_path_is_not_the_file)
{
    char *text = NULL;
    ps_task_result longer = one("/x - 7 w1 /a", "", 7), shorter = one("/a", "", 7);
    ck_assert(ps_sources_add(&text, "w1", &longer));
    ck_assert(ps_sources_add(&text, "w1", &shorter));
    ps_free(&text);
}
END_TEST

START_TEST(what_does_not_fit_is_said_once)
{
    char *text = NULL, path[64];
    size_t added = 0;
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(path, sizeof path, "/data/%d", i);
        ps_task_result r = one(path, DIGEST, 1);
        added += ps_sources_add(&text, "w1", &r);
    }
    ck_assert_uint_le(strlen(text), PS_SOURCES_MOST);
    ps_slice left = ps_slice_str(text);
    ps_source s;
    size_t lines = 0, more = 0;
    for (; ps_sources_next(&left, &s); lines++)
        more += s.more;
    ck_assert_uint_eq(lines, added);
    ck_assert_uint_eq(more, 1);
    ps_free(&text);
}
END_TEST

/* As a worker may say it. */
START_TEST(a_result_with_no_file_of_data_is_refused)
{
    ps_task_result wrong[] = {one("", DIGEST, 1),       one("/a\n/b", DIGEST, 1),
                              one("/\xff", DIGEST, 1),  one("/a", "00", 1),
                              one("/a", DIGEST "0", 1), one("/a", "G123456789abcdef", 1)};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_int_eq(ps_task_result_check(&wrong[i]), PS_INVALID_ARGUMENT);
    ps_task_result many = one("/a", DIGEST, 1), good = many;
    many.n_files = PS_RESULT_FILES + 1;
    ck_assert_int_eq(ps_task_result_check(&many), PS_INVALID_ARGUMENT);
    ck_ok(ps_task_result_check(&good));
}
END_TEST

static const ps_check_case cases[] = {
    {&a_file_is_told_once_for_each_worker_and_digest},
    {&the_end_of_a_path_is_not_the_file},
    {&what_does_not_fit_is_said_once},
    {&a_result_with_no_file_of_data_is_refused},
    {0},
};

int main(void)
{
    return ps_check_main("server/sched/sources", cases);
}
