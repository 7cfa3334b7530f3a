/* args: the command line, by the tables of command.h.
 *
 * Global flags may stand before and after the command, a command's own flags after it; flags and
 * operands mix; "--" ends the flags; "-" is an operand. `--name value`, `--name=value`, `-o value`
 * and `-ovalue` are all understood. One thread (not asserted: psctl has no other). */
#ifndef PS_CLI_ARGS_H
#define PS_CLI_ARGS_H

#include "client/cli/command.h"

typedef struct ps_command_line {
    const ps_command *command; /* NULL: no command was named */
    const char *group;         /* `psctl cert`: the group, when command is NULL; or NULL */
    bool help;                 /* -h or --help was there; nothing else was checked then */
    bool version;
    void *options; /* the command's; owned */
    ps_args args;  /* points into this struct */
} ps_command_line;

/* globals is the struct that the offsets of `global_flags` are in. argv (without the program's
 * name) must outlive *out. PS_INVALID_ARGUMENT: a line for the user; out->command is set as far as
 * it was known. Always followed by ps_command_line_clear. */
PS_MUST_CHECK ps_status ps_args_parse(const ps_flag *global_flags, void *globals, size_t argc,
                                      const char *const *argv, ps_command_line *out);
void ps_command_line_clear(ps_command_line *line);

#endif
