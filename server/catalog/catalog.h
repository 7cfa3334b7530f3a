/* catalog: what psd remembers beside parameters: jobs and what was said of them, models, artifacts
 * and settings, in one SQLite file.
 *
 * WAL, synchronous=FULL: what a call returned PS_OK for survives power loss. The schema has a
 * version (user_version) and is brought up to date on opening, step by step, in one transaction
 * each. A file that is damaged or of a newer psd is refused with one clear line and not touched.
 * One connection behind one mutex: any thread; calls may wait for the disk (milliseconds), so never
 * on a gradient's way. A full disk is PS_NO_SPACE, and the file stays as it was.
 *
 * The rows are in jobs.h, job_lines.h, models.h, artifacts.h and settings.h of this folder; how
 * they go, in removal.h; what may stand between the file and the disk, in storage.h.
 */
#ifndef PS_CATALOG_CATALOG_H
#define PS_CATALOG_CATALOG_H

#include "common/base/status.h"
#include "common/security/secret.h"
#include "server/catalog/storage.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ps_catalog ps_catalog;

/* Opens or creates (mode 0600) the file; ":memory:" is one that is gone with the catalog (tests).
 * PS_CORRUPT: damaged. PS_FAILED_PRECONDITION: written by a newer psd, or in use by another. */
PS_MUST_CHECK ps_status ps_catalog_open(const char *path, ps_catalog **out);
/* The same with files behind a row (storage.h); NULL: the plain ones. A failure of the row is told
 * with its code and its words. */
PS_MUST_CHECK ps_status ps_catalog_open_in(const ps_catalog_storage *storage, const char *path,
                                           ps_catalog **out);
void ps_catalog_close(ps_catalog **catalog); /* NULL is nothing */

/* Values that say something about parameters or data (job files, results, what was said of jobs)
 * are sealed from now on, and those that are plain at once, in one transaction; `about`, the
 * cluster's say, binds them to this catalog. Before other threads use it. */
PS_MUST_CHECK ps_status ps_catalog_seal(ps_catalog *catalog, const ps_secret *key,
                                        const char *about);
/* Some value of it is: without the key that it is sealed by it must not be sealed by another. */
PS_MUST_CHECK ps_status ps_catalog_is_sealed(ps_catalog *catalog, bool *is);

/* A full disk must not keep anybody from making room, nor from taking back what was asked for: what
 * deletes, and ps_catalog_job_cancel, and settings, are tried again as long as make_room() says
 * that it has given some of a reserve up. Set before other threads use the catalog. */
void ps_catalog_set_make_room(ps_catalog *catalog, bool (*make_room)(void *user), void *user);

/* Tests: the file may not grow beyond so many pages of 4 KiB; 0: no bound. */
void ps_catalog_limit_pages(ps_catalog *catalog, unsigned pages);
/* Tests: so many more writes succeed, those behind them are PS_NO_SPACE; PS_CATALOG_ALL: all
 * succeed. */
#define PS_CATALOG_ALL UINT64_MAX
void ps_catalog_limit_writes(ps_catalog *catalog, uint64_t writes);

#endif
