/* manifest: what is written reads back, and what is no manifest is refused. */
#include "common/explain/manifest.h"

#include "tests/lib/check_main.h"

#include <math.h>
#include <string.h>

/* As a file of the first version has it, and with keys that nobody knows yet. */
static const char known[] =
    "{\"psd_explain\":1,\"job\":7,\"lineage\":{\"model\":{\"name\":\"m\",\"version\":\"v\","
    "\"sha256\":\"ab\","
    "\"architecture\":\"mlp\",\"tensors\":[\"a\",\"b\"]},\"compared_with\":{\"name\":\"c\","
    "\"version\":\"v\",\"sha256\":\"cd\"},"
    "\"checkpoints\":[{\"name\":\"e1\",\"version\":\"models/e1.1\",\"sha256\":\"23\"},"
    "{\"name\":\"e2\",\"version\":\"models/e2.1\"}],\"data\":\"/d/x\","
    "\"files\":[{\"path\":\"/d/x\",\"sha256\":\"ef\"}],"
    "\"workers\":[{\"name\":\"w\",\"device\":\"cpu\",\"precision\":\"float32\"}],"
    "\"spec_sha256\":\"01\",\"psd_version\":\"0.1.0\",\"seed\":3},\"score\":"
    "\"logit\",\"target\":\"class 3\",\"baseline\":\"zero\",\"classes\":true,\"language\":false,"
    "\"results\":[{\"kind\":\"attributions\",\"method\":\"integrated_gradients\",\"arguments\":{"
    "\"method\":\"integrated_gradients\",\"steps\":50},\"arrays\":[{\"name\":\"values\",\"array\":"
    "\"attributions/0/"
    "values\",\"axes\":[\"row\",\"feature\"],\"entries\":[\"x\",\"y\"]}],\"residual\":{\"relative_"
    "median\":"
    "0.001,\"relative_max\":0.25,\"tolerance\":0.01,\"met\":false,\"unmet\":2},\"standard_error\":"
    "0.5,\"steps\":{\"median\":50,\"max\":800},\"evaluations\":12,\"seconds\":1.5}],\"contents\":"
    "\"\",\"rows\":[{\"row\":4,\"label\":1,\"prediction\":3,\"target\":3,\"confidence\":0.75,"
    "\"score\":2.5},{\"row\":9,\"prediction\":0,\"target\":0,\"confidence\":0.5,\"score\":-1}],"
    "\"left_out\":{\"count\":2,\"rows\":[5,6]},\"warnings\":[\"beware\"]}";

START_TEST(what_is_written_reads_back)
{
    ps_explanation m;
    ps_buf again = PS_BUF_EMPTY;
    ck_ok(ps_explanation_read(ps_slice_str(known), &m));
    ck_assert_uint_eq(m.job, 7);
    ck_assert_str_eq(m.model_version, "v");
    ck_assert_uint_eq(m.n_rows, 2);
    ck_assert_int_eq(m.rows[1].label, -1);
    ck_assert_double_eq(m.rows[1].score, -1);
    const ps_explanation_result *r = &m.results[0];
    ck_assert(r->has_residual && r->unmet == 2);
    ck_assert_double_eq(r->relative_max, 0.25);
    ck_assert_str_eq(ps_explanation_find(r, "values")->axes, "row feature");
    ck_assert_str_eq(ps_explanation_find(r, "values")->entries[1], "y");
    ck_assert_ptr_null(ps_explanation_find(r, "value"));
    ck_assert_uint_eq(m.n_tensors, 2);
    ck_assert_str_eq(m.tensors[1], "b");
    ck_assert_str_eq(m.other, "c");
    ck_assert_str_eq(m.other_version, "v");
    ck_assert_str_eq(m.other_sha256, "cd");
    ck_assert_uint_eq(m.n_checkpoints, 2);
    ck_assert_str_eq(m.checkpoints[0].version, "models/e1.1");
    ck_assert_str_eq(m.checkpoints[1].said, "");
    ck_assert(m.n_files == 1 && !strcmp(m.files[0].said, "ef"));
    ck_assert(m.n_workers == 1 && !strcmp(m.workers[0].said, "cpu"));
    ck_assert_uint_eq(m.left_out, 2);
    ck_assert_uint_eq(m.left_out_rows[1], 6);
    ps_explanation_write(&m, &again);
    ck_assert_str_eq(ps_buf_cstr(&again), known);
    ps_buf_free(&again);
    ps_explanation_free(&m);
}
END_TEST

START_TEST(keys_of_later_versions_are_passed_over)
{
    ps_explanation m;
    ck_ok(ps_explanation_read(
        ps_slice_str("{\"later\":[{}],\"psd_explain\":1,\"results\":[{\"new\":1}],\"rows\":[{}]}"),
        &m));
    ck_assert_str_eq(m.model, "");
    ck_assert_str_eq(m.model_sha256, "");
    ck_assert_str_eq(m.results[0].method, "");
    ck_assert_str_eq(m.results[0].arguments, "{}");
    ck_assert(isnan(m.rows[0].score));
    ps_explanation_free(&m);
}
END_TEST

START_TEST(what_is_no_manifest_is_refused)
{
    static const char *const bad[] = {"",
                                      "{}",
                                      "[]",
                                      "{\"psd_explain\":0}",
                                      "{\"psd_explain\":1,\"rows\":[1]}",
                                      "{\"psd_explain\":1,\"rows\":[{\"row\":-1}]}",
                                      "{\"psd_explain\":1,\"rows\":[{\"label\":0.5}]}",
                                      "{\"psd_explain\":1,\"results\":{}}",
                                      "{\"psd_explain\":1,\"warnings\":[1]}",
                                      "{\"psd_explain\":1} x"};
    ps_explanation m;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(ps_explanation_read(ps_slice_str(bad[i]), &m) == PS_CORRUPT, "%s", bad[i]);
    ck_assert_int_eq(ps_explanation_read(ps_slice_str("{\"psd_explain\":2}"), &m),
                     PS_UNIMPLEMENTED);
}
END_TEST

static const ps_check_case cases[] = {
    {&what_is_written_reads_back},
    {&keys_of_later_versions_are_passed_over},
    {&what_is_no_manifest_is_refused},
    {0},
};

int main(void)
{
    return ps_check_main("explain/manifest", cases);
}
