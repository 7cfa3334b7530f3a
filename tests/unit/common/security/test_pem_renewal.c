/* pem_renewal: whatever fails, and wherever the process is killed, there is a pair to connect with;
 * and the next renewal leaves two files that openssl, too, finds to be one. */
#include "common/security/pem_renewal.h"

#include "common/base/mem.h"
#include "common/security/certificate.h"
#include "common/security/certificate_issue.h"
#include "common/security/certificate_renew.h"
#include "common/security/certificate_request.h"
#include "common/security/pem_file.h"
#include "common/transport/tls/tls_context.h"

#include "tests/lib/check_main.h"
#include "tests/lib/fault_disk.h"
#include "tests/lib/pki.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static ps_test_pki pki;
static ps_pem_renewal_files files = {.cert = "w1.pem", .key = "w1.key", .ca = "ca.pem"};

static void begin(void)
{
    ps_test_pki_open(&pki, "lab");
    ck_assert_int_eq(chdir(pki.folder), 0);
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w1");
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w2");
}

static void end(void)
{
    ck_assert_int_eq(chdir("/"), 0);
    ps_test_pki_close(&pki);
}

static bool shell(const char *command)
{
    char line[1024];
    (void)snprintf(line, sizeof line, "(%s) >log 2>&1", command);
    return system(line) == 0;
}

/* As psd would, for a minute. */
static ps_buf sign(const ps_pem_renewal *renewal)
{
    struct X509_req_st *request = NULL;
    struct stack_st_X509 *cas = NULL;
    struct evp_pkey_st *key = NULL;
    struct x509_st *ca = NULL, *made = NULL;
    ps_buf chain = PS_BUF_EMPTY;
    ck_ok(ps_certificate_request_read(ps_pem_renewal_request(renewal), &request));
    ck_ok(ps_certificate_request_check(request, ps_pem_renewal_before(renewal)));
    ck_ok(ps_pem_read_certificates("ca.pem", "CA file", &cas));
    ck_ok(ps_pem_read_key("ca.key", &key));
    ck_ok(ps_certificate_authority(cas, key, &ca));
    ck_ok(ps_certificate_renew(ps_pem_renewal_before(renewal), ps_certificate_request_key(request),
                               ca, key, 60, &made));
    ps_certificate_pem(made, &chain);
    ps_certificate_unref(&made);
    ps_certificate_key_free(&key);
    ps_certificate_chain_free(&cas);
    ps_certificate_request_free(&request);
    return chain;
}

static ps_status renew(const ps_disk *disk)
{
    ps_pem_renewal_files with = files;
    ps_pem_renewal *renewal = NULL;
    with.disk = disk;
    with.wait_ms = 60000; /* machines may be slow */
    ps_status st = ps_pem_renewal_begin(&with, &renewal);
    if (st)
        return st;
    ps_buf chain = sign(renewal);
    ps_error error;
    ps_error_save(&error, ps_pem_renewal_finish(renewal, ps_buf_slice(&chain), 0));
    ps_buf_free(&chain);
    ps_pem_renewal_free(&renewal);
    return ps_error_raise(&error);
}

/* What any daemon does with the files. */
static void expect_usable(void)
{
    ps_tls_context *context = NULL;
    ps_tls_options options = {
        .side = PS_TLS_CLIENT, .ca_file = "ca.pem", .cert_file = "w1.pem", .key_file = "w1.key"};
    ck_ok(ps_tls_context_new(&options, &context));
    ck_assert_str_eq(ps_tls_context_identity(context)->name, "w1");
    ps_tls_context_unref(&context);
}

static void expect_pair(void)
{
    ck_assert(shell("openssl x509 -in w1.pem -noout -pubkey >a && openssl pkey -in w1.key -pubout "
                    ">b && cmp a b && rm a b"));
    ck_assert_int_ne(access("w1.key.next", F_OK), 0);
}

START_TEST(a_new_pair_takes_the_place_of_the_old_one)
{
    struct stat about;
    begin();
    ck_assert(shell("cp w1.pem before.pem; cp w1.key before.key; mkdir there; mv w1.key there/k;"
                    "ln -s there/k w1.key; chmod 0400 there/k; sha256sum ca.* w2.* >others"));
    for (int i = 0; i < 3; i++) {
        ck_ok(renew(NULL));
        expect_usable();
        expect_pair();
    }
    ck_assert(shell("! cmp before.pem w1.pem && ! cmp before.key w1.key && sha256sum -c others"));
    ck_assert(shell("test -L w1.key && openssl verify -CAfile ca.pem w1.pem"));
    ck_assert_int_eq(stat("w1.key", &about), 0);
    ck_assert_uint_eq(about.st_mode & 0777, 0400);
    ck_assert_int_eq(stat("w1.pem", &about), 0);
    ck_assert_uint_eq(about.st_mode & 0777, 0644);
    ck_assert(shell("rm -r there w1.key"));
    end();
}
END_TEST

START_TEST(keys_keep_their_type)
{
    static const char *const types[] = {"RSA -pkeyopt rsa_keygen_bits:2048", "ED25519",
                                        "EC -pkeyopt ec_paramgen_curve:P-384"};
    begin();
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char command[1024];
        (void)snprintf(command, sizeof command,
                       "openssl genpkey -algorithm %s -out w1.key && chmod 600 w1.key &&"
                       "openssl req -new -key w1.key -subj /CN=w1 -out csr &&"
                       "printf 'keyUsage=digitalSignature\\nextendedKeyUsage=clientAuth\\n"
                       "subjectAltName=URI:spiffe://lab/worker/w1\\n' >ext && openssl x509 -req "
                       "-in csr -CA ca.pem -CAkey ca.key -extfile ext -days 1 -out w1.pem &&"
                       "openssl pkey -in w1.key -noout -text | head -1 >type",
                       types[i]);
        ck_assert_msg(shell(command), "%s", command);
        ck_ok(renew(NULL));
        expect_usable();
        expect_pair();
        ck_assert(shell("openssl pkey -in w1.key -noout -text | head -1 | cmp - type"));
    }
    end();
}
END_TEST

START_TEST(whatever_fails_there_is_a_pair)
{
    fault_disk faults;
    ps_disk disk = fault_disk_table(&faults);
    unsigned long k = 0, failed = 0;
    begin();
    do {
        fault_at(&faults.fails, ++k);
        failed += renew(&disk) != PS_OK;
        expect_usable();
    } while (fault_struck(&faults.fails));
    ck_assert_uint_ge(failed, 15);
    ck_ok(renew(NULL));
    expect_pair();
    faults.room = 200; /* a full disk */
    fault_at(&faults.fails, 0);
    ck_assert_int_eq(renew(&disk), PS_NO_SPACE);
    expect_usable();
    expect_pair();
    end();
}
END_TEST

/* ---- killed ---- */

static unsigned long kill_at, done;

static void step(void)
{
    if (++done == kill_at)
        _exit(9);
}

static ps_status open_step(void *state, const char *path, ps_disk_mode mode, int *file)
{
    step();
    return ps_disk_system.open(state, path, mode, file);
}

static ps_status write_step(void *state, int file, const void *data, size_t len, size_t *written)
{
    step();
    return ps_disk_system.write(state, file, data, len, written);
}

static ps_status rename_step(void *state, const char *from, const char *to)
{
    step();
    return ps_disk_system.rename(state, from, to);
}

static ps_status rename_new_step(void *state, const char *from, const char *to)
{
    step();
    return ps_disk_system.rename_new(state, from, to);
}

static ps_status unlink_step(void *state, const char *path)
{
    step();
    return ps_disk_system.unlink(state, path);
}

static ps_disk killing_disk(void)
{
    ps_disk disk = ps_disk_system;
    disk.open = open_step;
    disk.write = write_step;
    disk.rename = rename_step;
    disk.rename_new = rename_new_step;
    disk.unlink = unlink_step;
    return disk;
}

/* What cert create-client --force does. */
static ps_status create_anew(const ps_disk *disk)
{
    return ps_certificate_create_client(&(ps_leaf_request){.ca_cert_file = "ca.pem",
                                                           .ca_key_file = "ca.key",
                                                           .role = PS_ROLE_WORKER,
                                                           .name = "w1",
                                                           .cert_file = "w1.pem",
                                                           .key_file = "w1.key",
                                                           .force = true,
                                                           .disk = disk});
}

/* Kills it at its first step, its second, and so on, until it comes to its end. */
static void kill_everywhere(ps_status (*write)(const ps_disk *disk))
{
    const ps_disk disk = killing_disk();
    int how = 1;
    unsigned settled = 0;
    for (kill_at = 1; how; kill_at++) {
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (!child)
            _exit(write(&disk) ? 1 : 0);
        ck_assert_int_eq(waitpid(child, &how, 0), child);
        ck_assert(how == 0 || WEXITSTATUS(how) == 9);
        expect_usable();
        settled += !shell("openssl x509 -in w1.pem -noout -pubkey >a; openssl pkey -in w1.key "
                          "-pubout >b; cmp a b");
        if (kill_at % 2 == 0) { /* the other times the next one is killed as well */
            ck_ok(write(NULL));
            expect_usable();
            expect_pair();
        }
    }
    ck_assert_uint_ge(kill_at, 10);
    ck_assert_uint_ge(settled, 1); /* between the two */
    ck_ok(write(NULL));
    expect_pair();
    ck_assert(shell("! ls w1.*.lock w1.*.old"));
}

START_TEST(wherever_it_is_killed_there_is_a_pair)
{
    begin();
    kill_everywhere(renew);
    end();
}
END_TEST

START_TEST(wherever_a_new_one_is_killed_there_is_a_pair)
{
    begin();
    kill_everywhere(create_anew);
    end();
}
END_TEST

/* Whoever reads it by its own name finds what was cut off, and so does the next who writes it. */
START_TEST(wherever_one_is_killed_that_names_it_by_a_link_there_is_a_pair)
{
    begin();
    ck_assert(shell("mkdir links; ln -s ../w1.key links/key; ln -s ../w1.pem links/cert"));
    files.key = "links/key";
    files.cert = "links/cert";
    kill_everywhere(renew);
    ck_assert(shell("[ $(ls links | wc -l) = 2 ] && rm -r links"));
    files.key = "w1.key";
    files.cert = "w1.pem";
    end();
}
END_TEST

START_TEST(a_lock_that_somebody_else_has_is_left_to_him)
{
    ps_pem_renewal *first = NULL, *second = NULL;
    begin();
    ck_ok(ps_pem_renewal_begin(&files, &first));
    ck_assert(shell("rm w1.key.lock")); /* by somebody who thinks that it is left over */
    ck_ok(ps_pem_renewal_begin(&files, &second));
    ps_pem_renewal_free(&first);
    ck_assert_int_eq(access("w1.key.lock", F_OK), 0);
    ps_pem_renewal_free(&second);
    ck_assert(shell("! ls *.lock *.next"));
    ck_assert(shell("mkfifo w1.key.lock"));
    ck_assert_int_eq(ps_pem_renewal_begin(&files, &first), PS_INVALID_ARGUMENT);
    ck_assert(shell("rm w1.key.lock"));
    end();
}
END_TEST

/* ---- two at once ---- */

enum { RENEWALS = 12 };

static pid_t renew_in_another_process(const ps_disk *disk, int times)
{
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child)
        return child;
    for (int i = 0; i < times; i++)
        if (renew(disk))
            _exit(1);
    _exit(0);
}

/* One of them is killed at each of its steps while the other goes on. */
START_TEST(two_at_once_wait_for_each_other_and_a_kill_costs_nothing)
{
    const ps_disk disk = killing_disk();
    int how = 1, other;
    begin();
    for (kill_at = 1; how; kill_at++) {
        done = 0;
        pid_t killed = renew_in_another_process(&disk, 1);
        pid_t lasting = renew_in_another_process(NULL, 2);
        ck_assert_int_eq(waitpid(killed, &how, 0), killed);
        ck_assert_int_eq(waitpid(lasting, &other, 0), lasting);
        ck_assert(how == 0 || WEXITSTATUS(how) == 9);
        ck_assert_int_eq(other, 0);
        expect_usable();
    }
    ck_assert_uint_ge(kill_at, 10);
    pid_t one = renew_in_another_process(NULL, RENEWALS);
    pid_t two = renew_in_another_process(NULL, RENEWALS);
    ck_assert_int_eq(waitpid(one, &how, 0), one);
    ck_assert_int_eq(waitpid(two, &other, 0), two);
    ck_assert_int_eq(how | other, 0);
    expect_usable();
    expect_pair();
    ck_assert(shell("! ls w1.*.lock"));
    end();
}
END_TEST

START_TEST(who_cannot_wait_is_told_for_whom)
{
    ps_pem_renewal *first = NULL, *second = NULL;
    char who[64];
    begin();
    ck_assert(shell("ln -s w1.key other.key"));
    ck_ok(ps_pem_renewal_begin(&files, &first));
    (void)snprintf(who, sizeof who, "by another process: process %ld;", (long)getpid());
    ps_pem_renewal_files with = files;
    with.key = "other.key"; /* of another name, the same file */
    ck_assert_int_eq(ps_pem_renewal_begin(&with, &second), PS_UNAVAILABLE);
    ck_assert_msg(strstr(ps_error_message(), who) && !strchr(ps_error_message(), '\n'), "%s",
                  ps_error_message());
    ck_assert_int_eq(create_anew(NULL), PS_UNAVAILABLE);
    ps_pem_renewal_free(&first);
    ck_ok(ps_pem_renewal_begin(&with, &second));
    ps_pem_renewal_free(&second);
    ck_assert(shell("! ls *.lock *.next && rm other.key"));
    expect_pair();
    end();
}
END_TEST

/* ---- read meanwhile ---- */

enum { WRITTEN = 60 };

/* How many. */
static void *write_pairs(void *count)
{
    int *written = count;
    while (*written < WRITTEN && !renew(NULL))
        ++*written;
    return NULL;
}

START_TEST(who_reads_while_it_is_replaced_has_a_pair)
{
    pthread_t writer;
    int written = 0;
    begin();
    ck_assert_int_eq(pthread_create(&writer, NULL, write_pairs, &written), 0);
    do
        expect_usable();
    while (pthread_tryjoin_np(writer, NULL) != 0);
    ck_assert_int_eq(written, WRITTEN);
    expect_pair();
    end();
}
END_TEST

/* ---- what is not begun ---- */

static void refuse(const ps_pem_renewal_files *with, ps_status wanted, const char *words)
{
    ps_pem_renewal *renewal = NULL;
    ps_status st = ps_pem_renewal_begin(with, &renewal);
    ck_assert_msg(st == wanted && strstr(ps_error_message(), words), "%s: %s", ps_status_name(st),
                  ps_error_message());
}

START_TEST(what_cannot_be_written_is_not_asked_for)
{
    begin();
    refuse(&(ps_pem_renewal_files){.cert = "w1.pem", .key = "w2.key", .ca = "ca.pem"},
           PS_FAILED_PRECONDITION, "private key w2.key does not belong to w1.pem");
    ck_assert(shell("cat w1.pem w1.key >both.pem; chmod 600 both.pem"));
    refuse(&(ps_pem_renewal_files){.cert = "both.pem", .key = "both.pem", .ca = "ca.pem"},
           PS_FAILED_PRECONDITION, "both.pem holds certificate and key");
    refuse(&(ps_pem_renewal_files){.cert = "/dev/null", .key = "w1.key", .ca = "ca.pem"},
           PS_FAILED_PRECONDITION, "/dev/null is no file");
    refuse(&(ps_pem_renewal_files){.cert = "none.pem", .key = "w1.key", .ca = "ca.pem"},
           PS_NOT_FOUND, "none.pem");
    ps_pem_renewal_files with = files;
    fault_disk faults;
    ps_disk disk = fault_disk_table(&faults);
    with.disk = &disk;
    fault_at(&faults.fails, 1); /* as a folder that is read-only */
    refuse(&with, PS_IO, "w1.key.next");
    ck_assert(shell("rm both.pem"));
    expect_pair();
    end();
}
END_TEST

START_TEST(an_answer_that_was_not_asked_for_changes_nothing)
{
    begin();
    ps_pem_renewal *renewal = NULL;
    ck_assert(shell("sha256sum w1.* >before"));
    static const char *const bad[][2] = {
        {"cat w2.pem >chain", "is for another key"},
        {"echo hello >chain", "holds no PEM certificate"},
        {"head -c 70000 /dev/zero >chain", "has 70000 bytes, at most 65536"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ps_buf chain = PS_BUF_EMPTY;
        ck_assert(shell(bad[i][0]));
        ck_ok(ps_disk_read_file(&ps_disk_system, "chain", 1 << 20, &chain));
        ck_ok(ps_pem_renewal_begin(&files, &renewal));
        ck_assert_int_ne(ps_pem_renewal_finish(renewal, ps_buf_slice(&chain), 0), PS_OK);
        ck_assert_msg(strstr(ps_error_message(), bad[i][1]), "%s", ps_error_message());
        ps_pem_renewal_free(&renewal);
        ps_buf_free(&chain);
        expect_pair();
        ck_assert(shell("sha256sum -c before"));
    }
    end();
}
END_TEST

static const ps_check_case tests[] = {
    {&a_new_pair_takes_the_place_of_the_old_one, 60, .one_thread = true},
    {&keys_keep_their_type, 60, .one_thread = true},
    {&whatever_fails_there_is_a_pair, 60, .one_thread = true},
    {&wherever_it_is_killed_there_is_a_pair, 60, .one_thread = true},
    {&wherever_one_is_killed_that_names_it_by_a_link_there_is_a_pair, 60, .one_thread = true},
    {&a_lock_that_somebody_else_has_is_left_to_him, 60, .one_thread = true},
    {&wherever_a_new_one_is_killed_there_is_a_pair, 60, .one_thread = true},
    {&two_at_once_wait_for_each_other_and_a_kill_costs_nothing, 60, .one_thread = true},
    {&who_cannot_wait_is_told_for_whom, 60, .one_thread = true},
    {&who_reads_while_it_is_replaced_has_a_pair, 60},
    {&what_cannot_be_written_is_not_asked_for, 60, .one_thread = true},
    {&an_answer_that_was_not_asked_for_changes_nothing, 60, .one_thread = true},
    {0},
};

int main(void)
{
    return ps_check_main("security/pem_renewal", tests);
}
