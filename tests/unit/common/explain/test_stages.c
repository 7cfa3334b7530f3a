#include "common/explain/stages.h"

#include "tests/lib/check_main.h"

static char saliency[] = "saliency", occlusion[] = "occlusion";
static ps_spec_explain_method methods[] = {{.method = saliency}, {.method = occlusion}};

START_TEST(pieces_depend_on_the_items_alone)
{
    ps_explain_stage s;
    ps_spec_explain spec = {.rows = {.sample = 100}, .attributions = methods, .n_attributions = 2};
    ck_assert(ps_explain_stage_at(&spec, 0, &s));
    ck_assert_int_eq(s.kind, PS_EXPLAIN_STAGE_ROWS);
    ck_assert_uint_eq(s.items, 100);
    ck_assert_uint_eq(s.per_piece, 16);
    ck_assert(ps_explain_stage_runs(&spec, &s, 0) && ps_explain_stage_runs(&spec, &s, 1));
    ck_assert(ps_explain_stage_at(&spec, 1, &s));
    ck_assert_int_eq(s.kind, PS_EXPLAIN_STAGE_MERGE);
    ck_assert(s.last);
    ck_assert(!ps_explain_stage_at(&spec, 2, &s));
    spec.rows.sample = PS_EXPLAIN_ITEMS_MAX;
    ck_assert(ps_explain_stage_at(&spec, 0, &s));
    ck_assert_uint_le((s.items + s.per_piece - 1) / s.per_piece, PS_EXPLAIN_PIECES);
}
END_TEST

/* Which rows are asked about is told once, before shares of each pass. */
START_TEST(shares_of_training_come_behind_the_rows)
{
    static char tracin[] = "tracin", trak[] = "trak";
    ps_spec_explain_method both[] = {{.method = tracin}, {.method = trak}};
    static const struct {
        ps_explain_stage_kind kind;
        unsigned pass;
    } want[] = {{PS_EXPLAIN_STAGE_ROWS, 0},   {PS_EXPLAIN_STAGE_SHARES, 0},
                {PS_EXPLAIN_STAGE_SHARES, 0}, {PS_EXPLAIN_STAGE_MERGE, 0},
                {PS_EXPLAIN_STAGE_SHARES, 1}, {PS_EXPLAIN_STAGE_MERGE, 1}};
    ps_spec_explain spec = {.rows = {.sample = 100}, .influence = both, .n_influence = 2};
    ps_explain_stage s;
    for (unsigned i = 0; i < sizeof want / sizeof *want; i++) {
        ck_assert(ps_explain_stage_at(&spec, i, &s));
        ck_assert(s.kind == want[i].kind && s.pass == want[i].pass);
        ck_assert(s.last == (i == 5));
        ck_assert(s.kind == PS_EXPLAIN_STAGE_SHARES || !ps_explain_stage_runs(&spec, &s, 0) ||
                  s.kind == PS_EXPLAIN_STAGE_MERGE);
    }
    ck_assert(!ps_explain_stage_at(&spec, 6, &s));
}
END_TEST

START_TEST(files_have_names_that_artifacts_may_have)
{
    char name[PS_EXPLAIN_FILE_NAME];
    ps_explain_part_name(3, 48, name);
    ck_assert_str_eq(name, "part-3-48.safetensors");
    ps_explain_pass_name(1, name);
    ck_assert_str_eq(name, "pass-1.safetensors");
}
END_TEST

static const ps_check_case cases[] = {
    {&pieces_depend_on_the_items_alone},
    {&shares_of_training_come_behind_the_rows},
    {&files_have_names_that_artifacts_may_have},
    {0},
};

int main(void)
{
    return ps_check_main("explain/stages", cases);
}
