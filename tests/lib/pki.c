#include "tests/lib/pki.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void must(ps_status st)
{
    ck_assert_msg(st == PS_OK, "%s", ps_error_message());
}

const char *ps_test_pki_path(const ps_test_pki *pki, const char *name, const char *suffix,
                             char out[PS_TEST_PATH_MAX])
{
    (void)snprintf(out, PS_TEST_PATH_MAX, "%s/%s%s", pki->folder, name, suffix);
    return out;
}

void ps_test_pki_open(ps_test_pki *pki, const char *cluster)
{
    (void)snprintf(pki->folder, sizeof pki->folder, "/tmp/psd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(pki->folder));
    char cert[PS_TEST_PATH_MAX], key[PS_TEST_PATH_MAX];
    must(ps_certificate_create_ca(&(ps_ca_request){
        .cluster = cluster,
        .cert_file = ps_test_pki_path(pki, "ca", ".pem", cert),
        .key_file = ps_test_pki_path(pki, "ca", ".key", key),
    }));
}

static int remove_cb(const char *path, const struct stat *s, int type, struct FTW *at)
{
    (void)s, (void)type, (void)at;
    return remove(path);
}

void ps_test_pki_close(ps_test_pki *pki)
{
    ck_assert_int_eq(nftw(pki->folder, remove_cb, 8, FTW_DEPTH | FTW_PHYS), 0);
}

int ps_test_pki_shell(const ps_test_pki *pki, const char *command, char *out, size_t size)
{
    char line[4096];
    (void)snprintf(line, sizeof line, "cd %s && (%s) 2>&1", pki->folder, command);
    FILE *pipe = popen(line, "r");
    ck_assert_ptr_nonnull(pipe);
    size_t n = fread(out, 1, size - 1, pipe);
    out[n] = 0;
    return pclose(pipe);
}

void ps_test_pki_expect(const ps_test_pki *pki, const char *command, bool good, const char *part)
{
    char out[8192];
    int rc = ps_test_pki_shell(pki, command, out, sizeof out);
    ck_assert_msg((rc == 0) == good, "%s: status %d\n%s", command, rc, out);
    ck_assert_msg(strstr(out, part) != NULL, "%s: '%s' is not in\n%s", command, part, out);
}

ps_status ps_test_pki_crl(const ps_test_pki *pki, ps_crl_request request, ps_crl_result *out)
{
    char ca[PS_TEST_PATH_MAX], key[PS_TEST_PATH_MAX];
    request.ca_cert_file = ps_test_pki_path(pki, "ca", ".pem", ca);
    request.ca_key_file = ps_test_pki_path(pki, "ca", ".key", key);
    return ps_crl_issue(&request, out);
}

/* Fills the files in and hands the request to create_server or create_client. */
static void create(const ps_test_pki *pki, ps_leaf_request request,
                   ps_status (*create_leaf)(const ps_leaf_request *))
{
    char ca[PS_TEST_PATH_MAX], ca_key[PS_TEST_PATH_MAX];
    char cert[PS_TEST_PATH_MAX], key[PS_TEST_PATH_MAX];
    request.ca_cert_file = ps_test_pki_path(pki, "ca", ".pem", ca);
    request.ca_key_file = ps_test_pki_path(pki, "ca", ".key", ca_key);
    request.cert_file = ps_test_pki_path(pki, request.name, ".pem", cert);
    request.key_file = ps_test_pki_path(pki, request.name, ".key", key);
    must(create_leaf(&request));
}

void ps_test_pki_server_at(const ps_test_pki *pki, const char *name, const char *host,
                           int64_t not_before, int64_t not_after)
{
    const char *hosts[] = {host, "127.0.0.1"};
    create(pki,
           (ps_leaf_request){
               .name = name,
               .hosts = hosts,
               .n_hosts = 2,
               .validity = {not_before, not_after},
           },
           ps_certificate_create_server);
}

void ps_test_pki_server(const ps_test_pki *pki, const char *name, const char *host)
{
    ps_test_pki_server_at(pki, name, host, 0, 0);
}

void ps_test_pki_client_at(const ps_test_pki *pki, ps_role role, const char *name,
                           int64_t not_before, int64_t not_after)
{
    create(pki, (ps_leaf_request){.role = role, .name = name, .validity = {not_before, not_after}},
           ps_certificate_create_client);
}

void ps_test_pki_client(const ps_test_pki *pki, ps_role role, const char *name)
{
    ps_test_pki_client_at(pki, role, name, 0, 0);
}

ps_tls_context *ps_test_pki_context(const ps_test_pki *pki, ps_tls_side side, const char *name)
{
    char ca[PS_TEST_PATH_MAX], cert[PS_TEST_PATH_MAX], key[PS_TEST_PATH_MAX];
    ps_tls_context *context = NULL;
    must(ps_tls_context_new(
        &(ps_tls_options){
            .side = side,
            .ca_file = ps_test_pki_path(pki, "ca", ".pem", ca),
            .cert_file = ps_test_pki_path(pki, name, ".pem", cert),
            .key_file = ps_test_pki_path(pki, name, ".key", key),
            .unchecked = true,
        },
        &context));
    return context;
}
