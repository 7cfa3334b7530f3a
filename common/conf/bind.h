/* bind: libcyaml behind our schema; private to common/conf, and the only user of cyaml.h. */
#ifndef PS_CONF_BIND_H
#define PS_CONF_BIND_H

#include "common/conf/conf.h"

/* yaml is what ps_conf_check wrote; so a failure here is a bug and is PS_INTERNAL. */
PS_MUST_CHECK ps_status ps_conf_bind(const ps_conf_schema *schema, ps_slice yaml, void **out);
void ps_conf_unbind(const ps_conf_schema *schema, void *data);

#endif
