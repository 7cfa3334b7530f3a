/* crl_list: the certificate revocation lists in force: one of each CA that has one, verified.
 *
 * A file holds one or more CRLs (PEM), each of a CA of the CA file. A ps_crl_list is counted, never
 * changes, and costs 32 bytes an entry; asking it is a search by halving, whatever its size, and
 * verifies nothing again. What a CRL must be: crl.h.
 *
 *     st = ps_crl_list_read("ca.crl", ca, &list);             // of the CA, signed by it
 *     if (!st)
 *         st = ps_crl_list_check_dates(list, time(NULL));      // in force now
 *     if (!st)
 *         st = ps_crl_list_check(list, chain);                 // nobody of the chain is revoked
 *
 * Calls other than ps_crl_list_read do not block. Any thread. */
#ifndef PS_SECURITY_CRL_LIST_H
#define PS_SECURITY_CRL_LIST_H

#include "common/base/status.h"

#include <stddef.h>
#include <stdint.h>

struct stack_st_X509;
struct x509_st;

typedef struct ps_crl_list ps_crl_list;

/* ca: whose CRLs are wanted, as ps_pem_read_certificates gives them; borrowed. On failure one line
 * says which file, what is wrong with it and what to do: PS_NOT_FOUND and the like, PS_CORRUPT (no
 * PEM CRL, damaged, changed), PS_UNIMPLEMENTED (not a complete one), PS_FAILED_PRECONDITION (of
 * another CA, or two of one). A CA without a CRL is a warning in the log: what it signed is not
 * looked at. Dates are not looked at here. *out is one reference. */
PS_MUST_CHECK ps_status ps_crl_list_read(const char *path, struct stack_st_X509 *ca,
                                         ps_crl_list **out);
ps_crl_list *ps_crl_list_ref(ps_crl_list *list);
void ps_crl_list_unref(ps_crl_list **list); /* clears *list; NULL is fine */

/* PS_FAILED_PRECONDITION: one of them has expired at `now` (seconds since 1970), or is not in force
 * yet: "CRL FILE expired on …". */
PS_MUST_CHECK ps_status ps_crl_list_check_dates(const ps_crl_list *list, int64_t now);
/* May it take the place of `before`? PS_FAILED_PRECONDITION: of a CA that both know it has an older
 * CRL (by crlNumber), another one of the same number, or none. */
PS_MUST_CHECK ps_status ps_crl_list_check_newer(const ps_crl_list *list, const ps_crl_list *before);
/* The same CRLs, to the byte? */
bool ps_crl_list_same(const ps_crl_list *a, const ps_crl_list *b);

/* Is one of the chain's certificates revoked? The chain is a verified one: the leaf first, each
 * followed by its issuer, a root last. PS_UNAUTHENTICATED: "certificate of spiffe://lab/worker/x
 * was revoked on 2026-01-01 12:00:00 UTC (keyCompromise)". */
PS_MUST_CHECK ps_status ps_crl_list_check(const ps_crl_list *list,
                                          const struct stack_st_X509 *chain);

/* Was it, or one that it was renewed from or that was renewed from that, revoked? By whatever CA.
 * PS_UNAUTHENTICATED likewise. Goes through all entries. */
PS_MUST_CHECK ps_status ps_crl_list_check_line(const ps_crl_list *list, struct x509_st *cert);

struct ps_crl;
/* The first one of the file: for who makes the next (crl_issue.c). */
const struct ps_crl *ps_crl_list_first(const ps_crl_list *list);

/* For people and metrics: of the CRL that ends first. */
typedef struct ps_crl_facts {
    const char *path;                 /* the list's */
    const char *number;               /* its CRL number as text; the list's */
    uint64_t entries;                 /* of all CRLs together */
    int64_t this_update, next_update; /* seconds since 1970 */
} ps_crl_facts;
ps_crl_facts ps_crl_list_facts(const ps_crl_list *list);

#endif
