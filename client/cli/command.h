/* command: what psctl can do, one row a command, one file a row (commands/NAME.c).
 *
 * A row says how it is called and what its flags are; the parser (args.h), the help texts and the
 * shell completion all read these rows, so that they cannot disagree. A name of two words ("cert
 * inspect") makes its first word a group; one that is a command, too ("model"), takes the next word
 * for what it says only where there is no such row. One thread (not asserted: psctl has no other).
 */
#ifndef PS_CLI_COMMAND_H
#define PS_CLI_COMMAND_H

#include "common/base/buf.h"
#include "common/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ps_client ps_client;

typedef enum ps_flag_type {
    PS_FLAG_SWITCH,   /* bool */
    PS_FLAG_TEXT,     /* const char *, NULL when not given; the last one wins */
    PS_FLAG_TEXTS,    /* ps_texts; may be given again and again */
    PS_FLAG_NUMBER,   /* uint64_t, 0 when not given; 0 is refused */
    PS_FLAG_SIZE,     /* uint64_t bytes, 0 when not given: "5MiB"; 0 is refused */
    PS_FLAG_DURATION, /* uint64_t milliseconds, 0 when not given: "30s", "5m"; 0s is refused */
} ps_flag_type;

typedef struct ps_flag {
    const char *name; /* "follow" for --follow; NULL ends the table */
    char letter;      /* 'f' for -f; 0: none */
    ps_flag_type type;
    size_t offset;            /* in the command's struct of options */
    const char *value;        /* what it takes, for the help text: "FILE"; NULL for a switch */
    const char *const *words; /* TEXT: the only words allowed, NULL-terminated; NULL: any */
    const char *help;
} ps_flag;

typedef struct ps_texts {
    const char **at; /* owned by the command line that was parsed, the texts are argv's */
    size_t n;
} ps_texts;

typedef struct ps_args {
    const void *options; /* the command's struct; NULL when it has none */
    ps_texts operands;   /* between least and most of them */
} ps_args;

typedef struct ps_command {
    const char *name;     /* "submit", "cert create-ca"; NULL ends the table */
    const char *operands; /* "FILE"; "" */
    const char *help;     /* one line, no full stop */
    const char *details;  /* further lines for `psctl help NAME`; NULL: none */
    const ps_flag *flags; /* NULL: none */
    size_t options_size;  /* of the struct the flags' offsets are in */
    unsigned least, most; /* operands */
    bool hidden;          /* not in lists */
    /* PS_OK, or a failure whose message ps_error_message() has; exit_code.h makes a number of it */
    ps_status (*run)(ps_client *client, const ps_args *args);
} ps_command;

/* What the flags that every command takes were set to. */
typedef struct ps_globals {
    const char *server, *ca, *cert, *key; /* NULL: from the context */
    const char *crl, *crl_expired;        /* likewise */
    const char *context;                  /* NULL: the current one */
    const char *output;                   /* "text" or "json"; NULL: text */
    uint64_t timeout_ms;                  /* 0: each command's own */
    bool no_color;
    bool help, version; /* the parser looks at these itself */
} ps_globals;

/* In the order of the help text; NULL ends it. Defined beside the rows (client/commands), which all
 * that is here is blind to. */
extern const ps_command *const ps_commands[];
extern const ps_flag ps_global_flags[]; /* offsets are in ps_globals */

/* The row of "submit" or "cert inspect"; NULL when there is none. */
const ps_command *ps_command_find(const char *name);
bool ps_command_is_group(const char *word); /* "cert": rows begin with it and a space */

/* What `psctl help NAME` prints; for a group, the list of its rows. */
void ps_command_help(const ps_command *command, ps_buf *out);
void ps_command_help_group(const char *word, ps_buf *out);
void ps_command_help_short(ps_buf *out); /* the commands: what `psctl` alone prints */
void ps_command_help_all(ps_buf *out);   /* and the flags of all of them: `psctl help` */

#endif
