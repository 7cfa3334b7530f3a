/* bundle: the file model.sig: a statement in a DSSE envelope with its signature, and what says
 * whose it is (a Sigstore bundle, section 4 of OpenSSF Model Signing v1.0), JSON:
 *
 *     {"mediaType":…,"verificationMaterial":{"publicKey":{"hint":…} or "x509CertificateChain":{…},
 *      "tlogEntries":[]},"dsseEnvelope":{"payloadType":…,"payload":BASE64,"signatures":[{"sig":…}]}}
 *
 * What is signed is not the JSON but DSSE's encoding of type and payload. Any thread. */
#ifndef PS_SIGNING_BUNDLE_H
#define PS_SIGNING_BUNDLE_H

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/base/status.h"

#include <stddef.h>

enum { PS_BUNDLE_MOST = 16 << 20, PS_BUNDLE_CERTIFICATES = 8 };

typedef enum ps_bundle_method {
    PS_BUNDLE_KEY,         /* hint: which */
    PS_BUNDLE_CERTIFICATE, /* certificates: the leaf, then those above it */
    PS_BUNDLE_SIGSTORE,    /* certificates: one of an hour, and a log's word for it */
} ps_bundle_method;

typedef struct ps_bundle {
    ps_bundle_method method;
    ps_buf hint;
    ps_buf certificates[PS_BUNDLE_CERTIFICATES]; /* DER */
    size_t n_certificates;
    ps_buf payload;   /* the statement */
    ps_buf signature; /* DER */
} ps_bundle;

void ps_bundle_free(ps_bundle *bundle);
void ps_bundle_write(const ps_bundle *bundle, ps_buf *out);
/* PS_CORRUPT: what is wrong with it. *out is empty then; ps_bundle_free it otherwise. */
PS_MUST_CHECK ps_status ps_bundle_read(ps_slice json, ps_bundle *out);

/* What is signed: DSSE's pre-authentication encoding,
 * "DSSEv1 LEN(type) type LEN(payload) payload". */
void ps_bundle_signed(ps_slice payload, ps_buf *out);

#endif
