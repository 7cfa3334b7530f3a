/* reload: every part runs, whatever becomes of the others, and each is named. */
#include "common/base/reload.h"

#include "common/base/log.h"
#include "tests/lib/check_main.h"

#include <stdio.h>
#include <string.h>

static unsigned ran; /* a bit each */
static char lines[1024];

static ps_status first(void *user)
{
    (void)user;
    ran |= 1;
    return PS_OK;
}

static ps_status second(void *user)
{
    (void)user;
    ran |= 2;
    return ps_fail(PS_FAILED_PRECONDITION, "psd.pem expired");
}

static ps_status third(void *user)
{
    (void)user;
    ran |= 4;
    return ps_fail(PS_NOT_FOUND, "psd.yaml is gone");
}

static void keep(void *state, ps_log_level level, const char *line)
{
    (void)state;
    size_t at = strlen(lines);
    (void)snprintf(lines + at, sizeof lines - at, "%d %s\n", (int)level, line);
}

static ps_status reload(const ps_reload_part *parts, size_t n)
{
    ran = 0;
    lines[0] = '\0';
    return ps_reload_all(parts, n, "psd", NULL);
}

START_TEST(each_part_is_reloaded_by_itself_and_named)
{
    ps_log_set_sink(keep, NULL);
    const ps_reload_part good[] = {{"audit log", first}, {"log level", first}};
    ck_ok(reload(good, 2));
    ck_assert_str_eq(lines, "5 psd: reloaded audit log, log level\n");

    const ps_reload_part mixed[] = {
        {"certificates", second}, {"audit log", first}, {"log level", third}};
    ck_assert_int_eq(reload(mixed, 3), PS_FAILED_PRECONDITION);
    ck_assert_uint_eq(ran, 7);
    ck_assert_str_eq(ps_error_message(),
                     "certificates not reloaded: psd.pem expired; log level not reloaded: psd.yaml "
                     "is gone; reloaded: audit log");
    ck_assert_str_eq(
        lines, "3 psd: certificates not reloaded, going on with what was there: psd.pem expired\n"
               "3 psd: log level not reloaded, going on with what was there: psd.yaml is gone\n"
               "5 psd: reloaded audit log\n");

    ck_assert_int_eq(reload(mixed, 1), PS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "; reloaded: nothing"));
    ps_log_set_sink(NULL, NULL);
}
END_TEST

static const ps_check_case tests[] = {{&each_part_is_reloaded_by_itself_and_named}, {0}};

int main(void)
{
    return ps_check_main("base/reload", tests);
}
