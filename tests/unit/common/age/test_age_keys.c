/* age_keys: what is a key, and what is said of what is none. The keys are age-keygen's. */
#include "common/age/age_keys.h"

#include "tests/lib/check_main.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The pair of the specification (c2sp.org/age, "The X25519 recipient type"), and another. */
#define SECRET    "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
#define RECIPIENT "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
#define SECOND    "AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0"

static const ps_age_identities *parse(const char *text)
{
    static ps_age_identities *ids;
    ps_age_identities_free(&ids);
    ck_ok(ps_age_identities_parse(ps_slice_str(text), "keys.txt", &ids));
    return ids;
}

START_TEST(an_identity_has_the_recipient_that_the_specification_says)
{
    ps_age_recipients r = {.n = 0};
    const ps_age_identities *ids = parse(SECRET);
    ck_ok(ps_age_recipients_add(&r, RECIPIENT));
    ck_assert_uint_eq(ps_age_identities_count(ids), 1);
    ck_assert_mem_eq(r.at[0], ps_age_identity_point(ids, 0), PS_X25519_BYTES);
    for (size_t i = 0; i < PS_X25519_BYTES; i++)
        ck_assert_uint_eq(ps_age_identity_secret(ids, 0)[i], 0x42);
}
END_TEST

START_TEST(a_file_has_comments_and_several)
{
    ck_assert_uint_eq(ps_age_identities_count(parse("# created: today\r\n# public key: " RECIPIENT
                                                    "\r\n" SECRET "\r\n\n" SECOND)),
                      2);
}
END_TEST

static const struct {
    const char *text, *said;
} wrong_files[] = {
    {"", "keys.txt has no identity"},
    {"# only words\n", "keys.txt has no identity"},
    {"\n" RECIPIENT "\n", "keys.txt, line 2: that is a recipient"},
    {SECRET "\nhello\n", "keys.txt, line 2: it does not begin with AGE-SECRET-KEY-1"},
    {SECRET "Q", "keys.txt, line 1: it has 59 letters behind the 1, such a key has 58"},
    {" " SECRET, "keys.txt, line 1: it does not begin"},
    {"AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEQ",
     "its checksum is wrong"},
    {"AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEx",
     "letter 58 behind the 1 is none"},
    {"AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEB",
     "letter 58 behind the 1 is none"},
    {"AGE-SECRET-KEY-PQ-1HZLGZUPT4ETPKDEV8HSGFDCYZ4E522W0A7PU2LHT8EH9W6YLNC3SW78XKG",
     "those of X25519"},
    {"AGE-PLUGIN-YUBIKEY-1QQQQ", "those of X25519"},
    {"age-encryption.org/v1\n", "in plain text"},
    {"-----BEGIN OPENSSH PRIVATE KEY-----\n", "in plain text"},
};

START_TEST(what_is_no_identity_is_said_without_a_letter_of_it)
{
    ps_age_identities *ids = NULL;
    ck_assert_int_eq(ps_age_identities_parse(ps_slice_str(wrong_files[_i].text), "keys.txt", &ids),
                     PS_INVALID_ARGUMENT);
    ck_assert_ptr_null(ids);
    ck_assert_msg(strstr(ps_error_message(), wrong_files[_i].said), "%s", ps_error_message());
    ck_assert_msg(!strstr(ps_error_message(), "GFPYYSJZ"), "%s", ps_error_message());
}
END_TEST

static const struct {
    const char *text, *said;
} wrong_recipients[] = {
    {"", "does not begin with age1"},
    {"age1", "has 0 letters behind the 1"},
    {SECRET, "that is a secret identity"},
    {"AGE1ZVKYG2LQZRAA2LNJVQEJ32NKUU0UES2S82HZRYE869XEEXVN73EQUNUJWJ", "does not begin with age1"},
    {"age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwq", "a letter is mistyped"},
    {"age1Zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj", "letter 1 behind the 1"},
    {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", "keys of ssh are not known"},
    {"age1tag1qt8lw0ual6avlwmwatk888yqnmdamm7xfd0wak53ut6elz5c4swx2yqdj4e", "of another kind"},
    /* the point 0, and the point 1: of low order */
    {"age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z", "low order"},
    {"age1qyqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqj7vrya", "low order"},
};

START_TEST(what_is_no_recipient_is_refused)
{
    ps_age_recipients r = {.n = 0};
    ck_assert_int_eq(ps_age_recipients_add(&r, wrong_recipients[_i].text), PS_INVALID_ARGUMENT);
    ck_assert_uint_eq(r.n, 0);
    ck_assert_msg(strstr(ps_error_message(), wrong_recipients[_i].said), "%s", ps_error_message());
    ck_assert_msg(!strstr(ps_error_message(), "GFPYYSJZ"), "%s", ps_error_message());
}
END_TEST

START_TEST(a_recipient_is_added_once)
{
    ps_age_recipients r = {.n = 0};
    ck_ok(ps_age_recipients_add(&r, RECIPIENT));
    ck_ok(ps_age_recipients_add(&r, RECIPIENT));
    ck_assert_uint_eq(r.n, 1);
}
END_TEST

static void write_file(const char *path, const char *text, size_t len, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
    ck_assert_int_eq(fchmod(fd, mode), 0);
    (void)close(fd);
}

START_TEST(a_file_is_nobody_elses)
{
    char folder[] = "/tmp/psd-age-XXXXXX", path[64];
    ps_age_identities *ids = NULL;
    static char large[20000];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/key", folder);
    write_file(path, SECRET "\n", strlen(SECRET) + 1, 0640);
    ck_assert_int_eq(ps_age_identities_open(path, &ids), PS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "others may read it (mode 640): chmod 600"));
    ck_assert_int_eq(chmod(path, 0400), 0);
    ck_ok(ps_age_identities_open(path, &ids));
    ps_age_identities_free(&ids);
    (void)unlink(path);
    memset(large, '#', sizeof large);
    write_file(path, large, sizeof large, 0600);
    ck_assert_int_eq(ps_age_identities_open(path, &ids), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "no file of identities"));
    ck_assert_int_eq(ps_age_identities_open(folder, &ids), PS_INVALID_ARGUMENT);
    (void)unlink(path);
    ck_assert_int_eq(ps_age_identities_open(path, &ids), PS_NOT_FOUND);
    (void)rmdir(folder);
}
END_TEST

#define N(list) (sizeof(list) / sizeof *(list))
static const ps_check_case tests[] = {
    {&an_identity_has_the_recipient_that_the_specification_says},
    {&a_file_has_comments_and_several},
    {&what_is_no_identity_is_said_without_a_letter_of_it, .repeat = N(wrong_files)},
    {&what_is_no_recipient_is_refused, .repeat = N(wrong_recipients)},
    {&a_recipient_is_added_once},
    {&a_file_is_nobody_elses},
    {0},
};

int main(void)
{
    return ps_check_main("age/age_keys", tests);
}
