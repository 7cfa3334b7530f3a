/* Happy path: bytes gather until there are many numbers in whole blocks, or the tensor
 * ends; these are decoded and go to the sink, or, of a transposed tensor, to their places in all of
 * it, which goes to the sink at its end. Of factors all bytes gather, and then rows are multiplied.
 * It fails when there is no memory, or as the sink does. */
#include "common/model/form_stream.h"

#include "common/base/limits.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/form/factors.h"

enum { STEP = 32 * 1024 }; /* numbers at a time, unless a block has more */
enum { LARGE = 64 << 20 }; /* bytes: then the machine is asked whether it has them */

struct ps_form_stream {
    ps_form_sink sink;
    const ps_model_form *tensor;
    uint32_t block;         /* numbers of one, */
    size_t block_bytes;     /* and its bytes */
    uint64_t numbers, done; /* of the tensor; in the order they are stored in */
    uint64_t missing;       /* bytes */
    uint8_t *held;          /* [held_most] whole blocks */
    size_t held_len, held_most;
    float *values; /* of `held` */
    float *all;    /* of a transposed tensor */
};

ps_form_stream *ps_form_stream_new(ps_form_sink sink)
{
    ps_form_stream *s = ps_new(ps_form_stream);
    s->sink = sink;
    return s;
}

static void let_go(ps_form_stream *s)
{
    ps_free(&s->held);
    ps_free(&s->values);
    ps_free(&s->all);
}

void ps_form_stream_free(ps_form_stream **stream)
{
    if (!*stream)
        return;
    let_go(*stream);
    ps_free(stream);
}

uint64_t ps_form_stream_missing(const ps_form_stream *s)
{
    return s->missing;
}

static ps_status no_memory(const ps_model_form *t)
{
    return ps_fail(PS_NO_MEMORY, "tensor %s: no memory for its numbers", t->name);
}

/* A tensor of two bits a number becomes 16 times its bytes, when all of it or a row of it is held;
 * and a machine that promises memory it has not ends the process that uses it. */
static ps_status check_memory(const ps_form_stream *s, uint64_t numbers)
{
    const ps_model_form *t = s->tensor;
    uint64_t need = s->held_most + numbers * sizeof *s->values;
    if (t->transposed)
        need += s->numbers * sizeof *s->all;
    return need < LARGE || need <= ps_limits_memory_left() ? PS_OK : no_memory(t);
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* How much is held at a time; returns how many numbers it is decoded to. */
static uint64_t measure_blocks(ps_form_stream *s)
{
    const ps_model_form *t = s->tensor;
    s->block = t->form.row ? ps_form_block_numbers(t->form, ps_model_form_columns(t)) : 1;
    s->block_bytes =
        t->form.row ? ps_form_block_bytes(t->form, ps_model_form_columns(t)) : sizeof(float);
    uint64_t blocks = less(s->block < STEP ? STEP / s->block : 1, s->numbers / s->block);
    s->held_most = (size_t)blocks * s->block_bytes;
    return blocks * s->block;
}

/* Rows of a product that are made at a time. */
static uint64_t rows_at_once(const ps_model_form *t)
{
    uint64_t rows = STEP / ps_model_form_columns(t);
    return less(rows ? rows : 1, ps_model_form_rows(t));
}

static uint64_t measure_factors(ps_form_stream *s)
{
    s->held_most = (size_t)s->missing;
    return rows_at_once(s->tensor) * ps_model_form_columns(s->tensor);
}

ps_status ps_form_stream_begin(ps_form_stream *s, const ps_model_form *t)
{
    let_go(s);
    s->tensor = t;
    s->numbers = ps_model_form_numbers(t);
    s->missing = ps_model_form_bytes(t);
    s->done = 0;
    s->held_len = 0;
    uint64_t values = t->form.rank ? measure_factors(s) : measure_blocks(s);
    ps_status st = check_memory(s, values);
    if (st)
        return st;
    s->held = ps_try_alloc_raw(s->held_most + 1);
    s->values = ps_try_alloc_raw((size_t)values * sizeof *s->values + 1);
    if (t->transposed)
        s->all = ps_try_alloc_raw((size_t)s->numbers * sizeof *s->all);
    if (s->held && s->values && (s->all || !t->transposed))
        return PS_OK;
    let_go(s);
    return no_memory(t);
}

/* The next n numbers to where they are in the tensor as psd has it. */
static void place(ps_form_stream *s, size_t n)
{
    uint64_t rows = ps_model_form_rows(s->tensor), columns = ps_model_form_columns(s->tensor);
    uint64_t row = s->done / columns, column = s->done % columns;
    for (size_t i = 0; i < n; i++) {
        s->all[column * rows + row] = s->values[i];
        if (++column == columns) {
            column = 0;
            row++;
        }
    }
}

static ps_status give(ps_form_stream *s, size_t n)
{
    ps_status st = PS_OK;
    if (s->all)
        place(s, n);
    else
        st = s->sink.numbers(s->sink.user, s->tensor, s->done, s->values, n);
    s->done += n;
    return st;
}

static ps_status take_blocks(ps_form_stream *s)
{
    size_t n = s->held_len / s->block_bytes * s->block;
    if (s->tensor->form.row)
        s->tensor->form.row->decode(s->held, s->block, n, s->values);
    else
        memcpy(s->values, s->held, s->held_len);
    s->held_len = 0;
    return give(s, n);
}

static ps_status take_factors(ps_form_stream *s)
{
    const ps_model_form *t = s->tensor;
    const float *factors = (const float *)(const void *)s->held;
    uint64_t rows = ps_model_form_rows(t), columns = ps_model_form_columns(t), n;
    ps_status st = PS_OK;
    for (uint64_t row = 0; !st && row < rows; row += n) {
        n = less(rows_at_once(t), rows - row);
        ps_factors_rows(factors, t->form.rank, rows, columns, row, n, s->values);
        st = give(s, (size_t)(n * columns));
    }
    return st;
}

static ps_status give_all(ps_form_stream *s)
{
    ps_status st = PS_OK;
    for (uint64_t at = 0; !st && at < s->numbers;) {
        size_t n = s->numbers - at < STEP ? (size_t)(s->numbers - at) : STEP;
        st = s->sink.numbers(s->sink.user, s->tensor, at, s->all + at, n);
        at += n;
    }
    return st;
}

ps_status ps_form_stream_feed(ps_form_stream *s, ps_slice bytes)
{
    PS_REQUIRE(s->tensor && s->held && bytes.len <= s->missing);
    ps_status st = PS_OK;
    while (!st && bytes.len) {
        size_t room = s->held_most - s->held_len, n = bytes.len < room ? bytes.len : room;
        memcpy(s->held + s->held_len, bytes.data, n);
        s->held_len += n;
        s->missing -= n;
        bytes = ps_slice_of(bytes.data + n, bytes.len - n);
        if (s->held_len == s->held_most || !s->missing)
            st = s->tensor->form.rank ? take_factors(s) : take_blocks(s);
    }
    if (!st && s->all && !s->missing)
        st = give_all(s);
    return st;
}
