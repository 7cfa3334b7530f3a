/* edit: some values of a document put in place of what it says, for flags like --set KEY=VALUE. Any
 * thread.
 */
#ifndef PS_CONF_EDIT_H
#define PS_CONF_EDIT_H

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/base/status.h"

#include <stddef.h>

/* The document with each of `sets`, "train.epochs=3", in the place of what it has there, or beside
 * it when it has not: appended to *out, as YAML without comments. The value is YAML, too: "[784,
 * 10]". PS_INVALID_ARGUMENT: the document or a value is no YAML, or a key on the way is no section.
 */
PS_MUST_CHECK ps_status ps_conf_edit(ps_slice yaml, const char *file_name, const char *const *sets,
                                     size_t n, ps_buf *out);

#endif
