/* certificate_issue: makes certificates and their keys: what `psctl cert create-…` does.
 *
 * Keys are P-256, made here with OpenSSL's generator, written 0600 without pass phrase;
 * certificates are PEM, 0644, with random 128-bit serials, signed with ECDSA and SHA-256. A file is
 * there whole or not at all; when one of the two files of a request exists already, nothing is
 * written unless `force` is set. Any thread.
 *
 *     ps_ca_request ca = {.cluster = "lab", .cert_file = "ca.pem", .key_file = "ca.key"};
 *     st = ps_certificate_create_ca(&ca);
 *     const char *hosts[] = {"localhost", "127.0.0.1"};
 *     ps_leaf_request server = {.ca_cert_file = "ca.pem", .ca_key_file = "ca.key",
 *                               .cert_file = "psd.pem", .key_file = "psd.key",
 *                               .name = "psd", .hosts = hosts, .n_hosts = 2};
 *     st = ps_certificate_create_server(&server);
 */
#ifndef PS_SECURITY_CERTIFICATE_ISSUE_H
#define PS_SECURITY_CERTIFICATE_ISSUE_H

#include "common/base/disk.h"
#include "common/security/identity.h"

#include <stddef.h>
#include <stdint.h>

#define PS_CA_DAYS       3650
#define PS_LEAF_DAYS_MAX 90
/* A signature is good for no longer than its certificate: who signs for years needs one of years,
 * and keeps its key off the machines that others reach. */
#define PS_SIGNER_DAYS     1095
#define PS_SIGNER_DAYS_MAX 3650

/* Seconds since 1970. Zeroes, which is what everybody but a test wants: from five minutes ago on,
 * for clocks that are behind, for the request's days from then on. With not_before alone: for the
 * days from that on. */
typedef struct ps_validity {
    int64_t not_before, not_after;
} ps_validity;

typedef struct ps_ca_request {
    const char *cluster; /* becomes the URI SAN spiffe://CLUSTER */
    const char *cert_file, *key_file;
    int days;     /* 0: PS_CA_DAYS */
    bool signers; /* it issues signers' certificates, and no others */
    bool force;
    ps_validity validity;
} ps_ca_request;

typedef struct ps_leaf_request {
    const char *ca_cert_file, *ca_key_file; /* the cluster is that of the CA certificate */
    ps_role role;                           /* create_client only; not PS_ROLE_SERVER */
    const char *name;                       /* server: NULL takes the first host */
    const char *const *hosts;               /* server only: DNS names and addresses, 1 to 64 */
    size_t n_hosts;
    const char *cert_file, *key_file;
    int days; /* 0: PS_LEAF_DAYS_MAX, which is also the most; of a signer the two of its own */
    bool force;
    ps_validity validity;
    const ps_disk *disk; /* that the files are written to; NULL: ps_disk_system */
} ps_leaf_request;

/* CA:TRUE, path length 0, keyCertSign. */
PS_MUST_CHECK ps_status ps_certificate_create_ca(const ps_ca_request *request);
/* spiffe://CLUSTER/server/NAME, the hosts, serverAuth. */
PS_MUST_CHECK ps_status ps_certificate_create_server(const ps_leaf_request *request);
/* spiffe://CLUSTER/ROLE/NAME, clientAuth. */
PS_MUST_CHECK ps_status ps_certificate_create_client(const ps_leaf_request *request);
/* spiffe://CLUSTER/signer/NAME, codeSigning. PS_INVALID_ARGUMENT: the CA is not one of signers: who
 * trusts the CA of a cluster's connections must not thereby trust whom it lets in to sign models.
 */
PS_MUST_CHECK ps_status ps_certificate_create_signer(const ps_leaf_request *request);

#endif
