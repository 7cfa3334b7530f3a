/* Happy path: the file goes up in pieces, from its start again when the connection breaks. */
#include "worker/tasks/artifact.h"

#include "common/base/require.h"
#include "common/format/artifact_name.h"
#include "psd/v1/models.pb-c.h"
#include "worker/remote/transfer.h"
#include "worker/task/result.h"

static const char path[] = "/psd.v1.Models/PutArtifact";

ps_status ps_artifact_leave(ps_task_run *run, const char *name, ps_spool *spool,
                            Psd__V1__TaskResult *result)
{
    PS_REQUIRE(ps_artifact_name_ok(name));
    Psd__V1__PutArtifactHeader header;
    psd__v1__put_artifact_header__init(&header);
    header.job_id = run->task->job_id;
    header.name = (char *)(uintptr_t)name; /* only read */
    Psd__V1__PutArtifactRequest first = PSD__V1__PUT_ARTIFACT_REQUEST__INIT;
    first.header = &header;
    Psd__V1__PutArtifactRequest piece = PSD__V1__PUT_ARTIFACT_REQUEST__INIT;
    const ps_transfer_source source = {
        .restart = ps_spool_rewind, .read = ps_spool_read, .state = spool};
    ps_status st = ps_transfer_upload(run->remote, path, &first.base, &piece.base, &source);
    if (st == PS_RESOURCE_EXHAUSTED) /* psd has no room: computed again it would not fit either */
        st = PS_FAILED_PRECONDITION;
    if (st)
        return ps_wrap(st, "artifact %s", name);
    ps_result_artifact(result, name);
    return PS_OK;
}
