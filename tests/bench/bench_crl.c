/* bench_crl: what a list of revoked certificates costs by its length: to read it (once a list), and
 * to look a chain up in it (once a handshake, and once a live session when a list is read).
 *
 *     bench_crl [--json]                      0, 10,000 and 1,000,000 entries
 *     bench_crl --write CA.pem CA.key N FILE  a list of that CA, of N certificates that nobody has
 */
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/security/authority.h"
#include "common/security/certificate_issue.h"
#include "common/security/crl_build.h"
#include "common/security/crl_list.h"
#include "common/security/pem_file.h"

#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { LOOKS = 20000, DAY_S = 86400 };

static double seconds(void)
{
    return (double)ps_clock_ns(&ps_clock_system) * 1e-9;
}

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Serial numbers without order, as a CA's are. */
static ps_status write_list(const char *ca_file, const char *key_file, size_t n, const char *path)
{
    uint8_t number[PS_CRL_SERIAL] = {0};
    ps_authority ca = {0};
    ps_buf pem = PS_BUF_EMPTY;
    ps_crl_entry *entries = ps_alloc_array(n + 1, sizeof *entries);
    uint64_t state = 88172645463325252u;
    for (size_t i = 0; i < n; i++) {
        entries[i] = (ps_crl_entry){.at = (int64_t)time(NULL), .reason = PS_CRL_KEY_COMPROMISE};
        for (size_t k = 4; k < PS_CRL_SERIAL; k++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            entries[i].serial[k] = (uint8_t)state;
        }
    }
    ps_status st = ps_authority_read(ca_file, key_file, &ca);
    int64_t now = (int64_t)time(NULL) - 300;
    ps_put_u32be(number + PS_CRL_SERIAL - 4, (uint32_t)now); /* newer than any before */
    if (!st)
        st = ps_crl_build(&(ps_crl_plan){.this_update = now,
                                         .next_update = now + 7 * DAY_S,
                                         .number = number,
                                         .entries = entries,
                                         .n_entries = n},
                          &ca, &pem);
    FILE *f = st ? NULL : fopen(path, "w");
    if (!st && (!f || fwrite(pem.data, 1, pem.len, f) != pem.len || fclose(f) != 0))
        st = ps_fail(PS_IO, "%s: cannot be written", path);
    ps_authority_clear(&ca);
    ps_buf_free(&pem);
    ps_free(&entries);
    return st;
}

static ps_status measure(const char *folder, size_t n, bool json)
{
    char ca_file[300], key_file[300], path[300], leaf_file[300];
    (void)snprintf(ca_file, sizeof ca_file, "%s/ca.pem", folder);
    (void)snprintf(key_file, sizeof key_file, "%s/ca.key", folder);
    (void)snprintf(leaf_file, sizeof leaf_file, "%s/w.pem", folder);
    (void)snprintf(path, sizeof path, "%s/list.crl", folder);
    STACK_OF(X509) *ca = NULL, *chain = NULL;
    ps_crl_list *list = NULL;
    ps_status st = write_list(ca_file, key_file, n, path);
    if (!st)
        st = ps_pem_read_certificates(ca_file, "CA", &ca);
    if (!st)
        st = ps_pem_read_certificates(leaf_file, "leaf", &chain);
    if (!st && !sk_X509_push(chain, X509_dup(sk_X509_value(ca, 0))))
        st = PS_NO_MEMORY;
    double read_s = processor_seconds();
    if (!st)
        st = ps_crl_list_read(path, ca, &list);
    read_s = processor_seconds() - read_s;
    double look_s = seconds();
    for (int i = 0; i < LOOKS && !st; i++)
        st = ps_crl_list_check(list, chain);
    look_s = (seconds() - look_s) / LOOKS;
    if (!st)
        printf(json ? "{\"bench\": \"crl\", \"entries\": %zu, \"read_cpu_s\": %.4f, \"look_us\": "
                      "%.3f}\n"
                    : "crl, %zu entries: read in %.4f s of a processor, a chain looked up in %.3f "
                      "us\n",
               n, read_s, look_s * 1e6);
    ps_crl_list_unref(&list);
    sk_X509_pop_free(ca, X509_free);
    sk_X509_pop_free(chain, X509_free);
    (void)unlink(path);
    return st;
}

static ps_status make_certificates(const char *folder)
{
    char ca[300], key[300], leaf[300], leaf_key[300];
    (void)snprintf(ca, sizeof ca, "%s/ca.pem", folder);
    (void)snprintf(key, sizeof key, "%s/ca.key", folder);
    (void)snprintf(leaf, sizeof leaf, "%s/w.pem", folder);
    (void)snprintf(leaf_key, sizeof leaf_key, "%s/w.key", folder);
    ps_status st = ps_certificate_create_ca(
        &(ps_ca_request){.cluster = "bench", .cert_file = ca, .key_file = key});
    if (!st)
        st = ps_certificate_create_client(&(ps_leaf_request){.ca_cert_file = ca,
                                                             .ca_key_file = key,
                                                             .role = PS_ROLE_WORKER,
                                                             .name = "w",
                                                             .cert_file = leaf,
                                                             .key_file = leaf_key});
    return st;
}

static ps_status measure_all(bool json)
{
    static const size_t sizes[] = {0, 10000, 1000000};
    char folder[] = "/tmp/psd-bench-crl-XXXXXX", command[64];
    if (!mkdtemp(folder))
        return ps_fail(PS_IO, "no folder in /tmp");
    ps_status st = make_certificates(folder);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && !st; i++)
        st = measure(folder, sizes[i], json);
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) == 0 || st ? st : ps_fail(PS_IO, "%s stays", folder);
}

int main(int argc, char **argv)
{
    bool write = argc == 6 && !strcmp(argv[1], "--write");
    ps_status st = write ? write_list(argv[2], argv[3], (size_t)atof(argv[4]), argv[5])
                         : measure_all(argc == 2 && !strcmp(argv[1], "--json"));
    if (st)
        (void)fprintf(stderr, "bench_crl: %s\n", ps_error_message());
    return st ? 1 : 0;
}
