/* Tensors that are trained in a form: what is pulled of them, and what of psd's words about them is
 * refused. */
#include "common/base/half.h"
#include "psd/v1/parameters.pb-c.h"
#include "tests/lib/check_main.h"
#include "tests/unit/worker/exchange/exchange_rig.h"

#include <stdio.h>

/* The form that the fake's ragged blocks can be in: a number is a group. */
static void in_form(size_t tensor, const char *form)
{
    (void)snprintf(r.fake.tensors[tensor].form, sizeof r.fake.tensors[tensor].form, "%s", form);
}

static float *pulled(size_t i)
{
    return ps_tensor_address(ps_model_parameter(r.model, i)); /* the CPU's */
}

/* Both kinds of pull: of a training, and of an evaluation, which is of the form, too. */
START_TEST(a_tensor_comes_in_its_form)
{
    begin(PS_TEST_CPU, 0);
    in_form(0, "bfloat16");
    for (size_t i = 0; i < r.fake.count; i++)
        for (int k = 0; k < 3; k++)
            r.fake.tensors[i].values[k] = 1.0f / 3;
    ck_ok(open_exchange(false));
    uint64_t version, bytes, elements = 0;
    ps_pusher_stats stats;
    if (_i == 0) {
        ck_ok(ps_exchange_pull(r.exchange, &version));
    } else {
        ck_ok(ps_exchange_pull_start(r.exchange));
        ck_ok(ps_exchange_pull_finish(r.exchange, &version));
    }
    ck_assert_float_eq(pulled(0)[0], ps_bf16_value(ps_bf16_of(1.0f / 3)));
    ck_assert_float_eq(pulled(2)[0], 1.0f / 3);
    for (size_t i = 0; i < r.fake.count; i++)
        elements += (i ? 4 : 2) * r.fake.tensors[i].rows * r.fake.tensors[i].columns;
    ps_exchange_stats(r.exchange, &stats, &bytes);
    ck_assert_uint_eq(bytes, elements);
    end();
}
END_TEST

static void pull_fails(const char *said)
{
    uint64_t version;
    ck_ok(open_exchange(false));
    ck_ok(ps_exchange_pull_start(r.exchange));
    ck_assert_int_eq(ps_exchange_pull_finish(r.exchange, &version), PS_PROTOCOL);
    ck_assert_msg(strstr(ps_error_message(), said) != NULL, "%s", ps_error_message());
    end();
}

START_TEST(chunks_that_are_no_blocks_are_refused)
{
    begin(PS_TEST_CPU, 0);
    in_form(0, "bfloat16");
    r.fake.tensors[0].left_out = 1;
    pull_fails("tensor layers.0.weight: 13 bytes are not 7 elements of its form");
    begin(PS_TEST_CPU, 0);
    r.fake.tensors[2].sent_as = PSD__V1__CODEC__CODEC_FORM;
    pull_fails("tensor layers.1.weight is not trained in a form");
}
END_TEST

START_TEST(a_form_that_is_not_known_is_refused)
{
    static const char *const forms[] = {"int9/32", "int4/row"};
    begin(PS_TEST_CPU, 0);
    in_form(0, forms[_i]);
    ck_assert_int_eq(open_exchange(false), PS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "tensor layers.0.weight: psd trains it in"));
    end();
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &a_tensor_comes_in_its_form, .repeat = 2},
    {.test = &chunks_that_are_no_blocks_are_refused},
    {.test = &a_form_that_is_not_known_is_refused, .repeat = 2},
    {0},
};

int main(void)
{
    return ps_check_main("exchange/exchange_form", tests);
}
