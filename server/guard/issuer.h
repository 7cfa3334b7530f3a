/* issuer: new certificates for who has one that still holds, for another key and a short time. Who
 * signs is said by psd.yaml's identity.signer:
 *
 *     file:PATH       a CA's key, which psd reads each time; for small clusters. What it issues
 *                     stands in the list beside it (issued.h)
 *     exec:PROGRAM    a hook: PROGRAM IDENTITY SECONDS, with PSD_IDENTITY and PSD_LIFE_SECONDS in
 *                     its environment and the request (PEM) on its standard input, prints the chain
 *                     (PEM, the certificate first) within PS_ISSUER_PATIENCE_MS
 *
 * Whoever signs, nothing leaves here that is not the same identity as before, for the key of the
 * request, in force now, signed by a CA of tls.ca and of the life that was asked for. Any thread,
 * off the loops: it blocks. */
#ifndef PS_GUARD_ISSUER_H
#define PS_GUARD_ISSUER_H

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/landlock.h"
#include "common/security/certificate.h"
#include "common/transport/tls/tls_holder.h"

enum {
    PS_ISSUER_PATIENCE_MS = 10000,
    PS_ISSUER_AT_ONCE = 4 /* more wait for their turn elsewhere: the pool has others' work */
};

typedef struct ps_issuer_conf {
    const char *source;   /* "file:…", "exec:…" */
    const char *ca_file;  /* tls.ca */
    uint64_t leaf_ms;     /* the life of a certificate */
    unsigned patience_ms; /* 0: PS_ISSUER_PATIENCE_MS */
    ps_tls_holder *tls;   /* whose CRLs say who gets none; borrowed. NULL: nobody is looked up */
} ps_issuer_conf;

typedef struct ps_issuer ps_issuer;

/* PS_INVALID_ARGUMENT: no such kind of signer, with those that there are. */
PS_MUST_CHECK ps_status ps_issuer_check(const char *source);
/* What signing takes. */
void ps_issuer_allow(const char *source, ps_landlock *landlock);
/* Could it sign? A key is read, and held against the CAs; of a program, whether it may be run. */
PS_MUST_CHECK ps_status ps_issuer_try(const ps_issuer_conf *conf);
/* The same, for keeps. Texts are copied, the clock is borrowed. */
PS_MUST_CHECK ps_status ps_issuer_open(const ps_issuer_conf *conf, const ps_clock *clock,
                                       ps_issuer **out);
void ps_issuer_close(ps_issuer **signer); /* NULL is nothing */

/* What was made of `request` (DER) for who has `cert`: the chain as PEM, appended, and what its
 * certificate says (ps_certificate_info_clear). PS_INVALID_ARGUMENT, PS_PERMISSION_DENIED: see
 * certificate_request.h; PS_UNAUTHENTICATED: it was
 * revoked, or one of its line was (ps_certificate_line); PS_RESOURCE_EXHAUSTED: more than
 * PS_RENEWALS of an identity within the life of a certificate, or another one is under way;
 * PS_UNAVAILABLE: the signer did not do it, as the log says, or too many are at it. */
PS_MUST_CHECK ps_status ps_issuer_renew(ps_issuer *signer, struct x509_st *cert, ps_slice request,
                                        ps_buf *chain, ps_certificate_info *made);

#endif
