/* stored_model: a file whose tensors are in forms, into a model of float32. */
#include "worker/job/stored_model.h"

#include "tests/lib/check_main.h"
#include "tests/lib/data_file.h"
#include "tests/lib/fake_models.h"
#include "tests/lib/remote_rig.h"

#include <stdlib.h>
#include <string.h>

/* An mlp 3 -> 2: the weight is two rows of int8/row, a scale and three codes, 128 added to them. */
#define FILE_HEAD                                                                                  \
    "{\"__metadata__\":{\"psd.forms\":\"{\\\"layers.0.weight\\\":{\\\"form\\\":\\\"int8/row\\\","  \
    "\\\"shape\\\":[2,3],\\\"transposed\\\":false}}\"},\"layers.0.bias\":{\"dtype\":\"F32\","      \
    "\"shape\":[2],\"data_offsets\":[0,8]},\"layers.0.weight\":{\"dtype\":\"U8\",\"shape\":[2,5]," \
    "\"data_offsets\":[8,18]}}"

static const uint8_t data[] = {0,    0,    0x80, 0x3f, 0,   0,    0,    0x40, /* 1 and 2 */
                               0x00, 0x3c, 129,  130,  131, 0x00, 0x38, 127,  128, 132};
static const float weight[6] = {1, 2, 3, -0.5F, 0, 2}, bias[2] = {1, 2};

static void holds(ps_model *model)
{
    float w[6], b[2];
    ps_stream *s = ps_model_stream(model);
    ck_ok(ps_copy_to_host(s, w, ps_model_parameter(model, 0), sizeof w));
    ck_ok(ps_copy_to_host(s, b, ps_model_parameter(model, 1), sizeof b));
    ck_assert_int_eq(memcmp(w, weight, sizeof w), 0);
    ck_assert_int_eq(memcmp(b, bias, sizeof b), 0);
}

START_TEST(a_weight_in_a_form_is_decoded)
{
    static const int64_t layers[] = {3, 2};
    const ps_model_config config = {.architecture = "mlp", .layers = layers, .layer_count = 2};
    const ps_stored_model which = {.name = "line", .version = "", .job_id = 1};
    ps_test_remote_rig rig;
    fake_models fake;
    size_t len = 0;
    uint8_t *file = ps_test_safetensors(FILE_HEAD, ps_slice_of(data, sizeof data), &len);
    fake_models_init(&fake, ps_slice_of(file, len), 1);
    ps_rpc_service service = fake_models_service(&fake);
    ps_test_remote_rig_open_on(&rig, _i, &service, 1);
    for (size_t piece = 1; piece <= 20; piece += 6) { /* cut anywhere */
        ps_model *model = NULL;
        pthread_mutex_lock(&fake.lock);
        fake.piece = piece;
        pthread_mutex_unlock(&fake.lock);
        ck_ok(ps_model_create(rig.backend, &config,
                              &(ps_model_options){.max_batch = 1, .explain = true}, &model));
        char found[PS_DIGEST_TEXT] = "", want[PS_DIGEST_TEXT];
        ps_digest *digest = ps_digest_new();
        ps_digest_add(digest, file, len);
        ps_digest_end(&digest, want);
        ps_status st = ps_stored_model_load_whole(&rig.remote, &which, model, found);
        ck_assert_msg(!st, "%s", ps_error_message());
        ck_assert_str_eq(found, want);
        holds(model);
        ps_model_free(&model);
    }
    ps_test_remote_rig_close(&rig);
    fake_models_free(&fake);
    free(file);
}
END_TEST

static const ps_check_case cases[] = {
    {.test = &a_weight_in_a_form_is_decoded, .repeat = PS_TEST_DEVICES},
    {0},
};

int main(void)
{
    return ps_check_main("worker/job/stored_whole", cases);
}
