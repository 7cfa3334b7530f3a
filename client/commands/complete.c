/* __complete: words for the shell's completion, one a line, out of the same tables as the help
 * texts; jobs and models are asked of the server, and nothing is said when it does not answer. */
#include "client/call/client.h"
#include "client/call/list.h"
#include "client/call/support.h"
#include "client/cli/context.h"
#include "client/commands/commands.h"
#include "common/base/mem.h"
#include "common/conf/job_spec.h"
#include "psd/v1/jobs.pb-c.h"
#include "psd/v1/models.pb-c.h"

#include <inttypes.h>
#include <string.h>

static void put_command(ps_buf *out, const ps_command *command, const char *group)
{
    size_t len = group ? strlen(group) : 0;
    if (command->hidden)
        return;
    if (group && !strncmp(command->name, group, len) && command->name[len] == ' ')
        ps_buf_printf(out, "%s\n", command->name + len + 1);
    else if (!group && !strchr(command->name, ' '))
        ps_buf_printf(out, "%s\n", command->name);
}

/* The first words of groups, each once, but of those that are commands, too; rows of a group stand
 * together, and behind that. */
static void put_groups(ps_buf *out)
{
    const char *last = "";
    for (const ps_command *const *c = ps_commands; *c; c++) {
        size_t len = strcspn((*c)->name, " ");
        bool same = !strncmp((*c)->name, last, len) && (!last[len] || last[len] == ' ');
        if ((*c)->name[len] && !same)
            ps_buf_printf(out, "%.*s\n", (int)len, (*c)->name);
        last = (*c)->name;
    }
}

static void put_flags(ps_buf *out, const ps_flag *flags)
{
    for (const ps_flag *f = flags; f && f->name; f++) {
        ps_buf_printf(out, "--%s", f->name);
        if (f->value) /* what follows: the words, or what kind of thing */
            ps_buf_printf(out, " %s", f->words ? "" : f->value);
        for (const char *const *w = f->words; w && *w; w++)
            ps_buf_printf(out, " %s", *w);
        ps_buf_putc(out, '\n');
    }
}

static ps_status put_jobs(ps_client *client)
{
    Psd__V1__ListJobsRequest request = PSD__V1__LIST_JOBS_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_client_list(client, "/psd.v1.Jobs/List", &request.base,
                                  &psd__v1__list_jobs_response__descriptor, 0, &reply);
    if (st)
        return st;
    const Psd__V1__ListJobsResponse *list = (const Psd__V1__ListJobsResponse *)(void *)reply;
    for (size_t i = 0; i < list->n_jobs; i++)
        ps_buf_printf(&client->out, "%" PRIu64 "\n", list->jobs[i]->id);
    ps_reply_free(&reply);
    return PS_OK;
}

static ps_status put_models(ps_client *client)
{
    Psd__V1__ListModelsRequest request = PSD__V1__LIST_MODELS_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_client_list(client, "/psd.v1.Models/List", &request.base,
                                  &psd__v1__list_models_response__descriptor, 0, &reply);
    if (st)
        return st;
    const Psd__V1__ListModelsResponse *list = (const Psd__V1__ListModelsResponse *)(void *)reply;
    for (size_t i = 0; i < list->n_models; i++)
        if (ps_job_spec_name_ok(list->models[i]->name)) /* the shell looks for more in words */
            ps_buf_printf(&client->out, "%s\n", list->models[i]->name);
    ps_reply_free(&reply);
    return PS_OK;
}

static ps_status put_artifacts(ps_client *client, const char *job)
{
    uint64_t job_id = 0;
    Psd__V1__ListArtifactsResponse *list = NULL;
    ps_status st = ps_job_of(client, job, &job_id);
    if (!st)
        st = ps_list_artifacts(client, job_id, &list);
    for (size_t i = 0; !st && i < list->n_artifacts; i++)
        ps_buf_printf(&client->out, "%s\n", list->artifacts[i]->name);
    ps_reply_free(&list);
    return st;
}

static ps_status put_contexts(ps_client *client)
{
    char *path = ps_context_path();
    ps_contexts *all = NULL;
    ps_status st = path ? ps_contexts_load(path, &all) : PS_OK;
    for (size_t i = 0; all && i < all->n_contexts; i++)
        ps_buf_printf(&client->out, "%s\n", all->contexts[i].name);
    ps_contexts_free(&all);
    ps_free(&path);
    return st;
}

static ps_status run(ps_client *client, const ps_args *args)
{
    const char *what = args->operands.at[0];
    const char *name = args->operands.n > 1 ? args->operands.at[1] : NULL;
    if (!strcmp(what, "jobs"))
        return put_jobs(client);
    if (!strcmp(what, "models"))
        return put_models(client);
    if (!strcmp(what, "artifacts") && name)
        return put_artifacts(client, name);
    if (!strcmp(what, "contexts"))
        return put_contexts(client);
    if (!strcmp(what, "commands")) {
        for (const ps_command *const *c = ps_commands; *c; c++)
            put_command(&client->out, *c, name);
        if (!name)
            put_groups(&client->out);
    } else if (!strcmp(what, "flags")) {
        const ps_command *command = name ? ps_command_find(name) : NULL;
        put_flags(&client->out, command ? command->flags : NULL);
        put_flags(&client->out, ps_global_flags);
    } else {
        return ps_client_usage(client, "nothing is known about '%s'", what);
    }
    return PS_OK;
}

const ps_command ps_command_complete = {
    .name = "__complete",
    .operands = "jobs|models|artifacts|contexts|commands|flags [COMMAND|JOB]",
    .help = "words for the shell's completion",
    .least = 1,
    .most = 2,
    .hidden = true,
    .run = run,
};
