/* psctl: parses the command line, runs one command, writes what it has to say, and turns its status
 * into the exit status. The only place that ends the process. */
#include "client/call/client.h"
#include "client/cli/args.h"
#include "client/cli/exit_code.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/process.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A line for each of the message's, with nothing in it that could move a cursor. what: before them;
 * or NULL. */
static void complain(const ps_client *client, const char *what, const char *message)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_style style = ps_style_for(STDERR_FILENO, client->globals.no_color);
    style.width = 0;
    for (const char *line = message; line;) {
        size_t len = strcspn(line, "\n");
        char *one = ps_asprintf("%.*s", (int)len, line);
        ps_put_text(&text, &style, PS_COLOR_RED, "psctl:");
        ps_buf_putc(&text, ' ');
        if (what)
            ps_buf_printf(&text, "%s: ", what);
        ps_put_clean(&text, &style, one, SIZE_MAX);
        ps_buf_putc(&text, '\n');
        ps_free(&one);
        line = line[len] ? line + len + 1 : NULL;
    }
    if (ps_output_flush(&text, STDERR_FILENO) != PS_OK)
        (void)0; /* nobody is left to be told */
    ps_buf_free(&text);
}

/* What daemons would log is said to a person: without a time, a level and a tag. */
static void say_cb(void *state, ps_log_level level, const char *line)
{
    const char *text = strstr(line, ": ");
    complain(state, level <= PS_LOG_ERROR ? NULL : "warning", text ? text + 2 : line);
}

static ps_status run_command(ps_client *client, const ps_command_line *line)
{
    ps_client_prepare(client);
    if (line->version)
        return ps_command_find("version")->run(client, &line->args);
    if (line->help && line->command)
        ps_command_help(line->command, &client->out);
    else if (line->group && !line->command)
        ps_command_help_group(line->group, &client->out);
    else if (!line->command && line->help)
        ps_command_help_all(&client->out);
    else if (!line->command)
        ps_command_help_short(&client->out);
    else
        return line->command->run(client, &line->args);
    return PS_OK;
}

int main(int argc, char **argv)
{
    ps_process_begin();
    /* numbers stay in the C locale: JSON and scripts read them */
    (void)setlocale(LC_CTYPE, "");
    ps_log_set_level(PS_LOG_WARNING);
    ps_client client;
    ps_client_init(&client);
    ps_log_set_sink(say_cb, &client);
    ps_command_line line = {0};
    int skip = argc > 0;
    ps_status st = ps_args_parse(ps_global_flags, &client.globals, (size_t)(argc - skip),
                                 (const char *const *)argv + skip, &line);
    client.usage = st != PS_OK;
    if (!st)
        st = run_command(&client, &line);
    ps_error error;
    ps_error_save(&error, st);
    ps_status written = ps_output_flush(&client.out, STDOUT_FILENO);
    if (!st && written) {
        st = written;
        ps_error_save(&error, st);
    }
    if (st && st != PS_BROKEN_PIPE && !client.interrupted) /* `| head` has what it wanted */
        complain(&client, line.command ? line.command->name : NULL, error.message);
    int code = client.interrupted   ? PS_EXIT_INTERRUPTED
               : client.usage && st ? PS_EXIT_USAGE
                                    : (int)ps_exit_of(st);
    ps_command_line_clear(&line);
    ps_client_clear(&client);
    return code;
}
