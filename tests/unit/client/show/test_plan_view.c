/* plan_view: blocks that are alike share a row, reasons are told in whole on a narrow terminal too,
 * and JSON has every tensor. */
#include "client/show/plan_view.h"

#include "tests/lib/check_main.h"

#include "common/base/mem.h"
#include "common/model/lm_layout.h"

#include <string.h>

#define MODEL                                                                      \
    "{architecture: llama, vocab_size: 300, context_length: 64, hidden_size: 96, " \
    "num_layers: 9, num_heads: 4, num_kv_heads: 2, intermediate_size: 256}"

typedef struct rig {
    ps_spec_model *model;
    ps_lm_tensor *layout;
    ps_model_form *tensors;
    ps_job_spec spec;
    ps_plan *plan;
    char name[8], parent[8];
} rig;

static void rig_new(rig *r, const char *compress)
{
    void *section = NULL;
    size_t n = 0;
    *r = (rig){.name = "small", .parent = "big"};
    ck_ok(ps_spec_model_parse(ps_slice_str(MODEL), "model", &r->model));
    ck_ok(ps_conf_load(&ps_compress_schema, ps_slice_str(compress), "job.yaml", NULL, &section));
    ps_lm_layout(r->model, &r->layout, &n);
    r->tensors = ps_alloc_array(n, sizeof *r->tensors);
    for (size_t i = 0; i < n; i++)
        r->tensors[i] = (ps_model_form){.name = r->layout[i].name,
                                        .n_dims = r->layout[i].n_dims,
                                        .shape = {r->layout[i].shape[0], r->layout[i].shape[1]}};
    r->spec =
        (ps_job_spec){.name = r->name, .model_name = r->parent, .compress = section, .workers = 1};
    const ps_plan_parent parent = {
        .name = r->parent, .model = r->model, .tensors = r->tensors, .n = n};
    ck_ok(ps_plan_new(&r->spec, &parent, 0, &r->plan));
}

static void rig_free(rig *r)
{
    ps_plan_free(&r->plan);
    ps_conf_free(&ps_compress_schema, r->spec.compress);
    ps_free(&r->tensors);
    ps_free(&r->layout);
    ps_spec_model_free(&r->model);
}

static void shows(ps_buf *out, const char *line)
{
    const char *text = ps_buf_cstr(out), *at = strstr(text, line);
    ck_assert_msg(at && (at == text || at[-1] == '\n'), "'%s' is no line of:\n%s", line, text);
}

START_TEST(blocks_that_are_alike_share_a_row)
{
    rig r;
    ps_buf out = PS_BUF_EMPTY;
    const ps_style file = {.width = 0};
    rig_new(&r, "quantise: {scheme: q4_k_m, method: gptq, keep: [model.layers.4.mlp.up_proj]}\n"
                "calibrate: {rows: 3, held_out: 0}\n");
    ps_plan_text(&out, &file, &r.spec, r.plan);
    shows(&out, "TENSOR ");
    shows(&out, "model.layers.*.self_attn.q_proj.weight              9   96x96  q5_0     gptq");
    shows(&out, "model.layers.*.mlp.up_proj.weight                   8  256x96  q5_0     gptq");
    shows(&out, "model.layers.4.mlp.up_proj.weight                   1  256x96  float32  ");
    ck_assert_ptr_nonnull(strstr(ps_buf_cstr(&out), "kept: model.layers.4.mlp.up_proj\n"));
    /* the first eighth of nine layers, every third, and the last */
    shows(&out, "model.layers.*.mlp.down_proj.weight                 5  96x256  q6_k     gptq");
    shows(&out, "model.layers.*.mlp.down_proj.weight                 4  96x256  q4_k     gptq");
    shows(&out, "calibration  3 rows, of 64 tokens; 36 inputs in 9 passes\n");
    shows(&out, "warning: calibration has 192 tokens, fewer than columns of 9 inputs "
                "(model.layers.0.mlp.down_proj.weight has 256): on other data");
    ps_buf_free(&out);
    rig_free(&r);
}
END_TEST

START_TEST(reasons_are_whole_on_a_narrow_terminal)
{
    rig r;
    ps_buf out = PS_BUF_EMPTY;
    const ps_style narrow = {.width = 60};
    rig_new(&r, "quantise: {scheme: int4, group: 64}\n");
    ps_plan_text(&out, &narrow, &r.spec, r.plan);
    shows(&out, "54 of 84 tensors fell back: rows of 96 are not whole groups of 64\n");
    ck_assert_ptr_null(strstr(ps_buf_cstr(&out), "calibration"));
    ps_buf_free(&out);
    rig_free(&r);
}
END_TEST

START_TEST(what_a_target_leaves_open_is_said)
{
    rig r;
    ps_buf out = PS_BUF_EMPTY;
    const ps_style file = {.width = 0};
    rig_new(&r, "quantise: {scheme: [int2, int4, int8], group: 32, target: {bits: 4.5}}\n");
    ps_plan_text(&out, &file, &r.spec, r.plan);
    shows(&out,
          "model.layers.*.self_attn.q_proj.weight              9   96x96  at most int8/32  round");
    ck_assert_ptr_nonnull(strstr(ps_buf_cstr(&out), "one of int2/32, int4/32, int8/32\n"));
    char *line = ps_asprintf("target  at most %llu bytes of tensors; between ",
                             (unsigned long long)r.plan->target.bytes);
    shows(&out, line);
    free(line);
    /* of 8.5 bits each at the most, and of 4.5 by the target */
    uint64_t chosen = 9 * (2 * 96 * 96 + 2 * 48 * 96 + 3 * 96 * 256);
    ck_assert_uint_eq(r.plan->data - r.plan->target.bytes, chosen / 2);
    ps_buf_free(&out);
    rig_free(&r);
}
END_TEST

START_TEST(json_has_every_tensor)
{
    rig r;
    ps_buf out = PS_BUF_EMPTY;
    rig_new(&r, "quantise: {scheme: uint8, group: matrix}\n");
    ps_json_writer w = ps_json_writer_to(&out);
    ps_plan_json(&w, &r.spec, r.plan);
    const char *text = ps_buf_cstr(&out);
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, "\"why\":")); at++)
        n++;
    ck_assert_uint_eq(n, r.plan->n_tensors);
    ck_assert_ptr_nonnull(strstr(text, "{\"name\":\"model.layers.8.mlp.down_proj.weight\","
                                       "\"shape\":[96,256],\"form\":\"uint8/matrix\","
                                       "\"method\":\"round\",\"bytes\":24960,"
                                       "\"fell_back\":false,\"why\":\"\"}"));
    ck_assert_ptr_nonnull(strstr(text, "\"warnings\":[]}"));
    ps_buf_free(&out);
    rig_free(&r);
}
END_TEST

static const ps_check_case tests[] = {
    {&blocks_that_are_alike_share_a_row},
    {&reasons_are_whole_on_a_narrow_terminal},
    {&what_a_target_leaves_open_is_said},
    {&json_has_every_tensor},
    {0},
};

int main(void)
{
    return ps_check_main("show/plan_view", tests);
}
