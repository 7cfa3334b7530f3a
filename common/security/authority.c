/* Happy path: certificate, key, and that they belong together. Fails with the file's name. */
#include "common/security/authority.h"

#include "common/base/mem.h"
#include "common/security/certificate.h"
#include "common/security/crypto_error.h"
#include "common/security/pem_file.h"

#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

static ps_status check(const char *file, const char *key_file, ps_authority *ca)
{
    char when[PS_CERTIFICATE_TIME_MAX];
    if (X509_check_ca(ca->cert) != 1)
        return ps_fail(PS_INVALID_ARGUMENT, "CA certificate %s: is not that of a CA", file);
    if (X509_check_private_key(ca->cert, ca->key) != 1)
        return ps_crypto_fail(PS_INVALID_ARGUMENT, "CA key %s does not belong to %s", key_file,
                              file);
    if (ps_certificate_not_after(ca->cert) < (int64_t)time(NULL))
        return ps_fail(PS_FAILED_PRECONDITION, "CA certificate %s expired on %s", file,
                       ps_certificate_time_text(ps_certificate_not_after(ca->cert), when));
    ps_status st = ps_certificate_cluster(ca->cert, ca->cluster);
    return st ? ps_wrap(PS_INVALID_ARGUMENT, "%s", file) : PS_OK;
}

ps_status ps_authority_read(const char *cert_file, const char *key_file, ps_authority *out)
{
    if (!cert_file || !key_file)
        return ps_fail(PS_INVALID_ARGUMENT, "the files of the CA certificate and key are needed");
    ps_status st = ps_pem_read_certificate(cert_file, "CA certificate", &out->cert);
    if (!st)
        st = ps_pem_read_key(key_file, &out->key);
    return st ? st : check(cert_file, key_file, out);
}

void ps_authority_clear(ps_authority *ca)
{
    X509_free(ca->cert);
    EVP_PKEY_free(ca->key);
    *ca = (ps_authority){0};
}

char *ps_authority_beside(const char *cert_file, const char *extension)
{
    const char *slash = strrchr(cert_file, '/'), *dot = strrchr(cert_file, '.');
    const char *name = slash ? slash + 1 : cert_file;
    size_t stem = dot && dot > name ? (size_t)(dot - cert_file) : strlen(cert_file);
    return ps_asprintf("%.*s.%s", (int)stem, cert_file, extension);
}
