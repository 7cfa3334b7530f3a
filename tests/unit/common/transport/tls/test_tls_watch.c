/* The files of a context are read again when they change, and half a pair is not taken. */
#include "common/transport/tls/tls_watch.h"

#include "common/base/log.h"
#include "tests/lib/check_main.h"
#include "tests/lib/pki.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static ps_test_pki pki;
static ps_loop *loop;
static ps_tls_holder *holder;
static ps_tls_watch *watch;
static ps_timer *limit;
static unsigned changes;
static bool done;
static char errors[4096];

static void keep_errors(void *state, ps_log_level level, const char *line)
{
    (void)state;
    size_t at = strlen(errors);
    if (level == PS_LOG_ERROR)
        (void)snprintf(errors + at, sizeof errors - at, "%s\n", line);
}

static void changed_cb(void *user)
{
    (void)user;
    changes++;
    done = true;
}

static void limit_cb(void *user)
{
    (void)user;
    done = true;
}

/* Until a change is told, at most so long; was one? */
static bool wait_ms(unsigned ms)
{
    unsigned before = changes;
    done = false;
    ps_timer_start(limit, ms, 0);
    (void)ps_loop_run_until(loop, &done);
    ps_timer_stop(limit);
    return changes > before;
}

static void set_up(uint64_t poll_ms)
{
    char ca[PS_TEST_PATH_MAX], cert[PS_TEST_PATH_MAX], key[PS_TEST_PATH_MAX];
    ps_test_pki_open(&pki, "lab");
    ps_test_pki_server(&pki, "psd", "localhost");
    ps_test_pki_server(&pki, "fresh", "localhost");
    ps_tls_options options = {.side = PS_TLS_SERVER,
                              .ca_file = ps_test_pki_path(&pki, "ca", ".pem", ca),
                              .cert_file = ps_test_pki_path(&pki, "psd", ".pem", cert),
                              .key_file = ps_test_pki_path(&pki, "psd", ".key", key)};
    ck_ok(ps_tls_holder_new(&options, &holder));
    ck_ok(ps_loop_create(&loop));
    ps_timer_create(loop, limit_cb, NULL, &limit);
    ps_tls_watch_start(loop, holder, poll_ms, changed_cb, NULL, &watch);
    changes = 0;
    errors[0] = '\0';
    ps_log_set_sink(keep_errors, NULL);
}

static void tear_down(void)
{
    ps_log_set_sink(NULL, NULL);
    ps_tls_watch_free(&watch);
    ps_timer_free(&limit);
    ps_loop_free(&loop);
    ps_tls_holder_free(&holder);
    ps_test_pki_close(&pki);
}

static void shell(const char *command)
{
    char line[1024];
    (void)snprintf(line, sizeof line, "cd %s && %s", pki.folder, command);
    ck_assert_int_eq(system(line), 0);
}

static const char *who(void)
{
    static ps_identity self;
    ps_tls_context *context = ps_tls_holder_get(holder);
    self = *ps_tls_context_identity(context);
    ps_tls_context_unref(&context);
    return self.name;
}

START_TEST(a_new_pair_is_taken_without_a_signal)
{
    set_up(3600000); /* by the folder's watch alone */
    shell("mv fresh.pem psd.pem && mv fresh.key psd.key");
    ck_assert(wait_ms(20000));
    ck_assert_str_eq(who(), "fresh");
    ck_assert_str_eq(errors, "");
    tear_down();
}
END_TEST

START_TEST(half_a_pair_is_not_taken_and_said_when_it_stays_so)
{
    set_up(200);
    uint64_t began = ps_clock_ns(&ps_clock_system);
    shell("mv fresh.pem psd.pem");
    for (int i = 0; i < 500 && !*errors; i++)
        ck_assert(!wait_ms(20));
    ck_assert_uint_ge(ps_clock_ns(&ps_clock_system) - began, 1000000000u); /* it may still come */
    ck_assert_str_eq(who(), "psd");
    ck_assert_msg(strstr(errors, "certificates changed and cannot be used, going on with what was "
                                 "there: private key "),
                  "%s", errors);
    ck_assert_msg(strstr(errors, "does not belong to the certificate"), "%s", errors);
    for (int i = 0; i < 5; i++)
        ck_assert(!wait_ms(200));
    ck_assert_ptr_null(strchr(strchr(errors, '\n') + 1, '\n')); /* once */
    shell("mv fresh.key psd.key");
    ck_assert(wait_ms(20000));
    ck_assert_str_eq(who(), "fresh");
    tear_down();
}
END_TEST

static void *write_beside(void *stop)
{
    char path[PS_TEST_PATH_MAX];
    FILE *log = fopen(ps_test_pki_path(&pki, "log", "", path), "w");
    while (!atomic_load((atomic_bool *)stop)) {
        fputs("a line\n", log);
        fflush(log);
        (void)usleep(5000);
    }
    fclose(log);
    return NULL;
}

START_TEST(a_folder_in_which_others_write_all_the_time_is_looked_at_all_the_same)
{
    pthread_t writer;
    atomic_bool stop = false;
    set_up(3600000);
    ck_assert_int_eq(pthread_create(&writer, NULL, write_beside, &stop), 0);
    ck_assert(!wait_ms(300));
    shell("mv fresh.pem psd.pem && mv fresh.key psd.key");
    bool taken = wait_ms(20000);
    atomic_store(&stop, true);
    pthread_join(writer, NULL);
    ck_assert(taken);
    ck_assert_str_eq(who(), "fresh");
    tear_down();
}
END_TEST

/* A link into another folder is what no watch sees. */
START_TEST(what_no_watch_tells_is_found_by_looking)
{
    set_up(3600000);
    ps_tls_watch_free(&watch);
    shell("mkdir one two && mv psd.* one/ && mv fresh.pem two/psd.pem && mv fresh.key two/psd.key "
          "&& ln -s one at && ln -s at/psd.pem psd.pem && ln -s at/psd.key psd.key");
    ps_tls_watch_start(loop, holder, 100, changed_cb, NULL, &watch);
    ck_assert(!wait_ms(500));
    shell("mkdir away && mv one away/ && mv two one");
    ck_assert(wait_ms(20000));
    ck_assert_str_eq(who(), "fresh");
    tear_down();
}
END_TEST

START_TEST(nothing_is_watched_when_that_is_off)
{
    set_up(0);
    ck_assert_ptr_null(watch);
    shell("mv fresh.pem psd.pem && mv fresh.key psd.key");
    ck_assert(!wait_ms(400));
    ck_assert_str_eq(who(), "psd");
    tear_down();
}
END_TEST

static const ps_check_case cases[] = {
    {&a_new_pair_is_taken_without_a_signal, 60},
    {&half_a_pair_is_not_taken_and_said_when_it_stays_so, 60},
    {&a_folder_in_which_others_write_all_the_time_is_looked_at_all_the_same, 60},
    {&what_no_watch_tells_is_found_by_looking, 60},
    {&nothing_is_watched_when_that_is_off},
    {0},
};

int main(void)
{
    return ps_check_main("transport/tls_watch", cases);
}
