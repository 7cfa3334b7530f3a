/* training: what a record comes to, by sums that are done here again; and its section of a page. */
#include "client/report/report.h"

#include "client/report/axis.h"
#include "common/base/mem.h"
#include "common/format/safetensors.h"
#include "tests/lib/check_main.h"

#include <math.h>
#include <string.h>

/* Two tensors, one of two column blocks; three segments. Each unit is as wide as it is long, so
 * that sketches are exact, but for the codes' last digit. */
enum { UNITS = 3, SEGMENTS = 3, WIDTH = 9 };
static uint64_t elements[UNITS] = {4, 2, 3};
static ps_influence_tensor tensors[] = {{(char[]){"</script><img>"}, 0, 2}, {(char[]){"b"}, 2, 1}};
static const ps_influence_head head = {.sketch = 64,
                                       .every = 1,
                                       .n_tensors = 2,
                                       .n_units = UNITS,
                                       .tensors = tensors,
                                       .elements = elements};
static const char about[] =
    "{\"version\":1,\"units\":[{\"tensor\":\"</script><img>\",\"column_begin\":0,\"column_end\":4,"
    "\"elements\":4},{\"tensor\":\"</script><img>\",\"column_begin\":4,\"column_end\":6,"
    "\"elements\":2},{\"tensor\":\"b\",\"column_begin\":0,\"column_end\":1,\"elements\":3}],"
    "\"segments\":[{\"begin\":0,\"end\":2,\"loss_begin\":2.5,\"loss_end\":1.5,\"met\":true},"
    "{\"begin\":2,\"end\":4,\"loss_begin\":1.5,\"loss_end\":1.75,\"met\":true},"
    "{\"begin\":4,\"end\":5,\"loss_begin\":1.75,\"loss_end\":1.25,\"met\":false}]}";
static const float parts[SEGMENTS][UNITS] = {
    {-0.5F, -0.25F, -0.25F}, {0.5F, -0.25F, 0}, {0, 0, -0.5F}};

static ps_status write_file(void *state, const void *data, size_t len)
{
    ps_buf_append(state, data, len);
    return PS_OK;
}

/* The gradient of a segment is 1 everywhere: a push's change is the sum of its sketch. */
static void write_losses(ps_buf *out)
{
    uint8_t gradients[SEGMENTS][64];
    float ones[WIDTH];
    ps_sketch *shape;
    ps_influence_sketch(&head, &shape);
    size_t bytes = ps_loss_gradient_bytes(shape);
    ck_assert(bytes <= sizeof gradients[0] && ps_sketch_width(shape) == WIDTH);
    for (size_t i = 0; i < WIDTH; i++)
        ones[i] = 1;
    ps_buf packed = PS_BUF_EMPTY;
    for (size_t i = 0; i < SEGMENTS; i++) {
        ps_loss_gradient_write(shape, ones, gradients[i]);
        ps_buf_append(&packed, gradients[i], bytes);
    }
    const ps_safetensors_tensor arrays[] = {
        {.name = "parts", .dtype = PS_SAFETENSORS_F32, .n_dims = 2, .shape = {SEGMENTS, UNITS}},
        {.name = "gradients", .dtype = PS_SAFETENSORS_U8, .n_dims = 2, .shape = {SEGMENTS, bytes}}};
    const void *const data[] = {parts, packed.data};
    const size_t sizes[] = {sizeof parts, packed.len};
    const ps_safetensors_pair metadata = {PS_LOSS_FILE_META, about};
    ps_safetensors_writer *w = NULL;
    ck_ok(ps_safetensors_writer_new(arrays, 2, &metadata, 1,
                                    (ps_safetensors_sink){.write = write_file, .state = out}, &w));
    for (size_t i = 0; i < 2; i++)
        ck_ok(ps_safetensors_writer_data(w, data[ps_safetensors_writer_order(w, i)],
                                         sizes[ps_safetensors_writer_order(w, i)]));
    ck_ok(ps_safetensors_writer_finish(&w));
    ps_safetensors_writer_free(&w);
    ps_buf_free(&packed);
    ps_sketch_free(&shape);
}

/* What each push changes each parameter by; the second segment's go up. */
static const struct {
    const char *worker;
    uint64_t version, lease, begin, staleness;
    float each;
} pushes[] = {{"w1", 1, 7, 0, 0, -0.06F},
              {"w2", 2, 8, 128, 1, -0.05F},
              {"w1", 3, 7, 64, 2, 0.06F},
              {"</b>", 4, 9, 192, 30, -0.03F},
              {"w2", 5, 8, 160, 1, -0.05F}};
enum { PUSHES = sizeof pushes / sizeof *pushes };

static void write_influence(ps_buf *out)
{
    ps_sketch *shape;
    const bool touched[UNITS] = {true, true, true};
    ps_influence_sketch(&head, &shape);
    ps_influence_head_write(&head, out);
    for (size_t i = 0; i < PUSHES; i++) {
        float numbers[WIDTH];
        for (size_t k = 0; k < WIDTH; k++)
            numbers[k] = pushes[i].each;
        ps_influence_write(shape,
                           &(ps_influence_push){.version = pushes[i].version,
                                                .lease = pushes[i].lease,
                                                .row_begin = pushes[i].begin,
                                                .row_end = pushes[i].begin + 32,
                                                .staleness = pushes[i].staleness,
                                                .weight = 32,
                                                .worker = pushes[i].worker},
                           touched, numbers, out);
    }
    ps_sketch_free(&shape);
}

static const char noise[] =
    "{\"estimates\":12,\"trace\":8.5,\"gradient_square\":0.25,\"noise_scale\":34}";

typedef struct fixture {
    ps_buf losses, influence;
    ps_training *training;
} fixture;

static void setup(fixture *f)
{
    *f = (fixture){.losses = PS_BUF_EMPTY, .influence = PS_BUF_EMPTY};
    write_losses(&f->losses);
    write_influence(&f->influence);
    ck_ok(ps_training_read(&(ps_training_files){.job = 3,
                                                .losses = ps_buf_slice(&f->losses),
                                                .influence = ps_buf_slice(&f->influence),
                                                .noise = ps_slice_str(noise)},
                           &f->training));
}

static void teardown(fixture *f)
{
    ps_training_free(&f->training);
    ps_buf_free(&f->losses);
    ps_buf_free(&f->influence);
}

START_TEST(column_blocks_are_a_tensors_and_add_up)
{
    fixture f;
    setup(&f);
    const ps_stack *s = &f.training->tensors;
    ck_assert_uint_eq(s->n, 2);
    ck_assert_str_eq(s->parts[0].name, "b"); /* -0.75 against -0.5 */
    ck_assert_double_eq_tol(s->parts[0].change, -0.75, 1e-9);
    ck_assert_double_eq_tol(s->parts[1].by_segment[0], -0.75, 1e-9);
    ck_assert_double_eq_tol(s->parts[1].by_segment[1], 0.25, 1e-9);
    teardown(&f);
}
END_TEST

/* Whatever sketches miss is shared out, so that pushes add up to their segment. */
START_TEST(pushes_add_up_to_their_segments)
{
    fixture f;
    setup(&f);
    const ps_training *t = f.training;
    const double expected[SEGMENTS] = {-1, 0.25, -0.5};
    double sums[SEGMENTS] = {0}, by_shard[SEGMENTS] = {0};
    ck_assert(t->shared);
    ck_assert_uint_eq(t->n_pushes, PUSHES);
    for (size_t k = 0; k < t->workers_stack.n; k++)
        for (size_t i = 0; i < SEGMENTS; i++)
            sums[i] += t->workers_stack.parts[k].by_segment[i];
    for (size_t k = 0; k < t->shards.n; k++)
        for (size_t i = 0; i < SEGMENTS; i++)
            by_shard[i] += t->shards.parts[k].by_segment[i];
    for (size_t i = 0; i < SEGMENTS; i++) {
        ck_assert_double_eq_tol(sums[i], expected[i], 1e-3);
        ck_assert_double_eq_tol(by_shard[i], expected[i], 1e-3);
    }
    ck_assert_uint_eq(t->workers_stack.n, 3);
    ck_assert_uint_eq(t->pushes[2].segment, 1);
    /* the part of the first unit is 0.5; of 4 elements each has 0.06 and -0.03 */
    ck_assert_double_gt(t->pushes[2].change, 0);
    teardown(&f);
}
END_TEST

START_TEST(workers_are_counted_with_their_staleness)
{
    fixture f;
    setup(&f);
    const ps_training *t = f.training;
    ck_assert_uint_eq(t->n_workers, 3);
    ck_assert_uint_eq(t->workers[0].pushes, 2);
    ck_assert_double_eq(t->workers[0].staleness, 2);
    ck_assert_uint_eq(t->workers[2].staleness_most, 30);
    ck_assert_uint_eq(t->staleness[1], 2);
    ck_assert_uint_eq(t->staleness[PS_STALENESS_COUNTED], 1);
    ck_assert_double_eq(t->rows_per_update, 32);
    ck_assert(t->has_noise && t->noise_scale == 34 && t->estimates == 12);
    teardown(&f);
}
END_TEST

static void draw(const ps_training *training, ps_buf *out)
{
    ps_report report = {
        .title = "m", .command = "psctl", .training = training, .room = ps_room_of(5 << 20)};
    *out = PS_BUF_EMPTY;
    ck_ok(ps_report_html(&report, out));
    ps_room_clear(&report.room);
}

static void has(ps_buf *out, const char *text)
{
    ck_assert_msg(strstr(ps_buf_cstr(out), text), "no %s in %s", text, ps_buf_cstr(out));
}

START_TEST(the_section_names_the_push_of_a_rise)
{
    fixture f;
    ps_buf out;
    setup(&f);
    draw(f.training, &out);
    has(&out, "<section id=\"training\"");
    has(&out, "data-key=\"updates-2\"><title>updates 2 to 4\nloss 1.5 → 1.75 (+0.25)\n+0.25 "
              "&lt;/script&gt;&lt;img&gt;");
    has(&out, "push 3: w1, epoch 1, rows 64-95<br>");
    has(&out, "By which worker");
    has(&out, "16 and more");
    has(&out, "psctl losses 3 --spike");
    has(&out, "An update had 0.94 times as many rows: about what they are worth");
    ck_assert(!strstr(ps_buf_cstr(&out), "<img") && !strstr(ps_buf_cstr(&out), "</b>,"));
    ck_assert(!strstr(ps_buf_cstr(&out), "nan") && !strstr(ps_buf_cstr(&out), "inf,"));
    ps_buf_free(&out);
    teardown(&f);
}
END_TEST

START_TEST(any_of_the_files_does_and_a_damaged_one_is_named)
{
    fixture f;
    ps_buf out;
    ps_training *some = NULL;
    setup(&f);
    ck_ok(ps_training_read(&(ps_training_files){.losses = ps_buf_slice(&f.losses)}, &some));
    draw(some, &out);
    has(&out, "Through which tensors");
    ck_assert(!strstr(ps_buf_cstr(&out), "<th>By</th>"));
    ps_buf_free(&out);
    ps_training_free(&some);
    ck_ok(ps_training_read(&(ps_training_files){.influence = ps_buf_slice(&f.influence)}, &some));
    draw(some, &out);
    has(&out, "<td>w2</td>");
    ps_buf_free(&out);
    ps_training_free(&some);
    ck_ok(ps_training_read(
        &(ps_training_files){.noise = ps_slice_str("{\"estimates\":1,\"noise_scale\":null}")},
        &some));
    draw(some, &out);
    has(&out, "The noise scale cannot be told");
    ps_buf_free(&out);
    ps_training_free(&some);
    ck_assert_int_eq(
        ps_training_read(&(ps_training_files){.noise = ps_slice_str("{\"trace\":[]}")}, &some),
        PS_CORRUPT);
    ck_assert(strstr(ps_error_message(), "noise_scale.json"));
    f.losses.data[f.losses.len / 2] = '"';
    ck_assert_int_eq(
        ps_training_read(&(ps_training_files){.losses = ps_slice_of(f.losses.data, 200)}, &some),
        PS_CORRUPT);
    teardown(&f);
}
END_TEST

START_TEST(marks_of_an_axis_are_round)
{
    const struct {
        double least, most, first, last, step;
    } rows[] = {{0.27, 2.3, 0, 3, 1},
                {-0.013, 0.021, -0.02, 0.03, 0.01},
                {0, 1407, 0, 1500, 500},
                {5, 5, 2, 8, 2},
                {NAN, INFINITY, -0.5, 0.5, 0.5}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ps_axis a = ps_axis_of(rows[i].least, rows[i].most);
        ck_assert(a.steps >= 1 && a.steps <= 10);
        if (isfinite(rows[i].least) && isfinite(rows[i].most)) {
            ck_assert_double_eq_tol(a.least, rows[i].first, 1e-9);
            ck_assert_double_eq_tol(a.most, rows[i].last, 1e-9);
            ck_assert_double_eq_tol(a.step, rows[i].step, 1e-9);
        }
    }
    ps_axis a = ps_axis_of(-0.013, 0.021);
    ck_assert_str_eq(ps_axis_text(&a, a.least).text, "-0.02");
    ck_assert_str_eq(ps_axis_text(&a, ps_axis_mark(&a, 2)).text, "0");
    a = ps_axis_of(0, 45000);
    ck_assert_str_eq(ps_axis_text(&a, a.most).text, "60k");
}
END_TEST

static const ps_check_case cases[] = {
    {&column_blocks_are_a_tensors_and_add_up},
    {&pushes_add_up_to_their_segments},
    {&workers_are_counted_with_their_staleness},
    {&the_section_names_the_push_of_a_rise},
    {&any_of_the_files_does_and_a_damaged_one_is_named},
    {&marks_of_an_axis_are_round},
    {0},
};

int main(void)
{
    return ps_check_main("report/training", cases);
}
