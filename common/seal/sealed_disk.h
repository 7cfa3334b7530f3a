/* sealed_disk: a row of the disk's table (disk.h) that seals what has an identity, and opens it
 * again:
 *
 *     whoever keeps files ── sealed_disk ── the disk
 *                               FILE      the sealed stream (stream.h)
 *                               FILE.key  its key, wrapped (keyring.h), for that identity alone
 *
 * A file is made by create_for (ps_whole_file_open): its identity is that of the name it will get,
 * so that it opens under no other name. It is written from its start to its end; its fsync ends it.
 * FILE.key is on disk before FILE has its name, and goes after it: one that is alone is rubbish
 * (ps_sealed_disk_settle). A name that is replaced keeps its key, with another salt. Names without
 * an identity, and files without a FILE.key, are plain: an unsealed folder goes on as it is, until
 * each file is sealed in its place (ps_sealed_disk_seal), or `require` refuses it.
 *
 * PS_CORRUPT: what does not authenticate, with the segment; PS_FAILED_PRECONDITION: the key that is
 * needed is not here, or the file is plain and must not be. Any thread, as long as a file is used
 * by one at a time. */
#ifndef PS_SEAL_SEALED_DISK_H
#define PS_SEAL_SEALED_DISK_H

#include "common/base/disk.h"
#include "common/seal/keyring.h"

typedef struct ps_sealed_disk ps_sealed_disk;

/* How a file is sealed: as a stream (sealed_file.h), ended by its fsync; or as a log
 * (sealed_log.h), which grows, and of which an fsync ends a part. */
typedef enum ps_sealed_form { PS_SEALED_NONE, PS_SEALED_STREAM, PS_SEALED_LOG } ps_sealed_form;

typedef struct ps_sealed_disk_conf {
    const ps_disk *disk;
    ps_keyring *ring; /* taken over */
    bool require;     /* plain files that have an identity are refused */
    /* What the file of this path is, as text that no other has, appended to aad. Any thread. */
    ps_sealed_form (*identity)(void *user, const char *path, ps_buf *aad);
    void *user;
} ps_sealed_disk_conf;

/* What conf points to outlives it. */
ps_sealed_disk *ps_sealed_disk_new(const ps_sealed_disk_conf *conf);
void ps_sealed_disk_free(ps_sealed_disk **sealed); /* every file is closed; NULL is nothing */
const ps_disk *ps_sealed_disk_row(const ps_sealed_disk *sealed);

/* At the start, before a file of the folder is opened: what a crash left of FILE.key and of sealing
 * in place is brought to its end, or removed. A folder that is not there is settled. */
PS_MUST_CHECK ps_status ps_sealed_disk_settle(ps_sealed_disk *sealed, const char *folder);
/* FILE.sealing: what is to take FILE's place. */
#define PS_SEALED_BESIDE ".sealing"
/* The same of one file, in a folder that may hold what is somebody else's. *was: there was
 * something to settle. */
PS_MUST_CHECK ps_status ps_sealed_disk_settle_file(ps_sealed_disk *sealed, const char *path,
                                                   bool *was);
/* A plain file becomes a sealed one of the same bytes; nothing to do for one that is. Whoever has
 * it open reads on. On failure, and after a crash, it is what it was. */
PS_MUST_CHECK ps_status ps_sealed_disk_seal(ps_sealed_disk *sealed, const char *path);

/* The key that lies beside a file which somebody else seals, a value at a time; made when there is
 * none. The caller's. */
PS_MUST_CHECK ps_status ps_sealed_disk_own_key(ps_sealed_disk *sealed, const char *path,
                                               ps_secret **key);

/* Other keys from now on; *ring is taken over. Any thread. */
void ps_sealed_disk_set_keys(ps_sealed_disk *sealed, ps_keyring **ring);
/* The i-th of its keys, the current one first; false: there are no more. */
bool ps_sealed_disk_key(ps_sealed_disk *sealed, size_t i, uint32_t *id);
/* As ps_keyring_forget. */
PS_MUST_CHECK ps_status ps_sealed_disk_forget(ps_sealed_disk *sealed, uint32_t id);

typedef enum ps_sealed_kind { PS_SEALED_NOT, PS_SEALED_PLAIN, PS_SEALED_YES } ps_sealed_kind;

/* NOT: it has no identity, or is a log that is plain: it grows, and is sealed when it begins anew.
 * *kek: the id of the key that it says it needs (YES). */
PS_MUST_CHECK ps_status ps_sealed_disk_look(ps_sealed_disk *sealed, const char *path,
                                            ps_sealed_kind *kind, uint32_t *kek);
/* FILE.key is written anew for the current key; false in *changed: it was by that already. Not a
 * byte of FILE is touched. */
PS_MUST_CHECK ps_status ps_sealed_disk_rewrap(ps_sealed_disk *sealed, const char *path,
                                              bool *changed);

#endif
