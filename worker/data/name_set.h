/* name_set: the different names among labels, in the order of their bytes. One thread (not
 * asserted: plain data of whoever has it). */
#ifndef PS_WORKER_DATA_NAME_SET_H
#define PS_WORKER_DATA_NAME_SET_H

#include "common/base/status.h"

#include <stddef.h>

/* As many as model.classes of a job file may have, and as long. */
enum { PS_NAME_SET_MOST = 4096, PS_NAME_SET_BYTES = 255 };

/* Zero is an empty one. */
typedef struct ps_name_set {
    char **names; /* [n], owned */
    size_t n;
} ps_name_set;

/* One that is there stays once. PS_CORRUPT: it is no text for people, or too long;
 * PS_INVALID_ARGUMENT: there are too many. */
PS_MUST_CHECK ps_status ps_name_set_add(ps_name_set *set, const char *name);
void ps_name_set_free(ps_name_set *set);

#endif
