/* The plugin that nvcc made, with a driver that has nothing behind it (driver.c): it loads, and
 * says in one line that there is no GPU. PSD_CUDA_PLUGIN and LD_LIBRARY_PATH are the build's. */
#include "gpu/backend.h"
#include "tests/lib/check_main.h"

#include <string.h>

START_TEST(without_a_gpu_the_plugin_says_so)
{
    ps_backend *b = NULL;
    ps_status st = ps_backend_open("cuda", &(ps_backend_options){.threads = 1}, &b);
    ck_assert_msg(st == PS_UNAVAILABLE, "%s: %s", ps_status_name(st), ps_error_message());
    ck_assert_ptr_null(b);
    ck_assert_msg(strncmp(ps_error_message(), "device cuda: cuda: devices: cudaError", 37) == 0,
                  "%s", ps_error_message());
}
END_TEST

START_TEST(auto_goes_on_to_the_cpu_and_says_why)
{
    ps_backend *b = NULL;
    ck_ok(ps_backend_open("auto", &(ps_backend_options){.threads = 1}, &b));
    ck_assert_str_eq(b->info.name, "cpu");
    ck_assert_msg(strstr(b->info.reason, "cuda: devices: cudaError") != NULL, "%s", b->info.reason);
    ps_backend_close(&b);
}
END_TEST

static const ps_check_case cases[] = {
    {&without_a_gpu_the_plugin_says_so, 60},
    {&auto_goes_on_to_the_cpu_and_says_why, 60},
    {NULL},
};

int main(void)
{
    return ps_check_main("cuda/installed", cases);
}
