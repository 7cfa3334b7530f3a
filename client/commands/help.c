/* help: the same texts as `psctl COMMAND --help`. */
#include "client/call/client.h"
#include "client/commands/commands.h"
#include "common/base/mem.h"

static ps_status run(ps_client *client, const ps_args *args)
{
    size_t n = args->operands.n;
    if (n == 0) {
        ps_command_help_all(&client->out);
        return PS_OK;
    }
    const char *word = args->operands.at[0];
    char *name = n == 2 ? ps_asprintf("%s %s", word, args->operands.at[1]) : ps_strdup(word);
    const ps_command *command = ps_command_find(name);
    ps_status st = PS_OK;
    if (command)
        ps_command_help(command, &client->out);
    else if (n == 1 && ps_command_is_group(word))
        ps_command_help_group(word, &client->out);
    else
        st = ps_client_usage(client, "there is no command '%s'; 'psctl help' lists them", name);
    ps_free(&name);
    return st;
}

const ps_command ps_command_help_row = {
    .name = "help",
    .operands = "[COMMAND]",
    .help = "say more about a command",
    .most = 2,
    .run = run,
};
