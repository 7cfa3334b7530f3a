/* transfer: whole files between a task and psd, as streams of pieces: stored models down, what a
 * task leaves with its job up. Blocks the task's thread; a broken transfer begins again. */
#ifndef PS_REMOTE_TRANSFER_H
#define PS_REMOTE_TRANSFER_H

#include "worker/remote/remote.h"

/* Called on the loop's thread while the task's waits. */
typedef struct ps_transfer_sink {
    void (*restart)(void *state);                   /* what came so far is void; also at first */
    ps_status (*take)(void *state, ps_slice bytes); /* the next bytes of the file */
    void *state;
    const char
        *version; /* what psd must say that the file is (FileChunk.version); NULL: anything */
} ps_transfer_sink;

/* A call that answers with a stream of FileChunk. Fails as take does, too; PS_FAILED_PRECONDITION:
 * it is another version; PS_DATA_LOSS: the call has ended well before the file did. */
PS_MUST_CHECK ps_status ps_transfer_download(ps_remote *remote, const char *path,
                                             const ProtobufCMessage *request,
                                             const ps_transfer_sink *sink);

/* Called on the task's thread. */
typedef struct ps_transfer_source {
    ps_status (*restart)(void *state); /* from the first byte again; also at first */
    /* The next bytes of the file; *got 0: there are no more. */
    ps_status (*read)(void *state, void *out, size_t len, size_t *got);
    void *state;
} ps_transfer_source;

/* A call that takes `header`, then `piece` with parts of the file as payload, and answers once (the
 * answer is dropped). Some pieces of a mebibyte are in memory at a time. Fails as the source does,
 * too. */
PS_MUST_CHECK ps_status ps_transfer_upload(ps_remote *remote, const char *path,
                                           const ProtobufCMessage *header,
                                           const ProtobufCMessage *piece,
                                           const ps_transfer_source *source);

#endif
