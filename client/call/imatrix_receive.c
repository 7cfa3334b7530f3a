/* The sums come as the artifact that the job has left, and only their squares are kept. */
#include "client/call/imatrix_receive.h"

#include "client/call/file_receive.h"
#include "client/call/support.h"
#include "common/compress/calibration.h"
#include "common/compress/imatrix.h"
#include "psd/v1/models.pb-c.h"

static ps_status take(void *user, ps_slice piece)
{
    return ps_imatrix_feed(user, piece);
}

ps_status ps_imatrix_receive(ps_client *client, const char *name, uint64_t job_id, ps_buf *gguf)
{
    Psd__V1__GetArtifactRequest request = PSD__V1__GET_ARTIFACT_REQUEST__INIT;
    request.job_id = job_id;
    request.name = ps_borrow(PS_CALIBRATION_FILE);
    ps_imatrix *matrix = ps_imatrix_new();
    ps_status st = job_id ? ps_receive_file(client, "/psd.v1.Models/GetArtifact", &request.base,
                                            take, matrix, NULL)
                          : PS_NOT_FOUND;
    if (st == PS_NOT_FOUND)
        st = ps_fail(PS_NOT_FOUND,
                     "the job that made model %s has left no sums of its calibration; a compress "
                     "job with compress.calibrate.keep: true does",
                     name);
    if (!st)
        st = ps_imatrix_finish(matrix, gguf);
    ps_imatrix_free(&matrix);
    return st;
}
