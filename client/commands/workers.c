/* workers: who is attached, with which device, and what they are at. */
#include "client/call/client.h"
#include "client/call/list.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/show/human.h"
#include "common/base/clock.h"
#include "common/transport/tls/tls_expiry.h"
#include "psd/v1/workers.pb-c.h"

#include <inttypes.h>
#include <string.h>

static const Psd__V1__Hello nothing = PSD__V1__HELLO__INIT;

static const Psd__V1__Hello *hello_of(const Psd__V1__Worker *worker)
{
    return worker->hello ? worker->hello : &nothing;
}

static void worker_json(ps_json_writer *w, const Psd__V1__Worker *worker)
{
    const Psd__V1__Hello *hello = hello_of(worker);
    ps_json_object(w);
    ps_json_put_string(w, "name", worker->name);
    ps_json_put_string(w, "shown_name", hello->shown_name);
    ps_json_put_string(w, "address", worker->address);
    ps_json_put_string(w, "state", worker->state);
    ps_json_put_string(w, "version", hello->version);
    ps_json_put_string(w, "device", hello->device);
    ps_json_put_string(w, "device_reason", hello->device_reason);
    ps_json_put_uint(w, "memory_bytes", hello->memory_bytes);
    ps_json_put_uint(w, "slots", hello->slots);
    ps_json_key(w, "kinds");
    ps_json_array(w);
    for (size_t i = 0; i < hello->n_kinds; i++)
        ps_json_string(w, hello->kinds[i]);
    ps_json_array_end(w);
    ps_json_key(w, "jobs");
    ps_json_array(w);
    for (size_t i = 0; i < worker->n_jobs; i++)
        ps_json_uint(w, worker->jobs[i]);
    ps_json_array_end(w);
    ps_json_put_int(w, "attached_ms", worker->attached_ms);
    ps_json_put_int(w, "heard_ms", worker->heard_ms);
    ps_json_put_int(w, "certificate_starts_ms", worker->certificate_starts_ms);
    ps_json_put_int(w, "certificate_expires_ms", worker->certificate_expires_ms);
    ps_json_object_end(w);
}

static ps_color state_color(const char *state)
{
    if (!strcmp(state, "busy"))
        return PS_COLOR_CYAN;
    if (!strcmp(state, "idle"))
        return PS_COLOR_GREEN;
    if (!strcmp(state, "left"))
        return PS_COLOR_DIM;
    return !strcmp(state, "silent") ? PS_COLOR_RED : PS_COLOR_YELLOW;
}

static void worker_row(ps_table *t, const Psd__V1__Worker *worker, int64_t now_ms)
{
    const Psd__V1__Hello *hello = hello_of(worker);
    ps_buf jobs = PS_BUF_EMPTY;
    for (size_t i = 0; i < worker->n_jobs; i++)
        ps_buf_printf(&jobs, "%s%" PRIu64, i ? "," : "", worker->jobs[i]);
    ps_table_text(t, worker->name);
    ps_table_text(t, strcmp(hello->shown_name, worker->name) != 0 ? hello->shown_name : "");
    ps_table_color(t, state_color(worker->state), worker->state);
    ps_table_text(t, ps_buf_cstr(&jobs));
    ps_table_text(t, hello->memory_bytes ? ps_human_bytes((double)hello->memory_bytes).text : "");
    ps_table_text(t, ps_human_ago(worker->heard_ms, now_ms).text);
    ps_table_text(t, worker->address);
    ps_table_text(t, hello->version);
    if (*hello->device_reason)
        ps_table_printf(t, "%s (%s)", hello->device, hello->device_reason);
    else
        ps_table_text(t, hello->device);
    ps_buf_free(&jobs);
}

/* Only of those that somebody has to do something about. */
static void remark_certificates(ps_client *client, const Psd__V1__ListWorkersResponse *list,
                                int64_t now_ms)
{
    for (size_t i = 0; i < list->n_workers; i++) {
        const Psd__V1__Worker *worker = list->workers[i];
        int64_t ends_ms = worker->certificate_expires_ms;
        if (!ends_ms || !strcmp(worker->state, "silent") || !strcmp(worker->state, "left") ||
            !ps_tls_expiry_is_near(worker->certificate_starts_ms / 1000, ends_ms / 1000,
                                   now_ms / 1000))
            continue;
        ps_buf line = PS_BUF_EMPTY;
        ps_buf_printf(&line, "the certificate of %s ends on %s", worker->name,
                      ps_human_time(ends_ms).text);
        ps_put_text(&client->out, &client->style, PS_COLOR_YELLOW, ps_buf_cstr(&line));
        ps_buf_putc(&client->out, '\n');
        ps_buf_free(&line);
    }
}

static void show(ps_client *client, const Psd__V1__ListWorkersResponse *list)
{
    static const char *const headers[] = {"NAME",  "SHOWN AS", "STATE",   "JOBS",   ">MEMORY",
                                          "HEARD", "ADDRESS",  "VERSION", "DEVICE", NULL};
    if (client->json) {
        ps_json_writer w = ps_json_begin(client);
        ps_json_object(&w);
        ps_json_key(&w, "workers");
        ps_json_array(&w);
        for (size_t i = 0; i < list->n_workers; i++)
            worker_json(&w, list->workers[i]);
        ps_json_array_end(&w);
        ps_json_object_end(&w);
        ps_json_finish(client);
        return;
    }
    if (list->n_workers == 0) {
        ps_buf_puts(&client->out, "no workers\n");
        return;
    }
    ps_table *t = ps_table_new(headers);
    int64_t now_ms = ps_clock_wall_ms(&ps_clock_system);
    for (size_t i = 0; i < list->n_workers; i++)
        worker_row(t, list->workers[i], now_ms);
    ps_table_render(t, &client->style, &client->out);
    ps_table_free(&t);
    remark_certificates(client, list, now_ms);
}

static ps_status run(ps_client *client, const ps_args *args)
{
    (void)args;
    Psd__V1__ListWorkersRequest request = PSD__V1__LIST_WORKERS_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_client_list(client, "/psd.v1.Workers/List", &request.base,
                                  &psd__v1__list_workers_response__descriptor, 0, &reply);
    if (st)
        return st;
    show(client, (const Psd__V1__ListWorkersResponse *)(void *)reply);
    ps_reply_free(&reply);
    return PS_OK;
}

const ps_command ps_command_workers = {
    .name = "workers",
    .operands = "",
    .help = "list the workers that are attached",
    .run = run,
};
