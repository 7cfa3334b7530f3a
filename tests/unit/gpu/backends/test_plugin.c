/* Libraries that are plugins, and that are not. PLUGIN_FOLDER, from the build, holds the fakes. */
#include "gpu/backends/plugin.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"

#include <string.h>

static const ps_backend_options options = {.threads = 1};

static ps_status open_fake(const char *name)
{
    ps_backend *b = NULL;
    char *path = ps_asprintf("%s/%s", PLUGIN_FOLDER, name);
    ps_status st = ps_plugin_open(path, &options, &b);
    ps_free(&path);
    ck_assert_ptr_null(b);
    return st;
}

START_TEST(a_plugin_is_asked_to_open_its_device)
{
    ck_assert_int_eq(open_fake("libplugin_fake.so"), PS_RESOURCE_EXHAUSTED);
    ck_assert_str_eq(ps_error_message(), "the fake refuses");
}
END_TEST

START_TEST(a_plugin_of_another_version_is_refused)
{
    ck_assert_int_eq(open_fake("libplugin_old.so"), PS_FAILED_PRECONDITION);
    char *said = ps_asprintf("was built for version 0, this is %d", PS_BACKEND_API);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), said));
    ps_free(&said);
}
END_TEST

START_TEST(a_library_that_is_no_plugin_is_refused)
{
    ps_backend *b = NULL;
    ck_assert_int_eq(ps_plugin_open("libm.so.6", &options, &b), PS_FAILED_PRECONDITION);
    ck_assert_str_eq(ps_error_message(), "libm.so.6 is not a plugin of psd");
}
END_TEST

START_TEST(a_library_that_is_not_there_is_unavailable)
{
    ck_assert_int_eq(open_fake("libplugin_none.so"), PS_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "libplugin_none.so"));
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &a_plugin_is_asked_to_open_its_device},
    {.test = &a_plugin_of_another_version_is_refused},
    {.test = &a_library_that_is_no_plugin_is_refused},
    {.test = &a_library_that_is_not_there_is_unavailable},
    {0},
};

int main(void)
{
    return ps_check_main("gpu/backends/plugin", tests);
}
