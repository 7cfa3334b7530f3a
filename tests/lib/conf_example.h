/* conf_example: example files against the schema they document. Fails the running Check case. */
#ifndef PS_TEST_CONF_EXAMPLE_H
#define PS_TEST_CONF_EXAMPLE_H

#include "common/base/buf.h"
#include "common/conf/conf.h"

/* A file of the source tree, "deploy/examples/psd.yaml". The caller frees the buf. */
ps_buf ps_test_source_file(const char *name);
/* Every key of the schema is written in the file. */
void ps_test_example_has_every_key(const ps_conf_schema *schema, const char *name);
/* The file's values are those that minimal (a document's text) has by default. */
void ps_test_example_has_the_defaults(const ps_conf_schema *schema, const char *name,
                                      const char *minimal);

#endif
