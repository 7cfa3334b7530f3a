/* crl_issue: a CA's revocation list is kept beside it: what `psctl cert revoke` and `psctl cert
 * crl` do.
 *
 * The CRL is all the state there is: the next one has the entries of the last, its number plus one,
 * and what is revoked now; entries whose certificates are known (issued.h) to have ended before the
 * last one was made are left out (RFC 5280 section 5). It is version 2, PEM, of at most seven days,
 * signed with ECDSA and SHA-256, and there whole or not at all. Whoever changes it holds the lock
 * of the CA's list meanwhile. Calls block. Any thread, any process.
 *
 *     const char *names[] = {"w1"};
 *     ps_crl_request request = {.ca_cert_file = "ca.pem", .ca_key_file = "ca.key",
 *                               .names = names, .n_names = 1, .reason = PS_CRL_KEY_COMPROMISE};
 *     st = ps_crl_issue(&request, &result);                   // writes ca.crl */
#ifndef PS_SECURITY_CRL_ISSUE_H
#define PS_SECURITY_CRL_ISSUE_H

#include "common/base/disk.h"
#include "common/security/crl.h"
#include "common/security/identity.h"

enum { PS_CRL_DAYS_MAX = 7 };

typedef struct ps_crl_request {
    const char *ca_cert_file, *ca_key_file;
    /* Who: all certificates of a holder that have not ended (NAME, ROLE/NAME, or spiffe://…), the
     * certificate in a file, or that of a serial number (hexadecimal). None: a new list of what is
     * revoked already. */
    const char *const *names, *const *files, *const *serials;
    size_t n_names, n_files, n_serials;
    uint8_t reason;      /* PS_CRL_… */
    int days;            /* until the next one must come, 1 to PS_CRL_DAYS_MAX; 0: the most */
    const ps_disk *disk; /* that the CRL is written to; NULL: ps_disk_system */
} ps_crl_request;

typedef struct ps_crl_revoked {
    char identity[PS_IDENTITY_TEXT_MAX]; /* "": not known (by serial, and not in the list) */
    ps_crl_entry entry;
    bool already; /* it was revoked before, as entry says */
} ps_crl_revoked;

typedef struct ps_crl_result {
    char *file; /* CA.crl; owned */
    char number[PS_CRL_NUMBER_TEXT];
    size_t entries;
    int64_t next_update;
    ps_crl_revoked *revoked; /* in the order of the request; owned */
    size_t n_revoked;
    bool written;        /* false: all were revoked already, and the CRL is as it was */
    int64_t listed_from; /* the list of what the CA issued begins then; 0: it is complete */
} ps_crl_result;

/* PS_NOT_FOUND: no certificate of that name (and what to do where the CA is older than its list);
 * PS_INVALID_ARGUMENT: a name of several roles, a file that is not of this CA, no serial number;
 * PS_FAILED_PRECONDITION: all certificates of the name have ended, or the CRL that is there is not
 * the CA's. Nothing is written then. */
PS_MUST_CHECK ps_status ps_crl_issue(const ps_crl_request *request, ps_crl_result *out);
void ps_crl_result_clear(ps_crl_result *result);

#endif
