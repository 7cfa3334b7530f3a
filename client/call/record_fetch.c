#include "client/call/record_fetch.h"

#include "client/call/file_receive.h"
#include "client/call/support.h"

#include <inttypes.h>

static const size_t most = (size_t)4 << 30;

static ps_status take(void *user, ps_slice piece)
{
    return ps_buf_append_limited(user, piece.data, piece.len, most);
}

ps_status ps_record_fetch(ps_client *client, uint64_t job_id, const char *name, const char *key,
                          ps_buf *out)
{
    Psd__V1__GetArtifactRequest request = PSD__V1__GET_ARTIFACT_REQUEST__INIT;
    request.job_id = job_id;
    request.name = ps_borrow(name);
    ps_status st =
        ps_receive_file(client, "/psd.v1.Models/GetArtifact", &request.base, take, out, NULL);
    return st == PS_NOT_FOUND
               ? ps_fail(st,
                         "job %" PRIu64 " has left no %s; a training with %s in its job file does, "
                         "when it is done",
                         job_id, name, key)
               : st;
}
