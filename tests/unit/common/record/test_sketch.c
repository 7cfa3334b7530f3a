#include "common/record/sketch.h"

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "tests/lib/check_main.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Philox 4x32-10 once more, word by word, against a published vector (Random123, kat_vectors). */
static void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t x0 = counter[0], x1 = counter[1], x2 = counter[2], x3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int r = 0; r < 10; r++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        uint64_t p = (uint64_t)x0 * 0xD2511F53u, q = (uint64_t)x2 * 0xCD9E8D57u;
        x0 = (uint32_t)(q >> 32) ^ x1 ^ k0;
        x2 = (uint32_t)(p >> 32) ^ x3 ^ k1;
        x1 = (uint32_t)q;
        x3 = (uint32_t)p;
    }
    out[0] = x0, out[1] = x1, out[2] = x2, out[3] = x3;
}

START_TEST(philox_is_the_published_one)
{
    const uint32_t counter[] = {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344};
    const uint32_t key[] = {0xa4093822, 0x299f31d0};
    const uint32_t want[] = {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1};
    uint32_t got[4];
    philox(counter, key, got);
    ck_assert_mem_eq(got, want, sizeof want);
}
END_TEST

/* Element by element, as the header says it, in double. */
static void reference(uint32_t draw, uint32_t unit, uint64_t elements, uint32_t width,
                      const float *values, double *out)
{
    const uint32_t key[] = {unit, 0x70736431};
    for (uint64_t i = 0; i < elements; i++) {
        const uint32_t sign_at[] = {(uint32_t)(i / 128), 0, 0, draw},
                       run_at[] = {(uint32_t)(i / width), 0, 1, draw};
        uint32_t words[4], turn[4];
        philox(sign_at, key, words);
        philox(run_at, key, turn);
        uint64_t rotation = elements > width ? (uint64_t)turn[0] * width >> 32 : 0;
        bool minus = words[i % 128 / 32] >> (i % 32) & 1;
        out[(i + rotation) % width] += minus ? -(double)values[i] : (double)values[i];
    }
}

static float *random_values(ps_rng *rng, size_t n)
{
    float *values = ps_alloc_array(n, sizeof *values);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)ps_rng_normal(rng);
    return values;
}

START_TEST(a_sketch_is_what_its_header_says_in_whatever_pieces_it_is_made)
{
    const uint64_t elements[] = {1000, 7, 40, 3001};
    ps_sketch *s;
    ps_rng rng;
    ps_rng_seed(&rng, 1);
    uint32_t draw = (uint32_t)_i;
    if (draw)
        ck_ok(ps_sketch_create_drawn(elements, 4, 300, draw, &s));
    else
        ck_ok(ps_sketch_create(elements, 4, 300, &s));
    ck_assert_uint_eq(ps_sketch_units(s), 4);
    ck_assert_uint_eq(ps_sketch_part_of(s, 1).width, 7);
    ck_assert_uint_eq(ps_sketch_part_of(s, 2).width, PS_SKETCH_WIDTH_MIN);
    float *got = ps_alloc_array(ps_sketch_width(s), sizeof *got);
    double *want = ps_alloc_array(ps_sketch_width(s), sizeof *want);
    for (uint32_t u = 0; u < 4; u++) {
        ps_sketch_part part = ps_sketch_part_of(s, u);
        size_t n = (size_t)elements[u];
        float *before = random_values(&rng, n), *change = random_values(&rng, n);
        float *after = ps_alloc_array(n, sizeof *after);
        for (size_t i = 0; i < n; i++) {
            after[i] = before[i] + change[i];
            change[i] = 2 * (after[i] - before[i]);
        }
        reference(draw, u, n, part.width, change, want + part.at);
        for (size_t at = 0, piece; at < n; at += piece) {
            piece = (size_t)ps_rng_below(&rng, 90) + 1;
            piece = piece < n - at ? piece : n - at;
            ps_sketch_add_change(s, u, at, before + at, after + at, piece, got);
        }
        ps_sketch_add(s, u, 0, change, n, 0.5f, got);
        free(before);
        free(change);
        free(after);
    }
    for (size_t i = 0; i < ps_sketch_width(s); i++)
        ck_assert_double_eq_tol(got[i], want[i], 1e-4);
    free(got);
    free(want);
    ps_sketch_free(&s);
}
END_TEST

/* The same two vectors in units that have signs of their own each. */
START_TEST(inner_products_are_right_in_the_mean_and_miss_by_as_much_as_is_said)
{
    enum { UNITS = 200, N = 4096, WIDTH = 256 };
    static uint64_t elements[UNITS];
    ps_rng rng;
    ps_rng_seed(&rng, 2);
    float *a = random_values(&rng, N), *b = random_values(&rng, N);
    double dot = 0, aa = 0, bb = 0;
    for (int i = 0; i < N; i++) {
        b[i] += 0.2f * a[i];
        dot += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    for (int u = 0; u < UNITS; u++)
        elements[u] = N;
    ps_sketch *s;
    ck_ok(ps_sketch_create(elements, UNITS, UNITS * WIDTH, &s));
    float *sa = ps_alloc_array(ps_sketch_width(s), sizeof *sa);
    float *sb = ps_alloc_array(ps_sketch_width(s), sizeof *sb);
    double mean = 0, square = 0;
    for (size_t u = 0; u < UNITS; u++) {
        ps_sketch_part part = ps_sketch_part_of(s, u);
        ck_assert_uint_eq(part.width, WIDTH);
        ps_sketch_add(s, u, 0, a, N, 1, sa);
        ps_sketch_add(s, u, 0, b, N, 1, sb);
        double miss = ps_sketch_dot(sa + part.at, sb + part.at, WIDTH) - dot;
        mean += miss / UNITS;
        square += miss * miss / UNITS;
    }
    double deviation = sqrt((aa * bb + dot * dot) / WIDTH);
    ck_assert_double_lt(fabs(mean), 4 * deviation / sqrt(UNITS));
    ck_assert_double_lt(sqrt(square), 1.15 * deviation);
    ck_assert_double_gt(sqrt(square), 0.85 * deviation);
    free(a);
    free(b);
    free(sa);
    free(sb);
    ps_sketch_free(&s);
}
END_TEST

START_TEST(a_unit_as_wide_as_it_has_elements_is_exact)
{
    const uint64_t elements[] = {90};
    ps_sketch *s;
    ps_rng rng;
    ps_rng_seed(&rng, 3);
    ck_ok(ps_sketch_create(elements, 1, 100, &s));
    ck_assert_uint_eq(ps_sketch_width(s), 90);
    float *a = random_values(&rng, 90), *b = random_values(&rng, 90), sa[90] = {0}, sb[90] = {0};
    ps_sketch_add(s, 0, 0, a, 90, 1, sa);
    ps_sketch_add(s, 0, 0, b, 90, 1, sb);
    ck_assert_double_eq_tol(ps_sketch_dot(sa, sb, 90), ps_sketch_dot(a, b, 90), 1e-9);
    free(a);
    free(b);
    ps_sketch_free(&s);
}
END_TEST

static const ps_check_case cases[] = {
    {&philox_is_the_published_one},
    {&a_sketch_is_what_its_header_says_in_whatever_pieces_it_is_made, 0, 2},
    {&inner_products_are_right_in_the_mean_and_miss_by_as_much_as_is_said},
    {&a_unit_as_wide_as_it_has_elements_is_exact},
    {0},
};

int main(void)
{
    return ps_check_main("record/sketch", cases);
}
