/* Happy path: what the catalog says, and the manifests of the checkpoints. What fails is the disk.
 */
#include "server/runs/stored.h"

#include "common/base/mem.h"
#include "common/loop/loop.h"
#include "server/catalog/stored.h"
#include "server/durable/checkpoint.h"

#include <inttypes.h>

ps_status ps_stored_bytes_of(const ps_stored_files *files, const char *who, uint64_t *bytes)
{
    ps_loop_require_off();
    uint64_t sum = 0, *jobs = NULL;
    size_t n = 0;
    ps_status st = ps_catalog_stored_bytes(files->catalog, who, &sum);
    if (!st)
        st = ps_catalog_unfinished_of(files->catalog, who, &jobs, &n);
    for (size_t i = 0; !st && i < n; i++) {
        char *folder = ps_asprintf("%s/checkpoints/%" PRIu64, files->data_dir, jobs[i]);
        st = ps_checkpoint_bytes(files->disk, folder, &sum);
        ps_free(&folder);
    }
    ps_free(&jobs);
    if (!st)
        *bytes = sum;
    return st;
}
