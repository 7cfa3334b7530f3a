/* A file with a weight in a form, over the real transport, for who computes in float32: all of it
 * into a model, and the weight by itself. */
#include "worker/job/stored_model.h"
#include "worker/job/stored_range.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/data_file.h"
#include "tests/lib/fake_models.h"
#include "tests/lib/remote_rig.h"

#include <string.h>

#define HEADER                                                                                    \
    "{\"__metadata__\":{\"psd.forms\":\"{\\\"layers.0.weight\\\":{\\\"form\\\":\\\"int8/row\\\"," \
    "\\\"shape\\\":[2,3],\\\"transposed\\\":false}}\"},"                                          \
    "\"layers.0.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"                 \
    "\"layers.0.weight\":{\"dtype\":\"U8\",\"shape\":[2,5],\"data_offsets\":[8,18]}}"

/* Of each row a scale, 1 and a half, and codes from -128 on. */
static const uint8_t data[] = {0,    0,   0x80, 0x3f, 0,    0,    0,   0x40, 0x00,
                               0x3c, 129, 130,  131,  0x00, 0x38, 127, 128,  132};
static const float rows[6] = {1, 2, 3, -0.5F, 0, 2}, bias[2] = {1, 2};
static const int64_t layers[] = {3, 2};
static const ps_model_config config = {.architecture = "mlp", .layers = layers, .layer_count = 2};
static const ps_stored_model which = {.name = "line", .version = "v1", .job_id = 1};

static struct {
    ps_test_remote_rig rig;
    fake_models fake;
    uint8_t *file;
    size_t len;
} t;

static void begin(ps_test_where where)
{
    memset(&t, 0, sizeof t);
    fake_models_init(&t.fake, ps_slice_of(NULL, 0), 1);
    ps_rpc_service service = fake_models_service(&t.fake);
    ps_test_remote_rig_open_on(&t.rig, where, &service, 1);
    t.file = ps_test_safetensors(HEADER, ps_slice_of(data, sizeof data), &t.len);
}

static void send_in(size_t piece)
{
    pthread_mutex_lock(&t.fake.lock);
    t.fake.file = ps_slice_of(t.file, t.len);
    t.fake.piece = piece;
    pthread_mutex_unlock(&t.fake.lock);
}

static void end(void)
{
    ps_test_remote_rig_close(&t.rig);
    fake_models_free(&t.fake);
    ps_free(&t.file);
}

START_TEST(a_weight_in_a_form_becomes_numbers_however_it_is_cut)
{
    ps_model *model = NULL;
    begin(_i);
    ck_ok(ps_model_create(t.rig.backend, &config,
                          &(ps_model_options){.max_batch = 1, .explain = true}, &model));
    for (size_t piece = 1; piece <= 20; piece += 6) {
        float w[6], b[2];
        ps_stream *s = ps_model_stream(model);
        send_in(piece);
        ck_ok(ps_stored_model_load_whole(&t.rig.remote, &which, model, NULL));
        ck_ok(ps_copy_to_host(s, w, ps_model_parameter(model, 0), sizeof w));
        ck_ok(ps_copy_to_host(s, b, ps_model_parameter(model, 1), sizeof b));
        ck_assert_mem_eq(w, rows, sizeof rows);
        ck_assert_mem_eq(b, bias, sizeof bias);
    }
    ps_model_free(&model);
    end();
}
END_TEST

START_TEST(a_weight_in_a_form_is_read_alone)
{
    ps_safetensors *file = NULL;
    ps_model_form *forms = NULL;
    float *alone = NULL;
    begin(_i);
    send_in(7);
    ck_ok(ps_stored_header(&t.rig.remote, &which, &file));
    ck_ok(ps_model_forms_parse(file, &forms));
    const ps_model_form *form = ps_model_form_find(forms, file->n_tensors, "layers.0.weight");
    ck_assert_ptr_nonnull(form);
    ck_ok(ps_stored_numbers(&t.rig.remote, &which, file, form, &alone));
    ck_assert_mem_eq(alone, rows, sizeof rows);
    ps_free(&alone);
    ps_free(&forms);
    ps_safetensors_free(&file);
    end();
}
END_TEST

static const ps_check_case cases[] = {
    {&a_weight_in_a_form_becomes_numbers_however_it_is_cut, .repeat = PS_TEST_DEVICES},
    {&a_weight_in_a_form_is_read_alone},
    {0},
};

int main(void)
{
    return ps_check_main("job/stored_decode", cases);
}
