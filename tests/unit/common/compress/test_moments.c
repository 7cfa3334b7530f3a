/* moments: of how many examples a gradient was, in files as they are and as they should not be. */
#include "common/compress/moments.h"

#include "tests/lib/check_main.h"

#include "common/base/mem.h"

#include <stdio.h>
#include <string.h>

#define GPT                                                                                       \
    "{architecture: gpt2, vocab_size: 257, context_length: 128, hidden_size: 16, num_layers: 1, " \
    "num_heads: 1}"
#define MLP "{architecture: mlp, layers: [4, 2]}"

static ps_status keep(void *state, const void *data, size_t len)
{
    ps_buf_append(state, data, len);
    return PS_OK;
}

/* The header of a file whose metadata say that; NULL: nothing. */
static ps_safetensors *file_of(const char *about)
{
    ps_buf bytes = PS_BUF_EMPTY;
    ps_safetensors_writer *writer = NULL;
    ps_safetensors *file = NULL;
    const ps_safetensors_pair pair = {PS_MOMENTS_META, about};
    ck_ok(ps_safetensors_writer_new(NULL, 0, &pair, about ? 1 : 0,
                                    (ps_safetensors_sink){keep, &bytes}, &writer));
    ck_ok(ps_safetensors_writer_finish(&writer));
    ps_safetensors_writer_free(&writer);
    ck_ok(ps_safetensors_parse(ps_slice_of(bytes.data, bytes.len), bytes.len, &file));
    ps_buf_free(&bytes);
    return file;
}

static ps_status examples(const char *model, const char *about, double *out)
{
    ps_spec_model *spec = NULL;
    ck_ok(ps_spec_model_parse(ps_slice_str(model), "model", &spec));
    ps_safetensors *file = file_of(about);
    ps_status st = ps_moments_examples(file, spec, out);
    ps_safetensors_free(&file);
    ps_spec_model_free(&spec);
    return st;
}

START_TEST(a_gradient_is_of_rows_or_of_their_tokens)
{
    double n;
    ck_ok(examples(MLP, "{\"optimizer\":\"adamw\",\"rows\":12.5,\"sequence_length\":0}", &n));
    ck_assert_double_eq(n, 12.5);
    ck_ok(examples(GPT, "{\"rows\":16,\"sequence_length\":64,\"model\":\"m\"}", &n));
    ck_assert_double_eq(n, 16 * 64);
    ck_ok(examples(GPT, "{\"rows\":16,\"sequence_length\":0}", &n));
    ck_assert_double_eq(n, 16 * 128);
    ck_ok(examples(GPT, "{\"rows\":16}", &n)); /* as files had it before there was the key */
    ck_assert_double_eq(n, 16 * 128);
}
END_TEST

START_TEST(a_file_that_does_not_say_is_of_no_use)
{
    static const char *const rows[] = {NULL,
                                       "{}",
                                       "{\"rows\":0}",
                                       "{\"rows\":1e300}",
                                       "{\"rows\":\"16\"}",
                                       "{\"rows\":16,\"sequence_length\":-1}",
                                       "[16]"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double n;
        ck_assert_int_eq(examples(GPT, rows[i], &n), PS_CORRUPT);
        ck_assert_msg(!strncmp(ps_error_message(), "moments", 7), "%s", ps_error_message());
    }
}
END_TEST

static const ps_check_case tests[] = {
    {&a_gradient_is_of_rows_or_of_their_tokens},
    {&a_file_that_does_not_say_is_of_no_use},
    {0},
};

int main(void)
{
    return ps_check_main("compress/moments", tests);
}
