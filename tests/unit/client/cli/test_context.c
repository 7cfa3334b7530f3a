/* context: where server and certificates come from, and what the file keeps. */
#include "client/cli/context.h"
#include "common/base/disk.h"
#include "common/base/mem.h"
#include "tests/lib/check_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/psctl-context.XXXXXX";
static char *file;

/* A folder of its own, and an environment without psctl's variables. */
static void begin(void)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
    file = ps_asprintf("%s/conf/config.yaml", dir);
    setenv("PSCTL_CONFIG", file, 1);
    static const char *const names[] = {"PSCTL_SERVER",     "PSCTL_CA",      "PSCTL_CERT",
                                        "PSCTL_KEY",        "PSCTL_CONTEXT", "PSCTL_CRL",
                                        "PSCTL_CRL_EXPIRED"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
}

static void end(void)
{
    char *sub = ps_asprintf("%s/conf", dir);
    (void)unlink(file);
    (void)rmdir(sub);
    (void)rmdir(dir);
    ps_free(&sub);
    ps_free(&file);
}

static void save_two(void)
{
    ps_contexts *all = NULL;
    ck_ok(ps_contexts_load(file, &all));
    ck_assert_uint_eq(all->n_contexts, 0);
    ps_context *lab = ps_contexts_add(all, "lab");
    ps_free(&lab->server);
    lab->server = ps_strdup("lab:1");
    ps_free(&lab->ca);
    lab->ca = ps_strdup("ca \"x\".pem");
    ps_free(&lab->certificate);
    lab->certificate = ps_strdup("/etc/you.pem");
    ps_free(&lab->key);
    lab->key = ps_strdup("you.key");
    ps_free(&lab->crl);
    lab->crl = ps_strdup("ca.crl");
    ps_free(&lab->crl_expired);
    lab->crl_expired = ps_strdup("warn");
    (void)ps_contexts_add(all, "empty");
    ps_free(&all->current);
    all->current = ps_strdup("lab");
    ck_ok(ps_contexts_save(file, all));
    ps_contexts_free(&all);
}

START_TEST(what_is_saved_is_loaded_again)
{
    begin();
    save_two();
    struct stat about;
    ck_assert_int_eq(stat(file, &about), 0);
    ck_assert_int_eq(about.st_mode & 0777, 0600);
    ps_contexts *all = NULL;
    ck_assert_msg(ps_contexts_load(file, &all) == PS_OK, "%s", ps_error_message());
    ck_assert_uint_eq(all->n_contexts, 2);
    ck_assert_str_eq(all->current, "lab");
    ck_assert_str_eq(ps_contexts_find(all, "lab")->ca, "ca \"x\".pem");
    ck_assert_str_eq(ps_contexts_find(all, "empty")->server, "");
    ck_assert_ptr_null(ps_contexts_find(all, "other"));
    ps_contexts_free(&all);
    end();
}
END_TEST

START_TEST(a_link_to_the_file_stays_one_and_modes_are_kept)
{
    begin();
    save_two();
    char *dotfiles = ps_asprintf("%s/dotfiles.yaml", dir);
    ck_assert_int_eq(rename(file, dotfiles), 0);
    ck_assert_int_eq(chmod(dotfiles, 0644), 0);
    ck_assert_int_eq(symlink("../dotfiles.yaml", file), 0);
    ps_contexts *all = NULL;
    ck_ok(ps_contexts_load(file, &all));
    (void)ps_contexts_add(all, "third");
    ck_ok(ps_contexts_save(file, all));
    ps_contexts_free(&all);
    struct stat about;
    ck_assert_int_eq(lstat(file, &about), 0);
    ck_assert(S_ISLNK(about.st_mode));
    ck_ok(ps_contexts_load(dotfiles, &all));
    ck_assert_uint_eq(all->n_contexts, 3);
    ps_contexts_free(&all);
    ck_assert_int_eq(stat(dotfiles, &about), 0);
    ck_assert_int_eq(about.st_mode & 0777, 0644);
    ck_assert_int_eq(unlink(dotfiles), 0);
    ps_free(&dotfiles);
    end();
}
END_TEST

START_TEST(flags_win_over_the_environment_which_wins_over_the_file)
{
    begin();
    save_two();
    ps_context c = {0};
    ps_globals none = {0};
    ck_assert_msg(ps_context_resolve(&none, &c) == PS_OK, "%s", ps_error_message());
    ck_assert_str_eq(c.server, "lab:1");
    char *beside = ps_asprintf("%s/conf/you.key", dir);
    ck_assert_str_eq(c.key, beside); /* relative to the file */
    ps_free(&beside);
    ck_assert_str_eq(c.certificate, "/etc/you.pem");
    beside = ps_asprintf("%s/conf/ca.crl", dir);
    ck_assert_str_eq(c.crl, beside);
    ck_assert_str_eq(c.crl_expired, "warn");
    ps_free(&beside);
    ps_context_clear(&c);
    setenv("PSCTL_CRL_EXPIRED", "ignore", 1);
    ck_assert_int_eq(ps_context_resolve(&none, &c), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "'ignore' is neither refuse nor warn"));
    (void)unsetenv("PSCTL_CRL_EXPIRED");
    setenv("PSCTL_SERVER", "env:2", 1);
    ck_ok(ps_context_resolve(&none, &c));
    ck_assert_str_eq(c.server, "env:2");
    ps_context_clear(&c);
    ps_globals flags = {.server = "flag:3"};
    ck_ok(ps_context_resolve(&flags, &c));
    ck_assert_str_eq(c.server, "flag:3");
    ps_context_clear(&c);
    end();
}
END_TEST

START_TEST(comments_stay_when_the_file_is_written)
{
    begin();
    save_two();
    FILE *f = fopen(file, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(
        fputs("# my lab\ncurrent: 'a'\ncontexts: # all of them\n"
              "  a: {server: \"a:1\", ca: x#y, key: \"# \\\" #\"} #\tmine\r\n  # it's the end",
              f),
        0);
    ck_assert_int_eq(fclose(f), 0);
    for (int i = 0; i < 2; i++) { /* and only once */
        ps_contexts *all = NULL;
        ck_ok(ps_contexts_load(file, &all));
        ck_assert_str_eq(all->contexts[0].key, "# \" #");
        ck_ok(ps_contexts_save(file, all));
        ps_contexts_free(&all);
    }
    ps_buf text = PS_BUF_EMPTY;
    ck_ok(ps_disk_read_file(&ps_disk_system, file, 4096, &text));
    static const char *const start = "# written by psctl context; see psctl(1)\n# my lab\n"
                                     "# all of them\n#\tmine\n# it's the end\ncurrent: \"a\"\n";
    ck_assert_msg(!strncmp(ps_buf_cstr(&text), start, strlen(start)), "%s", ps_buf_cstr(&text));
    ps_buf_free(&text);
    end();
}
END_TEST

START_TEST(a_server_without_a_port_is_on_psds_own)
{
    static const char *const cases[][2] = {{"psd.example", "psd.example:7600"},
                                           {"psd.example:80", "psd.example:80"},
                                           {"10.0.0.1", "10.0.0.1:7600"},
                                           {"::1", "[::1]:7600"},
                                           {"[::1]", "[::1]:7600"},
                                           {"[::1]:5", "[::1]:5"},
                                           {"host:0", "host:0"},
                                           {"host:port", "host:port"},
                                           {"https://host:5", "https://host:5"},
                                           {":7600", ":7600"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *with = ps_context_with_port(cases[i][0]);
        ck_assert_str_eq(with, cases[i][1]);
        ps_free(&with);
    }
}
END_TEST

START_TEST(one_that_is_removed_leaves_the_others_in_order)
{
    ps_contexts all = {.current = ps_strdup("b")};
    (void)ps_contexts_add(&all, "a");
    (void)ps_contexts_add(&all, "b");
    (void)ps_contexts_add(&all, "c");
    ck_assert(!ps_contexts_remove(&all, "x"));
    ck_assert(ps_contexts_remove(&all, "b"));
    ck_assert_str_eq(all.current, "");
    ck_assert_uint_eq(all.n_contexts, 2);
    ck_assert_str_eq(all.contexts[0].name, "a");
    ck_assert_str_eq(all.contexts[1].name, "c");
    ck_assert(ps_contexts_remove(&all, "c"));
    ck_assert(ps_contexts_remove(&all, "a"));
    ps_free(&all.contexts);
    ps_free(&all.current);
}
END_TEST

START_TEST(a_missing_part_is_named_with_the_ways_to_give_it)
{
    begin();
    ps_context c = {0};
    ps_globals flags = {.server = "a:1", .ca = "ca.pem", .key = "k"};
    ck_assert_int_eq(ps_context_resolve(&flags, &c), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(),
                     "no certificate: give --cert FILE, or PSCTL_CERT in the environment, or "
                     "a context ('psctl help context set', 'psctl context use NAME')");
    end();
}
END_TEST

START_TEST(an_unknown_context_is_named)
{
    begin();
    save_two();
    ps_context c = {0};
    ps_globals flags = {.context = "lba"};
    ck_assert_int_eq(ps_context_resolve(&flags, &c), PS_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "no context 'lba' in "));
    end();
}
END_TEST

START_TEST(a_damaged_file_is_named_with_its_line)
{
    begin();
    save_two();
    FILE *f = fopen(file, "w");
    fputs("contexts:\n  lab: {serer: x}\n", f);
    fclose(f);
    ps_context c = {0};
    ps_globals none = {0};
    ck_assert_int_eq(ps_context_resolve(&none, &c), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "config.yaml:2: contexts.lab.serer: unknown "
                                                     "key; did you mean 'server'?"));
    end();
}
END_TEST

static const ps_check_case tests[] = {
    {&what_is_saved_is_loaded_again},
    {&a_link_to_the_file_stays_one_and_modes_are_kept},
    {&flags_win_over_the_environment_which_wins_over_the_file},
    {&comments_stay_when_the_file_is_written},
    {&a_server_without_a_port_is_on_psds_own},
    {&one_that_is_removed_leaves_the_others_in_order},
    {&a_missing_part_is_named_with_the_ways_to_give_it},
    {&an_unknown_context_is_named},
    {&a_damaged_file_is_named_with_its_line},
    {0},
};

int main(void)
{
    return ps_check_main("client/cli/context", tests);
}
