/* Fill, scaled addition, norm and the search for NaN and infinity. */
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/vector.h"

PS_VECTOR
static void fill(float *x, float value, int64_t n)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        x[i] = value;
}

void ps_cpu_fill(ps_stream *s, ps_tensor x, float value)
{
    (void)s;
    fill(ps_tensor_address(x), value, ps_tensor_count(x));
}

PS_VECTOR
static void axpy(float *y, float a, const float *x, int64_t n)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

void ps_cpu_axpy(ps_stream *s, ps_tensor y, float a, ps_tensor x)
{
    (void)s;
    axpy(ps_tensor_address(y), a, ps_tensor_address(x), ps_tensor_count(x));
}

PS_VECTOR
static double sum_of_squares(const float *x, int64_t n)
{
    double sum = 0;
    PS_SIMD_SUM(sum)
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

void ps_cpu_squared_norm(ps_stream *s, ps_tensor out, ps_tensor x, bool add)
{
    (void)s;
    float *sum = ps_tensor_address(out);
    double before = add ? (double)*sum : 0;
    *sum = (float)(before + sum_of_squares(ps_tensor_address(x), ps_tensor_count(x)));
}

/* NaN and infinity are the numbers whose exponent is all ones. */
PS_VECTOR
static int32_t all_finite(const float *x, int64_t n)
{
    uint32_t bad = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bad |= (bits & 0x7F800000u) == 0x7F800000u;
    }
    return bad == 0;
}

void ps_cpu_all_finite(ps_stream *s, ps_tensor out, ps_tensor x)
{
    (void)s;
    *(int32_t *)ps_tensor_address(out) = all_finite(ps_tensor_address(x), ps_tensor_count(x));
}
