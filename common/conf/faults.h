/* faults: everything that is wrong with a document, in the order of its lines; private to
 * common/conf. Not thread-safe (not asserted: a document is its reader's alone). */
#ifndef PS_CONF_FAULTS_H
#define PS_CONF_FAULTS_H

#include "common/base/status.h"

#include <stddef.h>

typedef struct ps_conf_fault {
    unsigned line;
    char *path; /* "listen.port"; "": of the whole */
    char *text; /* "psd.yaml:12: listen.port: 99999 is out of range, allowed 1 to 65535" */
} ps_conf_fault;

typedef struct ps_conf_faults {
    ps_conf_fault *at; /* the earlier lines first */
    size_t n;
} ps_conf_faults;

void ps_conf_faults_free(ps_conf_faults *faults);
/* A second one of the same path is dropped: it is mostly of the first one's making. */
void ps_conf_faults_add(ps_conf_faults *faults, unsigned line, const char *path, const char *text);
/* Is something wrong with path, or with a key below it? */
bool ps_conf_faults_have(const ps_conf_faults *faults, const char *path);
/* PS_OK, or PS_INVALID_ARGUMENT with a line for each of them, and how many more there are when not
 * all have room. */
PS_MUST_CHECK ps_status ps_conf_faults_verdict(const ps_conf_faults *faults);

#endif
