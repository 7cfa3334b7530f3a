/* form_stream: bytes in pieces of any size are the numbers that ps_form_decode says of all of them,
 * in psd's order. */
#include "common/model/form_stream.h"

#include "common/base/limits.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "tests/lib/check_main.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS = 151, COLUMNS = 256, NUMBERS = ROWS * COLUMNS };

typedef struct seen {
    const ps_model_form *tensor;
    float values[NUMBERS];
    uint64_t count;
    uint64_t fail_at; /* numbers; 0: never */
} seen;

static ps_status take(void *user, const ps_model_form *tensor, uint64_t first, const float *values,
                      size_t n)
{
    seen *s = user;
    ck_assert_ptr_eq(tensor, s->tensor);
    ck_assert_uint_eq(first, s->count);
    ck_assert_uint_le(first + n, NUMBERS);
    memcpy(s->values + first, values, n * sizeof *values);
    s->count += n;
    return s->fail_at && s->count >= s->fail_at ? ps_fail(PS_NO_SPACE, "full") : PS_OK;
}

static const struct {
    const char *form;
    bool transposed;
    size_t piece;
} streamed[] = {{NULL, false, 5},          {NULL, false, 1000000},  {"q8_0", false, 1},
                {"q8_0", false, 35001},    {"int4/128", true, 777}, {"int3/row", false, 13},
                {"uint2/row", true, 5000}, {"bfloat16", true, 3},   {"float16", false, 8192}};

static void draw(float *out)
{
    ps_rng rng;
    ps_rng_seed(&rng, 3);
    for (size_t i = 0; i < NUMBERS; i++)
        out[i] = (float)ps_rng_normal(&rng);
}

static ps_model_form tensor_of(const char *form, bool transposed)
{
    ps_model_form t = {.name = "t", .transposed = transposed, .n_dims = 2};
    ck_assert(!form || ps_form_parse_stored(form, &t.form));
    t.shape[0] = transposed ? COLUMNS : ROWS;
    t.shape[1] = transposed ? ROWS : COLUMNS;
    return t;
}

static void feed(ps_form_stream *stream, const uint8_t *bytes, size_t len, size_t piece)
{
    for (size_t at = 0; at < len; at += piece) {
        ck_assert_uint_eq(ps_form_stream_missing(stream), len - at);
        size_t n = len - at < piece ? len - at : piece;
        ck_ok(ps_form_stream_feed(stream, ps_slice_of(bytes + at, n)));
    }
    ck_assert_uint_eq(ps_form_stream_missing(stream), 0);
}

START_TEST(pieces_are_the_tensor)
{
    static float x[NUMBERS], stored[NUMBERS], want[NUMBERS];
    static uint8_t bytes[NUMBERS * sizeof(float)];
    ps_model_form t = tensor_of(streamed[_i].form, streamed[_i].transposed);
    seen s = {.tensor = &t};
    draw(x);
    memcpy(bytes, x, sizeof bytes);
    memcpy(stored, x, sizeof stored);
    if (t.form.row) {
        ps_form_encode(t.form, x, NULL, ROWS, COLUMNS, bytes);
        ps_form_decode(t.form, bytes, ROWS, COLUMNS, stored);
    }
    for (size_t i = 0; i < NUMBERS; i++)
        want[t.transposed ? i % COLUMNS * ROWS + i / COLUMNS : i] = stored[i];
    ps_form_stream *stream = ps_form_stream_new((ps_form_sink){take, &s});
    for (int again = 0; again < 2; again++) {
        s.count = 0;
        ck_ok(ps_form_stream_begin(stream, &t));
        feed(stream, bytes, ps_model_form_bytes(&t), streamed[_i].piece);
        ck_assert_uint_eq(s.count, NUMBERS);
        ck_assert(!memcmp(s.values, want, sizeof want));
    }
    ps_form_stream_free(&stream);
}
END_TEST

/* Against sums in the plain order of the definition. */
START_TEST(factors_are_multiplied)
{
    enum { RANK = 7 };
    static float x[NUMBERS], want[NUMBERS];
    ps_model_form t = tensor_of("factors/7", _i == 1);
    seen s = {.tensor = &t};
    draw(x);
    for (size_t r = 0; r < ROWS; r++)
        for (size_t c = 0; c < COLUMNS; c++) {
            double sum = 0;
            for (size_t k = 0; k < RANK; k++)
                sum += (double)x[r * RANK + k] * (double)x[(ROWS + c) * RANK + k];
            want[_i == 1 ? c * ROWS + r : r * COLUMNS + c] = (float)sum;
        }
    ck_assert_uint_eq(ps_model_form_bytes(&t), (ROWS + COLUMNS) * RANK * sizeof(float));
    ps_form_stream *stream = ps_form_stream_new((ps_form_sink){take, &s});
    ck_ok(ps_form_stream_begin(stream, &t));
    feed(stream, (const uint8_t *)(const void *)x, ps_model_form_bytes(&t), 1000);
    ck_assert_uint_eq(s.count, NUMBERS);
    ck_assert(!memcmp(s.values, want, sizeof want));
    ps_form_stream_free(&stream);
}
END_TEST

START_TEST(what_the_sink_fails_with_is_the_failure)
{
    static float x[NUMBERS];
    ps_model_form t = tensor_of(NULL, false);
    seen s = {.tensor = &t, .fail_at = 1};
    ps_form_stream *stream = ps_form_stream_new((ps_form_sink){take, &s});
    ck_ok(ps_form_stream_begin(stream, &t));
    ck_assert_int_eq(ps_form_stream_feed(stream, ps_slice_of(x, sizeof x)), PS_NO_SPACE);
    ck_assert_uint_lt(s.count, NUMBERS);
    ps_form_stream_free(&stream);
}
END_TEST

START_TEST(a_tensor_of_nothing_is_whole)
{
    ps_model_form t = {.name = "t", .n_dims = 2, .shape = {0, 4}};
    seen s = {.tensor = &t};
    ps_form_stream *stream = ps_form_stream_new((ps_form_sink){take, &s});
    ck_ok(ps_form_stream_begin(stream, &t));
    ck_assert_uint_eq(ps_form_stream_missing(stream), 0);
    ck_ok(ps_form_stream_feed(stream, (ps_slice){0}));
    ps_form_stream_free(&stream);
}
END_TEST

/* What a hostile file says costs a status, not the process. */
START_TEST(a_tensor_that_needs_more_than_is_free_is_refused)
{
    ps_form form = {0};
    uint64_t free_numbers = ps_limits_memory_left() / sizeof(float);
    ck_assert(ps_form_parse(_i ? "int2/row" : "int2/32", &form));
    ps_model_form t = {.name = "t", .form = form, .n_dims = 2, .transposed = !_i};
    t.shape[0] = 32;
    t.shape[1] = (free_numbers / 32 + 4096) / 32 * 32; /* a little more */
    if (_i) {                                          /* one row of them */
        t.shape[1] = t.shape[1] * 32 < UINT32_MAX ? t.shape[1] * 32 : UINT32_MAX / 32 * 32;
        t.shape[0] = 1;
    }
    if (ps_model_form_numbers(&t) * sizeof(float) < ps_limits_memory_left())
        return; /* a machine for which no row is too long */
    ps_form_stream *stream = ps_form_stream_new((ps_form_sink){0});
    ck_assert_int_eq(ps_form_stream_begin(stream, &t), PS_NO_MEMORY);
    ps_form_stream_free(&stream);
}
END_TEST

static const ps_check_case cases[] = {
    {.test = &pieces_are_the_tensor, .repeat = sizeof streamed / sizeof *streamed},
    {.test = &factors_are_multiplied, .repeat = 2},
    {&what_the_sink_fails_with_is_the_failure},
    {&a_tensor_of_nothing_is_whole},
    {&a_tensor_that_needs_more_than_is_free_is_refused, 0, 2},
    {0},
};

int main(void)
{
    return ps_check_main("model/form_stream", cases);
}
