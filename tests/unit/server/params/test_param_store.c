#include "server/params/param_store.h"

#include "tests/lib/check_main.h"
#include "tests/lib/fault.h"
#include "tests/lib/params.h"

#include "common/base/mem.h"
#include "common/base/rng.h"

#include <math.h>

START_TEST(initial_values_do_not_depend_on_how_the_tensor_is_cut)
{
    float *first = NULL;
    for (uint32_t k = 1; k <= 9; k++) {
        test_params p;
        test_params_init(&p, 17, 7); /* at 8 and 9 there are as many shards as columns */
        p.config.column_blocks = k;
        p.config.block_elements = 3 + k;
        ps_param_store *store;
        ck_ok(ps_param_store_create(&p.config, &store));
        float *w = test_params_read(store, 0);
        if (first)
            ck_assert_mem_eq(first, w, 17 * 7 * sizeof *w);
        else
            first = test_params_read(store, 0);
        free(w);
        ps_param_store_unref(&store);
    }
    free(first);
}
END_TEST

START_TEST(initial_values_are_what_the_plan_says)
{
    ps_param_plan plans[] = {
        {.name = "zeros", .rank = 1, .shape = {50}, .init = PS_PARAM_ZEROS, .scale = 9},
        {.name = "ones", .rank = 0, .init = PS_PARAM_ONES},
        {.name = "uniform", .rank = 2, .shape = {100, 200}, .init = PS_PARAM_UNIFORM, .scale = 0.5},
        {.name = "normal", .rank = 3, .shape = {10, 10, 200}, .init = PS_PARAM_NORMAL, .scale = 2},
        {.name = "other", .rank = 2, .shape = {100, 200}, .init = PS_PARAM_UNIFORM, .scale = 0.5},
        {.name = "twin", .rank = 2, .shape = {100, 200}, .init = PS_PARAM_UNIFORM, .scale = 0.5},
    };
    plans[5].drawn_as = "uniform";
    ps_param_config config = {
        .plans = plans, .n_plans = 6, .seed = 1, .controller = test_controller("asp")};
    ps_param_store *store;
    ck_ok(ps_param_store_create(&config, &store));
    float *zeros = test_params_read(store, 0), *ones = test_params_read(store, 1);
    for (int i = 0; i < 50; i++)
        ck_assert_float_eq(zeros[i], 0);
    ck_assert_float_eq(ones[0], 1);
    const double deviation[] = {0.5 / sqrt(3), 2};
    for (uint32_t t = 2; t <= 3; t++) {
        float *v = test_params_read(store, t);
        double sum = 0, sq = 0;
        for (int i = 0; i < 20000; i++) {
            sum += v[i];
            sq += (double)v[i] * v[i];
            ck_assert(t == 3 || (v[i] >= -0.5f && v[i] <= 0.5f));
        }
        /* 20,000 draws: four standard errors */
        ck_assert_double_eq_tol(sum / 20000, 0, 4 * deviation[t - 2] / sqrt(20000));
        ck_assert_double_eq_tol(sqrt(sq / 20000), deviation[t - 2], 0.03 * deviation[t - 2]);
        free(v);
    }
    float *a = test_params_read(store, 2), *b = test_params_read(store, 4);
    ck_assert(memcmp(a, b, 20000 * sizeof *a) != 0); /* a name, a stream */
    float *twin = test_params_read(store, 5);
    ck_assert_mem_eq(a, twin, 20000 * sizeof *a);
    free(twin);
    ps_rng rng;
    ps_rng_seed_named(&rng, 1, "uniform");
    for (int i = 0; i < 100; i++)
        ck_assert_float_eq(a[i], (float)(0.5 * (2 * ps_rng_uniform(&rng) - 1)));
    free(zeros);
    free(ones);
    free(a);
    free(b);
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(plans_that_cannot_be_are_refused_by_name)
{
    const ps_param_plan good = {.name = "w", .rank = 1, .shape = {4}};
    ps_param_plan plans[2] = {good, good};
    ps_param_config config = {.plans = plans, .n_plans = 2, .controller = test_controller("asp")};
    ps_param_store *store;
    ck_assert_int_eq(ps_param_store_create(&config, &store), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "tensor w: there twice");
    const struct {
        ps_param_plan plan;
        const char *says;
    } bad[] = {
        {{.name = "", .rank = 1, .shape = {4}}, "without a name"},
        {{.name = NULL, .rank = 1, .shape = {4}}, "without a name"},
        {{.name = "x", .rank = 2, .shape = {4, 0}}, "tensor x: dimension 1 is 0"},
        {{.name = "x", .rank = 9}, "tensor x: 9 dimensions"},
        {{.name = "x", .rank = 3, .shape = {1u << 30, 1u << 30, 1u << 30}}, "more than 2^48"},
        {{.name = "x", .rank = 1, .shape = {4}, .init = 9}, "unknown initializer"},
        {{.name = "x", .rank = 1, .shape = {4}, .scale = NAN}, "initial scale"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        plans[1] = bad[i].plan;
        ck_assert_int_eq(ps_param_store_create(&config, &store), PS_INVALID_ARGUMENT);
        ck_assert_ptr_nonnull(strstr(ps_error_message(), bad[i].says));
    }
    config.n_plans = 1;
    config.column_blocks = 1 << 20;
    ck_assert_int_eq(ps_param_store_create(&config, &store), PS_INVALID_ARGUMENT);
    config.column_blocks = 0;
    config.block_elements = PS_PARAM_BLOCK_MAX + 1;
    ck_assert_int_eq(ps_param_store_create(&config, &store), PS_INVALID_ARGUMENT);
    config.block_elements = 0;
    config.optimizer.name = "tiger";
    ck_assert_int_eq(ps_param_store_create(&config, &store), PS_INVALID_ARGUMENT);
    config.optimizer.name = NULL;
    config.clip_norm = -1;
    ck_assert_int_eq(ps_param_store_create(&config, &store), PS_INVALID_ARGUMENT);
}
END_TEST

START_TEST(a_model_that_no_machine_holds_is_refused_before_memory_is_taken)
{
    ps_param_plan plan = {.name = "w", .rank = 2, .shape = {1u << 22, 1u << 22}};
    ps_param_config config = {.plans = &plan, .n_plans = 1, .controller = test_controller("asp")};
    ps_param_store *store;
    ck_assert_int_eq(ps_param_store_create(&config, &store), PS_NO_MEMORY);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "17592186044416 parameters need 671"));
}
END_TEST

START_TEST(every_failed_allocation_is_an_answer_and_leaks_nothing)
{
    test_params p;
    test_params_init(&p, 8, 8);
    p.config.block_elements = 16;
    p.config.controller = test_controller("bsp");
    p.config.optimizer.name = "momentum";
    ps_param_store *store = NULL;
    unsigned long k = 0;
    ps_status st;
    do {
        fault_memory(++k);
        st = ps_param_store_create(&p.config, &store);
        ck_assert(st == PS_OK || st == PS_NO_MEMORY);
    } while (st);
    fault_memory(0);
    ck_assert_uint_gt(k, 10);
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(adamw8bit_takes_hardly_more_than_six_bytes_a_parameter)
{
    test_params p;
    test_params_init(&p, 1100, 1000);
    p.config.optimizer = (ps_optimizer_config){.name = "adamw8bit", .epsilon = 1e-8};
    ps_param_store *store;
    ck_ok(ps_param_store_create(&p.config, &store));
    double each = (double)ps_param_store_bytes(store) / 1101000;
    ck_assert_double_ge(each, 4 + 2);
    ck_assert_double_le(each, 6.1);
    ps_param_store_unref(&store);
}
END_TEST

/* Large enough that threads share it out; each tensor as when it is alone. */
START_TEST(initial_values_of_many_tensors_are_those_of_each)
{
    enum { TENSORS = 5, ROWS = 600, COLUMNS = 1000 };
    static const char *const names[TENSORS] = {"a", "b", "c", "d", "e"};
    ps_param_plan plans[TENSORS];
    for (int i = 0; i < TENSORS; i++)
        plans[i] = (ps_param_plan){
            .name = names[i],
            .rank = 2,
            .shape = {ROWS - 100 * (i % 2), COLUMNS},
            .init = i == 3 ? PS_PARAM_UNIFORM : PS_PARAM_NORMAL,
            .scale = 1,
        };
    ps_param_config config = {
        .plans = plans, .n_plans = TENSORS, .seed = 4, .controller = test_controller("asp")};
    ps_param_store *all, *one;
    ck_ok(ps_param_store_create(&config, &all));
    for (uint32_t i = 0; i < TENSORS; i++) {
        config.plans = &plans[i];
        config.n_plans = 1;
        ck_ok(ps_param_store_create(&config, &one));
        float *x = test_params_read(all, i), *y = test_params_read(one, 0);
        ck_assert_mem_eq(x, y, plans[i].shape[0] * COLUMNS * sizeof *x);
        free(x);
        free(y);
        ps_param_store_unref(&one);
    }
    ps_param_store_unref(&all);
}
END_TEST

START_TEST(adamw_takes_twelve_bytes_a_parameter_and_at_most_five_percent_more)
{
    test_params p;
    test_params_init(&p, 1100, 1000);
    p.config.optimizer = (ps_optimizer_config){.name = "adamw", .epsilon = 1e-8};
    ps_param_store *store;
    ck_ok(ps_param_store_create(&p.config, &store));
    double n = 1101000;
    ck_assert_double_le((double)ps_param_store_bytes(store) / n, 12 * 1.05);
    ck_assert_double_ge((double)ps_param_store_bytes(store) / n, 12);
    /* and after everything was pulled while it changed */
    for (uint64_t i = 1; i <= 3; i++) {
        uint64_t version;
        ps_pull *pull;
        ps_block_view views[8];
        unsigned held = 0;
        ck_ok(ps_pull_begin(store, NULL, 0, 0, &version, &pull));
        while (held < 8 && !ps_pull_next(pull, &views[held]))
            held++;
        ps_pull_free(&pull);
        ps_push_header header = {.incarnation = 1, .sequence = i};
        ps_push_reply reply;
        ck_ok(test_params_push(store, "a", &header, 1, &reply));
        while (held)
            ps_block_view_release(&views[--held]);
    }
    /* what stays is bounded: 4 MB or 2 % of the parameters, whichever is more */
    ck_assert_double_le((double)ps_param_store_bytes(store), 12 * 1.05 * n + (4 << 20));
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(values_go_in_and_out_row_major_in_any_pieces)
{
    for (uint32_t k = 1; k <= 3; k++) {
        test_params p;
        test_params_init(&p, 6, 7);
        p.config.column_blocks = k;
        p.config.block_elements = 4;
        ps_param_store *store;
        ck_ok(ps_param_store_create(&p.config, &store));
        float values[42];
        for (int i = 0; i < 42; i++)
            values[i] = (float)i + 0.5f;
        ck_ok(ps_param_import(store, 0, 0, values, 5));
        ck_ok(ps_param_import(store, 0, 5, values + 5, 20));
        ck_ok(ps_param_import(store, 0, 25, values + 25, 17));
        float *out = test_params_read(store, 0);
        ck_assert_mem_eq(out, values, sizeof values);
        ck_assert_int_eq(ps_param_import(store, 0, 40, values, 3), PS_INVALID_ARGUMENT);
        ck_assert_int_eq(ps_param_import(store, 0, UINT64_MAX, values, 2), PS_INVALID_ARGUMENT);
        ck_assert_int_eq(ps_param_import(store, 2, 0, values, 1), PS_NOT_FOUND);
        values[3] = INFINITY;
        ck_assert_int_eq(ps_param_import(store, 0, 0, values, 42), PS_INVALID_ARGUMENT);
        float *again = test_params_read(store, 0);
        ck_assert_mem_eq(out, again, sizeof values);
        free(out);
        free(again);
        ps_param_store_unref(&store);
    }
}
END_TEST

START_TEST(clocks_of_asp_are_counted_and_nobody_waits)
{
    test_params p;
    test_params_init(&p, 2, 2);
    ps_param_store *store;
    ck_ok(ps_param_store_create(&p.config, &store));
    uint64_t first;
    ps_clock_reply reply;
    bool parked = true;
    ck_ok(ps_param_store_join(store, "a", 0, &first));
    ck_assert_uint_eq(first, 1);
    ck_ok(ps_param_store_join(store, "b", 0, &first));
    ck_ok(ps_param_store_clock(store, &(ps_clock_end){.member = "a", .clock = 5}, &reply, &parked,
                               NULL, NULL));
    ck_assert(!parked);
    ck_assert_uint_eq(reply.slowest_clock, 0);
    ck_ok(ps_param_store_clock(store, &(ps_clock_end){.member = "b", .clock = 3}, &reply, &parked,
                               NULL, NULL));
    ck_assert_uint_eq(reply.slowest_clock, 3);
    ck_ok(ps_param_store_join(store, "late", 0, &first));
    ck_assert_uint_eq(first, 6);
    ps_param_store_leave(store, "b");
    ps_param_stats stats;
    ps_param_store_stats(store, &stats);
    ck_assert_uint_eq(stats.clock, 5);
    ck_assert_uint_eq(stats.members, 2);
    ck_assert_int_eq(ps_param_store_clock(store, &(ps_clock_end){.member = "b", .clock = 4}, &reply,
                                          &parked, NULL, NULL),
                     PS_FAILED_PRECONDITION);
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(staleness_is_how_many_updates_came_between)
{
    test_params p;
    test_params_init(&p, 2, 2);
    ps_param_store *store;
    ck_ok(ps_param_store_create(&p.config, &store));
    const uint64_t pulled[] = {0, 0, 1, 3}, want[] = {0, 1, 1, 0};
    for (uint64_t i = 0; i < 4; i++) {
        ps_push_header header = {.incarnation = 1, .sequence = i + 1, .pulled_version = pulled[i]};
        ps_push_reply reply;
        ck_ok(test_params_push(store, "a", &header, 1, &reply));
        ck_assert_uint_eq(reply.staleness, want[i]);
        ck_assert_uint_eq(reply.version, i + 1);
    }
    ps_param_stats stats;
    ps_param_store_stats(store, &stats);
    ck_assert_uint_eq(stats.staleness_max, 1);
    ck_assert_double_eq(stats.staleness_mean, 0.5);
    ck_assert_uint_eq(stats.push_bytes, 4 * (4 + 2) * 4);
    ps_param_store_unref(&store);
}
END_TEST

static const ps_check_case cases[] = {
    {&initial_values_do_not_depend_on_how_the_tensor_is_cut},
    {&initial_values_are_what_the_plan_says},
    {&plans_that_cannot_be_are_refused_by_name},
    {&a_model_that_no_machine_holds_is_refused_before_memory_is_taken},
    {&every_failed_allocation_is_an_answer_and_leaks_nothing},
    {&adamw8bit_takes_hardly_more_than_six_bytes_a_parameter},
    {&initial_values_of_many_tensors_are_those_of_each},
    {&adamw_takes_twelve_bytes_a_parameter_and_at_most_five_percent_more},
    {&values_go_in_and_out_row_major_in_any_pieces},
    {&clocks_of_asp_are_counted_and_nobody_waits},
    {&staleness_is_how_many_updates_came_between},
    {0},
};

int main(void)
{
    return ps_check_main("params/param_store", cases);
}
