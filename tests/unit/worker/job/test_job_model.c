/* job_model: what a model would take is counted by the forms that it is kept in, before it is made.
 */
#include "worker/job/job_model.h"

#include "tests/lib/check_main.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SIDE = 1 << 20, MATRICES = 8 };

/* Eight matrices of 2^40 numbers, which no machine holds in any form, and biases of 2^20. */
START_TEST(what_is_larger_than_the_machine_is_said_by_its_forms)
{
    static const int64_t layers[] = {SIDE, SIDE, SIDE, SIDE, SIDE, SIDE, SIDE, SIDE, SIDE};
    const ps_model_config config = {
        .architecture = "mlp", .layers = layers, .layer_count = MATRICES + 1};
    static const struct {
        const char *form;
        uint64_t numbers, bytes; /* of a block */
    } rows[] = {{NULL, 1, 4}, {"float16", 1, 2}, {"int4/128", 128, 66}, {"q8_0", 32, 34}};
    const ps_backend backend = {.info = {.host_addressable = true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ps_form forms[2 * MATRICES] = {{0}};
        for (size_t m = 0; rows[i].form && m < MATRICES; m++)
            ck_assert(ps_form_parse(rows[i].form, &forms[2 * m]));
        ps_model_options options = {.inference = true, .forms = rows[i].form ? forms : NULL};
        const ps_job_model_need need = {.name = "big", .config = &config, .options = &options};
        ck_assert_int_eq(ps_job_model_room(&need, &backend), PS_NO_MEMORY);
        uint64_t bytes = MATRICES * ((UINT64_C(1) << 40) / rows[i].numbers * rows[i].bytes +
                                     SIDE * sizeof(float));
        char words[64];
        (void)snprintf(words, sizeof words, " needs %" PRIu64 " bytes here, ", bytes);
        ck_assert_msg(strstr(ps_error_message(), words) != NULL, "%s: %s", words,
                      ps_error_message());
    }
}
END_TEST

/* What is explained keeps what every layer made of a batch: a smaller one takes less. */
START_TEST(a_batch_that_is_too_large_to_explain_says_what_to_lower)
{
    static const int64_t layers[] = {1 << 20, 16};
    const ps_model_config config = {.architecture = "mlp", .layers = layers, .layer_count = 2};
    const ps_backend backend = {.info = {.host_addressable = true}};
    const ps_model_options options = {.explain = true, .max_batch = 1 << 16};
    ps_job_model_need need = {
        .name = "big", .config = &config, .options = &options, .activations = UINT64_C(1) << 50};
    ck_assert_int_eq(ps_job_model_room(&need, &backend), PS_NO_MEMORY);
    const char *said = ps_error_message();
    ck_assert_ptr_nonnull(
        strstr(said, "model big has 16777232 parameters and needs 1125899973951552 bytes here, "
                     "65536 rows at a time, "));
    ck_assert_ptr_nonnull(strstr(said, "; lower explain.batch"));
    need.activations = 1 << 20;
    ck_ok(ps_job_model_room(&need, &backend));
}
END_TEST

static const ps_check_case cases[] = {
    {&a_batch_that_is_too_large_to_explain_says_what_to_lower},
    {&what_is_larger_than_the_machine_is_said_by_its_forms},
    {0},
};

int main(void)
{
    return ps_check_main("worker/job/job_model", cases);
}
