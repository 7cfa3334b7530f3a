/* options of psworker, and which files a job may name. */
#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/conf_example.h"
#include "worker/conf/worker_options.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TLS "tls: {ca: /c, certificate: /d, key: /k}\n"

static char path[64];

static void write_config(const char *yaml)
{
    (void)snprintf(path, sizeof path, "/tmp/psworker-options-%d.yaml", (int)getpid());
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(yaml, file);
    fclose(file);
}

static ps_status parse(ps_worker_options **out, const char *flag)
{
    static char program[] = "psworker", config[] = "-c", text[100];
    char *argv[] = {program, config, path, NULL, NULL};
    if (flag)
        argv[3] = strcpy(text, flag);
    return ps_worker_options_parse(flag ? 4 : 3, argv, out);
}

START_TEST(the_example_has_every_key_and_shows_the_defaults)
{
    ps_test_example_has_every_key(&ps_worker_schema, "deploy/examples/psworker.yaml");
    ps_test_example_has_the_defaults(&ps_worker_schema, "deploy/examples/psworker.yaml", TLS);
}
END_TEST

START_TEST(flags_win_over_the_file)
{
    write_config(TLS "server: [::1]:80\n");
    ps_worker_options *o = NULL;
    ck_assert_int_eq(parse(&o, NULL), PS_INVALID_ARGUMENT); /* [ starts a list in YAML */
    write_config(TLS "server: '[::1]:80'\ndevice: cpu\nthreads: 3\n");
    ck_ok(parse(&o, NULL));
    ck_assert_str_eq(o->server_host, "::1");
    ck_assert_int_eq(o->server_port, 80);
    ck_assert_str_eq(o->device.backend, "cpu");
    ck_assert_int_eq(o->conf->threads, 3);
    char host[65] = "";
    ck_assert_int_eq(gethostname(host, sizeof host - 1), 0);
    ck_assert(*o->conf->name && strncmp(o->conf->name, host, strlen(o->conf->name)) == 0);
    ps_worker_options_free(&o);
    ck_ok(parse(&o, "--name=the one below the stairs"));
    ck_assert_str_eq(o->conf->name, "the one below the stairs");
    ps_worker_options_free(&o);
    ck_ok(parse(&o, "--server=there"));
    ck_assert_str_eq(o->server_host, "there");
    ck_assert_int_eq(o->server_port, 7600);
    ps_worker_options_free(&o);
    unlink(path);
}
END_TEST

/* text, of the file or of the flag, is this device. */
static void check_device(const char *text, const char *backend, int number)
{
    char *file = ps_asprintf(TLS "device: %s\n", text), *flag = ps_asprintf("--device=%s", text);
    ps_worker_options *o = NULL;
    for (int by_flag = 0; by_flag < 2; by_flag++) {
        write_config(by_flag ? TLS "device: cuda:3\n" : file);
        ck_ok(parse(&o, by_flag ? flag : NULL));
        ck_assert_str_eq(o->device.backend, backend);
        ck_assert_int_eq(o->device.number, number);
        ps_worker_options_free(&o);
    }
    unlink(path);
    ps_free(&file);
    ps_free(&flag);
}

START_TEST(a_device_is_a_backend_and_a_number)
{
    check_device("auto", "auto", 0);
    check_device("cpu", "cpu", 0);
    check_device("cuda", "cuda", 0);
    check_device("cuda:0", "cuda", 0);
    check_device("cuda:15", "cuda", 15);
    check_device("cuda:9999", "cuda", 9999);
}
END_TEST

START_TEST(what_is_no_device_is_refused)
{
    static const char *const texts[] = {"",        "gpu",        "CUDA",     "cuda:",   "cuda: 1",
                                        "cuda:-1", "cuda:+1",    "cuda:00",  "cuda:07", "cuda:1 ",
                                        "cuda:1x", "cuda:10000", "cuda:0x1", "cpu:0",   "auto:0"};
    write_config(TLS);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ps_worker_options *o = NULL;
        char *flag = ps_asprintf("--device=%s", texts[i]);
        ck_assert_msg(parse(&o, flag) == PS_INVALID_ARGUMENT, "'%s' is taken", texts[i]);
        ck_assert_ptr_null(o);
        ck_assert_msg(strncmp(ps_error_message(), "--device: ", 10) == 0, "%s", ps_error_message());
        ps_free(&flag);
    }
    unlink(path);
}
END_TEST

START_TEST(wrong_settings_get_one_clear_line)
{
    ps_worker_options *o = NULL;
    write_config(TLS);
    ck_assert_int_eq(parse(&o, "--threads=-1"), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "--threads: -1 is out of range, allowed 0 to 1024");
    ck_assert_int_eq(parse(&o, "--server=:80"), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "--server: ':80' needs a host and a port that is not 0");
    write_config(TLS "data_roots: [/a, b]\n");
    ck_assert_int_eq(parse(&o, NULL), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), ":2: data_roots: 'b' must be an absolute"));
    write_config(TLS "reconnect: {min: 1m}\n");
    ck_assert_int_eq(parse(&o, NULL), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), ":2: reconnect.min: is more than"));
    ck_assert_ptr_null(o);
    unlink(path);
}
END_TEST

static void touch(const char *name)
{
    int fd = open(name, O_CREAT | O_WRONLY, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

START_TEST(a_job_reads_below_the_roots_only)
{
    char top[] = "/tmp/psd-roots-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(top));
    char *root = ps_asprintf("%s/data", top), *sibling = ps_asprintf("%s/data2", top);
    char *good = ps_asprintf("%s/x", root), *bad = ps_asprintf("%s/y", sibling);
    char *link = ps_asprintf("%s/link", root), *dots = ps_asprintf("%s/../data2/y", root);
    char *missing = ps_asprintf("%s/missing", root), *out = ps_asprintf("%s/missing", top);
    mkdir(root, 0700);
    mkdir(sibling, 0700);
    touch(good);
    touch(bad);
    ck_assert_int_eq(symlink(bad, link), 0);
    ps_worker_conf conf = {.data_roots = &root, .n_data_roots = 1};
    ck_ok(ps_worker_data_path_check(&conf, good));
    ck_assert_int_eq(ps_worker_data_path_check(&conf, bad), PS_PERMISSION_DENIED);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), root));
    ck_assert_int_eq(ps_worker_data_path_check(&conf, link), PS_PERMISSION_DENIED);
    ck_assert_int_eq(ps_worker_data_path_check(&conf, dots), PS_PERMISSION_DENIED);
    ck_assert_int_eq(ps_worker_data_path_check(&conf, missing), PS_NOT_FOUND);
    ck_assert_int_eq(ps_worker_data_path_check(&conf, out), PS_PERMISSION_DENIED);
    ck_assert_int_eq(ps_worker_data_path_check(&conf, "x"), PS_PERMISSION_DENIED);
    conf.n_data_roots = 0;
    ck_assert_int_eq(ps_worker_data_path_check(&conf, good), PS_PERMISSION_DENIED);
    unlink(link);
    unlink(good);
    unlink(bad);
    rmdir(root);
    rmdir(sibling);
    rmdir(top);
    char *texts[] = {root, sibling, good, bad, link, dots, missing, out};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        ps_free(&texts[i]);
}
END_TEST

static const ps_check_case tests[] = {
    {&the_example_has_every_key_and_shows_the_defaults},
    {&flags_win_over_the_file},
    {&a_device_is_a_backend_and_a_number},
    {&what_is_no_device_is_refused},
    {&wrong_settings_get_one_clear_line},
    {&a_job_reads_below_the_roots_only},
    {0},
};

int main(void)
{
    return ps_check_main("worker/options", tests);
}
