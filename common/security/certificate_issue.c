/* certificate_issue: requests into certificate and key files.
 *
 * Happy path: check the request, read the CA, make a key, build and sign, write both files
 * (pem_pair.h). Everything that can be wrong is found before the first byte is written. */
#include "common/security/certificate_issue.h"

#include "common/base/host.h"
#include "common/base/mem.h"
#include "common/base/target.h"
#include "common/security/authority.h"
#include "common/security/certificate.h"
#include "common/security/certificate_build.h"
#include "common/security/crypto_error.h"
#include "common/security/issued.h"
#include "common/security/pem_file.h"
#include "common/security/pem_pair.h"
#include "common/security/signer.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define DAY_S 86400

static ps_status check_absent(const char *file, bool force)
{
    if (!file || !*file)
        return ps_fail(PS_INVALID_ARGUMENT, "a certificate file and a key file are needed");
    if (!force && access(file, F_OK) == 0)
        return ps_fail(PS_ALREADY_EXISTS, "%s exists already; --force replaces it", file);
    return PS_OK;
}

static ps_status check_files(const char *cert_file, const char *key_file, bool force)
{
    ps_status st = check_absent(cert_file, force);
    if (!st)
        st = check_absent(key_file, force);
    if (!st && (strcmp(cert_file, key_file) == 0 || ps_target_same(cert_file, key_file)))
        st = ps_fail(PS_INVALID_ARGUMENT, "certificate and key need two files, not one: %s",
                     cert_file);
    return st;
}

/* A client named "ca" and --force must not be the end of the CA. */
static ps_status check_not_authority(const ps_leaf_request *request)
{
    const char *written[] = {request->cert_file, request->key_file};
    for (int i = 0; i < 2; i++)
        if (ps_target_same(written[i], request->ca_cert_file) ||
            ps_target_same(written[i], request->ca_key_file))
            return ps_fail(PS_INVALID_ARGUMENT, "%s is a file of the CA itself; choose another",
                           written[i]);
    return PS_OK;
}

/* From some minutes ago on, for machines whose clocks are behind; but a leaf not before its CA. */
static ps_status set_validity(ps_certificate_facts *facts, ps_validity asked, int64_t earliest,
                              int days, int most)
{
    if (!days)
        days = most;
    if (days < 1 || days > most)
        return ps_fail(PS_INVALID_ARGUMENT, "%d days: at least 1, at most %d", days, most);
    int64_t begin = (int64_t)time(NULL) - PS_CERTIFICATE_SLACK_S;
    begin = begin < earliest ? earliest : begin;
    facts->not_before = asked.not_before ? asked.not_before : begin;
    facts->not_after =
        asked.not_after ? asked.not_after : facts->not_before + (int64_t)days * DAY_S;
    if (facts->not_after <= facts->not_before ||
        facts->not_after - facts->not_before > (int64_t)most * DAY_S)
        return ps_fail(PS_INVALID_ARGUMENT, "validity: more than 0 and at most %d days", most);
    return PS_OK;
}

/* Makes a key and its certificate and writes both. issuer NULL: self-signed; ca_file is its
 * certificate's. */
static ps_status issue(const ps_certificate_facts *facts, const ps_authority *issuer,
                       const char *ca_file, ps_pem_pair *to)
{
    ps_status st = ps_certificate_new_key(&to->key);
    if (!st)
        st = ps_certificate_build(facts, to->key, issuer ? issuer->cert : NULL,
                                  issuer ? issuer->key : NULL, &to->cert);
    if (!st && issuer)
        st = ps_issued_add(ca_file, issuer->cert, to->cert);
    if (!st)
        st = ps_pem_pair_write(to);
    if (!st && !issuer)
        st = ps_issued_begin(ca_file, to->cert);
    X509_free(to->cert);
    EVP_PKEY_free(to->key);
    return st;
}

ps_status ps_certificate_create_ca(const ps_ca_request *request)
{
    if (!request->cluster)
        return ps_fail(PS_INVALID_ARGUMENT, "the cluster's name is needed");
    ps_status st = ps_identity_check_part("cluster", ps_slice_str(request->cluster));
    if (!st)
        st = check_files(request->cert_file, request->key_file, request->force);
    if (st)
        return st;
    char uri[PS_IDENTITY_TEXT_MAX];
    (void)snprintf(uri, sizeof uri, "spiffe://%s", request->cluster);
    ps_certificate_facts facts = {
        .cluster = request->cluster,
        .common_name = request->signers ? "psd signers CA" : "psd CA",
        .uri = uri,
        .is_ca = true,
        .for_signing = request->signers,
    };
    st = set_validity(&facts, request->validity, 0, request->days, PS_CA_DAYS);
    ps_pem_pair to = {
        .cert_file = request->cert_file, .key_file = request->key_file, .force = request->force};
    return st ? st : issue(&facts, NULL, request->cert_file, &to);
}

/* Each kind of CA issues its own kind of leaves. */
static ps_status check_kind(const ps_leaf_request *request, X509 *ca, ps_role role)
{
    if (ps_signer_is_for_code(ca) == (role == PS_ROLE_SIGNER))
        return PS_OK;
    return role == PS_ROLE_SIGNER
               ? ps_fail(PS_INVALID_ARGUMENT,
                         "CA certificate %s: is not one of signers; 'psctl cert create-signer' "
                         "makes one",
                         request->ca_cert_file)
               : ps_fail(PS_INVALID_ARGUMENT,
                         "CA certificate %s: is one of signers, and nobody who connects has a "
                         "certificate of it",
                         request->ca_cert_file);
}

static ps_status create_leaf(const ps_leaf_request *request, ps_role role)
{
    ps_authority ca = {0};
    ps_identity who;
    char uri[PS_IDENTITY_TEXT_MAX];
    ps_status st = check_files(request->cert_file, request->key_file, request->force);
    if (!st)
        st = ps_authority_read(request->ca_cert_file, request->ca_key_file, &ca);
    if (!st)
        st = check_kind(request, ca.cert, role);
    if (!st)
        st = check_not_authority(request);
    const char *name = request->name ? request->name : request->n_hosts ? request->hosts[0] : "";
    if (!st)
        st = ps_identity_make(ca.cluster, role, name, &who);
    if (st)
        goto out;
    ps_certificate_facts facts = {
        .cluster = ca.cluster,
        .unit = ps_role_name(role),
        .common_name = name,
        .uri = ps_identity_format(&who, uri),
        .hosts = request->hosts,
        .n_hosts = request->n_hosts,
        .for_server = role == PS_ROLE_SERVER,
        .for_client = role != PS_ROLE_SERVER && role != PS_ROLE_SIGNER,
        .for_signing = role == PS_ROLE_SIGNER,
    };
    bool signs = role == PS_ROLE_SIGNER;
    st = set_validity(&facts, request->validity, ps_certificate_not_before(ca.cert),
                      request->days ? request->days
                      : signs       ? PS_SIGNER_DAYS
                                    : 0,
                      signs ? PS_SIGNER_DAYS_MAX : PS_LEAF_DAYS_MAX);
    if (!st) {
        int64_t last = ps_certificate_not_after(ca.cert);
        facts.not_after =
            facts.not_after < last ? facts.not_after : last; /* no longer than the CA */
        ps_pem_pair to = {.cert_file = request->cert_file,
                          .key_file = request->key_file,
                          .force = request->force,
                          .disk = request->disk};
        st = issue(&facts, &ca, request->ca_cert_file, &to);
    }
out:
    ps_authority_clear(&ca);
    return st;
}

ps_status ps_certificate_create_server(const ps_leaf_request *request)
{
    if (!request->n_hosts || request->n_hosts > PS_CERTIFICATE_HOSTS_MAX)
        return ps_fail(PS_INVALID_ARGUMENT, "a server needs 1 to %d hosts (--host), not %zu",
                       PS_CERTIFICATE_HOSTS_MAX, request->n_hosts);
    char *hosts[PS_CERTIFICATE_HOSTS_MAX];
    ps_leaf_request plain = *request;
    ps_status st = PS_OK;
    for (size_t i = 0; i < request->n_hosts; i++) {
        hosts[i] = ps_strdup(request->hosts[i]);
        ps_host_drop_dot(hosts[i]);
        if (!st)
            st = ps_certificate_check_host(hosts[i]);
    }
    plain.hosts = (const char *const *)hosts;
    if (!st)
        st = create_leaf(&plain, PS_ROLE_SERVER);
    for (size_t i = 0; i < request->n_hosts; i++)
        ps_free(&hosts[i]);
    return st;
}

ps_status ps_certificate_create_client(const ps_leaf_request *request)
{
    if (request->role <= PS_ROLE_NONE || request->role >= PS_ROLE_COUNT ||
        !(PS_ROLES_CLIENTS & PS_ROLE_BIT(request->role)))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "a client's role is worker, submitter, observer or admin");
    if (!request->name)
        return ps_fail(PS_INVALID_ARGUMENT, "a client needs a name (--name)");
    if (request->n_hosts)
        return ps_fail(PS_INVALID_ARGUMENT, "a client's certificate has no hosts");
    return create_leaf(request, request->role);
}

ps_status ps_certificate_create_signer(const ps_leaf_request *request)
{
    if (!request->name)
        return ps_fail(PS_INVALID_ARGUMENT, "a signer needs a name (--name)");
    if (request->n_hosts)
        return ps_fail(PS_INVALID_ARGUMENT, "a signer's certificate has no hosts");
    return create_leaf(request, PS_ROLE_SIGNER);
}
