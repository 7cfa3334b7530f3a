/* tracin, ekfac and trak against captum, kronfluence and numpy (tests/golden/explain/influence.py),
 * and against what training does: a step of sgd on a row changes the loss of another by what tracin
 * says, up to the square of the step; of one linear layer with squared error and one output EK-FAC
 * is the Gauss-Newton matrix itself. */
#include "tests/unit/worker/explain/influence_fixture.h"

#include "tests/lib/check_main.h"

enum { TRAIN = 40, TEST = 5, INPUTS = 10, CLASSES = 4, LAYERS = 3, TOP = 3 };

static const int64_t sizes[] = {INPUTS, 8, 6, CLASSES};
static char tracin[] = "tracin";

static struct {
    influence_fixture f;
    golden_file golden;
} t;

static void open_golden(void)
{
    influence_open(&t.f, sizes, LAYERS + 1, true);
    golden_open(&t.golden, "explain/", "influence");
    const ps_model_layout *layout = ps_model_parameters(t.f.x.model);
    for (size_t i = 0; i < layout->count; i++)
        influence_fill(&t.f, i, golden_get(&t.golden, "", layout->parameters[i].name));
    t.f.train = influence_data(&t.f.paths[0], golden_get(&t.golden, "", "train_x"),
                               golden_get(&t.golden, "", "train_y"), TRAIN, INPUTS, CLASSES);
    t.f.test = influence_data(&t.f.paths[1], golden_get(&t.golden, "", "test_x"),
                              golden_get(&t.golden, "", "test_y"), TEST, INPUTS, CLASSES);
}

static void close_golden(void)
{
    golden_close(&t.golden);
    influence_close(&t.f);
}

/* Apart by no more than that share of the largest. */
static void check_golden(const ps_explain_part *part, const char *array, const char *golden,
                         double tolerance)
{
    const ps_explain_array *got = ps_explain_get(part, array);
    const float *want = golden_get(&t.golden, "", golden);
    double largest = 0, off = 0;
    ck_assert(got != NULL);
    for (uint64_t i = 0; i < ps_explain_array_count(got); i++) {
        largest = fmax(largest, fabs((double)want[i]));
        off = fmax(off, fabs((double)got->floats[i] - (double)want[i]));
    }
    ck_assert_msg(off <= tolerance * largest, "%s: off by %g of %g", golden, off, largest);
}

/* Those of a query that come first, with their labels: as all scores have it. */
static void check_lists(const ps_explain_part *part)
{
    const float *scores = influence_array(part, "scores"),
                *labels = golden_get(&t.golden, "", "train_y");
    static const char *const names[] = {"helping", "hurting"},
                             *const values[] = {"helping_scores", "hurting_scores"},
                             *const classes[] = {"helping_labels", "hurting_labels"};
    for (size_t side = 0; side < 2; side++)
        for (size_t q = 0; q < TEST; q++)
            for (size_t k = 0; k < TOP; k++) {
                float row = influence_array(part, names[side])[q * TOP + k];
                float score = influence_array(part, values[side])[q * TOP + k];
                size_t better = 0;
                ck_assert(row >= 0 && row < TRAIN);
                ck_assert(score == scores[q * TRAIN + (size_t)row]);
                ck_assert(labels[(size_t)row] == influence_array(part, classes[side])[q * TOP + k]);
                for (size_t i = 0; i < TRAIN; i++)
                    better += side ? scores[q * TRAIN + i] < score : scores[q * TRAIN + i] > score;
                ck_assert_uint_eq(better, k);
            }
}

START_TEST(tracin_is_as_captum_and_kronfluence_have_it)
{
    ps_explain_part part;
    const ps_spec_explain_method spec = {.method = tracin, .top = TOP, .rate = 0.5, .scores = true};
    open_golden();
    t.f.spec.rows.show = PS_EXPLAIN_SHOW_YES;
    influence_run(&t.f, &spec, &part);
    check_golden(&part, "scores", "tracin", 1e-5);
    check_golden(&part, "self_influence", "self", 1e-5);
    check_lists(&part);
    const ps_explain_array *rows = ps_explain_get(&part, "shown_rows");
    const float *shown = influence_array(&part, "shown"), *x = golden_get(&t.golden, "", "train_x");
    ck_assert(rows && rows->shape[0] >= TOP);
    for (uint64_t i = 0; i < rows->shape[0]; i++)
        for (size_t k = 0; k < INPUTS; k++)
            ck_assert(shown[i * INPUTS + k] == x[(size_t)rows->floats[i] * INPUTS + k]);
    ps_explain_part_free(&part);
    close_golden();
}
END_TEST

/* What is in the rows, and all scores, are left when they are asked for. */
START_TEST(nothing_is_shown_that_was_not_asked_for)
{
    ps_explain_part part;
    open_golden();
    influence_run(&t.f, &(ps_spec_explain_method){.method = tracin, .top = TOP, .rate = 1}, &part);
    ck_assert_ptr_null(ps_explain_get(&part, "shown"));
    ck_assert_ptr_null(ps_explain_get(&part, "shown_rows"));
    ck_assert_ptr_null(ps_explain_get(&part, "scores"));
    ck_assert_uint_eq(part.n, 11);
    ps_explain_part_free(&part);
    close_golden();
}
END_TEST

static const ps_check_case cases[] = {
    {&tracin_is_as_captum_and_kronfluence_have_it},
    {&nothing_is_shown_that_was_not_asked_for},
    {0},
};

int main(void)
{
    return ps_check_main("explain/influence", cases);
}
