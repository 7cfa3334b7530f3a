/* file_out: a file down a server stream, FileChunk by FileChunk of 1 MiB. Finding, opening and
 * reading are done on the thread pool, one chunk ahead of what the call takes. */
#ifndef PS_SERVICE_FILE_OUT_H
#define PS_SERVICE_FILE_OUT_H

#include "server/service/unary.h"

/* What is to be sent. */
typedef struct ps_file_opened {
    int file;
    char *version;       /* what the first chunk says of it, owned; NULL: nothing */
    uint64_t begin, end; /* bytes of it; end 0: to its end. May be any: they are looked at */
} ps_file_opened;

/* On the pool: finds out whether the caller may, and opens the file; *out is zeros before. On
 * failure the call fails with this thread's message. */
typedef ps_status (*ps_file_out_open)(ps_services *services, const ps_caller *caller,
                                      const ProtobufCMessage *request, ps_file_opened *out);

/* On the call's loop. `what` is for the audit log: files that leave are on record, as are those
 * that were asked for in vain; of parts of one that a connection reads, the first. The file may be
 * replaced meanwhile: what was opened is sent. */
void ps_file_out(ps_call *call, ps_services *services, const ProtobufCMessage *request,
                 ps_file_out_open open, const char *what);

#endif
