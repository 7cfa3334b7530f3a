/* Happy path: the pieces go to a file without a name, which is mapped and closed. */
#include "client/call/artifact.h"

#include "client/call/file_receive.h"
#include "client/call/support.h"
#include "common/base/temporary.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct spool {
    int fd;
    size_t bytes;
} spool;

static ps_status take(void *user, ps_slice piece)
{
    spool *s = user;
    for (size_t done = 0; done < piece.len;) {
        ssize_t n = write(s->fd, piece.data + done, piece.len - done);
        if (n < 0 && errno != EINTR)
            return ps_fail_errno(errno, "a temporary file (TMPDIR names another folder)");
        done += n < 0 ? 0 : (size_t)n;
    }
    s->bytes += piece.len;
    return PS_OK;
}

static ps_status map(const spool *s, ps_artifact *out)
{
    *out = (ps_artifact){.bytes = ps_slice_of(NULL, 0)};
    if (!s->bytes)
        return PS_OK;
    void *at = mmap(NULL, s->bytes, PROT_READ, MAP_PRIVATE, s->fd, 0);
    if (at == MAP_FAILED)
        return ps_fail_errno(errno, "a temporary file of %zu bytes", s->bytes);
    out->bytes = ps_slice_of(at, s->bytes);
    return PS_OK;
}

ps_status ps_artifact_fetch(ps_client *client, uint64_t job_id, const char *name, ps_artifact *out)
{
    Psd__V1__GetArtifactRequest request = PSD__V1__GET_ARTIFACT_REQUEST__INIT;
    spool s = {.fd = -1};
    request.job_id = job_id;
    request.name = ps_borrow(name);
    ps_status st = ps_temporary_open(&s.fd);
    if (st)
        return st;
    st = ps_receive_file(client, "/psd.v1.Models/GetArtifact", &request.base, take, &s, NULL);
    if (!st)
        st = map(&s, out);
    (void)close(s.fd);
    return st;
}

void ps_artifact_free(ps_artifact *artifact)
{
    union {
        const uint8_t *kept;
        void *mapped;
    } at = {.kept = artifact->bytes.data};
    if (artifact->bytes.len)
        (void)munmap(at.mapped, artifact->bytes.len);
    *artifact = (ps_artifact){.bytes = ps_slice_of(NULL, 0)};
}
