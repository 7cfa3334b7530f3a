/* vfs: a row of storage.h as SQLite takes it. Inside this folder only; as the catalog, one call at
 * a time. */
#ifndef PS_CATALOG_VFS_H
#define PS_CATALOG_VFS_H

#include "server/catalog/storage.h"

#include <stdbool.h>

typedef struct ps_vfs ps_vfs;

/* storage and what it points to outlive it. PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_vfs_create(const ps_catalog_storage *storage, ps_vfs **out);
/* When the connection is closed. NULL is nothing. */
void ps_vfs_free(ps_vfs **vfs);
const char *ps_vfs_name(const ps_vfs *vfs); /* for sqlite3_open_v2 */
/* The failure of the row that came last and was not asked for yet; false: none. */
bool ps_vfs_take_error(ps_vfs *vfs, ps_error *out);

#endif
