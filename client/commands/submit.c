/* submit: the job file is checked here first, so that a fault is named with the file's own name and
 * line; psd checks it again. */
#include "client/client.h"
#include "client/commands/commands.h"
#include "client/follow.h"
#include "client/support.h"
#include "common/base/mem.h"
#include "common/conf/conf.h"
#include "common/conf/job_spec.h"
#include "psd/v1/models.pb-c.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

typedef struct options {
    bool follow;
} options;

static const ps_flag flags[] = {
    {.name = "follow",
     .letter = 'f',
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, follow),
     .help = "watch it to its end; exit status 1 when it fails"},
    {.name = NULL},
};

/* The configuration of a stored model. */
static ps_status fetch_config(ps_client *client, const ps_job_spec *spec, char **config)
{
    Psd__V1__GetModelRequest request = PSD__V1__GET_MODEL_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    request.name = spec->initialize_from;
    request.version = spec->model_version;
    ps_status st = ps_client_unary(client, "/psd.v1.Models/Get", &request.base,
                                   &psd__v1__model__descriptor, &reply);
    if (st)
        return st;
    *config = ps_strdup(((Psd__V1__Model *)(void *)reply)->config);
    ps_reply_free(&reply);
    return PS_OK;
}

static ps_status check(ps_client *client, const char *path, ps_buf *text)
{
    const char *name = strcmp(path, "-") ? path : "stdin";
    ps_job_spec *spec = NULL;
    char *config = NULL;
    ps_status st = ps_read_small_file(path, PS_CONF_MAX_BYTES, text);
    if (!st)
        st = ps_job_spec_parse(ps_buf_slice(text), name, &spec);
    if (st)
        return st;
    if (*spec->initialize_from)
        st = fetch_config(client, spec, &config);
    ps_job_spec_free(&spec);
    if (config)
        st = ps_job_spec_parse_from(ps_buf_slice(text), name, config, &spec);
    if (spec)
        ps_job_spec_free(&spec);
    ps_free(&config);
    return st;
}

static void report(ps_client *client, uint64_t id, bool follow)
{
    if (client->json) {
        ps_json_writer w = ps_json_begin(client);
        ps_json_object(&w);
        if (follow)
            ps_json_put_string(&w, "event", "submitted");
        ps_json_put_uint(&w, "job_id", id);
        ps_json_object_end(&w);
        ps_json_finish(client);
    } else if (follow) {
        ps_buf_printf(&client->out, "job %" PRIu64 " is submitted\n", id);
    } else {
        ps_buf_printf(&client->out,
                      "job %" PRIu64 " is submitted; 'psctl watch %" PRIu64 "' follows it\n", id,
                      id);
    }
}

static ps_status run(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    ps_buf text = PS_BUF_EMPTY;
    uint64_t id = 0;
    ps_status st = check(client, args->operands.at[0], &text);
    if (!st)
        st = ps_submit_spec(client, ps_buf_cstr(&text), &id);
    ps_buf_free(&text);
    if (st)
        return st;
    report(client, id, o->follow);
    if (!o->follow)
        return PS_OK;
    st = ps_output_flush(&client->out, STDOUT_FILENO);
    return st ? st : ps_follow_to_end(client, id, true);
}

const ps_command ps_command_submit = {
    .name = "submit",
    .operands = "FILE",
    .help = "submit a job file (- reads standard input)",
    .details = "The file is YAML; psctl-job(5) documents its keys. Paths in it are those of the\n"
               "workers. Ctrl-C while following leaves the job running.\n",
    .flags = flags,
    .options_size = sizeof(options),
    .least = 1,
    .most = 1,
    .run = run,
};
