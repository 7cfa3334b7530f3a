/* whoami: as whom psctl would talk to which server, by the same rules as every command. No server
 * is asked. */
#include "client/call/client.h"
#include "client/call/support.h"
#include "client/cli/context.h"
#include "client/commands/commands.h"
#include "client/show/human.h"
#include "common/security/certificate.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static void write_json(ps_client *client, const ps_context *c, const ps_certificate_info *info,
                       const char *who)
{
    ps_json_writer w = ps_json_begin(client);
    ps_json_object(&w);
    ps_json_put_string(&w, "identity", who);
    ps_json_put_string(&w, "cluster", info->identity.cluster);
    ps_json_put_string(&w, "role", ps_role_name(info->identity.role));
    ps_json_put_string(&w, "name", info->identity.name);
    ps_json_put_string(&w, "server", c->server);
    ps_json_put_string(&w, "context", c->name);
    ps_json_put_string(&w, "certificate", c->certificate);
    ps_json_put_int(&w, "not_after", info->not_after);
    ps_json_put_int(&w, "days_left", info->days_left);
    ps_json_object_end(&w);
    ps_json_finish(client);
}

static void write_text(ps_client *client, const ps_context *c, const ps_certificate_info *info,
                       const char *who)
{
    char until[PS_CERTIFICATE_TIME_MAX];
    ps_certificate_time_text(info->not_after, until);
    ps_table *t = ps_table_new(NULL);
    ps_table_field(t, "identity", "%s", who);
    ps_table_field(t, "role", "%s", ps_role_name(info->identity.role));
    ps_table_field(t, "until", "%s (%s)", until,
                   ps_human_left(info->not_after, (int64_t)time(NULL)).text);
    ps_table_field(t, "certificate", "%s", c->certificate);
    ps_table_field(t, "server", "%s", c->server);
    ps_table_field(t, "context", "%s", c->name ? c->name : "");
    ps_table_render(t, &client->style, &client->out);
    ps_table_free(&t);
}

static ps_status run(ps_client *client, const ps_args *args)
{
    (void)args;
    ps_context c = {0};
    ps_certificate_info info = {0};
    ps_status st = ps_context_resolve(&client->globals, &c);
    if (st) {
        client->usage = st == PS_INVALID_ARGUMENT;
        return st;
    }
    st = ps_certificate_inspect(c.certificate, &info);
    if (!st && !info.has_identity)
        st = ps_fail(PS_UNAUTHENTICATED, "%s: %s", c.certificate, info.identity_error);
    if (!st) {
        char who[PS_IDENTITY_TEXT_MAX];
        ps_identity_format(&info.identity, who);
        (client->json ? write_json : write_text)(client, &c, &info, who);
    }
    ps_certificate_info_clear(&info);
    ps_context_clear(&c);
    return st;
}

const ps_command ps_command_whoami = {
    .name = "whoami",
    .operands = "",
    .help = "as whom, and to which server, psctl would speak",
    .run = run,
};
