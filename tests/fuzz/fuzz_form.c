/* Blocks of every form out of any bytes: they are read, and a number that is settled is what is
 * said and nothing else is another one. And any numbers that a form takes, with any importance,
 * become blocks of finite numbers. Input: a form, a column, one bit for importance; then bytes. */
#include "common/form/form.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COLUMNS = 256, HEAD = 3 };
static const float most_importance = 0x1p60f;

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* Forms of a chosen group by turns: with one, and with whole rows. */
static ps_form form_of(uint8_t choice)
{
    size_t n = 0;
    while (ps_form_rows[n])
        n++;
    const ps_form_row *row = ps_form_rows[choice % n];
    return (ps_form){row, row->group ? row->group : choice / n % 2 ? 64 : 0};
}

static bool same_bits(float a, float b)
{
    return !memcmp(&a, &b, sizeof a) || (isnan(a) && isnan(b));
}

/* The input again and again, until it is a row. */
static void fill(const uint8_t *data, size_t size, void *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)out)[i] = size ? data[i % size] : 0;
}

static void check_any_bytes(ps_form form, uint32_t column, const uint8_t *data, size_t size)
{
    static uint8_t row[COLUMNS * 8];
    float before[COLUMNS], after[COLUMNS], value;
    fill(data, size, row, ps_form_row_bytes(form, COLUMNS));
    ps_form_decode(form, row, 1, COLUMNS, before);
    fill(data, size, &value, sizeof value);
    if (form.row->plain || !isfinite(value))
        return;
    float settled = ps_form_settle(form, row, COLUMNS, column, (double)value);
    ps_form_decode(form, row, 1, COLUMNS, after);
    require(same_bits(after[column], settled));
    for (uint32_t i = 0; i < COLUMNS; i++)
        require(i == column || same_bits(before[i], after[i]));
}

static float below(float v, float limit)
{
    return !isfinite(v) ? 0 : fabsf(v) >= limit ? copysignf(nextafterf(limit, 0), v) : v;
}

/* The code that was there is no nearer to value than the one that is settled on. */
static void check_nearest(ps_form form, uint8_t *row, uint32_t column, float was, float value)
{
    double v = (double)value;
    if (form.row->plain)
        return;
    double settled = (double)ps_form_settle(form, row, COLUMNS, column, v);
    require(fabs(settled - v) <=
            fabs((double)was - v) * (1 + 1e-5) + 1e-6 * (fabs(v) + fabs((double)was)) + 1e-30);
}

static void check_any_numbers(ps_form form, uint32_t column, bool weighted, const uint8_t *data,
                              size_t size)
{
    static uint8_t row[COLUMNS * 8];
    float x[COLUMNS], importance[COLUMNS], read[COLUMNS];
    fill(data, size, x, sizeof x);
    fill(data, size, importance, sizeof importance);
    for (int i = 0; i < COLUMNS; i++) {
        x[i] = below(x[i], form.row->limit);
        importance[i] = fabsf(below(importance[i], most_importance));
    }
    ps_form_encode(form, x, weighted ? importance : NULL, 1, COLUMNS, row);
    ps_form_decode(form, row, 1, COLUMNS, read);
    for (int i = 0; i < COLUMNS; i++)
        require(isfinite(read[i]));
    check_nearest(form, row, column, read[column], x[(column + 1) % COLUMNS]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD)
        return 0;
    ps_form form = form_of(data[0]);
    check_any_bytes(form, data[1], data + HEAD, size - HEAD);
    check_any_numbers(form, data[1], data[2] & 1, data + HEAD, size - HEAD);
    return 0;
}
