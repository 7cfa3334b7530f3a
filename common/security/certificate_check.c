/* certificate_check: psd's own conditions on a certificate, and OpenSSL's verdicts in words. */
#include "common/security/certificate_check.h"

#include "common/security/certificate.h"

#include <openssl/x509v3.h>
#include <stdio.h>

static const char *use_text(ps_certificate_use use)
{
    return use == PS_CERTIFICATE_FOR_SERVER ? "a server (serverAuth)" : "a client (clientAuth)";
}

/* OpenSSL takes a certificate without the extension as one for everything; psd does not. */
static bool has_usage(X509 *cert, ps_certificate_use use)
{
    uint32_t wanted = use == PS_CERTIFICATE_FOR_SERVER ? XKU_SSL_SERVER : XKU_SSL_CLIENT;
    return (X509_get_extension_flags(cert) & EXFLAG_XKUSAGE) &&
           (X509_get_extended_key_usage(cert) & wanted);
}

ps_status ps_certificate_check(X509 *cert, ps_certificate_use use, const char *cluster,
                               ps_role_set roles, ps_identity *out)
{
    ps_identity who = {0};
    ps_status st = ps_certificate_identity(cert, &who);
    if (st)
        return st;
    char text[PS_IDENTITY_TEXT_MAX], allowed[80];
    ps_identity_format(&who, text);
    if (!has_usage(cert, use))
        return ps_fail(PS_UNAUTHENTICATED, "certificate of %s is not one for %s", text,
                       use_text(use));
    if (cluster && strcmp(cluster, who.cluster) != 0)
        return ps_fail(PS_UNAUTHENTICATED, "certificate of %s is of cluster %s, not of ours, %s",
                       text, who.cluster, cluster);
    if (!(roles & PS_ROLE_BIT(who.role)))
        return ps_fail(PS_PERMISSION_DENIED, "role %s may not connect here (%s); allowed roles: %s",
                       ps_role_name(who.role), text,
                       ps_role_set_text(roles, allowed, sizeof allowed));
    *out = who;
    return PS_OK;
}

/* "certificate of spiffe://…", "CA certificate", or "certificate" of somebody without identity */
static void subject_text(X509 *cert, int depth, char *out, size_t size)
{
    ps_identity who;
    char text[PS_IDENTITY_TEXT_MAX];
    if (depth > 0 || !cert)
        (void)snprintf(out, size, "%s", depth > 0 ? "CA certificate" : "certificate");
    else if (ps_certificate_identity(cert, &who) == PS_OK)
        (void)snprintf(out, size, "certificate of %s", ps_identity_format(&who, text));
    else
        (void)snprintf(out, size, "certificate");
}

static void explain_dates(X509 *cert, int error, const char *subject, char *out, size_t size)
{
    char when[PS_CERTIFICATE_TIME_MAX];
    if (error == X509_V_ERR_CERT_HAS_EXPIRED)
        (void)snprintf(out, size, "%s expired on %s", subject,
                       ps_certificate_time_text(ps_certificate_not_after(cert), when));
    else
        (void)snprintf(out, size, "%s is not in force before %s (is a clock wrong?)", subject,
                       ps_certificate_time_text(ps_certificate_not_before(cert), when));
}

void ps_certificate_explain(X509_STORE_CTX *store, ps_certificate_use use, const char *host,
                            char *out, size_t size)
{
    int error = X509_STORE_CTX_get_error(store);
    X509 *cert = X509_STORE_CTX_get_current_cert(store);
    if (!cert)
        cert = X509_STORE_CTX_get0_cert(store);
    char subject[PS_IDENTITY_TEXT_MAX + 32], names[200];
    subject_text(cert, X509_STORE_CTX_get_error_depth(store), subject, sizeof subject);
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        explain_dates(cert, error, subject, out, size);
        return;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        (void)snprintf(out, size, "%s is signed by an unknown CA (issuer %s)", subject,
                       ps_certificate_issuer_text(cert, names, sizeof names));
        return;
    case X509_V_ERR_INVALID_PURPOSE:
        (void)snprintf(out, size, "%s is not one for %s", subject, use_text(use));
        return;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        (void)snprintf(out, size, "%s is for %s, not for %s", subject,
                       ps_certificate_hosts_text(cert, names, sizeof names), host ? host : "us");
        return;
    default:
        (void)snprintf(out, size, "%s: %s", subject, X509_verify_cert_error_string(error));
    }
}
