/* spool: what a task makes and sends when it is whole. A mebibyte of it is in memory; what is more
 * is in a file without a name, in the first of these folders in which one can be made: $TMPDIR, the
 * service's own state folder ($STATE_DIRECTORY), /var/tmp, /tmp. The file is sealed by a key that
 * is in memory alone: what a task makes says something about parameters or data. The task's
 * thread's (not asserted: it is a local of the task).
 *
 *     ps_spool spool = PS_SPOOL(&ps_disk_system);
 *     ps_buf_puts(&spool.pending, "a line\n");   // again and again, each time
 *     st = ps_spool_step(&spool);                // writes when that has become much
 *     ...
 *     st = ps_transfer_upload(remote, path, header, piece, &(ps_transfer_source){
 *         .restart = ps_spool_rewind, .read = ps_spool_read, .state = &spool});
 *     ps_spool_free(&spool);
 */
#ifndef PS_TASKS_SPOOL_H
#define PS_TASKS_SPOOL_H

#include "common/base/buf.h"
#include "common/base/disk.h"
#include "common/seal/sealed_file.h"

enum { PS_SPOOL_MEMORY = 1 << 20, PS_SPOOL_FOLDERS = 4 };

/* Where files may be made, the first first; NULL: none is named there. */
const char *ps_spool_folder(size_t i);

typedef struct ps_spool {
    const ps_disk *disk;
    ps_buf pending; /* behind what is in the file */
    int out, in;    /* the file, to write and to read; -1: there is none yet */
    ps_secret *key; /* of the file */
    ps_seal_writer *writer;
    ps_seal_reader *reader; /* once it is read; nothing is written any more */
    uint64_t written;
    uint64_t read; /* so far */
    char *folder;  /* of the file */
} ps_spool;

#define PS_SPOOL(of) ((ps_spool){.disk = (of), .out = -1, .in = -1})

/* PS_NO_SPACE, PS_IO, ...: of the file; the message names the folder. */
PS_MUST_CHECK ps_status ps_spool_step(ps_spool *spool);
PS_MUST_CHECK ps_status ps_spool_rewind(void *spool);
/* *got 0: that was all. */
PS_MUST_CHECK ps_status ps_spool_read(void *spool, void *out, size_t len, size_t *got);
void ps_spool_free(ps_spool *spool);

#endif
