/* A CRL out of any DER: refused, or what OpenSSL reads in it too: as many entries, the same dates,
 * and each found by its serial number. */
#include "common/security/crl.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm utc;
    return ASN1_TIME_to_tm(time, &utc) == 1 ? (int64_t)timegm(&utc) : -1;
}

static bool serial_of(const ASN1_INTEGER *number, uint8_t out[PS_CRL_SERIAL])
{
    size_t len = (size_t)ASN1_STRING_length(number);
    memset(out, 0, PS_CRL_SERIAL);
    if (ASN1_STRING_type(number) == V_ASN1_NEG_INTEGER || len > PS_CRL_SERIAL)
        return false;
    memcpy(out + PS_CRL_SERIAL - len, ASN1_STRING_get0_data(number), len);
    return true;
}

static void same_entries(const ps_crl *ours, X509_CRL *theirs)
{
    STACK_OF(X509_REVOKED) *list = X509_CRL_get_REVOKED(theirs);
    int n = sk_X509_REVOKED_num(list);
    require(ours->n_entries == (size_t)(n < 0 ? 0 : n));
    for (int i = 0; i < n; i++) {
        uint8_t serial[PS_CRL_SERIAL];
        const X509_REVOKED *one = sk_X509_REVOKED_value(list, i);
        require(serial_of(X509_REVOKED_get0_serialNumber(one), serial));
        const ps_crl_entry *found = ps_crl_find(ours, serial);
        require(found && !memcmp(found->serial, serial, PS_CRL_SERIAL));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_crl ours;
    ps_slice der = ps_slice_of(data, size);
    if (ps_crl_parse(der, &ours))
        return 0;
    require(ours.tbs.data >= data && ours.tbs.data + ours.tbs.len <= data + size);
    for (size_t i = 1; i < ours.n_entries; i++)
        require(memcmp(ours.entries[i - 1].serial, ours.entries[i].serial, PS_CRL_SERIAL) <= 0);
    const uint8_t *at = data;
    X509_CRL *theirs = d2i_X509_CRL(NULL, &at, (long)size); /* it looks into names, we do not */
    if (theirs) {
        require(X509_CRL_get_version(theirs) == X509_CRL_VERSION_2);
        require(seconds_of(X509_CRL_get0_lastUpdate(theirs)) == ours.this_update);
        require(seconds_of(X509_CRL_get0_nextUpdate(theirs)) == ours.next_update);
        same_entries(&ours, theirs);
    }
    ERR_clear_error();
    X509_CRL_free(theirs);
    ps_crl_clear(&ours);
    return 0;
}
