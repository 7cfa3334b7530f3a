/* foreign: what bytes are that are not what was expected: archives, compressed data and encodings
 * that people give a program by mistake, told by their first bytes. */
#ifndef PS_BASE_FOREIGN_H
#define PS_BASE_FOREIGN_H

#include "common/base/slice.h"
#include "common/base/status.h"

#include <stdbool.h>

enum { PS_FOREIGN_BYTES = 262 }; /* so many tell all of them apart */

typedef struct ps_foreign {
    const char *what;   /* "a zip archive" */
    const char *remedy; /* "unpack it (unzip)" */
} ps_foreign;

/* The first bytes of a file, fewer when it is shorter. NULL: nothing that is known here. gzip is
 * among them: who reads it asks later. */
const ps_foreign *ps_foreign_find(ps_slice first);

/* Weights in safetensors, which have no mark: the length of the header in the first eight bytes,
 * and that it is JSON. ps_foreign_find knows them, too. */
bool ps_foreign_is_safetensors(ps_slice first);

/* PS_CORRUPT "PATH is a zip archive; unpack it (unzip)" when the first bytes are foreign. */
PS_MUST_CHECK ps_status ps_foreign_check(const char *path, ps_slice first);

#endif
