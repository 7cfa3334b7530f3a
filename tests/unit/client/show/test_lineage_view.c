/* lineage_view: what psd could not tell is said to be missing, and the rest is shown. */
#include "client/show/lineage_view.h"

#include "tests/lib/check_main.h"

#include <string.h>

#define HEAD "{\"format\":\"psd-provenance/1\",\"model\":{\"name\":\"child\"}"

static ps_status show(const char *record, ps_buf *out)
{
    const ps_style style = {.utf8 = true};
    return ps_lineage_text(out, &style, record);
}

/* As psd writes them: a version that is gone, and a file whose worker did not read it to its end.
 */
START_TEST(digests_that_nobody_knows_are_null)
{
    static const char record[] =
        HEAD ",\"audit_head\":null,"
             "\"began_from\":[{\"as\":\"parent\",\"name\":\"base\",\"version\":\"1\","
             "\"sha256\":null}],"
             "\"data\":[{\"path\":\"/srv/train.gz\",\"bytes\":123,\"sha256\":null,\"read_by\":"
             "null}]}";
    ps_buf out = PS_BUF_EMPTY;
    ck_ok(show(record, &out));
    const char *text = ps_buf_cstr(&out);
    ck_assert_ptr_nonnull(strstr(text, "child"));
    ck_assert_ptr_nonnull(strstr(text, "base   not known"));
    ck_assert_ptr_nonnull(strstr(text, "/srv/train.gz"));
    ck_assert_ptr_nonnull(strstr(text, "not computed"));
    ps_buf_free(&out);
}
END_TEST

START_TEST(what_is_no_record_is_refused)
{
    static const char *const bad[] = {"",
                                      "[]",
                                      "{}",
                                      "{\"format\":null}",
                                      "{\"format\":\"x\"}",
                                      HEAD ",\"audit_head\":7}",
                                      HEAD ",\"data\":null}",
                                      HEAD};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ps_buf out = PS_BUF_EMPTY;
        ck_assert_int_eq(show(bad[i], &out), PS_CORRUPT);
        ps_buf_free(&out);
    }
}
END_TEST

static const ps_check_case cases[] = {
    {&digests_that_nobody_knows_are_null},
    {&what_is_no_record_is_refused},
    {0},
};

int main(void)
{
    return ps_check_main("show/lineage_view", cases);
}
