/* stored_model: files that a Models service sends, over the real transport, into a model on the
 * CPU. The files are written here by hand; whatever is wrong with one is said and never a crash. */
#include "worker/job/stored_model.h"

#include "worker/job/narrow.h"
#include "worker/job/stored_range.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/data_file.h"
#include "tests/lib/fake_models.h"
#include "tests/lib/remote_rig.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* An mlp 3 → 2, its tensors not in the model's order: bias [2], then weight [2, 3]. */
#define BIAS   "\"layers.0.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}"
#define WEIGHT "\"layers.0.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[8,32]}"
static const float values[] = {7, 8, 1, 2, 3, 4, 5, 6};
static const int64_t layers[] = {3, 2};
static const ps_model_config config = {.architecture = "mlp", .layers = layers, .layer_count = 2};

static struct {
    ps_test_remote_rig rig;
    fake_models fake;
    ps_model *model;
    ps_form *forms; /* of the last check */
    uint8_t *file;
    size_t len;
} t;

static void begin_on(ps_test_where where)
{
    memset(&t, 0, sizeof(t));
    fake_models_init(&t.fake, ps_slice_of(NULL, 0), 1);
    ps_rpc_service service = fake_models_service(&t.fake);
    ps_test_remote_rig_open_on(&t.rig, where, &service, 1);
    ck_ok(ps_model_create(t.rig.backend, &config,
                          &(ps_model_options){.max_batch = 1, .inference = true}, &t.model));
}

static void begin(void)
{
    begin_on(PS_TEST_CPU);
}

static void end(void)
{
    ps_model_free(&t.model);
    ps_free(&t.forms);
    ps_test_remote_rig_close(&t.rig);
    fake_models_free(&t.fake);
    ps_free(&t.file);
}

static void send(ps_slice file, size_t piece)
{
    pthread_mutex_lock(&t.fake.lock);
    t.fake.file = file;
    t.fake.piece = piece;
    pthread_mutex_unlock(&t.fake.lock);
}

static void serve_bytes(const char *header, ps_slice data, size_t piece)
{
    ps_free(&t.file);
    t.file = ps_test_safetensors(header, data, &t.len);
    send(ps_slice_of(t.file, t.len), piece);
}

static void serve(const char *header, size_t data_bytes, size_t piece)
{
    static const float more[16];
    uint8_t data[sizeof(values) + sizeof(more)];
    memcpy(data, values, sizeof(values));
    memcpy(data + sizeof(values), more, sizeof(more));
    serve_bytes(header, ps_slice_of(data, data_bytes), piece);
}

static const ps_stored_model which = {.name = "line", .version = "line.1", .job_id = 7};

static ps_status load(void)
{
    return ps_stored_model_load(&t.rig.remote, &which, t.forms, t.model);
}

static ps_status check_as(const ps_model_config *of)
{
    ps_free(&t.forms);
    return ps_stored_model_check(&t.rig.remote, &which, of, &t.forms);
}

static ps_status check(void)
{
    return check_as(&config);
}

static void assert_loaded(void)
{
    float w[6], b[2];
    ps_stream *s = ps_model_stream(t.model);
    ck_ok(ps_copy_to_host(s, w, ps_model_parameter(t.model, 0), sizeof w));
    ck_ok(ps_copy_to_host(s, b, ps_model_parameter(t.model, 1), sizeof b));
    ck_assert_int_eq(memcmp(b, values, sizeof b), 0);
    ck_assert_int_eq(memcmp(w, values + 2, sizeof w), 0);
}

static void forget_all(void)
{
    for (size_t i = 0; i < 2; i++) {
        ps_tensor p = ps_model_parameter(t.model, i);
        static const float zeros[6];
        ps_copy_to_device(ps_model_stream(t.model), p, zeros, ps_tensor_bytes(p));
    }
}

START_TEST(tensors_arrive_under_their_names_however_the_stream_is_cut)
{
    begin_on(_i);
    for (size_t piece = 1; piece <= 40; piece += 3) {
        forget_all();
        serve("{" BIAS "," WEIGHT "}", sizeof(values), piece);
        ck_assert_msg(load() == PS_OK, "pieces of %zu: %s", piece, ps_error_message());
        assert_loaded();
        ck_assert_msg(check() == PS_OK, "pieces of %zu: %s", piece, ps_error_message());
    }
    ck_assert_uint_eq(t.fake.job_id, 7);
    end();
}
END_TEST

START_TEST(a_broken_stream_begins_again)
{
    begin_on(_i);
    serve("{\"__metadata__\":{\"psd.model\":\"{}\"}," BIAS "," WEIGHT "}", sizeof(values), 1);
    fault_next(&t.fake.break_exports, 2);
    ck_ok(load());
    assert_loaded();
    ck_assert_uint_eq(t.fake.exports, 3);
    end();
}
END_TEST

START_TEST(a_file_of_another_version_is_not_taken)
{
    begin();
    serve("{" BIAS "," WEIGHT "}", sizeof(values), 64);
    (void)snprintf(t.fake.version, sizeof t.fake.version, "line.2");
    ck_assert_int_eq(load(), PS_FAILED_PRECONDITION);
    ck_assert_str_eq(ps_error_message(),
                     "model line: psd sends version 'line.2' of it, and line.1 was asked for");
    ck_assert_int_eq(check(), PS_FAILED_PRECONDITION);
    ck_assert_uint_eq(t.fake.exports, 2); /* asking again would help nobody */
    end();
}
END_TEST

START_TEST(a_file_cut_anywhere_is_corrupt)
{
    begin();
    serve("{" BIAS "," WEIGHT "}", sizeof(values), 64);
    size_t head = t.len - sizeof(values);
    for (size_t len = 0; len < t.len; len += 1 + (len > 16 && len + 16 < head) * 4) {
        send(ps_slice_of(t.file, len), 64);
        ck_assert_msg(load() == PS_CORRUPT, "%zu bytes", len);
        ck_assert_ptr_nonnull(strstr(ps_error_message(), "model line: "));
        if (len < head)
            ck_assert_msg(check() == PS_CORRUPT, "%zu bytes", len);
    }
    end();
}
END_TEST

START_TEST(bytes_behind_the_last_tensor_are_corrupt)
{
    begin();
    serve("{" BIAS "," WEIGHT "}", sizeof(values) + 1, 10);
    ck_assert_int_eq(load(), PS_CORRUPT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "follow the last tensor"));
    end();
}
END_TEST

START_TEST(hostile_headers_are_corrupt)
{
    static const char *const bad[] = {
        "",
        "not json",
        "{}x",
        "{" BIAS "," WEIGHT,
        "{" BIAS "," BIAS "}",
        "{\"layers.0.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,9]}," WEIGHT "}",
        "{\"layers.0.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}," WEIGHT "}",
        "{\"layers.0.bias\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,2],"
        "\"data_offsets\":[0,8]}," WEIGHT "}",
        "{\"layers.0.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}," WEIGHT "}",
        "{" BIAS ",\"layers.0.weight\":{\"dtype\":\"F16\",\"shape\":[4,3],"
        "\"data_offsets\":[8,32]}}",
        "{\"__metadata__\":{\"psd.forms\":\"{\\\"layers.0.weight\\\":{\\\"form\\\":\\\"q9_9\\\","
        "\\\"shape\\\":[2,3]}}\"}," BIAS "," WEIGHT "}",
    };
    begin();
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        serve(bad[i], sizeof(values), 64);
        ck_assert_msg(load() == PS_CORRUPT, "%s: %s", bad[i], ps_error_message());
        ck_assert_msg(check() == PS_CORRUPT, "%s: %s", bad[i], ps_error_message());
    }
    /* a header of 2^63 bytes is not waited for */
    static const uint8_t huge[64] = {[7] = 0x80};
    send(ps_slice_of(huge, sizeof(huge)), 64);
    ck_assert_int_eq(load(), PS_CORRUPT);
    ck_assert_uint_eq(t.fake.exports, 2 * sizeof(bad) / sizeof(*bad) + 1); /* none is tried again */
    end();
}
END_TEST

static void contradicts(const char *header, const char *words)
{
    serve(header, sizeof(values), 64);
    for (int i = 0; i < 2; i++) {
        ps_status st = i ? check() : load();
        ck_assert_msg(st == PS_FAILED_PRECONDITION, "%s: %s", header, ps_error_message());
        ck_assert_str_eq(ps_error_message(), words);
    }
}

START_TEST(a_file_of_another_architecture_is_said_with_tensor_and_shapes)
{
    begin();
    contradicts("{" BIAS ",\"layers.0.weight\":{\"dtype\":\"F32\",\"shape\":[3,2],"
                "\"data_offsets\":[8,32]}}",
                "model line: tensor layers.0.weight is [3, 2] in the file, and the architecture "
                "wants [2, 3]");
    contradicts("{" BIAS ",\"layers.0.weight\":{\"dtype\":\"F32\",\"shape\":[6],"
                "\"data_offsets\":[8,32]}}",
                "model line: tensor layers.0.weight is [6] in the file, and the architecture wants "
                "[2, 3]");
    contradicts("{" BIAS ",\"layers.1.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],"
                "\"data_offsets\":[8,32]}}",
                "model line: the architecture has a tensor layers.0.weight, and the file has none "
                "of that name");
    contradicts("{" BIAS ",\"layers.0.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],"
                "\"data_offsets\":[8,32]},\"x\":{\"dtype\":\"F32\",\"shape\":[0],"
                "\"data_offsets\":[32,32]}}",
                "model line: tensor x of the file is not in the architecture");
    end();
}
END_TEST

/* The weight is two rows of int8/row: a scale and three codes, 128 added to them. */
#define FORMED(rows, transposed)                                                                  \
    "{\"__metadata__\":{\"psd.forms\":\"{\\\"layers.0.weight\\\":{\\\"form\\\":\\\"int8/row\\\"," \
    "\\\"shape\\\":" rows ",\\\"transposed\\\":" transposed "}}\"}," BIAS                         \
    ",\"layers.0.weight\":{\"dtype\":\"U8\",\"shape\":[2,5],\"data_offsets\":[8,18]}}"

static const uint8_t formed[] = {
    0,    0,    0x80, 0x3f, 0,   0,    0,    0x40, /* the bias: 1 and 2 */
    0x00, 0x3c, 129,  130,  131, 0x00, 0x38, 127,  128, 132};

static void make_formed(const ps_model_config *of)
{
    ps_model_free(&t.model);
    ck_ok(ps_model_create(
        t.rig.backend, of,
        &(ps_model_options){.max_batch = 1, .inference = true, .forms = t.forms, .exact = true},
        &t.model));
}

/* Rows (1, 2, 3) and (-0.5, 0, 2). */
START_TEST(a_weight_in_a_form_stays_in_it)
{
    static const float x[3] = {2, 1, -1};
    float y[2];
    begin_on(_i);
    for (size_t piece = 1; piece <= 20; piece += 6) {
        serve_bytes(FORMED("[2,3]", "false"), ps_slice_of(formed, sizeof formed), piece);
        ck_ok(check());
        ck_assert_ptr_nonnull(t.forms);
        make_formed(&config);
        ck_ok(load());
        ps_tensor weight = ps_model_parameter(t.model, 0);
        ck_assert_int_eq(weight.dtype, PS_DTYPE_U8);
        ck_assert_uint_eq(ps_tensor_bytes(weight), 10);
        ck_ok(ps_model_predict(t.model, &(ps_model_batch){.rows = 1, .features = x}, NULL, y));
        ck_assert_double_eq_tol((double)y[0] / (double)y[1], exp(3), 1e-4 * exp(3)); /* 2, -1 */
    }
    end();
}
END_TEST

/* Of 8 bits, and some that lie between two such. */
static const float fine[] = {7, 8, 1, 2.01F, -3.3F, 1e-20F, 255.5F, -0.0F};
static const uint16_t narrowed[] = {0x3f80, 0x4001, 0xc053, 0x1e3d, 0x4380, 0x8000};

START_TEST(float32_matrices_may_be_held_as_bfloat16)
{
    begin_on(_i);
    for (size_t piece = 1; piece <= 40; piece += 3) {
        serve_bytes("{" BIAS "," WEIGHT "}", ps_slice_of(fine, sizeof fine), piece);
        ck_ok(check());
        ck_assert_ptr_null(t.forms);
        ck_ok(ps_stored_model_narrow(&config, &t.forms));
        make_formed(&config);
        ck_ok(load());
        uint16_t w[6];
        float b[2];
        ps_stream *s = ps_model_stream(t.model);
        ck_ok(ps_copy_to_host(s, w, ps_model_parameter(t.model, 0), sizeof w));
        ck_ok(ps_copy_to_host(s, b, ps_model_parameter(t.model, 1), sizeof b));
        ck_assert_int_eq(memcmp(w, narrowed, sizeof w), 0);
        ck_assert_int_eq(memcmp(b, fine, sizeof b), 0);
    }
    end();
}
END_TEST

/* [3 inputs, 2 outputs], cut anywhere. */
START_TEST(a_matrix_of_columns_is_held_as_rows)
{
    static const ps_model_parameter_spec spec = {
        .name = "w", .rank = 2, .shape = {3, 2}, .input_major = true};
    static const int from[] = {0, 2, 4, 1, 3, 5};
    begin_on(_i);
    ps_stream *s = ps_model_stream(t.model);
    ps_buffer *memory = NULL;
    ck_ok(ps_buffer_new(t.rig.backend, sizeof narrowed, &memory));
    ps_tensor to = ps_tensor_2d(memory, 0, PS_DTYPE_U8, 2, 6);
    for (size_t piece = 1; piece <= 24; piece++) {
        ps_staging *staging = NULL;
        ps_narrow *narrow = NULL;
        uint16_t got[6];
        ck_ok(ps_staging_open(s, &staging));
        ck_ok(ps_narrow_create(staging, &spec, to, &narrow));
        for (size_t at = 0; at < 24; at += piece)
            ck_ok(ps_narrow_write(narrow, ps_slice_of((const uint8_t *)(fine + 2) + at,
                                                      piece < 24 - at ? piece : 24 - at)));
        ck_ok(ps_staging_end(staging));
        ck_ok(ps_copy_to_host(s, got, to, sizeof got));
        for (int i = 0; i < 6; i++)
            ck_assert_uint_eq(got[i], narrowed[from[i]]);
        ps_narrow_free(&narrow);
        ps_staging_close(&staging);
    }
    ps_buffer_free(t.rig.backend, &memory);
    end();
}
END_TEST

/* An mlp 32 → 20 in int8/32: so many rows that a backend may put them into an order of its own. */
enum { WIDE = 32, HIGH = 20, WIDE_ROW = 2 + WIDE };
static const int64_t wide_layers[] = {WIDE, HIGH};
static const ps_model_config wide = {
    .architecture = "mlp", .layers = wide_layers, .layer_count = 2};
#define WIDE_FORMED                                                                              \
    "{\"__metadata__\":{\"psd.forms\":\"{\\\"layers.0.weight\\\":{\\\"form\\\":\\\"int8/32\\\"," \
    "\\\"shape\\\":[20,32],\\\"transposed\\\":false}}\"},"                                       \
    "\"layers.0.bias\":{\"dtype\":\"F32\",\"shape\":[20],\"data_offsets\":[0,80]},"              \
    "\"layers.0.weight\":{\"dtype\":\"U8\",\"shape\":[20,34],\"data_offsets\":[80,760]}}"

static int wide_code(int row, int column)
{
    return (row * 7 + column * 5) % 9 - 4;
}

/* Scales are 1 and 1/2 in turn; the bias is zeros. */
static void fill_wide(uint8_t *data)
{
    memset(data, 0, HIGH * sizeof(float));
    for (int r = 0; r < HIGH; r++) {
        uint8_t *row = data + HIGH * sizeof(float) + r * WIDE_ROW;
        row[0] = 0;
        row[1] = r % 2 ? 0x38 : 0x3c;
        for (int c = 0; c < WIDE; c++)
            row[2 + c] = (uint8_t)(128 + wide_code(r, c));
    }
}

static double wide_logit(int row, const float *x)
{
    double sum = 0;
    for (int c = 0; c < WIDE; c++)
        sum += wide_code(row, c) * (double)x[c];
    return row % 2 ? sum / 2 : sum;
}

/* What is loaded once more takes the place of rows in that order. */
START_TEST(a_form_is_computed_with_once_all_of_it_is_there)
{
    uint8_t data[HIGH * (sizeof(float) + WIDE_ROW)];
    fill_wide(data);
    float x[WIDE], y[HIGH];
    for (int c = 0; c < WIDE; c++)
        x[c] = (float)(c % 7 - 3) / 16;
    begin_on(_i);
    serve_bytes(WIDE_FORMED, ps_slice_of(data, sizeof data), 50);
    ck_ok(check_as(&wide));
    make_formed(&wide);
    for (int again = 0; again < 2; again++) {
        ck_ok(load());
        ck_ok(ps_model_predict(t.model, &(ps_model_batch){.rows = 1, .features = x}, NULL, y));
        for (int r = 0; r < HIGH; r++)
            ck_assert_double_eq_tol(log((double)y[r] / (double)y[0]),
                                    wide_logit(r, x) - wide_logit(0, x), 1e-5);
    }
    end();
}
END_TEST

START_TEST(a_form_that_is_not_as_the_model_wants_it_is_said)
{
    begin();
    serve_bytes(FORMED("[3,2]", "true"), ps_slice_of(formed, sizeof formed), 64);
    ck_assert_int_eq(check(), PS_FAILED_PRECONDITION);
    ck_assert_str_eq(ps_error_message(),
                     "model line: tensor layers.0.weight is [3, 2] in the file, "
                     "and the architecture wants [2, 3]");
    serve_bytes(FORMED("[2,3]", "false"), ps_slice_of(formed, sizeof formed), 64);
    ck_assert_int_eq(load(), PS_FAILED_PRECONDITION); /* into a model that was made for float32 */
    ck_assert_str_eq(ps_error_message(),
                     "model line: tensor layers.0.weight is in another form than it was before");
    end();
}
END_TEST

START_TEST(the_check_takes_no_more_than_the_header)
{
    begin();
    serve("{" BIAS "," WEIGHT "}", 4, 1); /* of the data there is next to nothing */
    ck_ok(check());
    ck_assert_int_eq(load(), PS_CORRUPT);
    end();
}
END_TEST

/* Header and weight; what lies between them is not asked for. */
START_TEST(a_tensor_comes_alone)
{
    begin();
    serve("{" BIAS "," WEIGHT "}", sizeof(values), 5);
    ps_safetensors *file;
    float w[6];
    ck_ok(ps_stored_header(&t.rig.remote, &which, &file));
    ck_assert_uint_eq(t.fake.job_id, 7);
    ck_assert_uint_eq(file->n_tensors, 2);
    fault_next(&t.fake.break_exports, 2);
    const ps_safetensors_tensor *weight = ps_safetensors_find(file, "layers.0.weight");
    ck_ok(ps_stored_tensor(&t.rig.remote, &which, file, weight, w));
    ck_assert_mem_eq(w, values + 2, sizeof w);
    ck_assert_uint_eq(t.fake.exports, 5);
    ps_safetensors longer = *file;
    longer.data_start += 1; /* it ends behind the file */
    ck_assert_int_eq(ps_stored_tensor(&t.rig.remote, &which, &longer, weight, w), PS_CORRUPT);
    ck_assert_str_eq(ps_error_message(), "model line: 23 bytes came, 24 were asked for");
    (void)snprintf(t.fake.version, sizeof t.fake.version, "line.2");
    ck_assert_int_eq(ps_stored_tensor(&t.rig.remote, &which, file, weight, w),
                     PS_FAILED_PRECONDITION);
    ps_safetensors_free(&file);
    serve("{" BIAS "," WEIGHT, sizeof(values), 5);
    ck_assert_int_eq(ps_stored_header(&t.rig.remote, &which, &file), PS_FAILED_PRECONDITION);
    t.fake.version[0] = '\0';
    ck_assert_int_eq(ps_stored_header(&t.rig.remote, &which, &file), PS_CORRUPT);
    end();
}
END_TEST

START_TEST(a_model_that_is_not_there_is_not_found)
{
    begin();
    t.fake.refuse = PS_NOT_FOUND;
    ck_assert_int_eq(load(), PS_NOT_FOUND);
    ck_assert_int_eq(check(), PS_NOT_FOUND);
    ck_assert_str_eq(ps_error_message(), "model line: no");
    end();
}
END_TEST

static const ps_check_case tests[] = {
    {&tensors_arrive_under_their_names_however_the_stream_is_cut, .repeat = PS_TEST_DEVICES},
    {&a_broken_stream_begins_again, .repeat = PS_TEST_DEVICES},
    {&a_file_of_another_version_is_not_taken},
    {&a_file_cut_anywhere_is_corrupt},
    {&a_tensor_comes_alone},
    {&bytes_behind_the_last_tensor_are_corrupt},
    {&hostile_headers_are_corrupt},
    {&a_file_of_another_architecture_is_said_with_tensor_and_shapes},
    {&a_weight_in_a_form_stays_in_it, .repeat = PS_TEST_DEVICES},
    {&float32_matrices_may_be_held_as_bfloat16, .repeat = PS_TEST_DEVICES},
    {&a_matrix_of_columns_is_held_as_rows, .repeat = PS_TEST_DEVICES},
    {&a_form_is_computed_with_once_all_of_it_is_there, .repeat = PS_TEST_DEVICES},
    {&a_form_that_is_not_as_the_model_wants_it_is_said},
    {&the_check_takes_no_more_than_the_header},
    {&a_model_that_is_not_there_is_not_found},
    {0}};

int main(void)
{
    return ps_check_main("worker/job/stored_model", tests);
}
