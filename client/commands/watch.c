/* watch: a job followed to its end. */
#include "client/call/client.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/follow/follow.h"

static ps_status run(ps_client *client, const ps_args *args)
{
    uint64_t id = 0;
    ps_status st = ps_job_of(client, args->operands.at[0], &id);
    return st ? st : ps_follow_to_end(client, id, false);
}

const ps_command ps_command_watch = {
    .name = "watch",
    .operands = "JOB",
    .help = "follow a job to its end",
    .details = "A progress bar on a terminal, a line an epoch (or every five seconds) elsewhere;\n"
               "with --output json one document a line. Goes on when psd is restarted, and gives\n"
               "up after five minutes without it (--timeout). Ctrl-C leaves the job running.\n",
    .least = 1,
    .most = 1,
    .run = run,
};
