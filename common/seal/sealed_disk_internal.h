/* sealed_disk_internal: what the files of sealed_disk share. Private to this folder. */
#ifndef PS_SEAL_SEALED_DISK_INTERNAL_H
#define PS_SEAL_SEALED_DISK_INTERNAL_H

#include "common/base/mutex.h"
#include "common/seal/pending.h"
#include "common/seal/sealed_disk.h"
#include "common/seal/sealed_file.h"
#include "common/seal/sealed_log.h"

/* A file that is open: plain with none of the three, else one of them. */
typedef struct ps_sealed_open {
    int file; /* the disk's */
    ps_seal_reader *reader;
    ps_seal_writer *writer;
    ps_sealed_log *log;
    uint64_t at;  /* of the reader */
    char *path;   /* for messages, of what is sealed; NULL else */
    bool is_open; /* else the entry is free */
} ps_sealed_open;

struct ps_sealed_disk {
    ps_sealed_disk_conf conf;
    ps_disk row;
    ps_mutex
        names; /* a file and its FILE.key are looked at and changed together; and what follows */
    ps_pending_list pending;
    ps_sealed_open **open; /* by the row's file */
    size_t n_open;
};

/* ---- sealed_disk_files.c: what is done with an open file ---- */

/* The row's file of this; takes reader, writer and path over. */
int ps_sealed_open_add(ps_sealed_disk *sealed, const ps_sealed_open *open);
/* Those of the table that take a file: close, write, read, seek, size, fsync, own. */
void ps_sealed_open_row(ps_disk *row);

/* ---- sealed_disk_keys.c: FILE.key; with the lock ---- */

/* Appended to aad. */
ps_sealed_form ps_sealed_identity(const ps_sealed_disk *sealed, const char *path, ps_buf *aad);
/* The text of path's FILE.key; PS_NOT_FOUND: it has none. */
PS_MUST_CHECK ps_status ps_sealed_key_read(const ps_sealed_disk *sealed, const char *path,
                                           ps_buf *text);
/* Its key, which is the path's own; PS_NOT_FOUND. */
PS_MUST_CHECK ps_status ps_sealed_key_open(const ps_sealed_disk *sealed, const char *path,
                                           ps_secret **key);
/* By the current key, for the path, and on disk. */
PS_MUST_CHECK ps_status ps_sealed_key_save(const ps_sealed_disk *sealed, const char *path,
                                           const ps_secret *key);
/* A missing one is fine. */
PS_MUST_CHECK ps_status ps_sealed_key_remove(const ps_sealed_disk *sealed, const char *path);
PS_MUST_CHECK ps_status ps_sealed_exists(const ps_sealed_disk *sealed, const char *path, bool *is);
char *ps_sealed_key_path(const char *path); /* the caller's */

/* ---- sealed_disk.c; with the lock ---- */

/* What is whole at its temporary name gets the one that it was written for, which may be taken:
 * first the key, so that no file is ever without. */
PS_MUST_CHECK ps_status ps_sealed_give_name(ps_sealed_disk *sealed, ps_pending *pending);

#endif
