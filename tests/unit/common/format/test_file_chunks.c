/* file_chunks: a file is whole when as many bytes have come as its first chunk says. */
#include "common/format/file_chunks.h"

#include "tests/lib/check_main.h"

static char two[] = "v2";

static ps_status count(ps_file_chunks *c, uint64_t total, size_t bytes, const char *version)
{
    Psd__V1__FileChunk chunk = PSD__V1__FILE_CHUNK__INIT;
    chunk.total_bytes = total;
    if (!c->begun)
        chunk.version = two;
    return ps_file_chunks_count(c, &chunk, bytes, version);
}

START_TEST(it_is_whole_when_all_of_it_has_come_and_not_before)
{
    ps_file_chunks c = {0};
    ck_ok(count(&c, 10, 4, NULL));
    ck_assert_int_eq(ps_file_chunks_whole(&c), PS_DATA_LOSS);
    ck_assert_str_eq(ps_error_message(), "4 bytes of 10 have come");
    ck_ok(count(&c, 0, 6, NULL));
    ck_ok(ps_file_chunks_whole(&c));
    ck_assert_uint_eq(c.got, 10);
}
END_TEST

START_TEST(an_empty_file_is_one_chunk_of_nothing)
{
    ps_file_chunks c = {0};
    ck_ok(count(&c, 0, 0, NULL));
    ck_ok(ps_file_chunks_whole(&c));
}
END_TEST

START_TEST(more_than_there_is_is_refused)
{
    ps_file_chunks c = {0};
    ck_ok(count(&c, 10, 10, NULL));
    ck_assert_int_eq(count(&c, UINT64_MAX, 1, NULL), PS_DATA_LOSS);
    ck_assert_str_eq(ps_error_message(), "more than its 10 bytes have come");
}
END_TEST

START_TEST(another_version_is_refused_at_the_first_chunk)
{
    ps_file_chunks c = {0}, again = {0};
    ck_assert_int_eq(count(&c, 10, 4, "v1"), PS_FAILED_PRECONDITION);
    ck_assert_str_eq(ps_error_message(), "psd sends version 'v2' of it, and v1 was asked for");
    ck_ok(count(&again, 10, 4, "v2"));
    ck_ok(count(&again, 0, 6, "v2")); /* which says no version */
}
END_TEST

static const ps_check_case tests[] = {{&it_is_whole_when_all_of_it_has_come_and_not_before},
                                      {&an_empty_file_is_one_chunk_of_nothing},
                                      {&more_than_there_is_is_refused},
                                      {&another_version_is_refused_at_the_first_chunk},
                                      {0}};

int main(void)
{
    return ps_check_main("common/format/file_chunks", tests);
}
