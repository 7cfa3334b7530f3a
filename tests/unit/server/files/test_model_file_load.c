/* A file whose tensors are in forms: taken as it is, described by what its tensors are as numbers,
 * and decoded where a job begins from it; what is trained then is float32 again. */
#include "server/files/model_file.h"

#include "common/base/mem.h"
#include "common/model/model_forms.h"
#include "server/files/model_tensors.h"
#include "tests/lib/check_main.h"
#include "tests/lib/params.h"
#include "tests/lib/stored.h"

#include <string.h>

#define CONFIG "{architecture: mlp, layers: [3, 4], activation: relu, loss: cross_entropy}"
enum { ROWS = 3, COLUMNS = 4 };

/* w is [3, 4] in psd, and stored as 4 rows of int8/row: a scale and three codes, 128 added. */
static const uint8_t w_half[] = {0x00, 0x38, 129, 130, 127, 0x00, 0x38, 128, 133, 1,
                                 0x00, 0x3c, 132, 126, 128, 0x00, 0x00, 200, 100, 255};
static const float w_numbers[ROWS * COLUMNS] = {0.5F, 0, 4, 0, 1, 2.5F, -2, 0, -0.5F, -63.5F, 0, 0};
static const float b_numbers[COLUMNS] = {1, 2, 3, 4};

static ps_status to_buf(void *state, const void *data, size_t len)
{
    ps_buf_append(state, data, len);
    return PS_OK;
}

/* The scale of w's third row is `scale`. */
static ps_status adopt(test_stored *t, uint16_t scale)
{
    uint8_t w[sizeof w_half];
    memcpy(w, w_half, sizeof w);
    memcpy(w + 10, &scale, sizeof scale);
    ps_model_form forms[] = {
        {.name = "b", .n_dims = 1, .shape = {COLUMNS}},
        {.name = "w", .transposed = true, .n_dims = 2, .shape = {ROWS, COLUMNS}}};
    ck_assert(ps_form_parse("int8/row", &forms[1].form));
    const ps_safetensors_tensor stored[] = {ps_model_form_stored(&forms[0]),
                                            ps_model_form_stored(&forms[1])};
    ps_buf text = PS_BUF_EMPTY, file = PS_BUF_EMPTY;
    ps_model_forms_format(forms, 2, &text);
    const ps_safetensors_pair metadata[] = {{PS_MODEL_META_FORMS, ps_buf_cstr(&text)},
                                            {"tokenizer.json", "{}"}};
    ps_safetensors_writer *writer = NULL;
    ck_ok(ps_safetensors_writer_new(stored, 2, metadata, 2, (ps_safetensors_sink){to_buf, &file},
                                    &writer));
    ck_ok(ps_safetensors_writer_data(writer, b_numbers, sizeof b_numbers));
    ck_ok(ps_safetensors_writer_data(writer, w, sizeof w));
    ck_ok(ps_safetensors_writer_finish(&writer));
    ps_stored_place place = ps_model_place("q");
    test_stored_write(t, place.incoming, file.data, file.len);
    ps_buf_free(&file);
    ps_buf_free(&text);
    ps_model_record *r = NULL;
    ps_status st = ps_model_file_adopt(&t->files, &place, "q", CONFIG, "anna", true,
                                       &(ps_lineage_from){0}, &r);
    ps_model_record_free(&r);
    ps_stored_place_free(&place);
    return st;
}

static ps_param_store *new_store(uint64_t columns)
{
    test_params p;
    test_params_init(&p, ROWS, columns);
    p.config.column_blocks = 2;
    ps_param_store *store;
    ck_ok(ps_param_store_create(&p.config, &store));
    return store;
}

START_TEST(the_row_says_what_the_tensors_are)
{
    test_stored t;
    ps_model_record *r = NULL;
    test_stored_open(&t);
    ck_ok(adopt(&t, 0x3c00));
    ck_ok(ps_catalog_model_get(t.catalog, "q", &r));
    ck_assert_uint_eq(r->parameters, ROWS * COLUMNS + COLUMNS);
    ck_assert_uint_eq(r->tensor_bytes, sizeof w_half + sizeof b_numbers);
    ck_assert_str_eq(r->forms, "int8/row, float32");
    ck_assert_str_eq(r->tensors[1].name, "w");
    ck_assert_uint_eq(r->tensors[1].shape[0], ROWS);
    ck_assert_uint_eq(r->tensors[1].shape[1], COLUMNS);
    ck_assert_str_eq(r->tensors[1].form.row->name, "int8");
    ck_assert_ptr_null(r->tensors[0].form.row);
    ps_model_record_free(&r);
    test_stored_close(&t);
}
END_TEST

/* Infinite, and no number. */
START_TEST(a_scale_that_is_no_number_is_refused_with_its_tensor)
{
    static const uint16_t scales[] = {0x7c00, 0x7e00};
    test_stored t;
    test_stored_open(&t);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(adopt(&t, scales[i]), PS_INVALID_ARGUMENT);
        ck_assert_ptr_nonnull(strstr(ps_error_message(), "model q: tensor w: element [0, 2] is "));
    }
    test_stored_close(&t);
}
END_TEST

START_TEST(a_job_that_begins_from_it_has_its_numbers)
{
    test_stored t;
    ps_buf remark = PS_BUF_EMPTY;
    ps_param_store *store = new_store(COLUMNS), *other = new_store(COLUMNS + 1);
    test_stored_open(&t);
    ck_ok(adopt(&t, 0x3c00));
    ck_assert_int_eq(ps_model_file_load(&t.files, "q", "", NULL, other, &remark),
                     PS_FAILED_PRECONDITION);
    ck_assert_uint_eq(remark.len, 0);
    ck_ok(ps_model_file_load(&t.files, "q", "", NULL, store, &remark));
    ck_assert_str_eq(ps_buf_cstr(&remark), "model q is stored as int8/row, float32; its numbers "
                                           "were decoded to float32 for training");
    float *w = test_params_read(store, 0), *b = test_params_read(store, 1);
    for (size_t i = 0; i < ROWS * COLUMNS; i++)
        ck_assert_float_eq(w[i], w_numbers[i]);
    ck_assert_mem_eq(b, b_numbers, sizeof b_numbers);
    free(w);
    free(b);
    ps_buf_free(&remark);
    ps_param_store_unref(&store);
    ps_param_store_unref(&other);
    test_stored_close(&t);
}
END_TEST

/* A store that trains it in a form has its transpose, and what becomes of that is the model's
 * again: bfloat16 holds all of these numbers. */
START_TEST(a_store_that_has_it_transposed_gets_its_numbers_turned)
{
    test_params p;
    test_stored t;
    ps_buf remark = PS_BUF_EMPTY;
    ps_param_store *store = NULL;
    test_params_init(&p, COLUMNS, ROWS);
    p.config.column_blocks = 2;
    p.plans[0].transposed = true;
    p.plans[1].shape[0] = COLUMNS;
    ck_assert_int_eq(ps_param_store_create(&p.config, &store), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "tensor w: transposed, and in no form");
    ck_assert(ps_form_parse("bfloat16", &p.plans[0].form));
    ck_ok(ps_param_store_create(&p.config, &store));
    test_stored_open(&t);
    ck_ok(adopt(&t, 0x3c00));
    ck_ok(ps_model_file_load(&t.files, "q", "", NULL, store, &remark));
    float *w = test_params_read(store, 0);
    for (size_t i = 0; i < ROWS; i++)
        for (size_t k = 0; k < COLUMNS; k++)
            ck_assert_float_eq(w[k * ROWS + i], w_numbers[i * COLUMNS + k]);
    free(w);
    ps_model_form *forms = ps_model_tensors_of(ps_param_store_placement(store));
    ck_assert(forms[0].transposed && forms[0].shape[0] == ROWS && forms[0].shape[1] == COLUMNS);
    ps_free(&forms);
    ps_buf_free(&remark);
    ps_param_store_unref(&store);
    test_stored_close(&t);
}
END_TEST

#define LANGUAGE                                                                           \
    "kind: train\nname: m\nmodel: {architecture: gpt2, vocab_size: 9, context_length: 8, " \
    "hidden_size: 4, num_layers: 1, num_heads: 1%s}\n"                                     \
    "data: {format: tokens, train: {tokens: /x}}\n"                                        \
    "train: {epochs: 1, optimizer: {name: sgd, learning_rate: 1}}\n%s"

/* What the job of these words makes of a store is float32, and says of a tokenizer what it is to.
 */
static void check_trained(const char *model, const char *more, bool tokenizer)
{
    char *yaml = ps_asprintf(LANGUAGE, model, more), *data;
    test_stored t;
    ps_job_spec *spec = NULL;
    ps_model_record *r = NULL;
    int file;
    ps_param_store *store = new_store(COLUMNS);
    test_stored_open(&t);
    ck_ok(adopt(&t, 0x3c00));
    ck_ok(ps_job_spec_parse_from(ps_slice_str(yaml), "job", "", &spec));
    ck_ok(ps_model_file_store(
        &t.files, store,
        &(ps_model_trained){
            .job_id = 3, .owner = "anna", .spec = spec, .settled = "", .origin = "", .teacher = ""},
        &(ps_job_outcome){0}));
    ck_ok(ps_catalog_model_get(t.catalog, "m", &r));
    ck_assert_str_eq(r->forms, "float32");
    ck_assert_uint_eq(r->tensor_bytes, (ROWS * COLUMNS + COLUMNS) * sizeof(float));
    ck_ok(ps_model_file_open(&t.files, "m", "", &file, NULL));
    size_t len = test_stored_drain(file, &data);
    ck_assert(tokenizer == (memmem(data, len, "tokenizer.json", 14) != NULL));
    ck_assert_ptr_null(memmem(data, len, PS_MODEL_META_FORMS, strlen(PS_MODEL_META_FORMS)));
    free(data);
    ps_free(&yaml);
    ps_model_record_free(&r);
    ps_job_spec_free(&spec);
    ps_param_store_unref(&store);
    test_stored_close(&t);
}

/* Its tokenizer goes on; what it said of its forms does not. */
START_TEST(what_is_trained_from_it_is_float32)
{
    check_trained("", "initialize_from: q\n", true);
}
END_TEST

/* A student that begins from random weights reads the same tokens, if it says so. */
START_TEST(a_student_gets_its_teachers_tokenizer)
{
    check_trained(", tokenizer: gpt2", "distil: {teacher: q}\n", true);
    check_trained("", "distil: {teacher: q}\n", false);
    check_trained(", tokenizer: gpt2", "", false);
}
END_TEST

static const ps_check_case cases[] = {
    {&the_row_says_what_the_tensors_are},
    {&a_scale_that_is_no_number_is_refused_with_its_tensor},
    {&a_job_that_begins_from_it_has_its_numbers},
    {&a_store_that_has_it_transposed_gets_its_numbers_turned},
    {&what_is_trained_from_it_is_float32},
    {&a_student_gets_its_teachers_tokenizer},
    {0},
};

int main(void)
{
    return ps_check_main("server/files/model_file_load", cases);
}
