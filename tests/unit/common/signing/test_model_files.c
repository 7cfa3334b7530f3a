/* model_files: a signature in the folder is a file; what a link is to would be overwritten by
 * --force, and a pipe waited for. */
#include "common/signing/model_files.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char top[64];

static const char *at(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", top, name);
    return path;
}

static ps_status look(const char *signature)
{
    char **without = NULL;
    ps_status st = ps_model_left_out(at("m"), signature, NULL, &without);
    ps_model_left_out_free(&without);
    return st;
}

static void refused(const char *signature, const char *why)
{
    ck_assert_int_eq(look(signature), PS_INVALID_ARGUMENT);
    ck_assert_msg(strstr(ps_error_message(), why), "%s", ps_error_message());
}

static void instead(const char *name)
{
    ck_assert_int_eq(unlink(at(name)), 0);
}

START_TEST(a_signature_in_the_folder_is_a_file)
{
    strcpy(top, "/tmp/psd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(top));
    ck_assert_int_eq(mkdir(at("m"), 0700), 0);
    ck_ok(look(at("m/model.sig"))); /* not there yet */
    ck_assert_int_eq(symlink(at("elsewhere"), at("m/model.sig")), 0);
    refused(at("m/model.sig"), "m/model.sig is a symbolic link: a signature in the folder is a");
    instead("m/model.sig");
    ck_assert_int_eq(mkfifo(at("m/model.sig"), 0600), 0);
    refused(at("m/model.sig"), "m/model.sig is neither file nor folder");
    instead("m/model.sig");
    ck_assert_int_eq(symlink(at("elsewhere"), at("m/model.slsa.sig")), 0);
    refused(at("m/model.sig"), "m/model.slsa.sig is a symbolic link");
    instead("m/model.slsa.sig");
    ck_assert_int_eq(symlink(at("elsewhere"), at("link")), 0);
    ck_ok(look(at("link"))); /* not in the folder: as one likes */
    instead("link");
    ck_assert_int_eq(rmdir(at("m")), 0);
    ck_assert_int_eq(rmdir(top), 0);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_signature_in_the_folder_is_a_file},
    {0},
};

int main(void)
{
    return ps_check_main("common/signing/model_files", cases);
}
