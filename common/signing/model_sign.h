/* model_sign: signs the folder of a model, and checks one: FOLDER/model.sig (OpenSSF Model Signing
 * v1.0), and beside it, where the folder has a psd-provenance.json, model.slsa.sig, which has that
 * in SLSA's words (slsa.h): a second bundle of the same signer about the same root, and no resource
 * of the first. PyPI's model-signing makes and checks the same files; the check here is stricter:
 * the certificate is a signer's, in force today and not revoked, and no file is there that is not
 * signed. Blocks; any thread, not on loops (not asserted: nothing here knows of them). */
#ifndef PS_SIGNING_MODEL_SIGN_H
#define PS_SIGNING_MODEL_SIGN_H

#include "common/base/buf.h"
#include "common/security/digest.h"
#include "common/security/identity.h"
#include "common/security/signer.h"

#include <stdbool.h>

#define PS_MODEL_SIGNATURE   "model.sig"
#define PS_MODEL_PROVENANCE  "psd-provenance.json"
#define PS_PROVENANCE_FORMAT "psd-provenance/" /* its format begins so; the version follows */
#define PS_MODEL_SLSA        ".slsa.sig" /* in place of .sig, or behind another name: model.slsa.sig */

typedef struct ps_model_signing {
    const char *folder;
    const char *signature;   /* the file; NULL: model.sig in the folder */
    const char *key;         /* the signer's, PEM */
    const char *certificate; /* its certificate, PEM, with those above it; NULL: a bundle by key */
    uint64_t shard_size; /* 0: by files, which every tool checks. Shards let several threads hash
                            one large file; model-signing 1.1.1 does not take those of the
                            specification, by its command or its library */
    bool force;          /* a signature that is there is replaced */
} ps_model_signing;

/* What was signed, or found to be. */
typedef struct ps_model_signed {
    char signer[PS_IDENTITY_TEXT_MAX]; /* whose certificate; "": by key, */
    char key[PS_DIGEST_TEXT];          /* which this names (ps_ecdsa_key_hint) */
    int64_t not_after;                 /* of the certificate */
    char root[PS_DIGEST_TEXT];         /* of the model: it names what was signed */
    size_t files;
    uint64_t bytes;
    bool shards;
    bool provenance; /* psd-provenance.json is one of them */
    bool slsa;       /* there is a model.slsa.sig */
} ps_model_signed;

PS_MUST_CHECK ps_status ps_model_sign(const ps_model_signing *request, ps_model_signed *out);

typedef struct ps_model_verifying {
    const char *folder;
    const char *signature;  /* NULL: model.sig in the folder */
    const char *public_key; /* PEM; NULL: by certificate, */
    ps_signer_trust trust;  /* whose it may be */
    const char *const
        *ignored; /* paths that need not be signed, a NULL behind the last; NULL: none */
} ps_model_verifying;

/* PS_CORRUPT: what does not agree, and where; PS_UNAUTHENTICATED: the certificate; PS_NOT_FOUND: no
 * signature, or a file that was signed. */
PS_MUST_CHECK ps_status ps_model_verify(const ps_model_verifying *request, ps_model_signed *out);

/* What FOLDER/model.slsa.sig says, appended: a statement of in-toto's, JSON. It proves nothing:
 * nobody's signature is looked at. */
PS_MUST_CHECK ps_status ps_model_read_slsa(const char *folder, ps_buf *out);

#endif
