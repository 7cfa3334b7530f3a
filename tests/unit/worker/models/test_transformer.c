/* gpt2, llama and qwen2: every gradient against finite differences of a float64 forward pass, and
 * what the options promise (recomputing, accumulating, bfloat16, generating with a cache) against
 * the plain model. */
#include "tests/lib/check_main.h"
#include "tests/lib/ref64.h"
#include "tests/lib/ref64_update.h"
#include "tests/unit/worker/models/language_fixture.h"
#include "tests/unit/worker/models/step.h"
#include "worker/models/transformer.h"

#include <math.h>
#include <string.h>

static const double *kept; /* what dropout makes of attention's weights */

static double reference_loss_cb(void *context)
{
    const language_fixture *f = context;
    ps_ref64_language ref = language_reference(f);
    ref.kept = kept;
    return ps_ref64_language_loss(&ref, f->tokens, f->labels, ROWS, LENGTH, NULL);
}

static void step_agrees_with_float64(language_fixture *f)
{
    ps_model_result result = model_step(f->model, &f->batch);
    ck_assert_double_eq_tol(result.loss, reference_loss_cb(f), 1e-5);
    ck_assert_int_eq(result.rows, ROWS);
    for (size_t i = 0; i < f->count; i++) {
        ps_tensor gradient = ps_model_gradient(f->model, i);
        int64_t n = ps_tensor_count(gradient);
        double *want = ps_alloc_array((size_t)n, sizeof *want);
        ps_ref64_differences(reference_loss_cb, f, f->parameters[i], (size_t)n, want);
        double e = ps_test_error(&f->device, gradient, want);
        ck_assert_msg(e < 2e-5, "%s: the gradient of %s is off by %g", f->config.architecture,
                      ps_model_parameters(f->model)->parameters[i].name, e);
        ps_free(&want);
    }
}

START_TEST(every_gradient_agrees_with_finite_differences_in_float64)
{
    language_fixture f;
    language_open(&f, _i);
    step_agrees_with_float64(&f);
    language_close(&f);
}
END_TEST

/* With the words that the first pass has. */
START_TEST(gpt2_drops_weights_of_attention_in_training_alone)
{
    ps_model_config config = language_config(_i ? KINDS - 1 : 0);
    config.language.choices.attention_dropout = 0.4;
    language_fixture f;
    language_open_of(&f, config);
    int64_t blocks = config.language.num_layers;
    int64_t n = ROWS * config.language.num_heads * LENGTH * LENGTH;
    double *factors = ps_alloc_array((size_t)(blocks * n), sizeof *factors);
    for (int64_t l = 0; l < blocks; l++) {
        uint64_t branch = (uint64_t)(1 + 2 * blocks + blocks * PS_PARTS + l);
        ps_ref64_dropout(factors + l * n, n, 0.4f, 0x9E3779B97F4A7C15, branch << 40);
    }
    kept = factors;
    step_agrees_with_float64(&f);
    kept = NULL;
    f.batch.train = false;
    ck_assert_double_eq_tol(model_step(f.model, &f.batch).loss, reference_loss_cb(&f), 1e-5);
    ps_free(&factors);
    language_close(&f);
}
END_TEST

/* Blocks have words of their own, also where attention has more weights than a branch has words. */
START_TEST(no_block_has_the_words_of_another)
{
    language_fixture f;
    language_open(&f, 0);
    ps_transformer *t = (ps_transformer *)f.model;
    const int64_t lengths[] = {LENGTH, 1 << 17};
    for (int i = 0; i < 2; i++) {
        t->batch = 64;
        t->n = 64 * lengths[i];
        uint64_t words = (uint64_t)(t->n * t->size.num_heads * lengths[i]);
        ck_assert((words > UINT64_C(1) << 40) == (i == 1));
        ps_attention_layer one = ps_transformer_attention_of(t, 0);
        ps_attention_layer next = ps_transformer_attention_of(t, 1);
        ck_assert(one.dropout_seed != next.dropout_seed ||
                  next.dropout_offset - one.dropout_offset >= words);
    }
    language_close(&f);
}
END_TEST

/* What is dropped of the embeddings goes by its own rate, whatever the branches' is. */
START_TEST(embeddings_are_dropped_at_their_own_rate)
{
    double loss[3];
    for (int i = 0; i < 3; i++) {
        language_fixture f;
        ps_model_config config = language_config(0);
        config.language.dropout = i == 2 ? 0.5 : 0;
        config.language.choices.embedding_dropout = i == 0 ? 0 : i == 1 ? 0.5 : 0;
        language_open_of(&f, config);
        loss[i] = model_step(f.model, &f.batch).loss;
        language_close(&f);
    }
    ck_assert_double_gt(fabs(loss[1] - loss[0]), 1e-3);
    ck_assert_double_gt(fabs(loss[2] - loss[1]), 1e-3);
}
END_TEST

static void same_gradients(language_fixture *f, ps_model *got, double tolerance)
{
    for (size_t i = 0; i < f->count; i++) {
        double *want = ps_test_read64(&f->device, ps_model_gradient(f->model, i));
        double e = ps_test_error(&f->device, ps_model_gradient(got, i), want);
        ck_assert_msg(e <= tolerance, "%s: the gradient of %s is off by %g", f->config.architecture,
                      ps_model_parameters(got)->parameters[i].name, e);
        ps_free(&want);
    }
}

START_TEST(recomputing_changes_no_bit)
{
    language_fixture f;
    language_open(&f, _i);
    f.config.language.dropout = 0.2;
    f.config.language.choices.embedding_dropout = -1; /* likewise */
    f.config.language.choices.attention_dropout = -1;
    ps_model *plain = language_create(&f, (ps_model_options){.seed = 5});
    ps_model *again = language_create(&f, (ps_model_options){.seed = 5, .recompute = true});
    language_load(&f, plain);
    language_load(&f, again);
    ck_assert_uint_lt(ps_model_memory(again), ps_model_memory(plain));
    ps_model_free(&f.model);
    f.model = plain;
    for (int i = 0; i < 2; i++) {
        double loss = model_step(plain, &f.batch).loss;
        ck_assert_double_eq(model_step(again, &f.batch).loss, loss);
        same_gradients(&f, again, 0);
    }
    ps_model_free(&again);
    language_close(&f);
}
END_TEST

START_TEST(accumulated_gradients_are_those_of_one_batch)
{
    language_fixture f;
    language_open(&f, _i);
    f.labels[3] = 1; /* halves of equal weight */
    double loss = model_step(f.model, &f.batch).loss;
    ps_model *halves = language_create(&f, (ps_model_options){.max_batch = 1});
    language_load(&f, halves);
    ps_model_batch half = f.batch;
    half.rows = 1;
    half.weight = 0.5;
    double first = model_step(halves, &half).loss;
    half.tokens += LENGTH;
    half.labels += LENGTH;
    half.add_gradients = true;
    double second = model_step(halves, &half).loss;
    ck_assert_double_eq_tol((first + second) / 2, loss, 1e-6);
    same_gradients(&f, halves, 5e-6); /* sums in another order */
    ps_model_free(&halves);
    language_close(&f);
}
END_TEST

START_TEST(bfloat16_is_near)
{
    language_fixture f;
    language_open(&f, _i);
    double loss = model_step(f.model, &f.batch).loss;
    ps_model *rounded = language_create(&f, (ps_model_options){.bf16 = true});
    language_load(&f, rounded);
    /* 8 bits of fraction: relative errors of 2^-9 a rounding, some dozens of them in a row */
    ck_assert_double_eq_tol(model_step(rounded, &f.batch).loss, loss, 0.02 * loss);
    same_gradients(&f, rounded, 0.1);
    ps_model_free(&rounded);
    language_close(&f);
}
END_TEST

/* How a cache may keep keys and values, and what logits may be off then: each is off by half of the
 * last of 8 bits, or by half of a 127th of its head's largest, in each of the layers. */
static const struct {
    ps_dtype type;
    double off;
} caches[] = {{PS_DTYPE_F32, 2e-5}, {PS_DTYPE_BF16, 4.0 / 256}, {PS_DTYPE_I8, 4.0 / 254}};
#define CACHES (int)(sizeof caches / sizeof *caches)

START_TEST(generating_with_a_cache_gives_the_logits_of_the_whole)
{
    language_fixture f;
    double off = caches[_i % CACHES].off;
    language_open(&f, _i / CACHES);
    int v = (int)f.config.language.vocab_size;
    double *want = ps_alloc_array((size_t)(TOKENS * v), sizeof *want);
    ps_ref64_language ref = language_reference(&f);
    (void)ps_ref64_language_loss(&ref, f.tokens, f.labels, ROWS, LENGTH, want);
    ps_model *decoder = language_create(
        &f, (ps_model_options){.decode = true, .max_batch = 1, .cache = caches[_i % CACHES].type});
    language_load(&f, decoder);
    float *got = ps_alloc_array((size_t)v, sizeof *got);
    for (int row = 0; row < ROWS; row++) {
        const int32_t *tokens = f.tokens + row * LENGTH;
        ck_ok(ps_model_extend(decoder, tokens, 2, 0, got));
        ck_assert_double_lt(ps_ref64_error(got, want + (row * LENGTH + 1) * v, (size_t)v), off);
        for (int t = 2; t < LENGTH; t++) {
            ck_ok(ps_model_extend(decoder, tokens + t, 1, t, got));
            ck_assert_double_lt(ps_ref64_error(got, want + (row * LENGTH + t) * v, (size_t)v), off);
        }
    }
    ck_assert_int_eq(ps_model_extend(decoder, f.tokens, 4, LENGTH, got), PS_OUT_OF_RANGE);
    ps_free(&want);
    ps_free(&got);
    ps_model_free(&decoder);
    language_close(&f);
}
END_TEST

START_TEST(a_prompt_longer_than_a_pass_gives_the_logits_of_the_whole)
{
    enum { MORE = PS_EXTEND_ROWS + 40 };
    language_fixture f;
    ps_model_config config = language_config(_i);
    config.language.context_length = MORE;
    language_open_of(&f, config);
    size_t v = (size_t)config.language.vocab_size;
    int32_t tokens[MORE];
    for (int i = 0; i < MORE; i++)
        tokens[i] = i * 7 % (int32_t)v;
    double *want = ps_alloc_array(MORE * v, sizeof *want);
    float *got = ps_alloc_array(v, sizeof *got);
    ps_ref64_language ref = language_reference(&f);
    (void)ps_ref64_language_loss(&ref, tokens, tokens, 1, MORE, want);
    ps_model *decoder = language_create(&f, (ps_model_options){.decode = true, .max_batch = 1});
    language_load(&f, decoder);
    ck_ok(ps_model_extend(decoder, tokens, MORE, 0, got));
    ck_assert_double_lt(ps_ref64_error(got, want + (MORE - 1) * v, v), 2e-5);
    ps_free(&want);
    ps_free(&got);
    ps_model_free(&decoder);
    language_close(&f);
}
END_TEST

START_TEST(predictions_are_of_the_token_after_each_row)
{
    language_fixture f;
    language_open(&f, _i);
    int v = (int)f.config.language.vocab_size;
    double *logits = ps_alloc_array((size_t)(TOKENS * v), sizeof *logits);
    double *want = ps_alloc_array((size_t)(ROWS * v), sizeof *want);
    ps_ref64_language ref = language_reference(&f);
    (void)ps_ref64_language_loss(&ref, f.tokens, f.labels, ROWS, LENGTH, logits);
    for (int row = 0; row < ROWS; row++)
        ps_ref64_softmax(want + row * v, logits + ((row + 1) * LENGTH - 1) * v, 1, v);
    float got[ROWS * 13];
    ck_ok(ps_model_predict(f.model, &f.batch, NULL, got));
    ck_assert_double_lt(ps_ref64_error(got, want, (size_t)(ROWS * v)), 1e-5);
    ps_free(&logits);
    ps_free(&want);
    language_close(&f);
}
END_TEST

START_TEST(the_largest_outputs_are_of_each_token)
{
    language_fixture f;
    language_open(&f, _i);
    int v = (int)f.config.language.vocab_size;
    int32_t got[TOKENS];
    double *logits = ps_alloc_array((size_t)(TOKENS * v), sizeof *logits);
    ps_ref64_language ref = language_reference(&f);
    (void)ps_ref64_language_loss(&ref, f.tokens, f.labels, ROWS, LENGTH, logits);
    ck_ok(ps_model_forward(f.model, &f.batch, NULL));
    ck_ok(ps_model_top(f.model, got));
    for (int i = 0; i < TOKENS; i++)
        for (int k = 0; k < v; k++)
            ck_assert_double_le(logits[i * v + k], logits[i * v + got[i]] + 1e-6);
    ck_ok(ps_model_loss(f.model, &f.batch)); /* forward is as it was */
    ps_free(&logits);
    language_close(&f);
}
END_TEST

enum { FIRST = 2 }; /* tokens of a row's first document */
static const int32_t two_documents[TOKENS] = {0, 0, 2, 2, 2, 0, 0, 2, 2, 2};

/* The first document and the second of each row as rows of their own, by another model: losses, and
 * gradients too, are means that weigh each by its labels. */
START_TEST(documents_in_one_row_are_as_each_alone)
{
    language_fixture f;
    language_open(&f, _i);
    f.batch.starts = two_documents;
    f.labels[FIRST - 1] = f.labels[LENGTH + FIRST - 1] = -1;
    double loss = model_step(f.model, &f.batch).loss, sum = 0;
    ps_model *alone = language_create(&f, (ps_model_options){.max_batch = 1});
    language_load(&f, alone);
    int counts = 0;
    for (int i = 0; i < TOKENS; i++)
        counts += f.labels[i] >= 0;
    for (int i = 0; i < 2 * ROWS; i++) {
        int at = i / 2 * LENGTH + i % 2 * FIRST, own = 0;
        ps_model_batch one = {.rows = 1,
                              .tokens = f.tokens + at,
                              .length = i % 2 ? LENGTH - FIRST : FIRST,
                              .labels = f.labels + at,
                              .train = true,
                              .add_gradients = i > 0};
        for (int t = 0; t < one.length; t++)
            own += one.labels[t] >= 0;
        one.weight = (double)own / counts;
        sum += model_step(alone, &one).loss * one.weight;
    }
    ck_assert_double_eq_tol(loss, sum, 1e-6 * sum);
    same_gradients(&f, alone, 5e-6); /* sums in another order */
    f.batch.starts = NULL;           /* the next batch has none of it */
    ck_assert_double_eq_tol(model_step(f.model, &f.batch).loss, reference_loss_cb(&f), 1e-5);
    ps_model_free(&alone);
    language_close(&f);
}
END_TEST

/* With labels in second documents alone, tokens that only first ones have get a gradient of 0, to
 * the bit; without starts they do not. */
START_TEST(no_gradient_crosses_between_documents)
{
    language_fixture f;
    language_open(&f, 1);
    for (int i = 0; i < TOKENS; i++) {
        f.tokens[i] = two_documents[i] ? 7 + i % LENGTH : i % LENGTH;
        f.labels[i] = two_documents[i] ? 3 : -1;
    }
    f.batch.starts = _i ? two_documents : NULL;
    (void)model_step(f.model, &f.batch);
    double *d = ps_test_read64(&f.device, ps_model_gradient(f.model, 0)), first = 0, second = 0;
    for (int64_t i = 0; i < f.config.language.hidden_size; i++) {
        first += fabs(d[i]);
        second += fabs(d[9 * f.config.language.hidden_size + i]);
    }
    ck_assert_double_gt(second, 0);
    ck_assert((first == 0) == _i);
    ps_free(&d);
    language_close(&f);
}
END_TEST

START_TEST(what_does_not_fit_is_refused_with_its_place)
{
    language_fixture f;
    language_open(&f, _i);
    ps_model_batch batch = f.batch;
    batch.length = f.config.language.context_length + 1;
    ck_assert_int_eq(ps_model_forward(f.model, &batch, NULL), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "rows of 9 tokens"));
    f.tokens[7] = 13;
    ck_assert_int_eq(ps_model_forward(f.model, &f.batch, NULL), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "token 13 at 7, the vocabulary has 13");
    f.tokens[7] = 0;
    f.labels[2] = -2;
    ck_ok(ps_model_forward(f.model, &f.batch, NULL));
    ck_assert_int_eq(ps_model_loss(f.model, &f.batch), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "label -2 at token 2"));
    language_close(&f);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &documents_in_one_row_are_as_each_alone, .repeat = KINDS},
    {.test = &no_gradient_crosses_between_documents, .repeat = 2},
    {.test = &gpt2_drops_weights_of_attention_in_training_alone, .repeat = 2},
    {.test = &no_block_has_the_words_of_another},
    {.test = &embeddings_are_dropped_at_their_own_rate},
    {.test = &every_gradient_agrees_with_finite_differences_in_float64, .repeat = KINDS},
    {.test = &recomputing_changes_no_bit, .repeat = KINDS},
    {.test = &accumulated_gradients_are_those_of_one_batch, .repeat = KINDS},
    {.test = &bfloat16_is_near, .repeat = KINDS},
    {.test = &generating_with_a_cache_gives_the_logits_of_the_whole, .repeat = KINDS * CACHES},
    {.test = &a_prompt_longer_than_a_pass_gives_the_logits_of_the_whole, .repeat = KINDS},
    {.test = &predictions_are_of_the_token_after_each_row, .repeat = KINDS},
    {.test = &the_largest_outputs_are_of_each_token, .repeat = KINDS},
    {.test = &what_does_not_fit_is_refused_with_its_place, .repeat = KINDS},
    {0},
};

int main(void)
{
    return ps_check_main("models/transformer", tests);
}
