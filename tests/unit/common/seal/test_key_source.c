/* key_source: 32 bytes out of a file, a credential and a program, and everything that is not that.
 */
#include "common/seal/key_source.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static unsigned patience_ms = PS_KEY_SOURCE_PATIENCE_MS;

static void begin(void)
{
    strcpy(folder, "/tmp/psd-key-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
}

static void end(void)
{
    (void)unlink("kek");
    ck_assert_int_eq(rmdir(folder), 0);
}

static void put(const char *bytes, size_t n, mode_t mode)
{
    (void)unlink("kek");
    FILE *file = fopen("kek", "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, n, file), n);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod("kek", mode), 0);
}

static const char key32[] = "abcdefghijklmnopqrstuvwxyz012345";

static void expect(const char *kind)
{
    char source[256];
    ps_secret *key = NULL;
    (void)snprintf(source, sizeof source, strcmp(kind, "credential:") ? "%s%s/kek" : "%skek", kind,
                   folder);
    ck_ok(ps_key_source_read(source, patience_ms, &key));
    ck_assert_mem_eq(ps_secret_const(key), key32, PS_SECRET_BYTES);
    ps_secret_free(&key);
}

static void refuse(const char *kind, ps_status wanted, const char *words)
{
    char source[256];
    ps_secret *key = NULL;
    (void)snprintf(source, sizeof source, "%s%s/kek", kind, folder);
    ps_status st = ps_key_source_read(source, patience_ms, &key);
    ck_assert_msg(st == wanted, "%s: %s", ps_status_name(st), ps_error_message());
    ck_assert_msg(strstr(ps_error_message(), words) && strstr(ps_error_message(), source), "%s",
                  ps_error_message());
    ck_assert_ptr_null(key);
}

START_TEST(a_file_has_exactly_one_key_for_one_reader)
{
    begin();
    put(key32, 32, 0600);
    expect("file:");
    put(key32, 32, 0400);
    expect("file:");
    put(key32, 32, 0640);
    refuse("file:", PS_FAILED_PRECONDITION, "others may read it (mode 640): chmod 600");
    put(key32, 31, 0600);
    refuse("file:", PS_INVALID_ARGUMENT, "a key has 32 bytes, this has 31");
    put("", 0, 0600);
    refuse("file:", PS_INVALID_ARGUMENT, "this has 0");
    put("0123456789012345678901234567890123456789", 40, 0600);
    refuse("file:", PS_INVALID_ARGUMENT, "hexadecimal, or with a newline?");
    ck_assert_int_eq(unlink("kek"), 0);
    refuse("file:", PS_NOT_FOUND, "open");
    ck_assert_int_eq(mkfifo("kek", 0600), 0);
    refuse("file:", PS_INVALID_ARGUMENT, "not a file"); /* and nobody waits for a writer */
    end();
}
END_TEST

START_TEST(a_credential_is_a_file_of_the_folder_that_systemd_names)
{
    begin();
    ps_secret *key = NULL;
    put(key32, 32, 0400);
    ck_assert_int_eq(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    ck_assert_int_eq(ps_key_source_read("credential:kek", patience_ms, &key),
                     PS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "LoadCredentialEncrypted="));
    ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", folder, 1), 0);
    expect("credential:");
    ck_assert_int_eq(ps_key_source_read("credential:../kek", patience_ms, &key),
                     PS_INVALID_ARGUMENT);
    end();
}
END_TEST

START_TEST(a_program_prints_it_and_ends_well)
{
    static const struct {
        const char *script, *words;
        ps_status st;
    } bad[] = {
        {"#!/bin/sh\nprintf abc\n", "this has 3", PS_INVALID_ARGUMENT},
        {"#!/bin/sh\nyes\n", "a key has 32 bytes", PS_INVALID_ARGUMENT},
        {"#!/bin/sh\nprintf abcdefghijklmnopqrstuvwxyz012345; exit 3\n",
         "it failed (exit status 3)", PS_FAILED_PRECONDITION},
        {"#!/bin/sh\nkill -9 $$\n", "it failed (signal 9)", PS_FAILED_PRECONDITION},
        {"no program at all", "it cannot be started", PS_IO},
    };
    begin();
    static const char good[] =
        "#!/bin/sh\nprintf abcdefghijklmnopqrstuvwxyz; sleep .1; printf 012345\n";
    put(good, strlen(good), 0700);
    expect("exec:");
    for (size_t i = 0; i < sizeof bad / sizeof *bad - 1; i++) {
        put(bad[i].script, strlen(bad[i].script), 0700);
        refuse("exec:", bad[i].st, bad[i].words);
    }
    put(good, strlen(good), 0600);
    refuse("exec:", PS_NO_ACCESS, "it cannot be started");
    end();
}
END_TEST

START_TEST(a_program_that_hangs_is_ended)
{
    begin();
    static const char script[] = "#!/bin/sh\nexec sleep 1000\n";
    put(script, strlen(script), 0700);
    patience_ms = 200;
    refuse("exec:", PS_DEADLINE_EXCEEDED, "it took too long");
    static const char silent[] = "#!/bin/sh\nexec >/dev/null; exec sleep 1000\n";
    put(silent, strlen(silent), 0700);
    refuse("exec:", PS_DEADLINE_EXCEEDED, "it took too long");
    end();
}
END_TEST

START_TEST(a_new_key_is_for_its_owner_and_replaces_none)
{
    begin();
    char path[128];
    ps_secret *key = NULL, *other = NULL;
    struct stat about;
    (void)snprintf(path, sizeof path, "%s/kek", folder);
    ck_ok(ps_key_source_create(path, &key));
    ck_assert_int_eq(stat(path, &about), 0);
    ck_assert_uint_eq(about.st_mode & 0777, 0600);
    ck_assert_int_eq(ps_key_source_create(path, &other), PS_ALREADY_EXISTS);
    char source[160];
    (void)snprintf(source, sizeof source, "file:%s", path);
    ck_ok(ps_key_source_read(source, patience_ms, &other));
    ck_assert_mem_eq(ps_secret_const(key), ps_secret_const(other), PS_SECRET_BYTES);
    ps_secret_free(&key);
    ps_secret_free(&other);
    end();
}
END_TEST

START_TEST(other_sources_are_refused_by_name)
{
    static const char *const bad[] = {"", "/etc/psd/kek", "file:", "vault:x", "exec:"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(ps_key_source_check(bad[i]), PS_INVALID_ARGUMENT);
        ck_assert_ptr_nonnull(
            strstr(ps_error_message(), "file:PATH, credential:NAME or exec:PROGRAM"));
    }
}
END_TEST

static const ps_check_case tests[] = {
    {&a_file_has_exactly_one_key_for_one_reader},
    {&a_credential_is_a_file_of_the_folder_that_systemd_names},
    {&a_program_prints_it_and_ends_well, 30},
    {&a_program_that_hangs_is_ended, 60},
    {&a_new_key_is_for_its_owner_and_replaces_none},
    {&other_sources_are_refused_by_name},
    {0},
};

int main(void)
{
    return ps_check_main("seal/key_source", tests);
}
