/* changed: what a reload leaves as it was. Any thread. */
#ifndef PS_CONF_CHANGED_H
#define PS_CONF_CHANGED_H

#include "common/conf/conf.h"

/* The names ("tls.crl") of the keys, in the schema's order, whose values differ in two structs of
 * it; values are in nobody's sight. `taken` are keys and sections that are passed over, because a
 * reload takes them, up to NULL; all that the schema has of MAP_OPT, MAPS and NAMED is in there.
 * NULL when there is none; else *n texts, the caller's as each of them is. */
char **ps_conf_changed(const ps_conf_schema *schema, const void *before, const void *now,
                       const char *const *taken, size_t *n);
/* A line in the log under `tag`, unless there is none. */
void ps_conf_changed_log(const char *tag, char *const *names, size_t n);
/* For who only wanted that line. */
void ps_conf_changed_free(char ***names, size_t n);

#endif
