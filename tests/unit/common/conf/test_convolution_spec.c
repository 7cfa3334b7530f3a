/* convolution_spec: what a cnn's section leaves out, what it is as text, and what is refused. */
#include "common/conf/model_spec.h"
#include "tests/lib/check_main.h"

#include <string.h>

START_TEST(what_is_left_out_follows_from_the_rest)
{
    static const char yaml[] =
        "{architecture: cnn, image: [1, 28, 20], convolutions: [12, {channels: 6, kernel: 5, norm: "
        "none, pool: max}, {channels: 4, kernel: 1, stride: 2, pool: global}], layers: [10]}";
    ps_spec_model *m = NULL, *again = NULL;
    ck_ok(ps_spec_model_parse(ps_slice_str(yaml), "m", &m));
    ck_assert_uint_eq(m->n_convolutions, 3);
    const ps_convolution *c = m->convolutions;
    ck_assert(c[0].channels == 12 && c[0].kernel == 3 && c[0].stride == 1 && c[0].padding == 1);
    ck_assert(c[0].norm == PS_CONVOLUTION_GROUP && c[0].norm_groups == 6);
    ck_assert(c[0].pool == PS_CONVOLUTION_NO_POOL && !c[0].pool_size);
    ck_assert(c[1].padding == 2 && c[1].norm == PS_CONVOLUTION_NO_NORM && !c[1].norm_groups);
    ck_assert(c[1].pool == PS_CONVOLUTION_MAX && c[1].pool_size == 2 && c[1].pool_stride == 2);
    ck_assert(c[2].padding == 0 && c[2].norm_groups == 4);
    ck_assert_int_eq(ps_spec_model_inputs(m), 560);
    ck_assert_int_eq(ps_spec_model_features(m), 4);
    ck_assert_uint_eq(ps_spec_model_linears(m), 1);
    ck_assert_int_eq(ps_spec_model_width(m, 0), 4);
    ck_assert_int_eq(ps_spec_model_width(m, 1), 10);
    ps_buf text = PS_BUF_EMPTY, twice = PS_BUF_EMPTY;
    ps_spec_model_format(m, &text);
    ck_assert_ptr_nonnull(strstr(ps_buf_cstr(&text),
                                 "image: [1, 28, 20], convolutions: [{channels: 12, kernel: 3, "
                                 "stride: 1, padding: 1, norm: group, norm_groups: 6, pool: none, "
                                 "pool_size: 0, pool_stride: 0}, "));
    ck_ok(ps_spec_model_parse(ps_buf_slice(&text), "m", &again));
    ps_spec_model_format(again, &twice);
    ck_assert_str_eq(ps_buf_cstr(&text), ps_buf_cstr(&twice));
    ck_ok(ps_spec_model_same(m, again));
    again->convolutions[1].kernel = 3;
    ck_assert_int_eq(ps_spec_model_same(m, again), PS_INVALID_ARGUMENT);
    ps_buf_free(&text);
    ps_buf_free(&twice);
    ps_spec_model_free(&again);
    ps_spec_model_free(&m);
}
END_TEST

#define CNN(more) "{architecture: cnn, " more "}"
static const struct {
    const char *yaml, *message;
} bad[] = {
    {CNN("convolutions: [4], layers: [10]"),
     "m:1: image: three sizes are required here: channels, height and width"},
    {CNN("image: [28, 28], convolutions: [4], layers: [10]"),
     "m:1: image: three sizes are required here: channels, height and width"},
    {CNN("image: [1, 8, 8], layers: [10]"),
     "m:1: convolutions: missing; a list of convolutions is required here"},
    {CNN("image: [1, 8, 8], convolutions: [4]"),
     "m:1: layers: missing; the widths of the linear layers behind the convolutions are required "
     "here, the last of them the number of outputs"},
    {CNN("image: [1, 8, 8], convolutions: [4], layers: [1]"),
     "m:1: layers: the last layer is the number of classes and must be at least 2 with loss "
     "cross_entropy, not 1"},
    {CNN("image: [1, 8, 8], convolutions: [4, {kernel: 3}], layers: [10]"),
     "m:1: convolutions[1].channels: missing; an integer is required here"},
    {CNN("image: [1, 8, 8], convolutions: [{channels: 4, padding: 3}], layers: [10]"),
     "m:1: convolutions[0].padding: 3 is not less than kernel, 3"},
    {CNN("image: [1, 8, 8], convolutions: [4, {channels: 4, kernel: 9, padding: 0}], layers: [10]"),
     "m:1: convolutions[1].kernel: 9 is more than there is: 8 × 8 pixels, with 0 of padding on "
     "each "
     "side"},
    {CNN("image: [1, 8, 8], convolutions: [{channels: 4, norm_groups: 3}], layers: [10]"),
     "m:1: convolutions[0].norm_groups: 3 does not divide channels, 4"},
    {CNN("image: [1, 8, 8], convolutions: [{channels: 4, norm: none, norm_groups: 2}], layers: "
         "[10]"),
     "m:1: convolutions[0].norm_groups: only with norm group"},
    {CNN("image: [1, 8, 8], convolutions: [{channels: 4, norm: batch}], layers: [10]"),
     "m:1: convolutions[0].norm: 'batch' is not known; allowed: group, none"},
    {CNN("image: [1, 8, 8], convolutions: [{channels: 4, pool_size: 2}], layers: [10]"),
     "m:1: convolutions[0].pool_size: only with pool max or average"},
    {CNN("image: [1, 8, 8], convolutions: [{channels: 4, pool: max, pool_size: 9}], layers: [10]"),
     "m:1: convolutions[0].pool_size: 9 is more than there is: 8 × 8 pixels"},
    {CNN("image: [1, 4096, 4096], convolutions: [2], layers: [10]"),
     "m:1: convolutions[0].channels: 2 × 4096 × 4096 numbers of an image are more than 16777216"},
    {CNN("image: [65536, 16, 16], convolutions: [{channels: 1, kernel: 31}], layers: [10]"),
     "m:1: convolutions[0].kernel: 31 is more than there is room for with so many channels and "
     "pixels: a row of them is made of more than 67108864 numbers"},
    {CNN("image: [2, 4096, 4096], convolutions: [1], layers: [10]"),
     "m:1: image: more than 16777216 numbers"},
    {CNN("image: [1, 2, 2], convolutions: [2], layers: [2], input_mean: [1]"),
     "m:1: input_mean: 1 numbers, but an image has 4; they must be the same"},
    {CNN("image: [1, 2, 2], convolutions: [2], layers: [2], hidden_size: 4"),
     "m:1: hidden_size: not for architecture cnn"},
    {"{architecture: mlp, layers: [4, 2], convolutions: [2]}",
     "m:1: convolutions: not for architecture mlp"},
};

START_TEST(what_does_not_fit_is_refused_with_its_key)
{
    ps_spec_model *m = NULL;
    ck_assert_int_eq(ps_spec_model_parse(ps_slice_str(bad[_i].yaml), "m", &m), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), bad[_i].message);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &what_is_left_out_follows_from_the_rest},
    {.test = &what_does_not_fit_is_refused_with_its_key, .repeat = sizeof bad / sizeof *bad},
    {0},
};

int main(void)
{
    return ps_check_main("common/conf/convolution_spec", tests);
}
