/* tls_expiry: what is said of certificates that end soon, when, and how often. */
#include "common/transport/tls/tls_expiry.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/security/crl_issue.h"
#include "tests/lib/check_main.h"
#include "tests/lib/pki.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { HOUR_S = 3600, DAY_S = 86400 };

static ps_test_pki pki;
static ps_tls_holder *holder;
static ps_tls_expiry expiry;
static ps_tls_dates dates;
static unsigned lines, errors;
static char last[1024];

static void keep(void *state, ps_log_level level, const char *line)
{
    (void)state;
    lines++;
    errors += level == PS_LOG_ERROR;
    (void)snprintf(last, sizeof last, "%s", line);
}

static void set_up(ps_tls_side side, const char *name)
{
    char ca[PS_TEST_PATH_MAX], cert[PS_TEST_PATH_MAX], key[PS_TEST_PATH_MAX];
    ps_test_pki_open(&pki, "lab");
    ps_test_pki_server(&pki, "psd", "localhost");
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w1");
    ps_tls_options options = {.side = side,
                              .ca_file = ps_test_pki_path(&pki, "ca", ".pem", ca),
                              .cert_file = ps_test_pki_path(&pki, name, ".pem", cert),
                              .key_file = ps_test_pki_path(&pki, name, ".key", key)};
    ck_ok(ps_tls_holder_new(&options, &holder));
    ps_tls_context *context = ps_tls_holder_get(holder);
    dates = ps_tls_context_dates(context);
    ps_tls_context_unref(&context);
    expiry = (ps_tls_expiry){0};
    lines = errors = 0;
    ps_log_set_sink(keep, NULL);
}

static void tear_down(void)
{
    ps_log_set_sink(NULL, NULL);
    ps_tls_holder_free(&holder);
    ps_test_pki_close(&pki);
}

/* How many lines a process says that looks every ten minutes of that time. */
static unsigned said_between(int64_t from, int64_t to)
{
    unsigned before = lines;
    for (int64_t now = from; now < to; now += 600)
        ps_tls_expiry_look(&expiry, holder, now);
    return lines - before;
}

START_TEST(the_end_of_the_certificate_is_told_daily_then_hourly_then_as_an_error)
{
    set_up(PS_TLS_SERVER, "psd");
    int64_t end = dates.own_not_after;
    ck_assert_uint_eq(said_between(end - 20 * DAY_S, end - 14 * DAY_S), 0);
    ck_assert_uint_eq(said_between(end - 14 * DAY_S + 1, end - 10 * DAY_S), 4);
    ck_assert_ptr_nonnull(strstr(last, "psd.pem ends on "));
    ck_assert_ptr_nonnull(
        strstr(last, ", in 10 days: issue a new one (psctl cert create-server) and reload"));
    (void)said_between(end - 10 * DAY_S, end - DAY_S);
    unsigned day = said_between(end - DAY_S, end);
    ck_assert(day >= 23 && day <= 25);
    ck_assert_ptr_nonnull(strstr(last, ", in 0 hours"));
    ck_assert_uint_eq(errors, 0);
    ck_assert_uint_ge(said_between(end + 1, end + 4 * HOUR_S), 3);
    ck_assert_ptr_nonnull(strstr(last, "psd.pem ended on "));
    ck_assert_uint_ge(errors, 3);
    tear_down();
}
END_TEST

START_TEST(the_end_of_the_ca_is_told_too)
{
    set_up(PS_TLS_CLIENT, "w1");
    expiry.own.not_after = dates.own_not_after; /* that one is told already */
    expiry.own.next = INT64_MAX;
    ck_assert_int_gt(dates.ca_not_after, dates.own_not_after);
    ck_assert_uint_eq(said_between(dates.ca_not_after - 3 * DAY_S, dates.ca_not_after - DAY_S), 2);
    ck_assert_ptr_nonnull(strstr(last, "CA certificate "));
    ck_assert_ptr_nonnull(strstr(last, "ca.pem ends on "));
    tear_down();
}
END_TEST

START_TEST(a_new_certificate_that_ends_soon_is_told_at_once)
{
    set_up(PS_TLS_SERVER, "psd");
    int64_t now = (int64_t)time(NULL);
    ps_tls_expiry_look(&expiry, holder, now);
    ck_assert_uint_eq(lines, 0);
    for (int days = 3; days <= 4; days++) {
        char command[600];
        (void)snprintf(command, sizeof command, "rm %s/psd.*", pki.folder);
        ck_assert_int_eq(system(command), 0);
        ps_test_pki_server_at(&pki, "psd", "localhost", now - 20 * DAY_S, now + days * DAY_S + 60);
        ck_ok(ps_tls_holder_reload(holder));
        ps_tls_expiry_look(&expiry, holder, now);
        ps_tls_expiry_look(&expiry, holder, now);
        ck_assert_uint_eq(lines, (unsigned)days - 2);
    }
    ck_assert_ptr_nonnull(strstr(last, "in 4 days"));
    tear_down();
}
END_TEST

/* A list of seven days, and a certificate of a day: not all their lives. */
START_TEST(what_is_short_lived_is_told_near_its_end)
{
    set_up(PS_TLS_SERVER, "psd");
    char ca[PS_TEST_PATH_MAX], key[PS_TEST_PATH_MAX], cert[PS_TEST_PATH_MAX];
    ps_crl_result result;
    ck_ok(ps_test_pki_crl(&pki, (ps_crl_request){0}, &result));
    int64_t now = (int64_t)time(NULL), end = result.next_update;
    ps_test_pki_client_at(&pki, PS_ROLE_WORKER, "brief", now - 60, now - 60 + DAY_S);
    ps_tls_options options = {.side = PS_TLS_CLIENT,
                              .ca_file = ps_test_pki_path(&pki, "ca", ".pem", ca),
                              .cert_file = ps_test_pki_path(&pki, "brief", ".pem", cert),
                              .key_file = ps_test_pki_path(&pki, "brief", ".key", key),
                              .crl_file = result.file};
    ps_tls_holder_free(&holder);
    ck_ok(ps_tls_holder_new(&options, &holder));
    ck_assert_uint_eq(said_between(now, now + 17 * HOUR_S), 0);
    ck_assert_uint_eq(said_between(now + 18 * HOUR_S + 60, now + 20 * HOUR_S), 2);
    ck_assert_ptr_nonnull(strstr(last, "brief.pem ends on "));
    expiry.own.not_after = now - 60 + DAY_S; /* that one is told already */
    expiry.own.next = INT64_MAX;
    ck_assert_uint_eq(said_between(now, end - DAY_S), 0);
    ck_assert_uint_ge(said_between(end - DAY_S + 1, end), 23);
    ck_assert_ptr_nonnull(strstr(last, "ca.crl ends on "));
    ck_assert_ptr_nonnull(strstr(last, "make a new one beside the CA (psctl cert crl)"));
    ck_assert_uint_eq(errors, 0);
    ck_assert_uint_ge(said_between(end + 1, end + 2 * HOUR_S), 1);
    ck_assert_uint_ge(errors, 1);
    ps_crl_result_clear(&result);
    tear_down();
}
END_TEST

START_TEST(a_person_hears_of_the_end_that_is_nearest_in_other_words)
{
    set_up(PS_TLS_CLIENT, "w1");
    ps_tls_context *context = ps_tls_holder_get(holder);
    ck_assert_ptr_null(ps_tls_expiry_remark(context, dates.own_not_after - 20 * DAY_S));
    char *own = ps_tls_expiry_remark(context, dates.own_not_after - 2 * DAY_S);
    ck_assert_ptr_nonnull(strstr(own, "your certificate "));
    ck_assert_ptr_nonnull(strstr(own, "in 2 days; who runs psd gives you a new one"));
    ps_free(&own);
    ps_tls_context_unref(&context);
    tear_down();
}
END_TEST

START_TEST(who_runs_psd_hears_what_to_do)
{
    set_up(PS_TLS_SERVER, "psd");
    ps_tls_context *context = ps_tls_holder_get(holder);
    char *own = ps_tls_expiry_remark(context, dates.own_not_after - 2 * DAY_S);
    ck_assert_ptr_nonnull(strstr(own, "in 2 days; issue a new one with psctl cert create-server"));
    ck_assert_ptr_null(strstr(own, "who runs psd"));
    ps_free(&own);
    ps_tls_context_unref(&context);
    tear_down();
}
END_TEST

static const ps_check_case tests[] = {
    {&who_runs_psd_hears_what_to_do},
    {&the_end_of_the_certificate_is_told_daily_then_hourly_then_as_an_error},
    {&the_end_of_the_ca_is_told_too},
    {&a_new_certificate_that_ends_soon_is_told_at_once},
    {&what_is_short_lived_is_told_near_its_end},
    {&a_person_hears_of_the_end_that_is_nearest_in_other_words},
    {0},
};

int main(void)
{
    return ps_check_main("transport/tls_expiry", tests);
}
