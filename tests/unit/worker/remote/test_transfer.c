/* transfer against a Models service that can break, refuse and be silent, over the real transport:
 * what arrives is compared with what was sent. */
#include "worker/remote/transfer.h"

#include "common/base/mem.h"
#include "psd/v1/models.pb-c.h"
#include "tests/lib/check_main.h"
#include "tests/lib/fake_models.h"
#include "tests/lib/remote_rig.h"

#include <string.h>

enum {
    LARGE_BYTES = (40 << 20) + 1,
    FILE_BYTES = (5 << 20) / 2
}; /* two whole pieces of 1 MiB, and a half */

static struct {
    ps_test_remote_rig rig;
    fake_models fake;
    uint8_t *file;
    ps_buf got;
    unsigned restarts;
    size_t refuse_after; /* bytes; 0: never */
} t;

static void restart(void *state)
{
    (void)state;
    t.restarts++;
    ps_buf_clear(&t.got);
}

static ps_status take(void *state, ps_slice bytes)
{
    (void)state;
    ps_buf_append(&t.got, bytes.data, bytes.len);
    if (t.refuse_after && t.got.len >= t.refuse_after)
        return ps_fail(PS_CORRUPT, "byte %zu is wrong", t.got.len);
    return PS_OK;
}

static const ps_transfer_sink sink = {.restart = restart, .take = take};

static void begin(size_t bytes, size_t piece)
{
    memset(&t, 0, sizeof(t));
    t.file = ps_alloc(bytes + 1);
    for (size_t i = 0; i < bytes; i++)
        t.file[i] = (uint8_t)(i * 2654435761u >> 13);
    fake_models_init(&t.fake, ps_slice_of(t.file, bytes), piece);
    ps_rpc_service service = fake_models_service(&t.fake);
    ps_test_remote_rig_open(&t.rig, &service, 1);
}

static void end(void)
{
    ps_test_remote_rig_close(&t.rig);
    fake_models_free(&t.fake);
    ps_buf_free(&t.got);
    ps_free(&t.file);
}

static ps_status download(void)
{
    Psd__V1__ExportRequest request = PSD__V1__EXPORT_REQUEST__INIT;
    request.job_id = 7;
    return ps_transfer_download(&t.rig.remote, "/psd.v1.Models/Export", &request.base, &sink);
}

/* What goes up: so many bytes of the file, by 100,000 at most; from broken_at on it cannot be read.
 */
typedef struct source_state {
    size_t at, bytes, broken_at;
} source_state;

static ps_status source_restart(void *state)
{
    ((source_state *)state)->at = 0;
    return PS_OK;
}

static ps_status source_read(void *state, void *out, size_t len, size_t *got)
{
    source_state *s = state;
    if (s->broken_at && s->at >= s->broken_at)
        return ps_fail(PS_NO_SPACE, "the source has broken");
    *got = s->bytes - s->at < len ? s->bytes - s->at : len;
    *got = *got < 100000 ? *got : 100000;
    if (*got)
        memcpy(out, t.file + s->at, *got);
    s->at += *got;
    return PS_OK;
}

static ps_status upload_broken(size_t bytes, size_t broken_at)
{
    static char name[] = "predictions.jsonl";
    Psd__V1__PutArtifactHeader header = PSD__V1__PUT_ARTIFACT_HEADER__INIT;
    header.job_id = 7;
    header.name = name;
    Psd__V1__PutArtifactRequest first = PSD__V1__PUT_ARTIFACT_REQUEST__INIT;
    first.header = &header;
    Psd__V1__PutArtifactRequest piece = PSD__V1__PUT_ARTIFACT_REQUEST__INIT;
    source_state state = {.bytes = bytes, .broken_at = broken_at};
    const ps_transfer_source source = {
        .restart = source_restart, .read = source_read, .state = &state};
    return ps_transfer_upload(&t.rig.remote, "/psd.v1.Models/PutArtifact", &first.base, &piece.base,
                              &source);
}

static ps_status upload(size_t bytes)
{
    return upload_broken(bytes, 0);
}

static void assert_got_all(const ps_buf *got, size_t bytes)
{
    ck_assert_uint_eq(got->len, bytes);
    ck_assert(!bytes || !memcmp(got->data, t.file, bytes));
}

START_TEST(a_file_comes_down_whole_and_in_order)
{
    begin(FILE_BYTES, 1000);
    ck_ok(download());
    assert_got_all(&t.got, FILE_BYTES);
    ck_assert_uint_eq(t.restarts, 1);
    ck_assert_uint_eq(t.fake.job_id, 7);
    end();
}
END_TEST

START_TEST(a_broken_download_begins_again_and_nothing_is_there_twice)
{
    begin(50000, 1000);
    fault_next(&t.fake.break_exports, 2);
    ck_ok(download());
    assert_got_all(&t.got, 50000);
    ck_assert_uint_eq(t.restarts, 3);
    ck_assert_uint_eq(t.fake.exports, 3);
    end();
}
END_TEST

START_TEST(a_file_of_which_psd_sends_a_part_is_no_file)
{
    begin(FILE_BYTES, 1000);
    fault_next(&t.fake.cut_exports, 1);
    ck_assert_int_eq(download(), PS_DATA_LOSS);
    ck_assert_str_eq(ps_error_message(), "1310720 bytes of 2621440 have come");
    ck_ok(download());
    assert_got_all(&t.got, FILE_BYTES);
    end();
}
END_TEST

START_TEST(what_the_sink_refuses_ends_the_download_with_its_words)
{
    begin(FILE_BYTES, 1000);
    t.refuse_after = 5000;
    ck_assert_int_eq(download(), PS_CORRUPT);
    ck_assert_str_eq(ps_error_message(), "byte 5000 is wrong");
    ck_assert_uint_eq(t.got.len, 5000); /* nothing more was taken */
    ck_assert_uint_eq(t.fake.exports, 1);
    t.refuse_after = 0;
    ck_ok(download()); /* and the connection is as good as before */
    assert_got_all(&t.got, FILE_BYTES);
    end();
}
END_TEST

START_TEST(what_psd_refuses_is_not_repeated)
{
    begin(10, 10);
    t.fake.refuse = PS_NOT_FOUND;
    ck_assert_int_eq(download(), PS_NOT_FOUND);
    ck_assert_str_eq(ps_error_message(), "no");
    ck_assert_uint_eq(t.fake.exports, 1);
    ck_assert_int_eq(upload(10), PS_NOT_FOUND);
    end();
}
END_TEST

static void *cancel_soon(void *argument)
{
    while (!fake_models_count(&t.fake, argument))
        ;
    ps_gate_cancel(&t.rig.gate, "job 7 was cancelled by you");
    return NULL;
}

START_TEST(a_cancelled_task_does_not_wait_for_psd)
{
    begin(FILE_BYTES, 1000);
    t.fake.silent = true;
    pthread_t thread;
    pthread_create(&thread, NULL, cancel_soon, &t.fake.exports);
    ck_assert_int_eq(download(), PS_CANCELLED);
    ck_assert_str_eq(ps_error_message(), "job 7 was cancelled by you");
    pthread_join(thread, NULL);
    ck_assert_uint_eq(t.got.len, 0);
    ck_assert_int_eq(upload(FILE_BYTES), PS_CANCELLED); /* from the start */
    t.fake.silent = false;
    ps_gate_reset(&t.rig.gate);
    ck_ok(upload(FILE_BYTES));
    assert_got_all(&t.fake.artifact, FILE_BYTES);
    end();
}
END_TEST

START_TEST(a_file_goes_up_in_pieces_of_a_mebibyte)
{
    begin(FILE_BYTES, 1);
    ck_ok(upload(FILE_BYTES));
    assert_got_all(&t.fake.artifact, FILE_BYTES);
    ck_assert_uint_eq(t.fake.largest_piece, 1 << 20);
    ck_assert_str_eq(t.fake.artifact_name, "predictions.jsonl");
    ck_assert_uint_eq(t.fake.job_id, 7);
    ck_ok(upload(0)); /* an empty one as well */
    assert_got_all(&t.fake.artifact, 0);
    ck_assert_uint_eq(t.fake.puts, 2);
    end();
}
END_TEST

START_TEST(an_upload_whose_answer_is_lost_goes_up_again)
{
    begin(FILE_BYTES, 1);
    fault_next(&t.fake.lose_puts, 2);
    ck_ok(upload(FILE_BYTES));
    assert_got_all(&t.fake.artifact, FILE_BYTES);
    ck_assert_uint_eq(t.fake.puts, 3);
    end();
}
END_TEST

START_TEST(a_source_that_breaks_ends_the_upload_with_its_words)
{
    begin(FILE_BYTES, 1);
    ck_assert_int_eq(upload_broken(FILE_BYTES, 1), PS_NO_SPACE);
    ck_assert_str_eq(ps_error_message(), "the source has broken");
    ck_assert_int_eq(upload_broken(FILE_BYTES, 2000000), PS_NO_SPACE);
    ck_assert_uint_eq(t.fake.puts, 0); /* nothing was taken for a whole file */
    ck_ok(upload(FILE_BYTES));
    assert_got_all(&t.fake.artifact, FILE_BYTES);
    end();
}
END_TEST

/* 40 MiB, of which a few pieces are in memory at a time. */
START_TEST(a_large_file_goes_up_whole)
{
    begin(LARGE_BYTES, 1);
    ck_ok(upload(LARGE_BYTES));
    assert_got_all(&t.fake.artifact, LARGE_BYTES);
    end();
}
END_TEST

static const ps_check_case tests[] = {{&a_file_comes_down_whole_and_in_order},
                                      {&a_broken_download_begins_again_and_nothing_is_there_twice},
                                      {&a_file_of_which_psd_sends_a_part_is_no_file},
                                      {&what_the_sink_refuses_ends_the_download_with_its_words},
                                      {&what_psd_refuses_is_not_repeated},
                                      {&a_cancelled_task_does_not_wait_for_psd},
                                      {&a_file_goes_up_in_pieces_of_a_mebibyte},
                                      {&an_upload_whose_answer_is_lost_goes_up_again},
                                      {&a_source_that_breaks_ends_the_upload_with_its_words},
                                      {&a_large_file_goes_up_whole},
                                      {0}};

int main(void)
{
    return ps_check_main("worker/remote/transfer", tests);
}
