/* options: what a daemon is told: its file, and flags, which win. One table says which flags there
 * are besides --config, --help and --version.
 *
 * A fault in a flag starts with the flag's name, one in the file with file and line.
 */
#ifndef PS_CONF_OPTIONS_H
#define PS_CONF_OPTIONS_H

#include "common/conf/conf.h"

#define PS_CONF_FLAGS_MAX 16

/* A flag with a value, or a plain one. What it does: sets the key at path as the file would, or is
 * applied; one with neither is only kept in ps_conf_options.given, for its owner. */
typedef struct ps_conf_flag {
    const char *name; /* "log-level" for --log-level; NULL ends a table */
    char letter;      /* -l; 0: none */
    bool plain;       /* takes no value: given as "" */
    const char *path;
    ps_status (*apply)(void *conf, const char *text, const char *origin);
} ps_conf_flag;

typedef struct ps_conf_program {
    const char *name; /* "psd" */
    const char *default_config;
    const ps_conf_schema *schema;
    const ps_conf_flag *flags;                                    /* at most PS_CONF_FLAGS_MAX */
    ps_status (*check)(const void *conf, const ps_conf_doc *doc); /* across keys, before flags */
} ps_conf_program;

typedef struct ps_conf_options {
    void *conf;        /* the schema's struct; NULL with help and version */
    char *config_path; /* the file that was read; NULL with help and version */
    ps_conf_doc *doc;  /* the lines of its keys; likewise */
    bool help, version;
    const char *given[PS_CONF_FLAGS_MAX]; /* by the flags' order, as in argv; NULL: not given */
} ps_conf_options;

/* Reads flags and the file. With PS_OK conf (ps_conf_free), config_path and doc (ps_conf_doc_free)
 * belong to the caller; after a failure there is nothing to free. Not thread-safe: getopt (not
 * asserted: a program begins with one thread). */
PS_MUST_CHECK ps_status ps_conf_options_parse(const ps_conf_program *program, int argc, char **argv,
                                              ps_conf_options *out);
/* This thread's message on standard error, each of its lines behind "psd: ". */
void ps_conf_options_complain(const char *program);
/* Where a value comes from that a flag or the file says: "--listen" or "psd.yaml:3: listen"; free()
 * it. */
char *ps_conf_options_where(const ps_conf_program *program, const ps_conf_options *options,
                            int flag, const char *path);

#endif
