/* watch: a job followed to its end. */
#include "client/client.h"
#include "client/commands/commands.h"
#include "client/follow.h"
#include "client/support.h"

#include <unistd.h>

static ps_status run(ps_client *client, const ps_args *args)
{
    uint64_t id = 0;
    ps_status st = ps_parse_job_id(client, args->operands.at[0], &id);
    if (st)
        return st;
    ps_follow_options how = {.form = client->json ? PS_FOLLOW_JSON : PS_FOLLOW_TEXT,
                             .fd = STDOUT_FILENO};
    Psd__V1__Job *job = NULL;
    st = ps_follow(client, id, &how, &job);
    if (st)
        return st;
    st = ps_follow_verdict(job);
    ps_reply_free(&job);
    return st;
}

const ps_command ps_command_watch = {
    .name = "watch",
    .operands = "ID",
    .help = "follow a job to its end",
    .details = "A progress bar on a terminal, a line an epoch (or every five seconds) elsewhere;\n"
               "with --output json one document a line. Goes on when psd is restarted, and gives\n"
               "up after five minutes without it (--timeout). Ctrl-C leaves the job running.\n",
    .least = 1,
    .most = 1,
    .run = run,
};
