/* The global flags, and what is made of the table of commands: a row by its name, the help texts.
 * Cannot fail. */
#include "client/cli/command.h"

#include "common/base/mem.h"
#include "common/conf/blocks.h"

#include <string.h>

static const char *const output_words[] = {"text", "json", NULL};

const ps_flag ps_global_flags[] = {
    {.name = "server",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(ps_globals, server),
     .value = "HOST[:PORT]",
     .help = "the server to talk to (port 7600 if none is said)"},
    {.name = "ca",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(ps_globals, ca),
     .value = "FILE",
     .help = "certificate of the cluster's CA"},
    {.name = "cert",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(ps_globals, cert),
     .value = "FILE",
     .help = "your certificate"},
    {.name = "key",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(ps_globals, key),
     .value = "FILE",
     .help = "its private key"},
    {.name = "crl",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(ps_globals, crl),
     .value = "FILE",
     .help = "the CA's list of revoked certificates: a server in it is refused"},
    {.name = "crl-expired",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(ps_globals, crl_expired),
     .value = "refuse|warn",
     .words = ps_conf_crl_expired_words,
     .help = "what a list whose time is over counts (default: refuse)"},
    {.name = "context",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(ps_globals, context),
     .value = "NAME",
     .help = "take those above from this context"},
    {.name = "output",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(ps_globals, output),
     .value = "text|json",
     .words = output_words,
     .help = "how to print results"},
    {.name = "timeout",
     .type = PS_FLAG_DURATION,
     .offset = offsetof(ps_globals, timeout_ms),
     .value = "TIME",
     .help = "how long an answer may take, such as 5s"},
    {.name = "no-color",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(ps_globals, no_color),
     .help = "no colours"},
    {.name = "help",
     .letter = 'h',
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(ps_globals, help),
     .help = "this text"},
    {.name = "version",
     .letter = 'V',
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(ps_globals, version),
     .help = "print the version"},
    {.name = NULL},
};

const ps_command *ps_command_find(const char *name)
{
    for (const ps_command *const *c = ps_commands; *c; c++)
        if (!strcmp((*c)->name, name))
            return *c;
    return NULL;
}

static bool in_group(const ps_command *command, const char *word)
{
    size_t len = strlen(word);
    return !strncmp(command->name, word, len) && command->name[len] == ' ';
}

bool ps_command_is_group(const char *word)
{
    for (const ps_command *const *c = ps_commands; *c; c++)
        if (in_group(*c, word))
            return true;
    return false;
}

enum { COLUMNS = 80 };

/* Text from column `indent` on, which is reached, broken between words. */
static void put_wrapped(ps_buf *out, size_t indent, const char *text)
{
    size_t at = indent;
    for (bool first = true; *text; first = false) {
        size_t len = strcspn(text, " \n");
        if (!first && at + 1 + len > COLUMNS) {
            ps_buf_printf(out, "\n%*s", (int)indent, "");
            at = indent;
        } else if (!first) {
            ps_buf_putc(out, ' ');
            at++;
        }
        ps_buf_append(out, text, len);
        at += len;
        text += len + strspn(text + len, " \n");
    }
    ps_buf_putc(out, '\n');
}

/* The bytes of the paragraph that begins here: lines up to one that is empty or indented. */
static size_t paragraph_len(const char *text, bool *wide)
{
    size_t at = 0;
    *wide = false;
    while (text[at] && !strchr(" \n", text[at])) {
        size_t len = strcspn(text + at, "\n");
        *wide = *wide || len > COLUMNS;
        at += len + (text[at + len] == '\n');
    }
    return at;
}

/* Paragraphs with a line that is too wide are broken anew; all else stays as it is. */
static void put_details(ps_buf *out, const char *text)
{
    while (*text) {
        bool wide;
        size_t len = paragraph_len(text, &wide);
        if (len && wide) {
            char *paragraph = ps_asprintf("%.*s", (int)len, text);
            put_wrapped(out, 0, paragraph);
            ps_free(&paragraph);
        } else {
            if (!len)
                len = strcspn(text, "\n") + (strchr(text, '\n') != NULL);
            ps_buf_append(out, text, len);
        }
        text += len;
    }
}

/* "left" padded to `width`, then the explanation. A left side that is too long has its own line. */
static void row(ps_buf *out, int width, const char *left, const char *right)
{
    if (strlen(left) > (size_t)width)
        ps_buf_printf(out, "  %s\n  %*s  ", left, width, "");
    else
        ps_buf_printf(out, "  %-*s  ", width, left);
    put_wrapped(out, (size_t)width + 4, right);
}

static void flag_rows(ps_buf *out, const ps_flag *flags)
{
    ps_buf left = PS_BUF_EMPTY;
    for (const ps_flag *f = flags; f && f->name; f++) {
        ps_buf_clear(&left);
        if (f->letter)
            ps_buf_printf(&left, "-%c, ", f->letter);
        ps_buf_printf(&left, "--%s", f->name);
        if (f->value)
            ps_buf_printf(&left, " %s", f->value);
        row(out, 20, ps_buf_cstr(&left), f->help);
    }
    ps_buf_free(&left);
}

static void command_row(ps_buf *out, const ps_command *command)
{
    ps_buf left = PS_BUF_EMPTY;
    ps_buf_printf(&left, "%s %s", command->name, command->operands);
    row(out, 28, ps_buf_cstr(&left), command->help);
    ps_buf_free(&left);
}

void ps_command_help(const ps_command *command, ps_buf *out)
{
    char *head = ps_asprintf("psctl %s: %s", command->name, command->help);
    put_wrapped(out, 0, head);
    ps_free(&head);
    ps_buf_printf(out, "\nusage: psctl %s%s%s%s\n", command->name, command->flags ? " [FLAGS]" : "",
                  *command->operands ? " " : "", command->operands);
    if (command->details) {
        ps_buf_putc(out, '\n');
        put_details(out, command->details);
    }
    if (command->flags) {
        ps_buf_puts(out, "\nflags:\n");
        flag_rows(out, command->flags);
    }
    ps_buf_puts(out, "\nThe flags of every command: 'psctl help'.\n");
}

void ps_command_help_group(const char *word, ps_buf *out)
{
    ps_buf_printf(out, "usage: psctl %s COMMAND\n\n", word);
    for (const ps_command *const *c = ps_commands; *c; c++)
        if (in_group(*c, word) && !(*c)->hidden)
            command_row(out, *c);
    ps_buf_printf(out, "\n'psctl help %s COMMAND' says more about one.\n", word);
}

static void help_commands(ps_buf *out)
{
    ps_buf_puts(out, "psctl: submit, follow and fetch what psd trains\n\n"
                     "usage: psctl [FLAGS] COMMAND ...\n\ncommands:\n");
    for (const ps_command *const *c = ps_commands; *c; c++)
        if (!(*c)->hidden)
            command_row(out, *c);
}

void ps_command_help_short(ps_buf *out)
{
    help_commands(out);
    ps_buf_puts(out, "\n'psctl help' also lists the flags, 'psctl help COMMAND' says more about "
                     "one.\n");
}

void ps_command_help_all(ps_buf *out)
{
    help_commands(out);
    ps_buf_puts(out, "\nflags:\n");
    flag_rows(out, ps_global_flags);
    ps_buf_puts(out, "\n'psctl help COMMAND' says more about one; psctl(1) says all.\n");
}
