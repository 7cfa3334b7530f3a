/* A certificate out of any DER: what it says is read within bounds and is printable. */
#include "common/security/certificate.h"
#include "common/security/certificate_check.h"

#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require_printable(const char *text, size_t size)
{
    if (strnlen(text, size) == size)
        abort();
    for (; *text; text++)
        if (*text < 0x20 || *text > 0x7e)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *at = data;
    X509 *cert = d2i_X509(NULL, &at, (long)size);
    if (!cert)
        return 0;
    ps_certificate_info info;
    ps_certificate_describe(cert, &info);
    require_printable(info.subject, sizeof info.subject);
    require_printable(info.issuer, sizeof info.issuer);
    require_printable(info.identity_error, sizeof info.identity_error);
    for (size_t i = 0; i < info.n_hosts; i++)
        require_printable(info.hosts[i], 256);
    char hosts[100];
    require_printable(ps_certificate_hosts_text(cert, hosts, sizeof hosts), sizeof hosts);
    ps_identity who;
    bool known = ps_certificate_identity(cert, &who) == PS_OK;
    if (!info.is_ca && known != info.has_identity)
        abort();
    bool accepted = ps_certificate_check(cert, PS_CERTIFICATE_FOR_CLIENT, "lab", PS_ROLES_CLIENTS,
                                         &who) == PS_OK;
    if (accepted && (!known || !info.for_client || strcmp(who.cluster, "lab") != 0 ||
                     who.role == PS_ROLE_SERVER))
        abort();
    ps_certificate_info_clear(&info);
    X509_free(cert);
    return 0;
}
