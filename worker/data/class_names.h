/* class_names: labels that are words: which class has a name. */
#ifndef PS_WORKER_DATA_CLASS_NAMES_H
#define PS_WORKER_DATA_CLASS_NAMES_H

#include "common/base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ps_class_names ps_class_names;

/* names, each another one, by class; they must outlive it. */
ps_class_names *ps_class_names_new(char *const *names, size_t n);
void ps_class_names_free(ps_class_names **names);
/* PS_NOT_FOUND says which names there are. */
PS_MUST_CHECK ps_status ps_class_names_find(const ps_class_names *names, const char *text,
                                            int32_t *out);

#endif
