/* epoch_means: means over an epoch's rows, two epochs at once, kept in a checkpoint. */
#include "server/sched/kinds/epoch_means.h"

#include "tests/lib/check_main.h"

static void report(ps_epoch_means *m, uint32_t epoch, uint64_t samples, double loss, double right)
{
    ps_task_report p = {.samples = samples, .loss_sum = loss * (double)samples};
    ps_metric_list_add(&p.metric_sums, "accuracy", right);
    ps_epoch_means_report(m, epoch, &p);
}

static void assert_means(const ps_epoch_means *m, uint32_t epoch, double loss, double accuracy)
{
    double got;
    ps_metric_list metrics;
    ck_assert(ps_epoch_means_of(m, epoch, &got, &metrics));
    ck_assert_double_eq_tol(got, loss, 1e-12);
    ck_assert_uint_eq(metrics.count, 1);
    ck_assert_double_eq_tol(metrics.at[0].value, accuracy, 1e-12);
}

static bool is_known(const ps_epoch_means *m, uint32_t epoch)
{
    double loss;
    ps_metric_list metrics;
    return ps_epoch_means_of(m, epoch, &loss, &metrics);
}

START_TEST(a_mean_is_over_all_rows_of_its_epoch)
{
    ps_epoch_means m = {0};
    ck_assert(!is_known(&m, 0));
    report(&m, 0, 30, 2, 15);
    report(&m, 1, 8, 1, 8); /* two are open at once */
    report(&m, 0, 10, 6, 5);
    assert_means(&m, 0, 3, 0.5);
    assert_means(&m, 1, 1, 1);
    ck_assert(!is_known(&m, 2));
    report(&m, 2, 4, 0.5, 1);
    ck_assert(!is_known(&m, 0));
    report(&m, 0, 4, 9, 1); /* too late: it is nobody's */
    assert_means(&m, 1, 1, 1);
    assert_means(&m, 2, 0.5, 0.25);
    report(&m, 9, 2, 7, 0);
    ck_assert(!is_known(&m, 2) && !is_known(&m, 8));
    assert_means(&m, 9, 7, 0);
}
END_TEST

START_TEST(a_checkpoint_keeps_them)
{
    ps_epoch_means m = {0}, back = {0};
    ps_buf bytes = PS_BUF_EMPTY;
    report(&m, 3, 30, 2, 15);
    report(&m, 4, 10, 1, 10);
    ps_epoch_means_save(&m, &bytes);
    ps_cursor c = ps_cursor_of(ps_buf_slice(&bytes));
    ck_ok(ps_epoch_means_load(&back, &c));
    ck_assert_uint_eq(ps_cursor_left(&c), 0);
    assert_means(&back, 3, 2, 0.5);
    report(&back, 4, 10, 3, 0);
    assert_means(&back, 4, 2, 0.5);
    for (size_t len = 0; len < bytes.len; len++) {
        ps_epoch_means cut = {0};
        c = ps_cursor_of(ps_slice_of(bytes.data, len));
        ck_assert_int_eq(ps_epoch_means_load(&cut, &c), PS_CORRUPT);
        ck_assert(!is_known(&cut, 3));
    }
    ps_buf_free(&bytes);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_mean_is_over_all_rows_of_its_epoch},
    {&a_checkpoint_keeps_them},
    {0},
};

int main(void)
{
    return ps_check_main("server/sched/kinds/epoch_means", cases);
}
