/* What certificate_issue makes, judged by the openssl command, which knows nothing of psd. */
#include "common/security/certificate.h"
#include "common/security/certificate_issue.h"

#include "tests/lib/check_main.h"
#include "tests/lib/fault_disk.h"
#include "tests/lib/pki.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DAY_S 86400

static ps_test_pki pki;

static void expect_output(const char *command, int status, const char *part)
{
    ps_test_pki_expect(&pki, command, status == 0, part);
}

static const char *at(const char *name, char out[PS_TEST_PATH_MAX])
{
    return ps_test_pki_path(&pki, name, "", out);
}

static unsigned mode_of(const char *name)
{
    char path[PS_TEST_PATH_MAX];
    struct stat s;
    ck_assert_int_eq(stat(at(name, path), &s), 0);
    return s.st_mode & 07777;
}

START_TEST(a_ca_is_a_ca_for_leaves_only)
{
    ps_test_pki_open(&pki, "lab");
    const char *text = "openssl x509 -in ca.pem -noout -text";
    expect_output(text, 0, "CA:TRUE, pathlen:0");
    expect_output(text, 0, "Certificate Sign, CRL Sign");
    expect_output(text, 0, "URI:spiffe://lab\n");
    expect_output(text, 0, "NIST CURVE: P-256");
    expect_output(text, 0, "Signature Algorithm: ecdsa-with-SHA256");
    expect_output("openssl verify -x509_strict -CAfile ca.pem ca.pem", 0, "ca.pem: OK");
    expect_output("openssl x509 -in ca.pem -noout -checkend $((3649 * 86400))", 0,
                  "will not expire");
    expect_output("openssl x509 -in ca.pem -noout -checkend $((3651 * 86400))", 1, "will expire");
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(a_server_certificate_serves_its_hosts)
{
    ps_test_pki_open(&pki, "lab");
    char ca[PS_TEST_PATH_MAX], ca_key[PS_TEST_PATH_MAX], cert[PS_TEST_PATH_MAX],
        key[PS_TEST_PATH_MAX];
    const char *hosts[] = {"psd.lab.example", "*.lab.example", "10.1.2.3", "2001:db8::7"};
    ps_leaf_request request = {
        .ca_cert_file = at("ca.pem", ca),
        .ca_key_file = at("ca.key", ca_key),
        .hosts = hosts,
        .n_hosts = 4,
        .cert_file = at("s.pem", cert),
        .key_file = at("s.key", key),
    };
    ck_assert_msg(ps_certificate_create_server(&request) == PS_OK, "%s", ps_error_message());
    const char *text = "openssl x509 -in s.pem -noout -text";
    expect_output(text, 0,
                  "URI:spiffe://lab/server/psd.lab.example, DNS:psd.lab.example, "
                  "DNS:*.lab.example, IP Address:10.1.2.3, IP Address:2001:DB8:0:0:0:0:0:7");
    expect_output(text, 0, "TLS Web Server Authentication\n");
    expect_output(text, 0, "CA:FALSE");
    expect_output(text, 0, "Digital Signature\n");
    const char *verify = "openssl verify -x509_strict -CAfile ca.pem -purpose ";
    char line[256];
    (void)snprintf(line, sizeof line, "%s sslserver -verify_ip 10.1.2.3 s.pem", verify);
    expect_output(line, 0, "s.pem: OK");
    (void)snprintf(line, sizeof line, "%s sslserver -verify_hostname x.lab.example s.pem", verify);
    expect_output(line, 0, "s.pem: OK");
    (void)snprintf(line, sizeof line, "%s sslserver -verify_hostname other s.pem", verify);
    expect_output(line, 1, "hostname mismatch");
    (void)snprintf(line, sizeof line, "%s sslclient s.pem", verify);
    expect_output(line, 1, "unsuitable certificate purpose");
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(a_client_certificate_is_for_clients_for_90_days)
{
    ps_test_pki_open(&pki, "lab");
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w1");
    const char *text = "openssl x509 -in w1.pem -noout -text";
    expect_output(text, 0, "URI:spiffe://lab/worker/w1\n");
    expect_output(text, 0, "TLS Web Client Authentication\n");
    expect_output("openssl verify -x509_strict -purpose sslclient -CAfile ca.pem w1.pem", 0, "OK");
    expect_output("openssl verify -purpose sslserver -CAfile ca.pem w1.pem", 1,
                  "unsuitable certificate purpose");
    expect_output("openssl x509 -in w1.pem -noout -checkend $((89 * 86400))", 0, "will not expire");
    expect_output("openssl x509 -in w1.pem -noout -checkend $((90 * 86400 + 60))", 1,
                  "will expire");
    expect_output("openssl pkey -in w1.key -noout -text", 0, "NIST CURVE: P-256");
    expect_output("openssl x509 -in w1.pem -noout -pubkey > a; openssl pkey -in w1.key -pubout > b;"
                  " cmp a b && echo same",
                  0, "same");
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(key_files_are_for_their_owner)
{
    umask(0);
    ps_test_pki_open(&pki, "lab");
    ps_test_pki_client(&pki, PS_ROLE_ADMIN, "root");
    ck_assert_uint_eq(mode_of("ca.key"), 0600);
    ck_assert_uint_eq(mode_of("root.key"), 0600);
    ck_assert_uint_eq(mode_of("ca.pem"), 0644);
    ck_assert_uint_eq(mode_of("root.pem"), 0644);
    expect_output("ls | wc -l", 0, "5"); /* no temporary file is left */
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(serials_are_128_random_bits)
{
    ps_test_pki_open(&pki, "lab");
    char names[8][8], path[PS_TEST_PATH_MAX], serials[8][48];
    size_t longest = 0;
    for (size_t i = 0; i < 8; i++) {
        ps_certificate_info info;
        (void)snprintf(names[i], sizeof names[i], "w%zu", i);
        ps_test_pki_client(&pki, PS_ROLE_WORKER, names[i]);
        ck_ok(ps_certificate_inspect(ps_test_pki_path(&pki, names[i], ".pem", path), &info));
        memcpy(serials[i], info.serial, sizeof info.serial);
        longest = strlen(info.serial) > longest ? strlen(info.serial) : longest;
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(serials[i], serials[j]);
        ps_certificate_info_clear(&info);
    }
    ck_assert_uint_eq(longest, 32);
    ps_test_pki_close(&pki);
}
END_TEST

static ps_status client_into(const char *cert_name, const char *key_name, bool force)
{
    char ca[PS_TEST_PATH_MAX], ca_key[PS_TEST_PATH_MAX], cert[PS_TEST_PATH_MAX],
        key[PS_TEST_PATH_MAX];
    return ps_certificate_create_client(&(ps_leaf_request){
        .ca_cert_file = at("ca.pem", ca),
        .ca_key_file = at("ca.key", ca_key),
        .role = PS_ROLE_WORKER,
        .name = "w1",
        .cert_file = at(cert_name, cert),
        .key_file = at(key_name, key),
        .force = force,
    });
}

START_TEST(nothing_is_overwritten_without_force)
{
    ps_test_pki_open(&pki, "lab");
    ck_ok(client_into("w.pem", "w.key", false));
    expect_output("cat *.pem *.key > /dev/null; sha256sum w.pem w.key > before; echo ok", 0, "ok");
    ck_assert_int_eq(client_into("w.pem", "w.key", false), PS_ALREADY_EXISTS);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "w.pem exists already; --force replaces it"));
    ck_assert_int_eq(client_into("new.pem", "w.key", false), PS_ALREADY_EXISTS);
    ck_assert_int_eq(client_into("w.pem", "new.key", false), PS_ALREADY_EXISTS);
    expect_output("sha256sum -c before; ls", 0, "w.pem: OK\nw.key: OK");
    expect_output("test ! -e new.pem && test ! -e new.key && echo none", 0, "none");
    ck_ok(client_into("w.pem", "w.key", true));
    expect_output("sha256sum -c before", 1, "FAILED");
    ck_assert_uint_eq(mode_of("w.key"), 0600);
    ck_assert_int_eq(client_into("w.pem", "w.pem", true), PS_INVALID_ARGUMENT);
    ck_assert_int_eq(client_into("ca.pem", "w.key", true), PS_INVALID_ARGUMENT);
    ck_assert_int_eq(client_into("w.pem", "./ca.key", true), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "ca.key is a file of the CA itself"));
    ck_assert_int_eq(client_into("no/such.pem", "x.key", false), PS_NOT_FOUND);
    expect_output("test ! -e x.key && echo none", 0, "none"); /* the key went with it */
    ps_test_pki_close(&pki);
}
END_TEST

/* Of the pair in w.pem and w.key: is it a pair, and the one from before? */
static bool is_pair(void)
{
    char out[512];
    return ps_test_pki_shell(
               &pki,
               "openssl x509 -in w.pem -noout -pubkey > a && openssl pkey -in w.key -pubout > b && "
               "cmp a b",
               out, sizeof out) == 0;
}

static ps_status renew(const ps_disk *disk)
{
    char ca[PS_TEST_PATH_MAX], ca_key[PS_TEST_PATH_MAX], cert[PS_TEST_PATH_MAX],
        key[PS_TEST_PATH_MAX];
    return ps_certificate_create_client(&(ps_leaf_request){
        .ca_cert_file = at("ca.pem", ca),
        .ca_key_file = at("ca.key", ca_key),
        .role = PS_ROLE_WORKER,
        .name = "w1",
        .cert_file = at("w.pem", cert),
        .key_file = at("w.key", key),
        .force = true,
        .disk = disk,
    });
}

START_TEST(whatever_fails_key_and_certificate_belong_together)
{
    fault_disk faults;
    ps_disk disk = fault_disk_table(&faults);
    unsigned long k = 0, kept = 0, done = 0;
    char out[512];
    ps_test_pki_open(&pki, "lab");
    ck_ok(client_into("w.pem", "w.key", false));
    expect_output("chmod 0640 w.key; sha256sum w.pem w.key > before; ls > names; echo ok", 0, "ok");
    do {
        fault_at(&faults.fails, ++k);
        ps_status st = renew(&disk);
        ck_assert(is_pair());
        expect_output("rm a b; ls | diff - names && echo nothing", 0, "nothing");
        bool same = ps_test_pki_shell(&pki, "sha256sum -c before", out, sizeof out) == 0;
        if (same) /* the one from before, with its mode */
            expect_output("stat -c %a w.key", 0, "640");
        else
            expect_output("chmod 0640 w.key; sha256sum w.pem w.key > before; echo ok", 0, "ok");
        ck_assert(st || !same);
        kept += st && same;
        done += st && !same; /* only that it is on disk was not said */
    } while (fault_struck(&faults.fails));
    ck_assert_uint_ge(kept, 8);
    ck_assert_uint_ge(done, 2);
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(what_somebody_has_kept_as_old_stays)
{
    ps_test_pki_open(&pki, "lab");
    ck_ok(client_into("w.pem", "w.key", false));
    expect_output("cp w.key w.key.old; cp w.pem w.pem.old; echo mine > w.key.old.2;"
                  "sha256sum w.*.old* > before; ls > names; echo ok",
                  0, "ok");
    ck_ok(renew(NULL));
    ck_assert(is_pair());
    expect_output("rm a b; sha256sum --quiet -c before && ls | diff - names && ! cmp -s w.key "
                  "w.key.old && echo kept",
                  0, "kept");
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(a_first_pair_is_there_whole_or_not_at_all)
{
    fault_disk faults;
    ps_disk disk = fault_disk_table(&faults);
    unsigned long k = 0;
    ps_test_pki_open(&pki, "lab");
    do {
        fault_at(&faults.fails, ++k);
        if (renew(&disk))
            expect_output("ls w.* 2>&1", 1, "No such file");
        else
            ck_assert(is_pair());
        expect_output("rm -f w.* a b; echo ok", 0, "ok");
    } while (fault_struck(&faults.fails));
    ck_assert_uint_ge(k, 9);
    ps_test_pki_close(&pki);
}
END_TEST

static void expect_bad(ps_leaf_request r, ps_status (*create)(const ps_leaf_request *),
                       const char *says)
{
    char ca[PS_TEST_PATH_MAX], key[PS_TEST_PATH_MAX], out[PS_TEST_PATH_MAX], out2[PS_TEST_PATH_MAX];
    r.ca_cert_file = r.ca_cert_file ? r.ca_cert_file : at("ca.pem", ca);
    r.ca_key_file = r.ca_key_file ? r.ca_key_file : at("ca.key", key);
    r.cert_file = at("bad.pem", out);
    r.key_file = at("bad.key", out2);
    ck_assert_msg(create(&r) != PS_OK, "not refused: %s", says);
    ck_assert_msg(strstr(ps_error_message(), says) != NULL, "'%s' is not in '%s'", says,
                  ps_error_message());
    ck_assert_int_ne(access(out, F_OK), 0);
    ck_assert_int_ne(access(out2, F_OK), 0);
}

START_TEST(bad_requests_are_refused_and_write_nothing)
{
    ps_test_pki_open(&pki, "lab");
    const char *bad_hosts[] = {"a b",  "10.0.0.256", "",       "-x",
                               "x..y", "https://x",  "x/../y", "*.*.x"};
    for (size_t i = 0; i < sizeof bad_hosts / sizeof *bad_hosts; i++)
        expect_bad((ps_leaf_request){.name = "s", .hosts = &bad_hosts[i], .n_hosts = 1},
                   ps_certificate_create_server, "is neither a DNS name nor an address");
    expect_bad((ps_leaf_request){.name = "s"}, ps_certificate_create_server, "needs 1 to 64 hosts");
    const char *v6 = "::1";
    expect_bad((ps_leaf_request){.hosts = &v6, .n_hosts = 1}, ps_certificate_create_server,
               "name '::1' must start with");
    expect_bad((ps_leaf_request){.role = PS_ROLE_SERVER, .name = "x"}, ps_certificate_create_client,
               "role is worker, submitter, observer or admin");
    expect_bad((ps_leaf_request){.role = PS_ROLE_WORKER, .name = "W 1"},
               ps_certificate_create_client, "name 'W 1' must start with");
    expect_bad((ps_leaf_request){.role = PS_ROLE_WORKER}, ps_certificate_create_client,
               "needs a name");
    expect_bad((ps_leaf_request){.role = PS_ROLE_WORKER, .name = "w", .days = 91},
               ps_certificate_create_client, "91 days: at least 1, at most 90");
    expect_bad((ps_leaf_request){.role = PS_ROLE_WORKER,
                                 .name = "w",
                                 .validity = {1000000000, 1000000000 + 91 * DAY_S}},
               ps_certificate_create_client, "at most 90 days");
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w1");
    char leaf[PS_TEST_PATH_MAX], leaf_key[PS_TEST_PATH_MAX];
    ps_leaf_request of_leaf = {.role = PS_ROLE_WORKER, .name = "w"};
    of_leaf.ca_cert_file = at("w1.pem", leaf);
    of_leaf.ca_key_file = at("w1.key", leaf_key);
    expect_bad(of_leaf, ps_certificate_create_client, "is not that of a CA");
    of_leaf.ca_cert_file = NULL;
    expect_bad(of_leaf, ps_certificate_create_client, "does not belong to");
    of_leaf.ca_key_file = leaf; /* a certificate where a key must be */
    expect_bad(of_leaf, ps_certificate_create_client, "holds no PEM private key");
    of_leaf.ca_key_file = "/nowhere/ca.key";
    expect_bad(of_leaf, ps_certificate_create_client,
               "private key /nowhere/ca.key: No such file or directory");
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(certificates_are_in_force_from_some_minutes_ago)
{
    char path[PS_TEST_PATH_MAX], cert[PS_TEST_PATH_MAX], key[PS_TEST_PATH_MAX];
    ps_certificate_info ca, leaf;
    int64_t now = (int64_t)time(NULL);
    ps_test_pki_open(&pki, "lab");
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w1");
    ck_ok(ps_certificate_inspect(at("ca.pem", path), &ca));
    ck_ok(ps_certificate_inspect(at("w1.pem", path), &leaf));
    ck_assert_int_le(ca.not_before, now - 240);
    ck_assert_int_ge(ca.not_before, now - 600);
    ck_assert_int_le(ca.not_before, leaf.not_before);
    ck_assert_int_le(leaf.not_before, now - 240);
    ck_assert_int_eq(ca.not_after - ca.not_before, PS_CA_DAYS * DAY_S);
    ck_assert_int_eq(leaf.not_after - leaf.not_before, PS_LEAF_DAYS_MAX * DAY_S);
    ps_certificate_info_clear(&ca);
    ps_certificate_info_clear(&leaf);
    /* of a CA that began this second: not before it */
    ps_ca_request fresh = {.cluster = "lab",
                           .cert_file = at("fresh.pem", cert),
                           .key_file = at("fresh.key", key),
                           .validity = {.not_before = now}};
    ck_ok(ps_certificate_create_ca(&fresh));
    char leaf_cert[PS_TEST_PATH_MAX], leaf_key[PS_TEST_PATH_MAX];
    ps_leaf_request request = {.ca_cert_file = cert,
                               .ca_key_file = key,
                               .role = PS_ROLE_WORKER,
                               .name = "w2",
                               .cert_file = at("w2.pem", leaf_cert),
                               .key_file = at("w2.key", leaf_key)};
    ck_ok(ps_certificate_create_client(&request));
    ck_ok(ps_certificate_inspect(leaf_cert, &leaf));
    ck_assert_int_eq(leaf.not_before, now);
    ps_certificate_info_clear(&leaf);
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(an_expired_ca_signs_nothing)
{
    ps_test_pki_open(&pki, "lab");
    char cert[PS_TEST_PATH_MAX], key[PS_TEST_PATH_MAX];
    ps_ca_request request = {
        .cluster = "old",
        .cert_file = at("old.pem", cert),
        .key_file = at("old.key", key),
        .validity = {1000000000, 1000000000 + 30 * DAY_S},
    };
    ck_ok(ps_certificate_create_ca(&request));
    ps_leaf_request leaf = {
        .role = PS_ROLE_WORKER, .name = "w", .ca_cert_file = cert, .ca_key_file = key};
    expect_bad(leaf, ps_certificate_create_client, "expired on 2001-10-09 01:46:40 UTC");
    request.cluster = "Bad Name";
    ck_assert_int_eq(ps_certificate_create_ca(&request), PS_INVALID_ARGUMENT);
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(inspect_says_what_the_certificate_says)
{
    ps_test_pki_open(&pki, "lab");
    ps_test_pki_server(&pki, "psd", "localhost");
    ps_certificate_info info;
    char path[PS_TEST_PATH_MAX], out[256], text[PS_IDENTITY_TEXT_MAX];
    ck_ok(ps_certificate_inspect(at("psd.pem", path), &info));
    ck_assert(info.has_identity && !info.is_ca && info.for_server && !info.for_client);
    ck_assert_str_eq(ps_identity_format(&info.identity, text), "spiffe://lab/server/psd");
    ck_assert_uint_eq(info.n_hosts, 2);
    ck_assert_str_eq(info.hosts[0], "localhost");
    ck_assert_str_eq(info.hosts[1], "127.0.0.1");
    ck_assert_str_eq(info.key_type, "P-256");
    ck_assert_str_eq(info.subject, "O = lab, OU = server, CN = psd");
    ck_assert_str_eq(info.issuer, "O = lab, CN = psd CA");
    ck_assert_int_eq(info.not_after - info.not_before, 90 * DAY_S);
    ck_assert_int_ge(info.days_left, 89);
    ck_assert_int_le(info.days_left, 90);
    (void)ps_test_pki_shell(
        &pki,
        "openssl x509 -in psd.pem -noout -fingerprint -sha256 | cut -d= -f2 | tr -d ':\\n' "
        "| tr A-F a-f",
        out, sizeof out);
    ck_assert_str_eq(info.fingerprint, out);
    (void)ps_test_pki_shell(
        &pki, "openssl x509 -in psd.pem -noout -serial | cut -d= -f2 | tr -d '\\n' | tr A-F a-f",
        out, sizeof out);
    ck_assert_str_eq(info.serial, out);
    ps_certificate_info_clear(&info);
    ck_ok(ps_certificate_inspect(at("ca.pem", path), &info));
    ck_assert(info.is_ca && info.has_identity);
    ck_assert_str_eq(info.identity.cluster, "lab");
    ps_certificate_info_clear(&info);
    ck_assert_int_eq(ps_certificate_inspect(at("psd.key", path), &info), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "holds no PEM certificate"));
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(certificates_of_others_are_read_with_care)
{
    ps_test_pki_open(&pki, "lab");
    ps_certificate_info info;
    char path[PS_TEST_PATH_MAX], out[2048];
    static const struct {
        const char *san, *says;
    } foreign[] = {
        {"DNS:x", "has no URI name"},
        {"URI:spiffe://lab/worker/a,URI:spiffe://lab/admin/b", "has 2 URI names"},
        {"URI:https://lab/worker/a", "does not start with spiffe://"},
        {"dirName:d,email:a@b,RID:1.2.3", "has no URI name"},
    };
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        char command[512];
        (void)snprintf(command, sizeof command,
                       "printf '[req]\\ndistinguished_name=n\\n[n]\\n[e]\\nsubjectAltName=%s\\n"
                       "[d]\\nCN=z\\n' > c; openssl req -x509 -newkey rsa:2048 -nodes -days 1 "
                       "-keyout f.key -out f.pem -subj '/CN=a\\nb\x1b[1m' -config c -extensions e",
                       foreign[i].san);
        ck_assert_msg(ps_test_pki_shell(&pki, command, out, sizeof out) == 0, "%s", out);
        ck_ok(ps_certificate_inspect(at("f.pem", path), &info));
        ck_assert(!info.has_identity && !info.for_client && !info.for_server);
        ck_assert_msg(strstr(info.identity_error, foreign[i].says) != NULL, "%s",
                      info.identity_error);
        ck_assert_str_eq(info.key_type, "RSA 2048");
        ck_assert(!strchr(info.subject, '\n') && !strchr(info.subject, '\x1b'));
        ps_certificate_info_clear(&info);
    }
    ps_test_pki_close(&pki);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_ca_is_a_ca_for_leaves_only, 60},
    {&a_server_certificate_serves_its_hosts, 60},
    {&a_client_certificate_is_for_clients_for_90_days, 60},
    {&key_files_are_for_their_owner},
    {&serials_are_128_random_bits},
    {&nothing_is_overwritten_without_force, 60},
    {&whatever_fails_key_and_certificate_belong_together, 60},
    {&what_somebody_has_kept_as_old_stays, 60},
    {&a_first_pair_is_there_whole_or_not_at_all, 60},
    {&bad_requests_are_refused_and_write_nothing},
    {&certificates_are_in_force_from_some_minutes_ago},
    {&an_expired_ca_signs_nothing},
    {&inspect_says_what_the_certificate_says, 60},
    {&certificates_of_others_are_read_with_care, 60},
    {0},
};

int main(void)
{
    return ps_check_main("security/certificate_issue", cases);
}
