/* audit verify: whether the lines of an audit log are all there, and as they were written. */
#include "client/call/client.h"
#include "client/commands/commands.h"
#include "common/base/mem.h"
#include "common/security/audit_chain.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct options {
    const char *head;
} options;

static ps_status verify_line(ps_audit_check *check, ps_slice line, const char *path,
                             uint64_t number)
{
    ps_status st = ps_audit_check_line(check, line);
    return st ? ps_wrap(st, "%s: line %" PRIu64, path, number) : PS_OK;
}

/* A line that is longer than any of psd's is none of the chain. */
static ps_status verify_file(ps_audit_check *check, const char *path)
{
    FILE *file = strcmp(path, "-") ? fopen(path, "re") : stdin;
    if (!file)
        return ps_fail_errno(errno, "%s", path);
    char *line = ps_alloc(PS_AUDIT_LINE_MOST);
    uint64_t number = 0;
    bool rest = false; /* of a longer one */
    ps_status st = PS_OK;
    while (!st && fgets(line, PS_AUDIT_LINE_MOST, file)) {
        size_t len = strlen(line);
        const bool ends = len && line[len - 1] == '\n';
        number += !rest;
        if (!rest && (ends || feof(file)))
            st = verify_line(check, ps_slice_of(line, len - ends), path, number);
        else if (!rest)
            check->others++;
        rest = !ends;
    }
    if (!st && ferror(file))
        st = ps_fail_errno(errno, "%s", path);
    if (file != stdin)
        (void)fclose(file);
    ps_free(&line);
    return st;
}

static void show(ps_client *client, const ps_audit_check *check)
{
    char head[PS_AUDIT_HEAD_TEXT];
    ps_audit_head_text(&check->head, head);
    if (client->json) {
        ps_json_writer w = ps_json_writer_to(&client->out);
        ps_json_object(&w);
        ps_json_put_uint(&w, "first", check->first);
        ps_json_put_uint(&w, "lines", check->lines);
        ps_json_put_uint(&w, "others", check->others);
        ps_json_put_string(&w, "head", head);
        ps_json_object_end(&w);
        ps_buf_putc(&client->out, '\n');
        return;
    }
    ps_buf_printf(&client->out,
                  "%" PRIu64 " lines, %" PRIu64 " to %" PRIu64 ", unbroken\nhead %s\n",
                  check->lines, check->first, check->head.seq, head);
    if (check->others)
        ps_buf_printf(&client->out,
                      "%" PRIu64
                      " lines are none of the chain: cut by a full disk, or of a psd of before\n",
                      check->others);
    if (!check->wanted)
        ps_buf_puts(&client->out,
                    "without --head nobody can tell whether lines are missing at the end\n");
}

static ps_status run(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    ps_audit_head wanted;
    ps_audit_check check = {0};
    ps_status st = o->head ? ps_audit_head_parse(o->head, &wanted) : PS_OK;
    if (o->head)
        check.wanted = &wanted;
    for (size_t i = 0; !st && i < args->operands.n; i++)
        st = verify_file(&check, args->operands.at[i]);
    if (!st)
        st = ps_audit_check_end(&check);
    if (!st)
        show(client, &check);
    return st;
}

static const ps_flag flags[] = {
    {.name = "head",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, head),
     .value = "N:SHA256",
     .help = "a line that must be there, as psctl status, /metrics or the log showed it"},
    {.name = NULL},
};

const ps_command ps_command_audit_verify = {
    .name = "audit verify",
    .operands = "FILE ...",
    .help = "say whether an audit log is whole and as it was written",
    .details =
        "Several FILEs are read one after the other: the oldest first. A FILE - is standard\n"
        "input.\n",
    .flags = flags,
    .options_size = sizeof(options),
    .least = 1,
    .most = 1000,
    .run = run,
};
