/* What an identity may use: exact edges, by virtual time where time counts. */
#include "server/quota/quotas.h"

#include "server/options.h"
#include "tests/lib/check_main.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS  UINT64_C(1000000)
#define TLS "tls: {ca: /c, certificate: /d, key: /k}\n"

static ps_clock_virtual now;
static ps_quotas *quotas;

static ps_server_conf *conf_of(const char *yaml)
{
    char text[2000];
    (void)snprintf(text, sizeof text, TLS "%s", yaml);
    void *conf = NULL;
    ck_ok(ps_conf_load(&ps_server_schema, ps_slice_str(text), "psd.yaml", NULL, &conf));
    return conf;
}

static void begin(const char *yaml)
{
    now = (ps_clock_virtual){.now_ns = 7000 * MS};
    ps_clock clock = ps_clock_virtual_table(&now);
    ps_server_conf *conf = conf_of(yaml);
    ps_quotas_create(&conf->quotas, &clock, &quotas);
    ps_server_conf_free(&conf); /* it keeps a copy */
}

static void set(const char *yaml)
{
    ps_server_conf *conf = conf_of(yaml);
    ps_quotas_set(quotas, &conf->quotas);
    ps_server_conf_free(&conf);
}

static ps_account *account(ps_role role, const char *name)
{
    ps_identity who;
    ck_ok(ps_identity_make("lab", role, name, &who));
    return ps_quotas_account(quotas, &who);
}

static ps_quota_use use_of(const ps_account *of, ps_quota quota)
{
    ps_quota_account_use all;
    ps_quotas_look(of, &all);
    return all.of[quota];
}

START_TEST(a_level_is_full_at_its_limit_and_not_before)
{
    begin("quotas: {worker: {connections: 2}}\n");
    ps_account *x = account(PS_ROLE_WORKER, "x");
    ck_ok(ps_quota_take(x, PS_QUOTA_CONNECTIONS, 1));
    ck_ok(ps_quota_take(x, PS_QUOTA_CONNECTIONS, 1));
    ck_assert_int_eq(ps_quota_take(x, PS_QUOTA_CONNECTIONS, 1), PS_RESOURCE_EXHAUSTED);
    ck_assert_str_eq(ps_error_message(),
                     "quota of spiffe://lab/worker/x: 2 connections; try again in 1 s");
    ck_assert_int_eq(ps_error_retry_ms(), 1000);
    ps_quota_give(x, PS_QUOTA_CONNECTIONS, 1);
    ck_ok(ps_quota_take(x, PS_QUOTA_CONNECTIONS, 1));
    ck_assert_uint_eq(use_of(x, PS_QUOTA_CONNECTIONS).used, 2);
    ck_assert_uint_eq(use_of(x, PS_QUOTA_CONNECTIONS).limit, 2);
    ck_assert_uint_eq(use_of(x, PS_QUOTA_CONNECTIONS).refused, 1);
    ck_assert_uint_eq(ps_quotas_refused(quotas, PS_QUOTA_CONNECTIONS, PS_ROLE_WORKER), 1);
    ck_assert_uint_eq(ps_quotas_refused(quotas, PS_QUOTA_CONNECTIONS, PS_ROLE_ADMIN), 0);
    ps_quotas_free(&quotas);
}
END_TEST

START_TEST(bytes_fit_to_the_last_one)
{
    begin("quotas: {worker: {in_flight: 256MiB}}\n");
    ps_account *x = account(PS_ROLE_WORKER, "x");
    const uint64_t all = UINT64_C(256) << 20;
    ck_assert_uint_eq(ps_account_left(x, PS_ACCOUNT_BYTES), all);
    ck_ok(ps_account_take(x, PS_ACCOUNT_BYTES, all - 1));
    ck_assert_int_eq(ps_account_take(x, PS_ACCOUNT_BYTES, 2), PS_RESOURCE_EXHAUSTED);
    ck_assert_str_eq(ps_error_message(),
                     "quota of spiffe://lab/worker/x: 256 MiB in flight; try again in 120 ms");
    ck_ok(ps_account_take(x, PS_ACCOUNT_BYTES, 1));
    ck_assert_uint_eq(ps_account_left(x, PS_ACCOUNT_BYTES), 0);
    ck_assert_int_eq(ps_account_take(x, PS_ACCOUNT_BYTES, UINT64_MAX), PS_RESOURCE_EXHAUSTED);
    ps_account_charge(x, PS_ACCOUNT_BYTES, 10); /* what is there already counts beyond it */
    ck_assert_uint_eq(ps_account_left(x, PS_ACCOUNT_BYTES), 0);
    ps_account_give(x, PS_ACCOUNT_BYTES, all + 10);
    ck_assert_uint_eq(ps_account_left(x, PS_ACCOUNT_BYTES), all);
    ps_quotas_free(&quotas);
}
END_TEST

START_TEST(a_rate_is_so_many_in_a_second_and_says_when_the_next_is)
{
    begin("quotas: {worker: {pushes_per_second: 5}}\n");
    ps_account *x = account(PS_ROLE_WORKER, "x");
    for (int i = 0; i < 5; i++) /* a second's at once */
        ck_ok(ps_quota_take(x, PS_QUOTA_PUSHES, 1));
    ck_assert_int_eq(ps_quota_take(x, PS_QUOTA_PUSHES, 1), PS_RESOURCE_EXHAUSTED);
    ck_assert_int_eq(ps_error_retry_ms(), 200);
    ck_assert_str_eq(ps_error_message(),
                     "quota of spiffe://lab/worker/x: 5 pushes a second; try again in 200 ms");
    now.now_ns += 80 * MS;
    ck_assert_int_eq(ps_quota_take(x, PS_QUOTA_PUSHES, 1), PS_RESOURCE_EXHAUSTED);
    ck_assert_int_eq(ps_error_retry_ms(), 120);
    now.now_ns += 120 * MS - 1;
    ck_assert_int_eq(ps_quota_take(x, PS_QUOTA_PUSHES, 1), PS_RESOURCE_EXHAUSTED);
    ck_assert_int_eq(ps_error_retry_ms(), 1); /* not 0, which would say nothing */
    now.now_ns += 1;
    ck_ok(ps_quota_take(x, PS_QUOTA_PUSHES, 1));
    ck_assert_uint_eq(use_of(x, PS_QUOTA_PUSHES).used, 5);
    now.now_ns += 3600000 * MS; /* an hour of nothing is worth a second, too */
    for (int i = 0; i < 5; i++)
        ck_ok(ps_quota_take(x, PS_QUOTA_PUSHES, 1));
    ck_assert_int_eq(ps_quota_take(x, PS_QUOTA_PUSHES, 1), PS_RESOURCE_EXHAUSTED);
    ps_quotas_free(&quotas);
}
END_TEST

START_TEST(who_comes_when_it_was_told_is_not_held_back)
{
    begin("quotas: {worker: {pushes_per_second: 5}}\n");
    ps_account *x = account(PS_ROLE_WORKER, "x"), *y = account(PS_ROLE_WORKER, "y");
    for (int i = 0; i < 100; i++) { /* refused again and again, each time after it has waited */
        ck_assert_uint_eq(ps_account_hold_ms(x, 200), 0);
        now.now_ns += 200 * MS;
    }
    ck_assert_uint_eq(ps_account_hold_ms(x, 200), 0);
    now.now_ns += 200 * MS - 1;
    ck_assert_uint_eq(ps_account_hold_ms(x, 120), 120); /* for as long as it would wait now */
    ck_assert_uint_eq(ps_account_hold_ms(y, 120), 0);   /* another one knows nothing of it */
    now.now_ns += 60 * MS;
    ck_assert_uint_eq(ps_account_hold_ms(x, 1), 1);
    now.now_ns += 60 * MS - 1;
    ck_assert_uint_eq(ps_account_hold_ms(x, 30000), PS_QUOTAS_HOLD_MOST_MS);
    now.now_ns += 30000 * MS;
    ck_assert_uint_eq(ps_account_hold_ms(x, 10), 0);
    ck_assert_uint_eq(ps_account_hold_ms(NULL, 10), 0);
    ps_quotas_free(&quotas);
}
END_TEST

START_TEST(a_rate_holds_over_a_minute)
{
    begin("quotas: {worker: {pushes_per_second: 7}}\n");
    ps_account *x = account(PS_ROLE_WORKER, "x");
    unsigned taken = 0;
    for (int ms = 0; ms < 60000; ms++, now.now_ns += MS)
        taken += ps_quota_take(x, PS_QUOTA_PUSHES, 1) == PS_OK;
    ck_assert_uint_ge(taken, 60 * 7);
    ck_assert_uint_le(taken, 61 * 7);
    ps_quotas_free(&quotas);
}
END_TEST

START_TEST(a_sum_is_compared_and_time_does_not_help)
{
    begin("quotas: {submitter: {stored: 10GiB}}\n");
    ps_account *x = account(PS_ROLE_SUBMITTER, "x");
    const uint64_t all = UINT64_C(10) << 30;
    ck_ok(ps_quota_check(x, PS_QUOTA_STORED, all - 5, 5));
    ck_assert_int_eq(ps_quota_check(x, PS_QUOTA_STORED, all - 5, 6), PS_RESOURCE_EXHAUSTED);
    ck_assert_int_lt(ps_error_retry_ms(), 0);
    ck_assert_str_eq(ps_error_message(),
                     "quota of spiffe://lab/submitter/x: 10 GiB stored; delete models, artifacts "
                     "or ended jobs: psctl delete, delete-artifact, delete-job");
    ck_assert_int_eq(ps_quota_check(x, PS_QUOTA_STORED, all + 1, 0), PS_RESOURCE_EXHAUSTED);
    ck_assert_uint_eq(use_of(x, PS_QUOTA_STORED).used, all + 1);
    ps_quota_charge(x, PS_QUOTA_STORED, 3); /* on its way, by whatever call */
    ck_ok(ps_quota_check(x, PS_QUOTA_STORED, all - 5, 2));
    ck_assert_int_eq(ps_quota_check(x, PS_QUOTA_STORED, all - 5, 3), PS_RESOURCE_EXHAUSTED);
    ck_assert_int_eq(ps_quota_check(x, PS_QUOTA_STORED, all - 2, 0), PS_RESOURCE_EXHAUSTED);
    ck_assert_uint_eq(use_of(x, PS_QUOTA_STORED).used, all + 1);
    ps_quota_give(x, PS_QUOTA_STORED, 3);
    ck_ok(ps_quota_check(x, PS_QUOTA_STORED, all - 2, 2));
    ps_quotas_free(&quotas);
}
END_TEST

START_TEST(a_sum_that_was_too_much_is_known_for_a_second_or_until_something_is_freed)
{
    begin("quotas: {submitter: {stored: 10}}\n");
    ps_account *x = account(PS_ROLE_SUBMITTER, "x");
    ck_ok(ps_quota_recall(x, PS_QUOTA_STORED)); /* nobody has asked */
    ck_assert_int_eq(ps_quota_check(x, PS_QUOTA_STORED, 9, 2), PS_RESOURCE_EXHAUSTED);
    ck_ok(ps_quota_recall(x, PS_QUOTA_STORED)); /* less may fit */
    ck_assert_int_eq(ps_quota_check(x, PS_QUOTA_STORED, 10, 1), PS_RESOURCE_EXHAUSTED);
    now.now_ns += 1000 * MS - 1;
    ck_assert_int_eq(ps_quota_recall(x, PS_QUOTA_STORED), PS_RESOURCE_EXHAUSTED);
    ck_assert_int_lt(ps_error_retry_ms(), 0);
    now.now_ns += 1;
    ck_ok(ps_quota_recall(x, PS_QUOTA_STORED));
    ck_assert_int_eq(ps_quota_check(x, PS_QUOTA_STORED, 10, 1), PS_RESOURCE_EXHAUSTED);
    ps_quotas_freed(quotas);
    ck_ok(ps_quota_recall(x, PS_QUOTA_STORED));
    ck_assert_int_eq(ps_quota_check(x, PS_QUOTA_STORED, 10, 1), PS_RESOURCE_EXHAUSTED);
    set("quotas: {submitter: {stored: 11}}\n");
    ck_ok(ps_quota_recall(x, PS_QUOTA_STORED));
    ps_quotas_free(&quotas);
}
END_TEST

START_TEST(no_limit_is_none_and_what_is_used_is_counted_all_the_same)
{
    begin("");
    ps_account *x = account(PS_ROLE_WORKER, "x");
    for (int i = 0; i < 5000; i++)
        ck_ok(ps_quota_take(x, PS_QUOTA_PUSHES, 1));
    ck_ok(ps_quota_take(x, PS_QUOTA_BYTES, UINT64_C(1) << 60));
    ck_ok(ps_quota_check(x, PS_QUOTA_STORED, UINT64_MAX, UINT64_MAX));
    ck_assert_uint_eq(use_of(x, PS_QUOTA_BYTES).used, UINT64_C(1) << 60);
    ck_assert_uint_eq(use_of(x, PS_QUOTA_BYTES).limit, 0);
    ck_assert_uint_eq(ps_account_left(x, PS_ACCOUNT_BYTES), UINT64_MAX);
    ck_ok(ps_account_take(NULL, PS_ACCOUNT_BYTES, 1)); /* nobody's */
    ck_assert_uint_eq(ps_account_left(NULL, PS_ACCOUNT_BYTES), UINT64_MAX);
    ck_assert_ptr_null(ps_quotas_account_named(quotas, "anna"));
    ps_quotas_free(&quotas);
}
END_TEST

START_TEST(one_identity_is_one_account_and_another_is_another)
{
    begin("quotas: {worker: {jobs: 1}}\n");
    ps_account *x = account(PS_ROLE_WORKER, "x");
    ck_assert_ptr_eq(account(PS_ROLE_WORKER, "x"), x);
    ck_assert_ptr_eq(ps_quotas_account_named(quotas, "spiffe://lab/worker/x"), x);
    ck_assert_ptr_ne(account(PS_ROLE_SUBMITTER, "x"), x);
    for (int i = 0; i < 1000; i++) {
        char name[20];
        (void)snprintf(name, sizeof name, "n%d", i);
        ck_ok(ps_quota_take(account(PS_ROLE_WORKER, name), PS_QUOTA_JOBS, 1));
    }
    size_t n = 0;
    ps_quota_account_use *all = ps_quotas_look_all(quotas, &n);
    ck_assert_uint_eq(n, 1002);
    free(all);
    ps_quotas_free(&quotas);
}
END_TEST

START_TEST(a_name_beats_its_role_and_a_name_in_a_role_beats_both)
{
    begin("quotas:\n"
          "  worker: {jobs: 2, streams: 3, connections: 4}\n"
          "  identities:\n"
          "    x: {jobs: 5, streams: 6}\n"
          "    worker/x: {jobs: 7}\n"
          "    worker/free: {jobs: 0}\n");
    ps_account *x = account(PS_ROLE_WORKER, "x");
    ck_assert_uint_eq(use_of(x, PS_QUOTA_JOBS).limit, 7);
    ck_assert_uint_eq(use_of(x, PS_QUOTA_CALLS).limit, 6);
    ck_assert_uint_eq(use_of(x, PS_QUOTA_CONNECTIONS).limit, 4);
    ck_assert_uint_eq(use_of(account(PS_ROLE_SUBMITTER, "x"), PS_QUOTA_JOBS).limit, 5);
    ck_assert_uint_eq(use_of(account(PS_ROLE_SUBMITTER, "x"), PS_QUOTA_CONNECTIONS).limit, 0);
    ck_assert_uint_eq(use_of(account(PS_ROLE_WORKER, "y"), PS_QUOTA_JOBS).limit, 2);
    ck_assert_uint_eq(use_of(account(PS_ROLE_WORKER, "free"), PS_QUOTA_JOBS).limit, 0);
    ck_assert_uint_eq(use_of(account(PS_ROLE_SERVER, "x"), PS_QUOTA_JOBS).limit, 0);
    ps_quotas_free(&quotas);
}
END_TEST

START_TEST(a_lower_limit_takes_nothing_away_and_refuses_what_is_new)
{
    begin("quotas: {submitter: {jobs: 3}}\n");
    ps_account *x = account(PS_ROLE_SUBMITTER, "x");
    for (int i = 0; i < 3; i++)
        ck_ok(ps_quota_take(x, PS_QUOTA_JOBS, 1));
    set("quotas: {submitter: {jobs: 1}}\n");
    ck_assert_uint_eq(use_of(x, PS_QUOTA_JOBS).used, 3);
    ck_assert_uint_eq(use_of(x, PS_QUOTA_JOBS).limit, 1);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(ps_quota_take(x, PS_QUOTA_JOBS, 1), PS_RESOURCE_EXHAUSTED);
        ps_quota_give(x, PS_QUOTA_JOBS, 1);
    }
    ck_ok(ps_quota_take(x, PS_QUOTA_JOBS, 1));
    set("");
    ck_ok(ps_quota_take(x, PS_QUOTA_JOBS, 1));
    ps_quotas_free(&quotas);
}
END_TEST

enum { THREADS = 4, TURNS = 20000, PLACES = 3 };

static void *come_and_go(void *of)
{
    uintptr_t refused = 0;
    for (int i = 0; i < TURNS; i++) {
        if (ps_quota_take(of, PS_QUOTA_CALLS, 1)) {
            refused++;
            continue;
        }
        ck_assert_uint_le(use_of(of, PS_QUOTA_CALLS).used, PLACES);
        ps_quota_give(of, PS_QUOTA_CALLS, 1);
    }
    return (void *)refused;
}

START_TEST(threads_never_have_more_and_leave_nothing)
{
    begin("quotas: {worker: {streams: 3}}\n");
    ps_account *x = account(PS_ROLE_WORKER, "x");
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, come_and_go, x), 0);
    uintptr_t refused = 0;
    for (int i = 0; i < THREADS; i++) {
        void *its = NULL;
        ck_assert_int_eq(pthread_join(threads[i], &its), 0);
        refused += (uintptr_t)its;
    }
    ck_assert_uint_eq(use_of(x, PS_QUOTA_CALLS).used, 0);
    ck_assert_uint_eq(use_of(x, PS_QUOTA_CALLS).refused, refused);
    ps_quotas_free(&quotas);
}
END_TEST

START_TEST(a_sum_that_may_have_changed_has_another_stamp)
{
    begin("quotas: {submitter: {stored: 1MiB}}\n");
    ps_account *a = account(PS_ROLE_SUBMITTER, "a"), *b = account(PS_ROLE_SUBMITTER, "b");
    uint64_t before = ps_quota_stamp(a), others = ps_quota_stamp(b);
    ps_quota_charge(a, PS_QUOTA_STORED, 1000);
    ck_ok(ps_quota_check(a, PS_QUOTA_STORED, 5, 0));
    ck_assert_uint_eq(ps_quota_stamp(a), before);
    ps_quota_give(a, PS_QUOTA_STORED, 1000); /* it is stored now */
    ck_assert_uint_ne(ps_quota_stamp(a), before);
    ck_assert_uint_eq(ps_quota_stamp(b), others);
    before = ps_quota_stamp(a);
    ps_quotas_freed(quotas);
    ck_assert_uint_ne(ps_quota_stamp(a), before);
    ck_assert_uint_eq(ps_quota_stamp(NULL), 0);
    ps_quotas_free(&quotas);
}
END_TEST

static const ps_check_case tests[] = {
    {&a_level_is_full_at_its_limit_and_not_before},
    {&bytes_fit_to_the_last_one},
    {&a_rate_is_so_many_in_a_second_and_says_when_the_next_is},
    {&who_comes_when_it_was_told_is_not_held_back},
    {&a_rate_holds_over_a_minute},
    {&a_sum_is_compared_and_time_does_not_help},
    {&a_sum_that_was_too_much_is_known_for_a_second_or_until_something_is_freed},
    {&a_sum_that_may_have_changed_has_another_stamp},
    {&no_limit_is_none_and_what_is_used_is_counted_all_the_same},
    {&one_identity_is_one_account_and_another_is_another},
    {&a_name_beats_its_role_and_a_name_in_a_role_beats_both},
    {&a_lower_limit_takes_nothing_away_and_refuses_what_is_new},
    {&threads_never_have_more_and_leave_nothing, 60},
    {0},
};

int main(void)
{
    return ps_check_main("server/quota/quotas", tests);
}
