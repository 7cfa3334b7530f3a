/* slsa: a record becomes what in-toto-attestation takes for provenance
 * (tests/golden/signing/make.py holds slsa.json against it); what is no record is refused. */
#include "common/signing/slsa.h"

#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/signing/statement.h"
#include "tests/lib/check_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOT "0000000000000000000000000000000000000000000000000000000000000000"

static char name[] = "model";
static const ps_manifest model = {.name = name, .root = ROOT};

static void golden(const char *file, ps_buf *out)
{
    char *path = ps_asprintf("%s/tests/golden/signing/%s", getenv("PSD_SOURCE_ROOT"), file);
    ck_ok(ps_disk_read_file(&ps_disk_system, path, 1 << 20, out));
    ps_free(&path);
}

START_TEST(a_record_is_said_in_slsas_words)
{
    ps_buf record = PS_BUF_EMPTY, wanted = PS_BUF_EMPTY, out = PS_BUF_EMPTY;
    ps_manifest head;
    golden("psd-provenance.json", &record);
    golden("slsa.json", &wanted);
    ck_ok(ps_slsa_write(&model, ps_buf_slice(&record), &out));
    ps_buf_putc(&out, '\n');
    ck_assert_str_eq(ps_buf_cstr(&out), ps_buf_cstr(&wanted));
    ck_ok(ps_statement_read_head(ps_buf_slice(&out), PS_SLSA_PREDICATE, &head));
    ck_assert_str_eq(head.name, "model");
    ck_assert_str_eq(head.root, ROOT);
    ps_manifest_free(&head);
    ck_assert_int_eq(ps_statement_read(ps_buf_slice(&out), &head), PS_CORRUPT); /* no signature */
    ps_buf_free(&record);
    ps_buf_free(&wanted);
    ps_buf_free(&out);
}
END_TEST

#define FORMAT "\"format\":\"psd-provenance/1\","
#define MODEL  "\"model\":{\"name\":\"m\"},"
#define MADE   "\"made\":{\"how\":\"import\"}"

START_TEST(what_is_not_known_is_left_out)
{
    static const char record[] = "{" FORMAT MODEL MADE ",\"cluster\":\"lab\",\"later\":[1]}";
    ps_buf out = PS_BUF_EMPTY;
    ck_ok(ps_slsa_write(&model, ps_slice_str(record), &out));
    const char *said = ps_buf_cstr(&out);
    ck_assert_ptr_nonnull(strstr(said, "\"id\":\"spiffe://lab/server/psd\",\"version\":{}"));
    ck_assert_ptr_nonnull(strstr(said, "\"externalParameters\":{\"model\":\"m\"}"));
    ck_assert_ptr_nonnull(strstr(said, "\"resolvedDependencies\":[]},"));
    ck_assert_ptr_nonnull(strstr(said, "\"metadata\":{},"));
    ps_buf_free(&out);
}
END_TEST

START_TEST(what_is_no_record_is_refused)
{
    static const struct {
        const char *record, *why;
    } bad[] = {
        {"", "end"},
        {"[]", "psd-provenance.json"},
        {"{" MODEL MADE "}", "format is missing"},
        {"{\"format\":\"other/1\"," MODEL MADE "}", "format: it is not psd-provenance/1"},
        {"{" FORMAT MADE "}", "model is missing"},
        {"{" FORMAT "\"model\":\"m\"," MADE "}", "model:"},
        {"{" FORMAT MODEL "\"made\":{\"how\":\"a/b\"}}", "made: how is no word"},
        {"{" FORMAT MODEL "\"made\":{\"how\":\"\"}}", "made: how is no word"},
        {"{" FORMAT MODEL "\"made\":{\"how\":\"x\",\"job\":-1}}", "made: job: it is no count"},
        {"{" FORMAT MODEL MADE "," MADE "}", "made is there twice"},
        {"{" FORMAT MODEL MADE ",\"psd\":7}", "psd: a text of at most"},
        {"{" FORMAT MODEL MADE ",\"data\":{}}", "data:"},
        {"{" FORMAT MODEL MADE ",\"data\":[{}]}", "data: it has neither name nor path"},
        {"{" FORMAT MODEL MADE ",\"data\":[{\"path\":\"/a\",\"name\":\"a\"}]}", "or both"},
        {"{" FORMAT MODEL MADE ",\"data\":[{\"path\":\"/a\",\"sha256\":\"abc\"}]}",
         "data: sha256 has no 64 hexadecimal digits"},
        {"{" FORMAT MODEL MADE ",\"began_from\":[{\"name\":\"\\u0000\"}]}", "began_from: name:"},
        {"{" FORMAT MODEL MADE "} x", "psd-provenance.json"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ps_buf out = PS_BUF_EMPTY;
        ps_status st = ps_slsa_write(&model, ps_slice_str(bad[i].record), &out);
        ck_assert_msg(st == PS_CORRUPT && strstr(ps_error_message(), bad[i].why), "%zu: %d, %s", i,
                      (int)st, ps_error_message());
        ps_buf_free(&out);
    }
}
END_TEST

static const ps_check_case cases[] = {
    {&a_record_is_said_in_slsas_words},
    {&what_is_not_known_is_left_out},
    {&what_is_no_record_is_refused},
    {0},
};

int main(void)
{
    return ps_check_main("common/signing/slsa", cases);
}
