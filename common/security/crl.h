/* crl: one certificate revocation list, RFC 5280 section 5, out of its DER: facts and entries in a
 * form that is small (32 bytes an entry) and found by halving. For crl_list.c, crl_issue.c and
 * their tests; everybody else asks a ps_crl_list.
 *
 * What is read is hostile until its signature is verified (crl_list.h): sizes are bounded by the
 * bytes given. Complete lists of their own issuer only: a delta, a list of some reasons or of other
 * issuers' certificates, and whatever else is critical and unknown, is refused: taking it for a
 * complete one would let the revoked in. Any thread. */
#ifndef PS_SECURITY_CRL_H
#define PS_SECURITY_CRL_H

#include "common/base/slice.h"
#include "common/base/status.h"
#include "common/security/certificate.h"

/* RFC 5280 section 5.3.1, in its order; the name is what people write and read. */
#define PS_CRL_REASON_TABLE(X)                      \
    X(UNSPECIFIED, 0, "unspecified")                \
    X(KEY_COMPROMISE, 1, "keyCompromise")           \
    X(CA_COMPROMISE, 2, "cACompromise")             \
    X(AFFILIATION_CHANGED, 3, "affiliationChanged") \
    X(SUPERSEDED, 4, "superseded")                  \
    X(CESSATION, 5, "cessationOfOperation")         \
    X(HOLD, 6, "certificateHold")                   \
    X(PRIVILEGE_WITHDRAWN, 9, "privilegeWithdrawn") \
    X(AUTHORITY_COMPROMISE, 10, "aACompromise")
enum {
#define X(upper, number, name) PS_CRL_##upper = (number),
    PS_CRL_REASON_TABLE(X)
#undef X
        PS_CRL_REMOVE = 8, /* in deltas alone */
};

enum {
    PS_CRL_SERIAL = PS_CERTIFICATE_SERIAL, /* also of a list's number */
    PS_CRL_NUMBER_TEXT = 64,               /* bytes that hold either as text */
    PS_CRL_MOST = 128 << 20,               /* bytes of a file: two million entries */
};

typedef struct ps_crl_entry {
    int64_t at;                    /* revoked then; seconds since 1970 */
    uint8_t serial[PS_CRL_SERIAL]; /* big-endian, zeros before */
    uint8_t reason;                /* PS_CRL_… */
} ps_crl_entry;

typedef struct ps_crl {
    ps_slice tbs;       /* what is signed */
    ps_slice algorithm; /* AlgorithmIdentifier */
    ps_slice signature;
    ps_slice issuer; /* Name; these four are in the bytes that were given */
    int64_t this_update, next_update;
    uint8_t number[PS_CRL_SERIAL];
    ps_crl_entry *entries; /* by serial; owned */
    size_t n_entries;
} ps_crl;

/* PS_CORRUPT: it is none; PS_UNIMPLEMENTED: it is one of a kind that is not complete (see above);
 * PS_NO_MEMORY. The message is for after "CRL FILE: ". */
PS_MUST_CHECK ps_status ps_crl_parse(ps_slice der, ps_crl *out);
void ps_crl_clear(ps_crl *crl);
/* NULL: not revoked. */
const ps_crl_entry *ps_crl_find(const ps_crl *crl, const uint8_t serial[PS_CRL_SERIAL]);
/* Sorts by serial, as ps_crl.entries are. */
void ps_crl_sort(ps_crl_entry *entries, size_t n);

/* "keyCompromise"; "reason 42" for a number without a name: then it is in out. */
const char *ps_crl_reason_text(uint8_t reason, char out[16]);
/* By its name; false: there is none such. */
bool ps_crl_reason_parse(const char *name, uint8_t *out);
/* Decimal while it fits 64 bits, else hexadecimal with 0x. Returns out. */
const char *ps_crl_number_text(const uint8_t number[PS_CRL_SERIAL], char out[PS_CRL_NUMBER_TEXT]);
/* Hexadecimal, as `psctl cert inspect` and openssl show a serial (colons and 0x may be there).
 * PS_INVALID_ARGUMENT. */
PS_MUST_CHECK ps_status ps_crl_serial_parse(const char *text, uint8_t out[PS_CRL_SERIAL]);
/* The other way; returns out. */
const char *ps_crl_serial_text(const uint8_t serial[PS_CRL_SERIAL], char out[PS_CRL_NUMBER_TEXT]);

#endif
