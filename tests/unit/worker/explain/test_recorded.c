/* recorded, of a record whose sketches have a number for each parameter, so that it is exact: what
 * it says of a push is the slope of the row's loss along the push's change, by differences; a
 * matrix is two column blocks. And records of other models are refused. */
#include "tests/unit/worker/explain/influence_fixture.h"

#include "tests/lib/check_main.h"

#include "common/record/influence.h"

enum { IN = 6, HIDDEN = 5, OUT = 3, ROWS = 4, PUSHES = 3, PARAMETERS = 4, UNITS = 5, FIRST = 4 };
enum { W1 = HIDDEN * IN, B1 = HIDDEN, W2 = OUT * HIDDEN, B2 = OUT, ALL = W1 + B1 + W2 + B2 };

static const int64_t sizes[] = {IN, HIDDEN, OUT};
static const size_t counts[PARAMETERS] = {W1, B1, W2, B2};
#define LONG "a worker whose name is longer than sixty-three bytes, as names of workers may well be"
static char recorded[] = "recorded", model_name[] = "m";

static struct {
    influence_fixture f;
    ps_job_spec job;
    ps_buf record;
    float x[ROWS * IN], y[ROWS], w[ALL], change[PUSHES][ALL];
    const char *first; /* what the record calls the first tensor */
} t;

static ps_status give_record(void *user, ps_buf *out)
{
    ps_buf_append(out, t.record.data, t.record.len);
    return PS_OK;
}

static ps_status have_none(void *user, ps_buf *out)
{
    return ps_fail(PS_NOT_FOUND, "none");
}

/* Numbers of the sketch are elements: of the first matrix those of its first FIRST columns, row by
 * row, then those of the others. Each is a whole number of 127ths, and one is 1: codes are exact.
 */
static void sketch_of(const float *change, float *out)
{
    for (size_t o = 0; o < HIDDEN; o++)
        for (size_t k = 0; k < IN; k++)
            *(k < FIRST ? out + o * FIRST + k
                        : out + HIDDEN * FIRST + o * (IN - FIRST) + (k - FIRST)) =
                change[o * IN + k];
    memcpy(out + W1, change + W1, (ALL - W1) * sizeof *out);
}

static void add_pushes(const ps_influence_head *head)
{
    static const bool touched[UNITS] = {true, true, true, true, true};
    static const char *const workers[PUSHES] = {LONG, "b", LONG};
    ps_sketch *sketch = NULL;
    float numbers[ALL];
    ck_ok(ps_sketch_create(head->elements, UNITS, head->sketch, &sketch));
    ck_assert_uint_eq(ps_sketch_width(sketch), ALL);
    for (size_t i = 0; i < PUSHES; i++) {
        float ordered[ALL], *numbers_at = numbers;
        const float *from = ordered;
        memset(numbers, 0, sizeof numbers);
        sketch_of(t.change[i], ordered);
        for (size_t u = 0; u < UNITS; u++) {
            ps_sketch_add(sketch, u, 0, from, (size_t)head->elements[u], 1, numbers_at);
            from += head->elements[u];
        }
        ps_influence_write(sketch,
                           &(ps_influence_push){.version = (1 << 24) + i + 1,
                                                .sequence = i,
                                                .row_begin = 8 * i,
                                                .row_end = 8 * i + 8,
                                                .weight = 8,
                                                .worker = workers[i]},
                           touched, numbers, &t.record);
    }
    ps_sketch_free(&sketch);
}

static void make_record(void)
{
    char *names[PARAMETERS] = {ps_strdup(t.first), ps_strdup("layers.0.bias"),
                               ps_strdup("layers.1.weight"), ps_strdup("layers.1.bias")};
    ps_influence_tensor tensors[PARAMETERS] = {
        {names[0], 0, 2}, {names[1], 2, 1}, {names[2], 3, 1}, {names[3], 4, 1}};
    uint64_t elements[UNITS] = {HIDDEN * FIRST, HIDDEN * (IN - FIRST), B1, W2, B2};
    const ps_influence_head head = {.sketch = PS_SKETCH_SIZE_MAX,
                                    .every = 1,
                                    .n_tensors = PARAMETERS,
                                    .n_units = UNITS,
                                    .tensors = tensors,
                                    .elements = elements};
    ps_influence_head_write(&head, &t.record);
    add_pushes(&head);
    for (size_t i = 0; i < PARAMETERS; i++)
        ps_free(&names[i]);
}

static void fill(ps_model *m, const float *change, float by)
{
    float now[ALL];
    size_t at = 0;
    for (size_t i = 0; i < ALL; i++)
        now[i] = t.w[i] + (change ? by * change[i] : 0);
    for (size_t i = 0; i < PARAMETERS; at += counts[i++])
        ps_copy_to_device(ps_model_stream(m), ps_model_parameter(m, i), now + at,
                          counts[i] * sizeof *now);
    ck_ok(ps_stream_sync(ps_model_stream(m)));
    ps_model_refresh(m);
}

static void open_all(const char *first)
{
    influence_open(&t.f, sizes, 3, true);
    ps_rng *rng = &t.f.device.rng;
    t.record = PS_BUF_EMPTY;
    t.first = first;
    t.job = (ps_job_spec){.model_name = model_name};
    for (size_t i = 0; i < ALL; i++)
        t.w[i] = (float)ps_rng_normal(rng);
    for (size_t i = 0; i < ROWS * IN; i++)
        t.x[i] = (float)ps_rng_normal(rng);
    for (size_t i = 0; i < ROWS; i++)
        t.y[i] = (float)(i % OUT);
    for (size_t p = 0; p < PUSHES; p++)
        for (size_t i = 0; i < ALL; i++)
            t.change[p][i] = (float)((int)ps_rng_below(rng, 255) - 127) / 127;
    fill(t.f.x.model, NULL, 0);
    t.f.test = influence_data(&t.f.paths[0], t.x, t.y, ROWS, IN, OUT);
    t.f.x.test = t.f.test;
    t.f.x.job = &t.job;
    t.f.x.batch = 8;
    t.f.x.record = give_record;
    make_record();
}

static void close_all(void)
{
    t.f.train = NULL;
    ps_buf_free(&t.record);
    influence_close(&t.f);
}

static double loss_of(ps_model *m, size_t row)
{
    const int32_t class = (int32_t)t.y[row];
    ps_model_result result;
    const ps_model_batch batch = {.rows = 1, .features = t.x + row * IN, .labels = &class};
    ck_ok(ps_model_forward(m, &batch, NULL));
    ck_ok(ps_model_loss(m, &batch));
    ck_ok(ps_model_result_get(m, &result));
    return result.loss;
}

START_TEST(a_push_did_what_the_loss_does_along_it)
{
    static const uint64_t rows[ROWS] = {0, 1, 2, 3};
    const ps_model_config config = {.architecture = "mlp", .layers = sizes, .layer_count = 3};
    const ps_spec_explain_method spec = {.method = recorded, .top = 2, .job = 7};
    const ps_explain_method *method = ps_explain_method_find(recorded);
    const ps_explain_items items = {.n = ROWS, .item = rows, .row = rows, .length = 1};
    const float h = 2e-3F;
    ps_explain_part part = PS_EXPLAIN_PART_EMPTY;
    ps_model *m = NULL;
    void *state = NULL;
    open_all("layers.0.weight");
    ck_ok(method->prepare(&t.f.x, &spec, &state));
    ck_ok(method->run(&t.f.x, &spec, state, &items, &part));
    ck_ok(method->finish(&t.f.x, &spec, &part));
    method->free(state);
    ck_ok(ps_model_create(t.f.device.backend, &config, &(ps_model_options){.max_batch = 1}, &m));
    const float *scores = influence_array(&part, "scores"),
                *said = influence_array(&part, "pushes");
    for (size_t row = 0; row < ROWS; row++)
        for (size_t p = 0; p < PUSHES; p++) {
            fill(m, t.change[p], -h);
            double slope = loss_of(m, row);
            fill(m, t.change[p], h);
            slope = (slope - loss_of(m, row)) / (2 * (double)h);
            ck_assert_double_eq_tol((double)scores[row * PUSHES + p], slope,
                                    0.02 * fabs(slope) + 5e-3);
        }
    for (size_t p = 0; p < PUSHES; p++) {
        ck_assert(said[p * 8] == (float)(p + 1) && said[p * 8 + 5] == 1); /* 2^24 + p + 1 */
        ck_assert(said[p * 8 + 2] == (float)(8 * p) && said[p * 8 + 6] == 0);
        ck_assert(said[p * 8 + 4] == (float)(p == 1));
    }
    const ps_explain_array *names = ps_explain_get(&part, "workers");
    ck_assert_uint_eq(names->shape[1], sizeof LONG);
    for (size_t i = 0; i < sizeof LONG; i++) /* whole, however long */
        ck_assert(names->floats[i] == (float)LONG[i]);
    for (size_t row = 0; row < ROWS; row++) {
        float best = influence_array(&part, "helping")[row * 2];
        for (size_t p = 0; !isnan(best) && p < PUSHES; p++)
            ck_assert(scores[row * PUSHES + p] <= scores[row * PUSHES + (size_t)best]);
    }
    ps_model_free(&m);
    ps_explain_part_free(&part);
    close_all();
}
END_TEST

static void check_refused(const char *why)
{
    const ps_spec_explain_method spec = {.method = recorded, .top = 2, .job = 7};
    const ps_explain_method *method = ps_explain_method_find(recorded);
    void *state = NULL;
    ck_assert_int_ne(method->prepare(&t.f.x, &spec, &state), PS_OK);
    ck_assert_msg(strstr(ps_error_message(), why) != NULL, "%s", ps_error_message());
    method->free(state);
}

START_TEST(a_record_of_another_model_is_refused)
{
    open_all("layers.9.weight");
    check_refused("of a model of other shapes than m: layers.0.weight");
    close_all();
}
END_TEST

START_TEST(no_record_says_which_key_makes_one)
{
    open_all("layers.0.weight");
    t.f.x.record = have_none;
    check_refused("record.influence in its job file");
    t.f.x.record = give_record;
    t.record.len /= 8; /* in the head */
    check_refused("");
    close_all();
}
END_TEST

static const ps_check_case cases[] = {
    {&a_push_did_what_the_loss_does_along_it},
    {&a_record_of_another_model_is_refused},
    {&no_record_says_which_key_makes_one},
    {0},
};

int main(void)
{
    return ps_check_main("explain/recorded", cases);
}
