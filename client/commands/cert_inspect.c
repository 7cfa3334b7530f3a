/* cert inspect: what a certificate file says, and whether it is in force. */
#include "client/call/client.h"
#include "client/commands/commands.h"
#include "client/show/human.h"
#include "common/security/certificate.h"

#include <string.h>
#include <time.h>

static void identity_text(const ps_certificate_info *info, char out[PS_IDENTITY_TEXT_MAX])
{
    out[0] = '\0';
    if (info->has_identity && info->is_ca)
        snprintf(out, PS_IDENTITY_TEXT_MAX, "spiffe://%s", info->identity.cluster);
    else if (info->has_identity)
        ps_identity_format(&info->identity, out);
}

static const char *purpose(const ps_certificate_info *info)
{
    if (info->is_ca)
        return info->for_signing ? "signs certificates of signers (CA)" : "signs certificates (CA)";
    if (info->for_server)
        return info->for_client ? "server and client" : "server";
    if (info->for_signing)
        return "signs models";
    return info->for_client ? "client" : "none";
}

static void write_json(ps_client *client, const char *path, const ps_certificate_info *info)
{
    char who[PS_IDENTITY_TEXT_MAX];
    identity_text(info, who);
    ps_json_writer w = ps_json_writer_to(&client->out);
    ps_json_object(&w);
    ps_json_put_string(&w, "file", path);
    ps_json_put_string(&w, "identity", info->has_identity ? who : NULL);
    if (!info->has_identity)
        ps_json_put_string(&w, "identity_error", info->identity_error);
    ps_json_put_bool(&w, "ca", info->is_ca);
    ps_json_put_bool(&w, "for_server", info->for_server);
    ps_json_put_bool(&w, "for_client", info->for_client);
    ps_json_put_bool(&w, "for_signing", info->for_signing);
    ps_json_key(&w, "hosts");
    ps_json_array(&w);
    for (size_t i = 0; i < info->n_hosts; i++)
        ps_json_string(&w, info->hosts[i]);
    ps_json_array_end(&w);
    ps_json_put_string(&w, "subject", info->subject);
    ps_json_put_string(&w, "issuer", info->issuer);
    ps_json_put_int(&w, "not_before", info->not_before);
    ps_json_put_int(&w, "not_after", info->not_after);
    ps_json_put_int(&w, "days_left", info->days_left);
    ps_json_put_string(&w, "key_type", info->key_type);
    ps_json_put_string(&w, "serial", info->serial);
    ps_json_put_string(&w, "fingerprint", info->fingerprint);
    ps_json_object_end(&w);
    ps_buf_putc(&client->out, '\n');
}

static void write_text(ps_client *client, const ps_certificate_info *info)
{
    char who[PS_IDENTITY_TEXT_MAX], from[PS_CERTIFICATE_TIME_MAX], to[PS_CERTIFICATE_TIME_MAX];
    identity_text(info, who);
    ps_buf hosts = PS_BUF_EMPTY;
    for (size_t i = 0; i < info->n_hosts; i++)
        ps_buf_printf(&hosts, "%s%s", i ? ", " : "", info->hosts[i]);
    ps_table *t = ps_table_new(NULL);
    if (info->has_identity)
        ps_table_field(t, "identity", "%s", who);
    else
        ps_table_field(t, "identity", "none: %s", info->identity_error);
    ps_table_field(t, "for", "%s", purpose(info));
    ps_table_field(t, "hosts", "%s", ps_buf_cstr(&hosts));
    ps_table_field(t, "from", "%s", ps_certificate_time_text(info->not_before, from));
    ps_certificate_time_text(info->not_after, to);
    ps_table_color(t, PS_COLOR_DIM, "until");
    char until[96];
    snprintf(until, sizeof until, "%s (%s)", to,
             ps_human_left(info->not_after, (int64_t)time(NULL)).text);
    ps_table_color(t,
                   info->days_left < 0    ? PS_COLOR_RED
                   : info->days_left < 14 ? PS_COLOR_YELLOW
                                          : PS_COLOR_NONE,
                   until);
    ps_table_field(t, "subject", "%s", info->subject);
    ps_table_field(t, "issuer", "%s", info->issuer);
    ps_table_field(t, "key", "%s", info->key_type);
    ps_table_field(t, "serial", "%s", info->serial);
    ps_table_field(t, "sha256", "%s", info->fingerprint);
    ps_table_render(t, &client->style, &client->out);
    ps_table_free(&t);
    ps_buf_free(&hosts);
}

static ps_status run(ps_client *client, const ps_args *args)
{
    for (size_t i = 0; i < args->operands.n; i++) {
        const char *path = args->operands.at[i];
        ps_certificate_info info;
        ps_status st = ps_certificate_inspect(strcmp(path, "-") ? path : "/dev/stdin", &info);
        if (st)
            return st;
        if (client->json) {
            write_json(client, path, &info);
        } else {
            if (args->operands.n > 1)
                ps_buf_printf(&client->out, "%s%s:\n", i ? "\n" : "", path);
            write_text(client, &info);
        }
        ps_certificate_info_clear(&info);
    }
    return PS_OK;
}

const ps_command ps_command_cert_inspect = {
    .name = "cert inspect",
    .operands = "FILE ...",
    .help = "say whose a certificate is, for what, and until when",
    .details = "A FILE - is standard input.\n",
    .least = 1,
    .most = 1000,
    .run = run,
};
