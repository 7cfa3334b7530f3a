/* status, drain, reload, checkpoint: the operator's calls. */
#include "client/client.h"
#include "client/commands/commands.h"
#include "client/human.h"
#include "client/support.h"
#include "common/base/clock.h"
#include "psd/v1/admin.pb-c.h"

#include <inttypes.h>

typedef struct options {
    bool off;
} options;

/* status --------------------------------------------------------------------------------------- */

static void status_json(ps_client *client, const Psd__V1__StatusResponse *s)
{
    ps_json_writer w = ps_json_begin(client);
    ps_json_object(&w);
    ps_json_put_string(&w, "server", client->server);
    ps_json_put_string(&w, "version", s->version);
    ps_json_put_string(&w, "cluster", s->cluster);
    ps_json_put_int(&w, "started_ms", s->started_ms);
    ps_json_put_uint(&w, "connections", s->connections);
    ps_json_put_uint(&w, "workers", s->workers);
    ps_json_put_uint(&w, "jobs_queued", s->jobs_queued);
    ps_json_put_uint(&w, "jobs_running", s->jobs_running);
    ps_json_put_uint(&w, "models", s->models);
    ps_json_put_uint(&w, "parameter_bytes", s->parameter_bytes);
    ps_json_put_uint(&w, "memory_budget", s->memory_budget);
    ps_json_put_uint(&w, "memory_used", s->memory_used);
    ps_json_put_bool(&w, "draining", s->draining);
    ps_json_put_int(&w, "certificate_expires_ms", s->certificate_expires_ms);
    ps_json_put_uint(&w, "pushes", s->pushes);
    ps_json_put_uint(&w, "pulls", s->pulls);
    ps_json_put_uint(&w, "bytes_in", s->bytes_in);
    ps_json_put_uint(&w, "bytes_out", s->bytes_out);
    ps_json_object_end(&w);
    ps_json_finish(client);
}

static void status_text(ps_client *client, const Psd__V1__StatusResponse *s)
{
    int64_t now_ms = ps_clock_wall_ms(&ps_clock_system);
    ps_table *t = ps_table_new(NULL);
    ps_table_field(t, "server", "%s", client->server);
    ps_table_field(t, "cluster", "%s", s->cluster);
    ps_table_field(t, "version", "%s", s->version);
    ps_table_color(t, PS_COLOR_DIM, "state");
    ps_table_color(t, s->draining ? PS_COLOR_YELLOW : PS_COLOR_GREEN,
                   s->draining ? "draining: no new jobs, no new tasks" : "serving");
    ps_table_field(t, "up for", "%s",
                   ps_human_duration((double)((now_ms - s->started_ms) / 1000)).text);
    ps_table_field(t, "workers", "%u", s->workers);
    ps_table_field(t, "jobs", "%u running, %u queued", s->jobs_running, s->jobs_queued);
    ps_table_field(t, "models", "%u", s->models);
    ps_table_field(t, "connections", "%u", s->connections);
    ps_table_field(t, "parameters", "%s", ps_human_bytes((double)s->parameter_bytes).text);
    ps_table_field(t, "messages", "%s of %s", ps_human_bytes((double)s->memory_used).text,
                   ps_human_bytes((double)s->memory_budget).text);
    ps_table_field(t, "pushes", "%" PRIu64, s->pushes);
    ps_table_field(t, "pulls", "%" PRIu64, s->pulls);
    ps_table_field(t, "network", "%s in, %s out", ps_human_bytes((double)s->bytes_in).text,
                   ps_human_bytes((double)s->bytes_out).text);
    ps_table_field(t, "certificate", "until %s", ps_human_time(s->certificate_expires_ms).text);
    ps_table_render(t, &client->style, &client->out);
    ps_table_free(&t);
}

static ps_status run_status(ps_client *client, const ps_args *args)
{
    (void)args;
    Psd__V1__StatusRequest request = PSD__V1__STATUS_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_client_unary(client, "/psd.v1.Admin/Status", &request.base,
                                   &psd__v1__status_response__descriptor, &reply);
    if (st)
        return st;
    if (client->json)
        status_json(client, (const Psd__V1__StatusResponse *)(void *)reply);
    else
        status_text(client, (const Psd__V1__StatusResponse *)(void *)reply);
    ps_reply_free(&reply);
    return PS_OK;
}

/* The others: one number or two in the answer ---------------------------------------------------
 */

static ps_status run_drain(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    Psd__V1__DrainRequest request = PSD__V1__DRAIN_REQUEST__INIT;
    request.off = o->off;
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_client_unary(client, "/psd.v1.Admin/Drain", &request.base,
                                   &psd__v1__drain_response__descriptor, &reply);
    if (st)
        return st;
    uint32_t tasks = ((const Psd__V1__DrainResponse *)(void *)reply)->running_tasks;
    if (client->json) {
        ps_json_writer w = ps_json_begin(client);
        ps_json_object(&w);
        ps_json_put_bool(&w, "draining", !o->off);
        ps_json_put_uint(&w, "running_tasks", tasks);
        ps_json_object_end(&w);
        ps_json_finish(client);
    } else if (o->off) {
        ps_buf_puts(&client->out, "serving again\n");
    } else {
        ps_buf_printf(&client->out, "draining: %u task%s still running\n", tasks,
                      tasks == 1 ? "" : "s");
    }
    ps_reply_free(&reply);
    return PS_OK;
}

static ps_status run_reload(ps_client *client, const ps_args *args)
{
    (void)args;
    Psd__V1__ReloadRequest request = PSD__V1__RELOAD_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_client_unary(client, "/psd.v1.Admin/Reload", &request.base,
                                   &psd__v1__reload_response__descriptor, &reply);
    if (st)
        return st;
    int64_t until = ((const Psd__V1__ReloadResponse *)(void *)reply)->certificate_expires_ms;
    if (client->json) {
        ps_json_writer w = ps_json_begin(client);
        ps_json_object(&w);
        ps_json_put_int(&w, "certificate_expires_ms", until);
        ps_json_object_end(&w);
        ps_json_finish(client);
    } else {
        ps_buf_printf(&client->out, "reloaded: the certificate is in force until %s\n",
                      ps_human_time(until).text);
    }
    ps_reply_free(&reply);
    return PS_OK;
}

static ps_status run_checkpoint(ps_client *client, const ps_args *args)
{
    (void)args;
    Psd__V1__CheckpointRequest request = PSD__V1__CHECKPOINT_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_client_unary(client, "/psd.v1.Admin/Checkpoint", &request.base,
                                   &psd__v1__checkpoint_response__descriptor, &reply);
    if (st)
        return st;
    const Psd__V1__CheckpointResponse *c = (const Psd__V1__CheckpointResponse *)(void *)reply;
    if (client->json) {
        ps_json_writer w = ps_json_begin(client);
        ps_json_object(&w);
        ps_json_put_uint(&w, "jobs", c->jobs);
        ps_json_put_uint(&w, "bytes", c->bytes);
        ps_json_object_end(&w);
        ps_json_finish(client);
    } else {
        ps_buf_printf(&client->out, "checkpoints of %u job%s are written (%s)\n", c->jobs,
                      c->jobs == 1 ? "" : "s", ps_human_bytes((double)c->bytes).text);
    }
    ps_reply_free(&reply);
    return PS_OK;
}

static const ps_flag drain_flags[] = {
    {.name = "off",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, off),
     .help = "take it back: serve again"},
    {.name = NULL},
};

const ps_command ps_command_status = {
    .name = "status",
    .operands = "",
    .help = "how the server is",
    .run = run_status,
};

const ps_command ps_command_drain = {
    .name = "drain",
    .operands = "",
    .help = "no new jobs and tasks; what runs comes to its end",
    .flags = drain_flags,
    .options_size = sizeof(options),
    .run = run_drain,
};

const ps_command ps_command_reload = {
    .name = "reload",
    .operands = "",
    .help = "make the server read its certificates and log level again",
    .run = run_reload,
};

const ps_command ps_command_checkpoint = {
    .name = "checkpoint",
    .operands = "",
    .help = "write a checkpoint of every running job now",
    .run = run_checkpoint,
};
