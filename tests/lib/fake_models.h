/* fake_models: a Models service for tests of those who download models and leave artifacts, over
 * the real transport. What goes wrong is told by faults (fault.h). All fields under lock.
 */
#ifndef PS_TEST_FAKE_MODELS_H
#define PS_TEST_FAKE_MODELS_H

#include "common/base/buf.h"
#include "common/transport/server/rpc_server.h"
#include "tests/lib/fault.h"

#include <pthread.h>

typedef struct fake_models {
    pthread_mutex_t lock;
    ps_slice file;    /* what Export sends, */
    size_t piece;     /* in pieces of so many bytes, */
    char version[64]; /* and says that it is; "": the version that it is asked for */
    ps_buf artifact;  /* what PutArtifact brought last, */
    char artifact_name[64];
    uint64_t job_id;        /* and for which job (Export as well) */
    unsigned exports, puts; /* calls; a put when its last byte was there */
    size_t largest_piece;   /* of a put */
    /* what goes wrong, by calls */
    fault break_exports; /* end UNAVAILABLE after half of the file */
    fault cut_exports;   /* end OK after half of the file */
    fault lose_puts;     /* taken, but answered UNAVAILABLE */
    ps_status refuse;    /* every call, with "no" */
    bool silent;         /* never answers */
} fake_models;

void fake_models_init(fake_models *fake, ps_slice file, size_t piece);
void fake_models_free(fake_models *fake);
ps_rpc_service fake_models_service(fake_models *fake);
/* One of the counters, from the test's thread. */
unsigned fake_models_count(fake_models *fake, const unsigned *counter);

#endif
