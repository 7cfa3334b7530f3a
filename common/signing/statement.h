/* statement: a manifest as in-toto's Statement v1 (section 5 of OpenSSF Model Signing v1.0), JSON:
 *
 *     {"_type":…,"subject":[{"name":NAME,"digest":{"sha256":ROOT}}],"predicateType":…,
 *      "predicate":{"serialization":{…},"resources":[{"name":…,"digest":…,"algorithm":"sha256"},…]}}
 *
 * The reader is strict with bytes of others: members that the schema does not have, one that comes
 * twice, other hashes than SHA-256, followed links, names that leave the folder, a root that is not
 * that of the resources: all are refused. Any thread. */
#ifndef PS_SIGNING_STATEMENT_H
#define PS_SIGNING_STATEMENT_H

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/json/json.h"
#include "common/signing/manifest.h"

/* The manifest is settled. */
void ps_statement_write(const ps_manifest *manifest, ps_buf *out);
/* PS_CORRUPT: what is wrong with it. *out is empty then; ps_manifest_free it otherwise. */
PS_MUST_CHECK ps_status ps_statement_read(ps_slice json, ps_manifest *out);

/* ---- of any predicate: what the statement is about ---- */

/* "_type", "subject" and "predicateType", into the object at hand. The manifest is settled. */
void ps_statement_put_head(ps_json_writer *w, const ps_manifest *manifest,
                           const char *predicate_type);
/* name and root of *out, of a statement of that predicate, which is passed over. PS_CORRUPT: what
 * is wrong with it. *out is empty then; ps_manifest_free it otherwise. */
PS_MUST_CHECK ps_status ps_statement_read_head(ps_slice json, const char *predicate_type,
                                               ps_manifest *out);

#endif
