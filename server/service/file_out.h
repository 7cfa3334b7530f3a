/* file_out: a file down a server stream, FileChunk by FileChunk of 1 MiB. Reading is done on the
 * thread pool, one chunk ahead of what the call takes. */
#ifndef PS_SERVICE_FILE_OUT_H
#define PS_SERVICE_FILE_OUT_H

#include "common/base/disk.h"
#include "common/transport/rpc_server.h"

/* On the call's loop. Takes over path (ps_strdup). What cannot be opened or read fails the call.
 * The file may be unlinked meanwhile: what was opened is sent. */
void ps_file_out(ps_call *call, const ps_disk *disk, char *path);

#endif
