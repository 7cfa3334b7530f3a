/* stored_file: files below data_dir that a row of the catalog names (models, artifacts).
 *
 *     written as FOLDER/.incoming-… ─▶ fsync ─▶ placed under a name never used before ─▶ row ─▶
 *     the file of the row before is removed
 *
 * The catalog has the new name before the file has it, and the old one until that file is gone
 * (models.h, removal.h), so a crash on the way leaves nothing that takes room for ever.
 * So whoever reads a row finds a whole file of that row, whenever power is lost. Rows are changed,
 * and files opened by their rows, under one lock: nobody opens what another is about to remove.
 * Everything here blocks: off the loop. Any thread.
 */
#ifndef PS_FILES_STORED_FILE_H
#define PS_FILES_STORED_FILE_H

#include "common/base/clock.h"
#include "common/base/disk.h"
#include "common/base/require.h"
#include "common/format/safetensors.h"
#include "server/catalog/catalog.h"

/* Who keeps them: what lineages say of it (lineage.h). */
typedef struct ps_stored_host {
    const char *psd, *cluster; /* its version, and whose it is */
    const char *server;        /* its identity */
    struct ps_audit *audit;    /* may be NULL */
} ps_stored_host;

typedef struct ps_stored_files {
    const ps_disk *disk;
    const char *data_dir;
    ps_catalog *catalog;
    ps_clock clock;
    const ps_stored_host *host; /* NULL: a test's */
} ps_stored_files;

/* What is being received has this prefix; no model and no artifact has a name that begins so. */
#define PS_STORED_INCOMING ".incoming-"

/* Around: read a row and open its file; change a row and remove the old file. */
void ps_stored_files_lock(void);
void ps_stored_files_unlock(void);
bool ps_stored_files_are_locked(void); /* by this thread */
/* At the entry of what goes between the two. */
#define ps_stored_files_require_locked() PS_REQUIRE(ps_stored_files_are_locked())

/* data_dir/path; freed by the caller. */
char *ps_stored_file_full(const ps_stored_files *files, const char *path);

/* Where a file is written, and the name that it is written for; both below data_dir, and no file
 * has had either: FOLDER/.incoming-STEM.RANDOM and FOLDER/STEM.RANDOM + suffix. */
typedef struct ps_stored_place {
    char *incoming, *path;
} ps_stored_place;

ps_stored_place ps_stored_place_new(const char *folder, const char *stem, const char *suffix);
void ps_stored_place_free(ps_stored_place *place);

/* To place->incoming, whole and on disk: what `fill` writes into the sink, which is its own for the
 * call; *bytes of them (NULL: no matter). Whatever fails leaves no file; messages begin with its
 * path. */
PS_MUST_CHECK ps_status ps_stored_file_write(
    const ps_stored_files *files, const ps_stored_place *place,
    ps_status (*fill)(void *user, ps_safetensors_sink sink), void *user, uint64_t *bytes);
/* With the lock: gives the file at place->incoming its name, for good. On failure it stays where it
 * was. */
PS_MUST_CHECK ps_status ps_stored_file_move(const ps_stored_files *files,
                                            const ps_stored_place *place);
PS_MUST_CHECK ps_status ps_stored_file_open(const ps_stored_files *files, const char *path,
                                            int *file);
/* True: it is gone. What cannot be removed is told to the log: it is only space. A missing file is
 * fine. */
bool ps_stored_file_remove(const ps_stored_files *files, const char *path);

/* Removes the files of versions that neither a model nor a job needs (models.h of the catalog), and
 * their rows. What cannot be removed is tried again the next time. Any thread. */
void ps_stored_files_collect(const ps_stored_files *files);

/* At the start, before anything is served: removes what a crash left half-written or unused, and
 * tells the log of models' files that no row names (they are kept: they may be the only copy of
 * somebody's weights). */
PS_MUST_CHECK ps_status ps_stored_files_sweep(const ps_stored_files *files);

#endif
