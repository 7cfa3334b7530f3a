/* Memory ends at each of a solver's allocations in turn: it says so, and (under sanitizers) leaves
 * nothing behind. */
#include "tests/lib/check_main.h"

#include "tests/lib/fault.h"
#include "tests/unit/worker/compress/sample.h"
#include "worker/compress/groups.h"
#include "worker/compress/lowrank.h"
#include "worker/compress/repair.h"
#include "worker/compress/rows.h"
#include "worker/compress/scale.h"
#include "worker/compress/sparse.h"
#include "worker/compress/units.h"

#define ONE(name) +1
enum { ROWS = 3, COLUMNS = 64, METHODS = 0 PS_SOLVERS(ONE) };

static float out[ROWS * COLUMNS];
static uint8_t bytes[ROWS * COLUMNS];

/* Runs it until no allocation is left to fail; how many failed. */
static unsigned long each_fails(ps_status (*run)(const ps_compress_problem *p))
{
    ps_sample s = ps_sample_draw(3, ROWS, COLUMNS, 100);
    ps_compress_problem p = ps_sample_problem(&s, "int4/32");
    p.options.threads = 1;
    p.held_out = &s.hessian;
    for (unsigned long k = 1;; k++) {
        fault_memory(k);
        ps_status st = run(&p);
        fault_memory(0);
        if (st == PS_OK) {
            ps_sample_free(&s);
            return k - 1;
        }
        ck_assert_int_eq(st, PS_NO_MEMORY);
    }
}

static const ps_method *method;

static ps_status solve(const ps_compress_problem *p)
{
    ps_compress_report report;
    return ps_method_solve(method, p, bytes, &report);
}

static ps_status scale(const ps_compress_problem *p)
{
    ps_scale_report report;
    return ps_method_scale(ps_method_find("awq"), p, 1, (ps_scale_share){1, 1}, out, &report);
}

static ps_status repair(const ps_compress_problem *p)
{
    bool stays[COLUMNS];
    ps_repair_report report;
    for (int i = 0; i < COLUMNS; i++)
        stays[i] = i % 2;
    return ps_repair_columns(p, stays, out, &report);
}

static ps_status groups(const ps_compress_problem *p)
{
    bool keep[4];
    double lost;
    return ps_groups_keep(p, COLUMNS / 4, 2, keep, &lost);
}

static ps_status sparse(const ps_compress_problem *p)
{
    ps_compress_report report;
    return ps_sparse_solve(p, &(ps_sparsity){.ratio = 0.5}, out, &report);
}

/* With sums that are not positive definite. */
static ps_status by_squares(const ps_compress_problem *p)
{
    ps_compress_report report;
    ps_compress_problem other = *p;
    static float sums[COLUMNS * COLUMNS];
    for (int i = 0; i < COLUMNS * COLUMNS; i++)
        sums[i] = i % (COLUMNS + 1) ? 9 : 1;
    ps_hessian hessian = {.sums = sums, .tokens = 100};
    other.hessian = &hessian;
    return ps_sparse_solve(&other, &(ps_sparsity){.ratio = 0.5}, out, &report);
}

static ps_status units(const ps_compress_problem *p)
{
    const double importance[4] = {1, 2, 3, 4};
    bool keep[4];
    (void)p;
    return ps_units_keep(importance, 4, 2, keep);
}

static ps_status lowrank(const ps_compress_problem *p)
{
    ps_lowrank_report report;
    return ps_lowrank(p, 2, out, &report);
}

START_TEST(a_method_says_so)
{
    method = ps_methods[_i];
    ck_assert_uint_ge(each_fails(solve), 5); /* what is read back, and parts of two errors, twice */
}
END_TEST

START_TEST(all_else_says_so)
{
    ck_assert_uint_ge(each_fails(scale), 4);
    ck_assert_uint_ge(each_fails(repair), 4);
    ck_assert_uint_ge(each_fails(groups), 7);
    ck_assert_uint_ge(each_fails(sparse), 4);
    ck_assert_uint_ge(each_fails(lowrank), 4);
    ck_assert_uint_ge(each_fails(by_squares), 6);
    ck_assert_uint_eq(each_fails(units), 1);
}
END_TEST

static const ps_check_case cases[] = {
    {.test = &a_method_says_so, .repeat = METHODS},
    {&all_else_says_so},
    {0},
};

int main(void)
{
    return ps_check_main("compress/memory", cases);
}
