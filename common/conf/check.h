/* check: a document's tree against a schema; private to common/conf.
 *
 * What comes out is plain YAML with every key of the schema, defaults filled in and units resolved
 * (optional sections that are absent stay absent). Where there was a fault, something of the right
 * type stands, and a list may be shorter than it is allowed to be. Not thread-safe (not asserted: a
 * document is its reader's alone). */
#ifndef PS_CONF_CHECK_H
#define PS_CONF_CHECK_H

#include "common/base/buf.h"
#include "common/conf/faults.h"
#include "common/conf/tree.h"

void ps_conf_check(const ps_conf_key *keys, const ps_conf_node *root, const char *file_name,
                   ps_conf_faults *faults, ps_buf *out);

#endif
