/* write: values of a struct as a file has them, which ps_conf_load reads back as the same ones. One
 * line, whatever the texts hold. Private to common/conf. */
#ifndef PS_CONF_WRITE_H
#define PS_CONF_WRITE_H

#include "common/base/buf.h"
#include "common/conf/conf.h"

/* The key's value; data: the struct that has it. Numbers in the shortest form. Not for MAP_OPT
 * and NAMED, which nobody writes. */
void ps_conf_write(const ps_conf_key *key, const void *data, ps_buf *out);
/* How many entries a list has. */
size_t ps_conf_count(const ps_conf_key *key, const void *data);

#endif
