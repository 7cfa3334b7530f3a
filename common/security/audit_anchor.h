/* audit_anchor: a line of an audit log that is signed, and with it all lines before:
 *
 *     {"time":…,"event":"anchor","head":"4711:HEX","signer":"HEX of a certificate","sig":"BASE64",
 *      "certificates":["BASE64",…],"seq":4712,"prev":"HEX"}
 *
 * head is the line before (seq and prev say the same), signer the SHA-256 of a certificate in DER,
 * and sig its key's signature over
 *
 *     psd audit anchor LF TIME LF 4711:HEX LF
 *
 * with SHA-256: ECDSA in DER (RFC 3279, 2.2.3), PKCS #1 v1.5 of an RSA key; Ed25519 as it is.
 * certificates are the signer's and those above it but the root, the signer's first: in the first
 * anchor of a file, and in the first of another signer. So each file can be checked after the
 * server's certificate was renewed, by who has the CA's alone.
 *
 * Writing: any thread; a check is used by one at a time (not asserted: plain data of whoever has
 * it). */
#ifndef PS_SECURITY_AUDIT_ANCHOR_H
#define PS_SECURITY_AUDIT_ANCHOR_H

#include "common/json/json.h"
#include "common/security/audit_chain.h"
#include "common/security/identity.h"

struct x509_st;
struct evp_pkey_st;
struct stack_st_X509;

/* Whose it is; all borrowed. */
typedef struct ps_anchor_signer {
    struct x509_st *certificate;
    struct evp_pkey_st *key;     /* its */
    struct stack_st_X509 *above; /* certificates between it and the CA's; NULL: none */
} ps_anchor_signer;

void ps_anchor_signer_id(const ps_anchor_signer *signer, char out[PS_DIGEST_TEXT]);

/* The members of an anchor behind "time", which is `time`, up to where seq and prev follow. show:
 * with the certificates. PS_INTERNAL: the key cannot sign. */
PS_MUST_CHECK ps_status ps_anchor_write(const ps_anchor_signer *signer, const char *time,
                                        const ps_audit_head *head, bool show, ps_json_writer *w);

/* ---- checking ---- */

typedef struct ps_anchor_check ps_anchor_check;

/* What anchors must be signed by; NULL: not looked at. */
typedef struct ps_anchor_trust {
    const char *ca; /* PEM file: by a server whose certificate this CA has signed, and which
                       was in force at the time of the anchor */
    const char *certificate; /* PEM file: by the key of its first certificate, whatever its dates */
} ps_anchor_trust;

/* PS_NOT_FOUND and the like: a file of `trust` cannot be read. */
PS_MUST_CHECK ps_status ps_anchor_check_new(const ps_anchor_trust *trust, ps_anchor_check **out);
void ps_anchor_check_free(ps_anchor_check **check);
/* A line whose seq and prev (its own) are right. One that is no anchor is PS_OK. PS_CORRUPT: its
 * signature is not of what is there, or not of whom it should be. */
PS_MUST_CHECK ps_status ps_anchor_check_line(ps_anchor_check *check, ps_slice line,
                                             const ps_audit_head *before);

typedef struct ps_anchor_found {
    uint64_t anchors;
    uint64_t signed_to; /* number of the last line that is signed for: the one before an anchor */
    char time[40];      /* of that anchor */
    unsigned signers;   /* certificates that signed; */
    ps_identity signer; /* the last one's identity: name "" where it has none, */
    char signer_id[PS_DIGEST_TEXT]; /* and its SHA-256 */
} ps_anchor_found;
void ps_anchor_check_found(const ps_anchor_check *check, ps_anchor_found *out);

#endif
