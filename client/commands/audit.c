/* audit verify: whether the lines of an audit log are all there, and as they were written; audit
 * head: its last one, for who keeps that elsewhere. */
#include "client/call/client.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "common/base/mem.h"
#include "common/security/audit_anchor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct options {
    const char *head, *certificate;
} options;

typedef struct verifying {
    ps_audit_check chain;
    ps_anchor_check *anchors;
} verifying;

static ps_status verify_line(verifying *v, ps_slice line, const char *path, uint64_t number)
{
    const uint64_t before = v->chain.lines;
    ps_status st = ps_audit_check_line(&v->chain, line);
    if (!st && v->chain.lines > before)
        st = ps_anchor_check_line(v->anchors, line, &v->chain.before);
    return st ? ps_wrap(st, "%s: line %" PRIu64, path, number) : PS_OK;
}

/* Without its newline, as it is, zero bytes too; of a longer one so many. False: no more. */
static bool read_line(FILE *file, uint8_t *line, size_t *len)
{
    int c;
    for (*len = 0; (c = getc_unlocked(file)) != EOF && c != '\n';)
        if (*len < PS_AUDIT_LINE_MOST)
            line[(*len)++] = (uint8_t)c;
    return c != EOF || *len;
}

/* A line that is longer than any of psd's is none of the chain. */
static ps_status verify_file(verifying *v, const char *path)
{
    FILE *file = strcmp(path, "-") ? fopen(path, "re") : stdin;
    if (!file)
        return ps_fail_errno(errno, "%s", path);
    uint8_t *line = ps_alloc(PS_AUDIT_LINE_MOST);
    size_t len;
    ps_status st = PS_OK;
    for (uint64_t number = 1; !st && read_line(file, line, &len); number++) {
        if (len < PS_AUDIT_LINE_MOST)
            st = verify_line(v, ps_slice_of(line, len), path, number);
        else
            v->chain.others++;
    }
    if (!st && ferror(file))
        st = ps_fail_errno(errno, "%s", path);
    if (file != stdin)
        (void)fclose(file);
    ps_free(&line);
    return st;
}

static void show_json(ps_client *client, const ps_audit_check *check, const ps_anchor_found *found,
                      const char *head)
{
    char who[PS_IDENTITY_TEXT_MAX];
    ps_json_writer w = ps_json_writer_to(&client->out);
    ps_json_object(&w);
    ps_json_put_uint(&w, "first", check->first);
    ps_json_put_uint(&w, "lines", check->lines);
    ps_json_put_uint(&w, "others", check->others);
    ps_json_put_string(&w, "head", head);
    ps_json_put_uint(&w, "anchors", found->anchors);
    ps_json_put_uint(&w, "signed_to", found->signed_to);
    ps_json_put_uint(&w, "signers", found->signers);
    if (*found->signer.name)
        ps_json_put_string(&w, "signer", ps_identity_format(&found->signer, who));
    ps_json_object_end(&w);
    ps_buf_putc(&client->out, '\n');
}

static void show_anchors(ps_client *client, const ps_audit_check *check,
                         const ps_anchor_found *found, const options *o)
{
    const uint64_t after = check->head.seq - found->signed_to - 1; /* behind the anchor */
    char who[PS_IDENTITY_TEXT_MAX];
    if (!found->anchors) {
        ps_buf_puts(&client->out, "no line of them is signed\n");
        return;
    }
    ps_buf_printf(&client->out,
                  "signed to line %" PRIu64 ", by the anchor behind it, at %s\nby %s (%" PRIu64
                  " anchor%s",
                  found->signed_to, found->time,
                  *found->signer.name ? ps_identity_format(&found->signer, who) : "nobody's name",
                  found->anchors, found->anchors == 1 ? "" : "s");
    if (found->signers > 1)
        ps_buf_printf(&client->out, ", %u certificates", found->signers);
    ps_buf_puts(&client->out, ")\n");
    if (after)
        ps_buf_printf(&client->out,
                      "the last %" PRIu64 " line%s not signed: who may write the file could have "
                      "made %s\n",
                      after, after == 1 ? " is" : "s are", after == 1 ? "it" : "them");
    if (!client->globals.ca && !o->certificate)
        ps_buf_puts(&client->out, "without --ca or --certificate nobody can tell whether that is "
                                  "psd's key\n");
}

static void show(ps_client *client, const ps_audit_check *check, const ps_anchor_found *found,
                 const options *o)
{
    char head[PS_AUDIT_HEAD_TEXT];
    ps_audit_head_text(&check->head, head);
    if (client->json) {
        show_json(client, check, found, head);
        return;
    }
    ps_buf_printf(&client->out,
                  "%" PRIu64 " lines, %" PRIu64 " to %" PRIu64 ", unbroken\nhead %s\n",
                  check->lines, check->first, check->head.seq, head);
    show_anchors(client, check, found, o);
    if (check->others)
        ps_buf_printf(&client->out,
                      "%" PRIu64
                      " lines are none of the chain: cut by a full disk, or of a psd of before\n",
                      check->others);
    if (!check->wanted)
        ps_buf_puts(&client->out,
                    "without --head nobody can tell whether lines are missing at the end\n");
}

/* Who wants to know whose they are wants some. */
static ps_status check_anchors(const ps_client *client, const ps_anchor_found *found,
                               const options *o)
{
    if (found->anchors || (!client->globals.ca && !o->certificate))
        return PS_OK;
    return ps_fail(PS_CORRUPT, "no line of them is signed: there is no anchor");
}

static ps_status verify(ps_client *client, verifying *v, const ps_args *args)
{
    const options *o = args->options;
    ps_anchor_found found;
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < args->operands.n; i++)
        st = verify_file(v, args->operands.at[i]);
    if (!st)
        st = ps_audit_check_end(&v->chain);
    ps_anchor_check_found(v->anchors, &found);
    if (!st)
        st = check_anchors(client, &found, o);
    if (!st)
        show(client, &v->chain, &found, o);
    return st;
}

static ps_status run(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    const ps_anchor_trust trust = {.ca = client->globals.ca, .certificate = o->certificate};
    ps_audit_head wanted;
    verifying v = {0};
    ps_status st = o->head ? ps_audit_head_parse(o->head, &wanted) : PS_OK;
    if (!st)
        st = ps_anchor_check_new(&trust, &v.anchors);
    if (o->head)
        v.chain.wanted = &wanted;
    if (!st)
        st = verify(client, &v, args);
    ps_anchor_check_free(&v.anchors);
    return st;
}

static const ps_flag flags[] = {
    {.name = "head",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, head),
     .value = "N:SHA256",
     .help = "a line that must be there, as psctl audit head, /metrics or the log showed it"},
    {.name = "certificate",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, certificate),
     .value = "FILE",
     .help = "signed lines must be of this certificate's key"},
    {.name = NULL},
};

const ps_command ps_command_audit_verify = {
    .name = "audit verify",
    .operands = "FILE ...",
    .help = "say whether an audit log is whole and as it was written",
    .details = "Several FILEs are read one after the other: the oldest first. A FILE - is\n"
               "standard input. With --ca FILE the signed lines must be of a server whose\n"
               "certificate this CA has signed.\n",
    .flags = flags,
    .options_size = sizeof(options),
    .least = 1,
    .most = 1000,
    .run = run,
};

/* Nothing else on the line, so that it can go into a file, or into --head. */
static ps_status head(ps_client *client, const ps_args *args)
{
    (void)args;
    Psd__V1__StatusResponse *status = NULL;
    ps_status st = ps_server_status(client, &status);
    if (st)
        return st;
    const char *last = status->audit_head;
    if (!*last) {
        st = ps_fail(PS_NOT_FOUND, "the server's audit log has no line yet");
    } else if (client->json) {
        ps_json_writer w = ps_json_begin(client);
        ps_json_object(&w);
        ps_json_put_string(&w, "audit_head", last);
        ps_json_object_end(&w);
        ps_json_finish(client);
    } else {
        ps_buf_printf(&client->out, "%s\n", last);
    }
    ps_reply_free(&status);
    return st;
}

const ps_command ps_command_audit_head = {
    .name = "audit head",
    .operands = "",
    .help = "print the audit log's last line as N:SHA256, to be kept elsewhere",
    .run = head,
};
