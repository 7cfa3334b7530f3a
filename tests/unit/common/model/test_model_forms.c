/* model_forms: what is written is read again, and what a hostile file says of its tensors is
 * refused with the tensor's name. */
#include "common/model/model_forms.h"

#include "common/base/mem.h"
#include "common/json/json.h"
#include "tests/lib/check_main.h"

#include <stdlib.h>
#include <string.h>

/* The header of psd's file with this value of "psd.forms", escaped as JSON in JSON is. The tensors:
 * a [2, 68] of bytes (q8_0 of 64 columns), b [3] of float32, c [2, 4] of bytes, d [5, 2] of float32
 * (rank 2 of [2, 3]). */
static ps_safetensors *file_of(const char *forms)
{
    ps_buf header = PS_BUF_EMPTY, bytes = PS_BUF_EMPTY;
    ps_json_writer w = ps_json_writer_to(&header);
    ps_json_object(&w);
    ps_json_key(&w, "__metadata__");
    ps_json_object(&w);
    if (forms)
        ps_json_put_string(&w, PS_MODEL_META_FORMS, forms);
    ps_json_object_end(&w);
    ps_json_put_raw(&w, "a", "{\"dtype\":\"U8\",\"shape\":[2,68],\"data_offsets\":[0,136]}");
    ps_json_put_raw(&w, "b", "{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[136,148]}");
    ps_json_put_raw(&w, "c", "{\"dtype\":\"U8\",\"shape\":[2,6],\"data_offsets\":[148,160]}");
    ps_json_put_raw(&w, "d", "{\"dtype\":\"F32\",\"shape\":[5,2],\"data_offsets\":[160,200]}");
    ps_json_object_end(&w);
    uint8_t length[8];
    ps_put_u64le(length, header.len);
    ps_buf_append(&bytes, length, sizeof length);
    ps_buf_append(&bytes, header.data, header.len);
    ps_safetensors *out = NULL;
    ck_ok(ps_safetensors_parse(ps_buf_slice(&bytes), UINT64_MAX, &out));
    ps_buf_free(&header);
    ps_buf_free(&bytes);
    return out;
}

#define A "\"a\":{\"form\":\"q8_0\",\"shape\":[2,64]}"
#define D "\"d\":{\"form\":\"factors/2\",\"shape\":[2,3]}"
#define C "\"c\":{\"form\":\"uint8/row\",\"shape\":[2,2],\"transposed\":true}"

START_TEST(tensors_in_forms_have_their_own_shapes)
{
    ps_safetensors *file = file_of("{" C "," A "," D "}");
    ps_model_form *t = NULL;
    ck_ok(ps_model_forms_parse(file, &t));
    ck_assert_uint_eq(t[3].form.rank, 2);
    ck_assert_uint_eq(ps_model_form_numbers(&t[3]), 6);
    const ps_model_form whole = ps_model_form_as_stored(&t[3]);
    ck_assert(!whole.form.row && whole.shape[0] == 5 && whole.shape[1] == 2);
    ck_assert_str_eq(t[0].name, "a");
    ck_assert_str_eq(t[0].form.row->name, "q8_0");
    ck_assert_uint_eq(t[0].shape[1], 64);
    ck_assert(!t[0].transposed);
    ck_assert_ptr_null(t[1].form.row);
    ck_assert_uint_eq(t[1].n_dims, 1);
    ck_assert(t[2].transposed);
    ck_assert_uint_eq(ps_model_form_numbers(&t[0]), 128);
    for (size_t i = 0; i < 4; i++)
        ck_assert_uint_eq(ps_model_form_bytes(&t[i]),
                          file->tensors[i].end - file->tensors[i].begin);
    ck_assert_ptr_eq(ps_model_form_find(t, 3, "c"), &t[2]);
    ck_assert_ptr_null(ps_model_form_find(t, 3, "d"));
    ps_free(&t);
    ps_safetensors_free(&file);
}
END_TEST

/* [in, out] = [96, 2] is two rows of 96. */
START_TEST(what_is_written_is_read)
{
    ps_model_form tensors[] = {
        {.name = "w", .transposed = true, .n_dims = 2, .shape = {96, 2}},
        {.name = "b", .n_dims = 1, .shape = {5}},
        {.name = "e\"", .n_dims = 2, .shape = {3, 128}},
        {.name = "f", .transposed = true, .n_dims = 2, .shape = {9, 128}},
    };
    enum { N = sizeof tensors / sizeof *tensors };
    ck_assert(ps_form_parse("int3/32", &tensors[0].form));
    ck_assert(ps_form_parse("uint4/128", &tensors[2].form));
    ck_assert(ps_form_parse_stored("factors/7", &tensors[3].form));
    ps_safetensors_tensor stored[N];
    for (size_t i = 0; i < N; i++)
        stored[i] = ps_model_form_stored(&tensors[i]);
    ck_assert_uint_eq(stored[0].shape[0], 2);
    ck_assert_uint_eq(stored[0].shape[1], 3 * (2 + 12));
    ck_assert_uint_eq(stored[2].shape[1], 4 + 64);
    ps_buf text = PS_BUF_EMPTY;
    ck_assert_uint_eq(stored[3].dtype, PS_SAFETENSORS_F32);
    ck_assert(stored[3].shape[0] == 137 && stored[3].shape[1] == 7);
    ps_model_forms_format(tensors, N, &text);
    ps_safetensors_pair pair = {PS_MODEL_META_FORMS, ps_buf_cstr(&text)};
    ps_safetensors file = {.tensors = stored, .n_tensors = N, .metadata = &pair, .n_metadata = 1};
    ps_model_form *again = NULL;
    ck_ok(ps_model_forms_parse(&file, &again));
    for (size_t i = 0; i < N; i++) {
        ck_assert(ps_form_same(again[i].form, tensors[i].form));
        ck_assert_int_eq(again[i].transposed, tensors[i].transposed);
        ck_assert_uint_eq(again[i].n_dims, tensors[i].n_dims);
        ck_assert_mem_eq(again[i].shape, tensors[i].shape, sizeof tensors[i].shape);
    }
    ps_free(&again);
    ps_buf_free(&text);
}
END_TEST

START_TEST(a_model_without_forms_has_no_metadata_of_them)
{
    static const ps_model_form b = {.name = "b", .n_dims = 1, .shape = {5}};
    ps_buf text = PS_BUF_EMPTY;
    ps_model_forms_format(&b, 1, &text);
    ck_assert_uint_eq(text.len, 0);
    ps_safetensors_tensor stored = ps_model_form_stored(&b);
    ps_safetensors file = {.tensors = &stored, .n_tensors = 1};
    ps_model_form *t = NULL;
    ck_ok(ps_model_forms_parse(&file, &t));
    ck_assert_ptr_null(t[0].form.row);
    ps_free(&t);
}
END_TEST

/* The one of most numbers stands first. */
START_TEST(forms_are_listed)
{
    ps_safetensors *file = file_of("{" A "," C "}");
    ps_model_form *t = NULL;
    ps_buf text = PS_BUF_EMPTY;
    ck_ok(ps_model_forms_parse(file, &t));
    ps_model_forms_list(t, 3, &text);
    ck_assert_str_eq(ps_buf_cstr(&text), "q8_0, uint8/row, float32");
    ps_buf_free(&text);
    ps_free(&t);
    ps_safetensors_free(&file);
}
END_TEST

static const struct {
    const char *forms, *message;
} refused[] = {
    {NULL, "tensor a is U8; psd holds F32, and its own forms"},
    {"{" A "}", "tensor c is U8; psd holds F32, and its own forms"},
    {"[]", "psd.forms: byte 1: expected an object, got an array"},
    {"{" A "," C "} ", NULL},
    {"{" A "," C "}x", "psd.forms: byte 93: something follows the value"},
    {"{\"x\":{}}", "psd.forms: the file has no tensor x"},
    {"{\"a\\u0000\":{}}", "psd.forms: the file has no tensor a"},
    {"{" A "," A "}", "psd.forms: tensor a is there twice"},
    {"{\"a\":{}}", "psd.forms: tensor a: needs form and shape"},
    {"{\"a\":{\"form\":\"q8_0\"}}", "psd.forms: tensor a: needs form and shape"},
    {"{\"a\":{\"form\":\"q9_0\",\"shape\":[2,64]}}",
     "psd.forms: tensor a: psd does not know the form 'q9_0'"},
    {"{\"a\":{\"form\":\"float32\",\"shape\":[2,64]}}",
     "psd.forms: tensor a: float32 is no form of a U8 tensor; it is F32"},
    {"{\"a\":{\"form\":\"int4/33\",\"shape\":[2,66]}}",
     "psd.forms: tensor a: psd does not know the form 'int4/33'"},
    {"{\"a\":{\"form\":\"q8_0\",\"form\":\"q8_0\",\"shape\":[2,64]}}",
     "psd.forms: tensor a: form is there twice"},
    {"{\"a\":{\"form\":\"q8_0\",\"shape\":[2,64],\"scale\":2}}",
     "psd.forms: tensor a: psd does not know the key 'scale'"},
    {"{\"a\":{\"form\":\"q8_0\",\"shape\":[128]}}",
     "psd.forms: tensor a: its shape must be two integers"},
    {"{\"a\":{\"form\":\"q8_0\",\"shape\":[2,2,32]}}",
     "psd.forms: tensor a: its shape must be two integers"},
    {"{\"a\":{\"form\":\"q8_0\",\"shape\":[-2,64]}}",
     "psd.forms: tensor a: its shape must be two integers"},
    {"{\"a\":{\"form\":\"q8_0\",\"shape\":[2,64],\"transposed\":1}}",
     "psd.forms: tensor a: transposed must be true or false"},
    {"{\"a\":{\"form\":\"q8_0\",\"shape\":[0,64]}}",
     "psd.forms: tensor a: [0, 64] is no shape that can be stored"},
    {"{\"a\":{\"form\":\"q8_0\",\"shape\":[2,0]}}",
     "psd.forms: tensor a: a row of 0 numbers is not whole blocks of q8_0"},
    {"{\"a\":{\"form\":\"q8_0\",\"shape\":[2,65]}}",
     "psd.forms: tensor a: a row of 65 numbers is not whole blocks of q8_0"},
    {"{\"a\":{\"form\":\"q8_0\",\"shape\":[4294967296,4294967296]}}",
     "psd.forms: tensor a: [4294967296, 4294967296] is no shape that can be stored"},
    {"{\"a\":{\"form\":\"q8_0\",\"shape\":[2,96]}}",
     "psd.forms: tensor a: [2, 96] in form q8_0 is U8 of [2, 102], which it is not"},
    {"{\"a\":{\"form\":\"q8_0\",\"shape\":[1,128]}}",
     "psd.forms: tensor a: [1, 128] in form q8_0 is U8 of [1, 136], which it is not"},
    {"{\"b\":{\"form\":\"bfloat16\",\"shape\":[3,2]}}",
     "psd.forms: tensor b: [3, 2] in form bfloat16 is U8 of [3, 4], which it is not"},
    {"{\"d\":{\"form\":\"factors/02\",\"shape\":[2,3]}}",
     "psd.forms: tensor d: psd does not know the form 'factors/02'"},
    {"{\"d\":{\"form\":\"factors/4294967298\",\"shape\":[2,3]}}",
     "psd.forms: tensor d: psd does not know the form 'factors/4294967298'"},
    {"{\"d\":{\"form\":\"factors/3\",\"shape\":[2,3]}}",
     "psd.forms: tensor d: [2, 3] is no product of two of rank 3"},
    {"{\"d\":{\"form\":\"factors/2\",\"shape\":[2,4]}}",
     "psd.forms: tensor d: [2, 4] of rank 2 is F32 of [6, 2], which it is not"},
    {"{\"d\":{\"form\":\"factors/2\",\"shape\":[4294967296,4294967296]}}",
     "psd.forms: tensor d: [4294967296, 4294967296] is no product of two of rank 2"},
    {"{\"a\":{\"form\":\"factors/2\",\"shape\":[2,66]}}",
     "psd.forms: tensor a: [2, 66] of rank 2 is F32 of [68, 2], which it is not"},
};

START_TEST(what_does_not_fit_is_refused)
{
    ps_safetensors *file = file_of(refused[_i].forms);
    ps_model_form *t = NULL;
    ps_status st = ps_model_forms_parse(file, &t);
    if (refused[_i].message) {
        ck_assert_int_eq(st, PS_CORRUPT);
        ck_assert_str_eq(ps_error_message(), refused[_i].message);
        ck_assert_ptr_null(t);
    } else {
        ck_ok(st);
    }
    ps_free(&t);
    ps_safetensors_free(&file);
}
END_TEST

START_TEST(a_few_factors_are_no_matrix_of_any_size)
{
    ps_model_form t = {.name = "d", .n_dims = 2, .shape = {1 << 16, 1 << 16}};
    ck_assert(ps_form_parse_stored("factors/128", &t.form)); /* as many times its bytes */
    ck_assert(ps_model_forms_check_growth(&t, 1) == PS_OK);
    ck_assert(ps_form_parse_stored("factors/64", &t.form));
    ck_assert_int_eq(ps_model_forms_check_growth(&t, 1), PS_OUT_OF_RANGE);
    ck_assert_ptr_nonnull(
        strstr(ps_error_message(), "out of 33.55 MB matrices of low rank make 1.718e+04 MB"));
}
END_TEST

static const ps_check_case cases[] = {
    {&tensors_in_forms_have_their_own_shapes},
    {&what_is_written_is_read},
    {&a_model_without_forms_has_no_metadata_of_them},
    {&forms_are_listed},
    {&a_few_factors_are_no_matrix_of_any_size},
    {.test = &what_does_not_fit_is_refused, .repeat = sizeof refused / sizeof *refused},
    {0},
};

int main(void)
{
    return ps_check_main("model/model_forms", cases);
}
