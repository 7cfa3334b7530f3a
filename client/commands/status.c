/* status: how the server is. */
#include "client/call/client.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/show/human.h"
#include "common/base/clock.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static void show_json(ps_client *client, const Psd__V1__StatusResponse *s)
{
    ps_json_writer w = ps_json_begin(client);
    ps_json_object(&w);
    ps_json_put_string(&w, "server", client->server);
    ps_json_put_string(&w, "version", s->version);
    ps_json_put_string(&w, "cluster", s->cluster);
    ps_json_put_int(&w, "started_ms", s->started_ms);
    ps_json_put_uint(&w, "connections", s->connections);
    ps_json_put_uint(&w, "connections_total", s->connections_total);
    ps_json_put_uint(&w, "connections_pq", s->connections_pq);
    ps_json_put_uint(&w, "workers", s->workers);
    ps_json_put_uint(&w, "jobs_queued", s->jobs_queued);
    ps_json_put_uint(&w, "jobs_running", s->jobs_running);
    ps_json_put_uint(&w, "models", s->models);
    ps_json_put_uint(&w, "parameter_bytes", s->parameter_bytes);
    ps_json_put_uint(&w, "memory_budget", s->memory_budget);
    ps_json_put_uint(&w, "memory_used", s->memory_used);
    ps_json_put_bool(&w, "draining", s->draining);
    ps_json_put_int(&w, "certificate_expires_ms", s->certificate_expires_ms);
    ps_json_put_int(&w, "ca_certificate_expires_ms", s->ca_certificate_expires_ms);
    ps_json_put_string(&w, "certificate_serial", s->certificate_serial);
    ps_json_put_string(&w, "crl_number", *s->crl_number ? s->crl_number : NULL);
    ps_json_put_int(&w, "crl_expires_ms", s->crl_expires_ms);
    ps_json_put_uint(&w, "crl_entries", s->crl_entries);
    ps_json_put_uint(&w, "pushes", s->pushes);
    ps_json_put_uint(&w, "pulls", s->pulls);
    ps_json_put_uint(&w, "bytes_in", s->bytes_in);
    ps_json_put_uint(&w, "bytes_out", s->bytes_out);
    ps_json_put_string(&w, "sealing_key", s->sealing_key);
    ps_json_put_uint(&w, "files_sealed", s->files_sealed);
    ps_json_put_uint(&w, "files_plain", s->files_plain);
    ps_json_put_string(&w, "audit_head", s->audit_head);
    ps_json_object_end(&w);
    ps_json_finish(client);
}

static const char *plain_text(uint64_t n, char out[64])
{
    (void)snprintf(out, 64, n ? ", %" PRIu64 " still plain" : "", n);
    return out;
}

/* A psd of before does not say. */
static const char *groups_text(const Psd__V1__StatusResponse *s, char out[96])
{
    (void)snprintf(out, 96,
                   s->connections_total ? "; of %" PRIu64 " so far %" PRIu64 " by X25519MLKEM768"
                                        : "",
                   s->connections_total, s->connections_pq);
    return out;
}

/* Apart, so that a terminal of 80 columns shows each whole; psctl audit head has it in one. */
static void put_head(ps_table *t, const char *head)
{
    size_t line = strcspn(head, ":");
    if (!head[line])
        return; /* there is no line yet */
    ps_table_field(t, "audit line", "%.*s", (int)line, head);
    ps_table_field(t, "its SHA-256", "%s", head + line + 1);
}

static void show_text(ps_client *client, const Psd__V1__StatusResponse *s)
{
    char plain[64], groups[96];
    int64_t now_ms = ps_clock_wall_ms(&ps_clock_system);
    ps_table *t = ps_table_new(NULL);
    ps_table_field(t, "server", "%s", client->server);
    ps_table_field(t, "cluster", "%s", s->cluster);
    ps_table_field(t, "version", "%s", s->version);
    ps_table_color(t, PS_COLOR_DIM, "state");
    ps_table_color(t, s->draining ? PS_COLOR_YELLOW : PS_COLOR_GREEN,
                   s->draining ? "draining: no new jobs, no new tasks" : "serving");
    ps_table_field(t, "up for", "%s",
                   ps_human_duration(floor(ps_seconds_between(s->started_ms, now_ms))).text);
    ps_table_field(t, "workers", "%u", s->workers);
    ps_table_field(t, "jobs", "%u running, %u queued", s->jobs_running, s->jobs_queued);
    ps_table_field(t, "models", "%u", s->models);
    ps_table_field(t, "connections", "%u%s", s->connections, groups_text(s, groups));
    ps_table_field(t, "parameters", "%s", ps_human_bytes((double)s->parameter_bytes).text);
    ps_table_field(t, "messages", "%s of %s", ps_human_bytes((double)s->memory_used).text,
                   ps_human_bytes((double)s->memory_budget).text);
    ps_table_field(t, "pushes", "%" PRIu64, s->pushes);
    ps_table_field(t, "pulls", "%" PRIu64, s->pulls);
    ps_table_field(t, "network", "%s in, %s out", ps_human_bytes((double)s->bytes_in).text,
                   ps_human_bytes((double)s->bytes_out).text);
    ps_table_field(t, "certificate", "until %s", ps_human_time(s->certificate_expires_ms).text);
    if (*s->certificate_serial)
        ps_table_field(t, "its serial", "%s", s->certificate_serial);
    if (s->ca_certificate_expires_ms) /* a psd of before does not say */
        ps_table_field(t, "its CA", "until %s", ps_human_time(s->ca_certificate_expires_ms).text);
    if (*s->crl_number)
        ps_table_field(t, "revoked", "%" PRIu64 " certificate%s, list %s until %s", s->crl_entries,
                       s->crl_entries == 1 ? "" : "s", s->crl_number,
                       ps_human_time(s->crl_expires_ms).text);
    if (*s->sealing_key)
        ps_table_field(t, "sealed", "%" PRIu64 " file%s by %s%s", s->files_sealed,
                       s->files_sealed == 1 ? "" : "s", s->sealing_key,
                       plain_text(s->files_plain, plain));
    put_head(t, s->audit_head);
    ps_table_render(t, &client->style, &client->out);
    ps_table_free(&t);
}

static ps_status run(ps_client *client, const ps_args *args)
{
    (void)args;
    Psd__V1__StatusResponse *status = NULL;
    ps_status st = ps_server_status(client, &status);
    if (st)
        return st;
    if (client->json)
        show_json(client, status);
    else
        show_text(client, status);
    ps_reply_free(&status);
    return PS_OK;
}

const ps_command ps_command_status = {
    .name = "status",
    .operands = "",
    .help = "how the server is",
    .run = run,
};
