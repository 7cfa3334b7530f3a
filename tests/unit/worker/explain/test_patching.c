/* patching: estimates and exact effects of every point against PyTorch in float64
 * (tests/golden/explain/make_inside.py). */
#include "tests/unit/worker/explain/language_net.h"

#include "tests/lib/check_main.h"
#include "tests/lib/fault.h"

enum { POINTS = LN_LAYERS * LN_LENGTH, KINDS = 5, PATTERN = 4 };

static char patching[] = "patching", resid_pre[] = "resid_pre", z[] = "z", attn_out[] = "attn_out",
            mlp_out[] = "mlp_out", pattern[] = "pattern";
static char *kinds[KINDS] = {resid_pre, z, attn_out, mlp_out, pattern};

/* clean and corrupt are the first two rows. */
typedef struct rows {
    int64_t tokens[2][LN_LENGTH];
} rows;

static ps_spec_explain_method spec_of(const language_net *n, rows *r, int64_t exact_top)
{
    for (int i = 0; i < 2 * LN_LENGTH; i++)
        r->tokens[i / LN_LENGTH][i % LN_LENGTH] = n->batch.items.tokens[i];
    return (ps_spec_explain_method){.method = patching,
                                    .patch = {.clean = r->tokens[0],
                                              .n_clean = LN_LENGTH,
                                              .corrupt = r->tokens[1],
                                              .n_corrupt = LN_LENGTH,
                                              .points = kinds,
                                              .n_points = KINDS,
                                              .exact_top = exact_top}};
}

static size_t count_of(int kind)
{
    return POINTS * (kind == PATTERN || strcmp(kinds[kind], "z") == 0 ? LN_HEADS : 1);
}

static const float *array_of(const ps_explain_part *part, const char *what, int kind)
{
    char name[PS_EXPLAIN_NAME];
    (void)snprintf(name, sizeof name, "%s_%s", what, kinds[kind]);
    return ln_array(part, name, count_of(kind));
}

static void compare(const language_net *n, const ps_explain_part *part, const char *what,
                    const char *golden, int kind)
{
    const float *got = array_of(part, what, kind),
                *want = golden_get(&n->golden, golden, kinds[kind]);
    for (size_t i = 0; i < count_of(kind); i++)
        ck_assert_msg(fabs((double)got[i] - (double)want[i]) < 2e-5, "%s_%s[%zu]: %g, not %g", what,
                      kinds[kind], i, (double)got[i], (double)want[i]);
}

START_TEST(all_points_are_worth_what_pytorch_says)
{
    language_net n;
    rows r;
    ps_explain_part part;
    ln_open(&n, _i);
    const ps_spec_explain_method spec = spec_of(&n, &r, 65536);
    ck_ok(ln_try(&n, &spec, NULL, &part));
    for (int kind = 0; kind < KINDS; kind++) {
        compare(&n, &part, "estimate", "attribution/", kind);
        compare(&n, &part, "exact", "patch/", kind);
    }
    const float *ends = golden_get(&n.golden, "", "patch/ends");
    for (int i = 0; i < 2; i++)
        ck_assert_double_eq_tol((double)ln_array(&part, "ends", 2)[i], (double)ends[i], 1e-5);
    ck_assert_double_lt((double)ln_array(&part, "residual", 1)[0], 1e-4);
    ps_explain_part_free(&part);
    ln_close(&n);
}
END_TEST

/* Those that are run again are those of the largest estimates. */
START_TEST(the_largest_estimates_are_run_again)
{
    enum { TOP = 10 };
    language_net n;
    rows r;
    ps_explain_part part;
    double least_in = 1e9, most_out = 0;
    int again = 0;
    ln_open(&n, _i);
    const ps_spec_explain_method spec = spec_of(&n, &r, TOP);
    ck_ok(ln_try(&n, &spec, NULL, &part));
    for (int kind = 0; kind < KINDS; kind++)
        for (size_t i = 0; i < count_of(kind); i++) {
            double size = fabs((double)array_of(&part, "estimate", kind)[i]);
            bool in = !isnan(array_of(&part, "exact", kind)[i]);
            again += in;
            least_in = in ? fmin(least_in, size) : least_in;
            most_out = in ? most_out : fmax(most_out, size);
        }
    ck_assert_int_eq(again, TOP);
    ck_assert(least_in >= most_out);
    /* Two batches: 2 forward and 1 backward of two shares; the whole stream, and the points. */
    ck_assert_uint_eq(n.x.evaluations - LN_ROWS, 2 * 3 + 1 + TOP);
    ps_explain_part_free(&part);
    ln_close(&n);
}
END_TEST

START_TEST(of_one_kind_there_are_arrays_of_one_kind)
{
    language_net n;
    rows r;
    ps_explain_part part;
    ln_open(&n, 0);
    ps_spec_explain_method spec = spec_of(&n, &r, 0);
    spec.patch.points = kinds + 3;
    spec.patch.n_points = 1;
    ck_ok(ln_try(&n, &spec, NULL, &part));
    compare(&n, &part, "estimate", "attribution/", 3);
    ck_assert_ptr_null(ps_explain_get(&part, "estimate_z"));
    ck_assert(isnan(array_of(&part, "exact", 3)[0]));
    ck_assert_double_lt((double)ln_array(&part, "residual", 1)[0], 1e-4);
    ps_explain_part_free(&part);
    ln_close(&n);
}
END_TEST

/* Whichever piece of memory there is not: it is said, and nothing is left behind. */
START_TEST(without_memory_all_that_looks_inside_says_so)
{
    static char names[][16] = {"logit_lens",    "direct_logits", "attention", "head_scores",
                               "head_ablation", "patching",      "blocks",    "part_shapley"};
    language_net n;
    rows r;
    ln_open(&n, 0);
    ps_spec_explain_method spec = spec_of(&n, &r, 3);
    spec.top = 2;
    spec.patterns = true;
    spec.sequences = 8;
    spec.length = 8;
    spec.blocks = 2;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const ps_explain_items *items = i == 3 || i == 5 ? NULL : &n.batch.items;
        ps_explain_part whole;
        ps_status st = PS_NO_MEMORY;
        spec.method = names[i];
        ck_ok(ln_try(&n, &spec, items, &whole)); /* the device has what it keeps, then */
        ps_explain_part_free(&whole);
        for (unsigned k = 1; st; k++) {
            ps_explain_part part = PS_EXPLAIN_PART_EMPTY;
            fault_memory(k);
            st = ln_try(&n, &spec, items, &part);
            fault_memory(0);
            ck_assert_msg(!st || st == PS_NO_MEMORY, "%s, %u: %s", names[i], k, ps_error_message());
            ck_assert_uint_lt(k, 2000);
            ps_explain_part_free(&part);
        }
    }
    ln_close(&n);
}
END_TEST

START_TEST(rows_that_score_alike_are_refused)
{
    language_net n;
    rows r;
    ps_explain_part part;
    ln_open(&n, 0);
    ps_spec_explain_method spec = spec_of(&n, &r, 1);
    spec.patch.corrupt = r.tokens[0];
    ck_assert_int_eq(ln_try(&n, &spec, NULL, &part), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "nothing tells them apart"));
    ps_explain_part_free(&part);
    ln_close(&n);
}
END_TEST

static const ps_check_case cases[] = {
    {.test = &all_points_are_worth_what_pytorch_says, .repeat = 2},
    {.test = &the_largest_estimates_are_run_again, .repeat = 2},
    {.test = &of_one_kind_there_are_arrays_of_one_kind},
    {.test = &without_memory_all_that_looks_inside_says_so},
    {.test = &rows_that_score_alike_are_refused},
    {0},
};

int main(void)
{
    return ps_check_main("explain/patching", cases);
}
