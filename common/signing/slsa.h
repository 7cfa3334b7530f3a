/* slsa: where a model comes from, for tools of SLSA: psd-provenance.json as the predicate of an
 * in-toto statement about the same subject as that of model.sig (SLSA v1.0, "Provenance",
 * predicateType https://slsa.dev/provenance/v1):
 *
 *     buildDefinition  buildType https://psd/HOW/v1 (train, compress, import …)
 *                      externalParameters    the model's name, the job file
 *                      resolvedDependencies  models that it began from, files of data
 *     runDetails       builder   the server's identity; version.psd
 *                      metadata  the job's id, when it began, when the model was written
 *                      byproducts  psd-provenance.json, which has more: of it, who pushed
 *
 * What is not known is left out. Any thread. */
#ifndef PS_SIGNING_SLSA_H
#define PS_SIGNING_SLSA_H

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/base/status.h"
#include "common/signing/manifest.h"

#define PS_SLSA_PREDICATE "https://slsa.dev/provenance/v1"

/* record: the file psd-provenance.json, named so in the settled manifest if that has it.
 * PS_CORRUPT: it is none. */
PS_MUST_CHECK ps_status ps_slsa_write(const ps_manifest *manifest, ps_slice record, ps_buf *out);

#endif
