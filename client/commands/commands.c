/* The table of commands. */
#include "client/commands/commands.h"

#define ROW(name) &ps_command_##name,
const ps_command *const ps_commands[] = {PS_COMMANDS(ROW) NULL};
