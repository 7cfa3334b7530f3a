/* options of psd: the file, the flags on top of it, and the example that documents them. */
#include "common/base/mem.h"
#include "server/options.h"
#include "tests/lib/check_main.h"
#include "tests/lib/conf_example.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TLS "tls: {ca: /c, certificate: /d, key: /k}\n"

static char path[64];

static void write_config(const char *yaml)
{
    (void)snprintf(path, sizeof path, "/tmp/psd-options-%d.yaml", (int)getpid());
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(yaml, file);
    fclose(file);
}

static ps_status parse(ps_server_options **out, const char *a, const char *b)
{
    static char program[] = "psd", flag[] = "--config";
    static char first[100], second[100];
    char *argv[] = {program, flag, path, NULL, NULL, NULL};
    int argc = 3;
    if (a)
        argv[argc++] = strcpy(first, a);
    if (b)
        argv[argc++] = strcpy(second, b);
    return ps_server_options_parse(argc, argv, out);
}

START_TEST(the_pool_has_two_threads_a_core_or_what_is_said)
{
    static const struct {
        int64_t said;
        unsigned cores, threads;
    } rows[] = {{0, 1, 8},    {0, 4, 8},  {0, 5, 10},      {0, 64, 128},
                {0, 65, 128}, {1, 64, 1}, {1024, 2, 1024}, {0, UINT32_MAX, 128}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ps_server_conf conf = {.threads = rows[i].said};
        ck_assert_uint_eq(ps_server_threads(&conf, rows[i].cores), rows[i].threads);
    }
}
END_TEST

START_TEST(the_example_has_every_key_and_shows_the_defaults)
{
    ps_test_example_has_every_key(&ps_server_schema, "deploy/examples/psd.yaml");
    ps_test_example_has_the_defaults(&ps_server_schema, "deploy/examples/psd.yaml", TLS);
}
END_TEST

START_TEST(flags_win_over_the_file)
{
    write_config(TLS "listen: {address: h, port: 1}\nlog: {level: debug}\n");
    ps_server_options *o = NULL;
    ck_ok(parse(&o, "--listen", "[::1]:0"));
    ck_assert_str_eq(o->conf->listen.address, "::1");
    ck_assert_int_eq(o->conf->listen.port, 0);
    ck_assert_str_eq(o->config_path, path);
    ck_assert_int_eq(ps_conf_log_level(&o->conf->log), PS_LOG_DEBUG);
    ps_server_options_free(&o);
    ck_ok(parse(&o, "--log-level=error", "--data-dir=/x"));
    ck_assert_int_eq(ps_conf_log_level(&o->conf->log), PS_LOG_ERROR);
    ck_assert_str_eq(o->conf->data_dir, "/x");
    ck_assert_str_eq(o->conf->listen.address, "h");
    ps_server_options_free(&o);
    unlink(path);
}
END_TEST

START_TEST(a_reload_reads_the_file_again_and_keeps_the_flags)
{
    write_config(TLS "log: {level: debug}\n");
    char program[] = "psd", config[100], flag[] = "--data-dir=/x";
    (void)snprintf(config, sizeof config, "--config=%s", path);
    char *argv[] = {program, config, flag, NULL};
    ps_server_options *o = NULL;
    ck_ok(ps_server_options_parse(3, argv, &o));
    write_config(TLS "log: {level: notice}\ndata_dir: /y\n");
    ps_server_conf *again = NULL;
    ck_ok(ps_server_options_reread(o, &again));
    ck_assert_int_eq(ps_conf_log_level(&again->log), PS_LOG_NOTICE);
    ck_assert_int_eq(ps_conf_log_level(&o->conf->log), PS_LOG_DEBUG);
    ck_assert_str_eq(again->data_dir, "/x");
    ps_server_conf_free(&again);
    write_config("lgo: 1\n");
    ck_assert_int_eq(ps_server_options_reread(o, &again), PS_INVALID_ARGUMENT);
    ck_assert_ptr_null(again);
    ps_server_options_free(&o);
    unlink(path);
}
END_TEST

START_TEST(wrong_flags_get_one_clear_line)
{
    write_config(TLS);
    static const struct {
        const char *a, *b, *message;
    } bad[] = {
        {"--listen", "host:99999", "--listen: '99999' is not a port, allowed 0 to 65535"},
        {"--log-level", "loud",
         "--log-level: 'loud' is not known; allowed: error, warning, notice, info, debug, trace"},
        {"--prot", NULL, "--prot is not an option of psd; see --help"},
        {"--listen", "7600", "--listen: '7600' is no host; for the port alone write :7600"},
        {"--listen", NULL, "--listen needs a value; see --help"},
        {"stray", NULL, "'stray': psd takes no arguments; see --help"},
        {"--data-dir", "", "--data-dir: must not be empty"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ps_server_options *o = NULL;
        ck_assert_int_eq(parse(&o, bad[i].a, bad[i].b), PS_INVALID_ARGUMENT);
        ck_assert_str_eq(ps_error_message(), bad[i].message);
        ck_assert_ptr_null(o);
    }
    unlink(path);
}
END_TEST

START_TEST(wrong_files_name_file_and_line)
{
    static const struct {
        const char *yaml, *message;
    } bad[] = {
        {"listen: {port: 1}\n", ":1: tls.ca: missing; a text is required here"},
        {TLS "\nlisten:\n  port: 99999\n",
         ":4: listen.port: 99999 is out of range, allowed 0 to 65535"},
        {TLS "jobs:\n  lease_timeout: 3s\n", ":3: jobs.lease_timeout: must be at least twice"},
        {TLS "limits: {call_bytes: 1MiB}\n", ":2: limits.call_bytes: is less than"},
        {TLS "limits: {call_bytes: 1GiB}\n", ":2: limits.call_bytes: is more than"},
        {TLS "sealing: {kek: /etc/psd/kek}\n", ":2: sealing.kek: /etc/psd/kek: a key is named as"},
        {TLS "sealing: {kek: 'file:k', previous: [x]}\n", ":2: sealing.previous: x: a key is"},
        {TLS "quotas: {worker: {connections: -1}}\n",
         ":2: quotas.worker.connections: -1 is out of range, allowed 0 to 1000000"},
        {TLS "quotas:\n  worker:\n    conections: 1\n",
         ":4: quotas.worker.conections: unknown key; did you mean 'connections'?"},
        {TLS "quotas:\n  robot: {jobs: 1}\n", ":3: quotas.robot: unknown key"},
        {TLS "quotas:\n  worker: {in_flight: 127MiB}\n",
         ":3: quotas.worker.in_flight: must be 0 or at least 134217728, twice the larger"},
        {TLS "quotas:\n  identities:\n    x: {jobs: 1}\n    worker/y:\n      in_flight: 1\n",
         ":6: quotas.identities.worker/y.in_flight: must be 0 or at least"},
        {TLS "quotas:\n  identities:\n    a/b: {jobs: 1}\n",
         ":4: quotas.identities.a/b: is no NAME and no ROLE/NAME: "},
        {TLS "quotas:\n  identities:\n    signer/anna: {jobs: 1}\n",
         ":4: quotas.identities.signer/anna: is no NAME and no ROLE/NAME: a signer calls nobody"},
        {TLS "quotas:\n  identities:\n    A b: {jobs: 1}\n",
         ":4: quotas.identities.A b: is no NAME and no ROLE/NAME: "},
        {TLS "quotas:\n  identities:\n    x: {jobs: many}\n",
         ":4: quotas.identities.x.jobs: expected an integer, got 'many'"},
        {TLS "quotas:\n  identities:\n    x: {jobs: 1}\n    x: {jobs: 2}\n",
         ":5: quotas.identities: 'x' is there twice, first on line 4"},
        {TLS "jobs: {max_unfinished: 0}\n", ":2: jobs.max_unfinished: 0 is out of range"},
        {TLS "audit: {size: 100}\n", ":2: audit.size: is 0 (one file for ever) or at least 4KiB"},
        {TLS "audit: {forward: 'rsyslog'}\n", ":2: audit.forward: 'rsyslog' is none of syslog"},
        {TLS "audit: {on_failure: ignore}\n", ":2: audit.on_failure: "},
        {TLS "sealing: {require: true}\n", ":2: sealing.kek: is needed with"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_config(bad[i].yaml);
        ps_server_options *o = NULL;
        ck_assert_int_eq(parse(&o, NULL, NULL), PS_INVALID_ARGUMENT);
        ck_assert_int_eq(strncmp(ps_error_message(), path, strlen(path)), 0);
        ck_assert_msg(
            !strncmp(ps_error_message() + strlen(path), bad[i].message, strlen(bad[i].message)),
            "%s", ps_error_message());
    }
    unlink(path);
    ps_server_options *o = NULL;
    ck_assert_int_eq(parse(&o, NULL, NULL), PS_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), path));
}
END_TEST

START_TEST(help_and_version_need_no_file)
{
    ps_server_options *o = NULL;
    ck_ok(parse(&o, "--help", NULL));
    ck_assert(o->help);
    ck_assert_ptr_null(o->conf);
    ps_server_options_free(&o);
    ck_ok(parse(&o, "--version", NULL));
    ck_assert(o->version);
    ps_server_options_free(&o);
}
END_TEST

START_TEST(the_port_file_is_whole_or_not_there)
{
    char name[] = "/tmp/psd-ports-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(name));
    char *file = ps_asprintf("%s/port", name);
    ck_ok(ps_server_port_file_write(file, 4321, 80));
    FILE *f = fopen(file, "r");
    char text[100] = "";
    ck_assert_uint_eq(fread(text, 1, sizeof text - 1, f), 23);
    fclose(f);
    ck_assert_str_eq(text, "listen 4321\nmetrics 80\n");
    unlink(file);
    ck_assert_int_eq(rmdir(name), 0); /* nothing else was left */
    ck_assert_int_eq(ps_server_port_file_write(file, 1, 2), PS_NOT_FOUND);
    ps_free(&file);
}
END_TEST

static const ps_check_case tests[] = {
    {&the_pool_has_two_threads_a_core_or_what_is_said},
    {&the_example_has_every_key_and_shows_the_defaults},
    {&flags_win_over_the_file},
    {&a_reload_reads_the_file_again_and_keeps_the_flags},
    {&wrong_flags_get_one_clear_line},
    {&wrong_files_name_file_and_line},
    {&help_and_version_need_no_file},
    {&the_port_file_is_whole_or_not_there},
    {0},
};

int main(void)
{
    return ps_check_main("server/options", tests);
}
