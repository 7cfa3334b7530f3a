/* stored_stream: a stored model as Models.Export sends it: the header of its safetensors file, then
 * the data of one tensor after the other. Nothing of it is kept here but the header. */
#ifndef PS_JOB_STORED_STREAM_H
#define PS_JOB_STORED_STREAM_H

#include "common/model/model_forms.h"
#include "common/security/digest.h"
#include "worker/remote/transfer.h"

/* Which: the name, and the version that the task came with. */
typedef struct ps_stored_model {
    const char *name, *version;
    uint64_t job_id; /* that works on the model; this worker holds a lease of it */
    bool moments;    /* not the model: what its training left (common/compress/moments.h) */
} ps_stored_model;

/* Called on the loop's thread while the task's waits (not asserted here: transfer.c asks); what one
 * of them fails with ends the stream and is its failure. */
typedef struct ps_stored_sink {
    void (*restart)(void *user); /* what came so far is void; also at first */
    /* The header is there, and how each of its tensors is stored; both stay until restart, or the
     * end. */
    ps_status (*head)(void *user, const ps_safetensors *file, const ps_model_form *tensors);
    /* More of the file's tensor of that number, at that byte of it; in the order of the file. */
    ps_status (*data)(void *user, size_t tensor, uint64_t offset, ps_slice bytes);
    /* All has come, as long as it was to be. On the task's thread; may be NULL. */
    ps_status (*end)(void *user);
    void *user;
    char *
        sha256; /* [PS_DIGEST_TEXT]: of all bytes of the file, when it has come; NULL: not wanted */
} ps_stored_sink;

/* Blocks the task's thread. PS_NOT_FOUND: no such model; PS_FAILED_PRECONDITION: it is not that
 * version; PS_CORRUPT: no such file, or too short or long; messages begin with the model's name. */
PS_MUST_CHECK ps_status ps_stored_stream(ps_remote *remote, const ps_stored_model *which,
                                         const ps_stored_sink *sink);

#endif
