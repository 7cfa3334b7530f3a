/* sources: what an explanation was made of and by whom: workers, the bytes of models and of files
 * of data. Each task says it in its part; merged, it stands in the manifest. Plain data, its
 * owner's. */
#ifndef PS_EXPLAIN_SOURCES_H
#define PS_EXPLAIN_SOURCES_H

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/base/status.h"

#include <stddef.h>

typedef enum ps_explain_source_kind {
    PS_EXPLAIN_SOURCE_WORKER,     /* name, and on which device */
    PS_EXPLAIN_SOURCE_MODEL,      /* name, and the SHA-256 of its file, in hexadecimal digits */
    PS_EXPLAIN_SOURCE_OTHER,      /* likewise, of the model that it is compared with */
    PS_EXPLAIN_SOURCE_DATA,       /* a path, likewise */
    PS_EXPLAIN_SOURCE_CHECKPOINT, /* likewise, of one of the models that a method goes through */
    PS_EXPLAIN_SOURCE_KINDS
} ps_explain_source_kind;

enum {
    PS_EXPLAIN_SOURCES = 256, /* more are not kept: of workers, the first that came */
    PS_EXPLAIN_SOURCE_TEXT = 4096,
};

typedef struct ps_explain_source {
    ps_explain_source_kind kind;
    char *name, *said;
} ps_explain_source;

typedef struct ps_explain_sources {
    ps_explain_source *all; /* each once */
    size_t n;
} ps_explain_sources;

void ps_explain_sources_add(ps_explain_sources *sources, ps_explain_source_kind kind,
                            const char *name, const char *said);
void ps_explain_sources_free(ps_explain_sources *sources);
/* All of `more`, which is empty then. PS_CORRUPT: it read other bytes of a model. */
PS_MUST_CHECK ps_status ps_explain_sources_merge(ps_explain_sources *into,
                                                 ps_explain_sources *more);
/* The n-th of the kind; NULL: there are fewer. */
const ps_explain_source *ps_explain_source_at(const ps_explain_sources *sources,
                                              ps_explain_source_kind kind, size_t n);

void ps_explain_sources_write(const ps_explain_sources *sources, ps_buf *out); /* JSON */
/* Takes any bytes. PS_CORRUPT. */
PS_MUST_CHECK ps_status ps_explain_sources_read(ps_slice json, ps_explain_sources *out);

#endif
