/* Happy path: what the job has left is listed, and of its record fetched what is there. */
#include "client/call/training_fetch.h"

#include "client/call/artifact.h"
#include "client/call/support.h"

#include <inttypes.h>
#include <string.h>

#define NOISE_FILE "noise_scale.json"

static const char *const names[] = {PS_LOSS_FILE, PS_INFLUENCE_FILE, NOISE_FILE};
enum { FILES = sizeof names / sizeof *names };

static ps_status fetch_all(ps_client *client, uint64_t job_id, ps_artifact files[FILES])
{
    Psd__V1__ListArtifactsResponse *list = NULL;
    size_t found = 0;
    ps_status st = ps_list_artifacts(client, job_id, &list);
    for (size_t i = 0; !st && i < list->n_artifacts; i++)
        for (size_t k = 0; !st && k < FILES; k++)
            if (!strcmp(list->artifacts[i]->name, names[k]) && !files[k].bytes.len) {
                st = ps_artifact_fetch(client, job_id, names[k], &files[k]);
                found++;
            }
    ps_reply_free(&list);
    if (!st && !found)
        st = ps_fail(PS_NOT_FOUND, "job %" PRIu64 " has left no record of a training", job_id);
    return st;
}

ps_status ps_training_fetch(ps_client *client, uint64_t job_id, ps_training **out)
{
    ps_artifact files[FILES] = {{.bytes = {0}}};
    ps_status st = fetch_all(client, job_id, files);
    if (!st) {
        st = ps_training_read(&(ps_training_files){.job = job_id,
                                                   .losses = files[0].bytes,
                                                   .influence = files[1].bytes,
                                                   .noise = files[2].bytes},
                              out);
        st = st ? ps_wrap(st, "the record of job %" PRIu64, job_id) : PS_OK;
    }
    for (size_t k = 0; k < FILES; k++)
        ps_artifact_free(&files[k]);
    return st;
}
