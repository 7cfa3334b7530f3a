/* Happy path: what the catalog says, and the manifests of the checkpoints. What fails is the disk.
 */
#include "server/runs/stored.h"

#include "common/base/mem.h"
#include "common/loop/loop.h"
#include "server/catalog/stored.h"
#include "server/durable/checkpoint.h"

#include <inttypes.h>

static ps_status add_checkpoints(const ps_stored_files *files, const ps_stored_row *job,
                                 ps_stored_add add, void *user)
{
    uint64_t bytes = 0;
    char *folder = ps_asprintf("%s/checkpoints/%" PRIu64, files->data_dir, job->n);
    ps_status st = ps_checkpoint_bytes(files->disk, folder, &bytes);
    if (!st)
        add(user, job->who, bytes);
    ps_free(&folder);
    return st;
}

/* who NULL: everybody. */
static ps_status add_all(const ps_stored_files *files, const char *who, ps_stored_add add,
                         void *user)
{
    ps_stored_rows sums = {0}, jobs = {0};
    ps_loop_require_off();
    ps_status st = ps_catalog_stored_bytes(files->catalog, who, &sums);
    if (!st)
        st = ps_catalog_unfinished(files->catalog, who, &jobs);
    for (size_t i = 0; !st && i < sums.n; i++)
        add(user, sums.at[i].who, sums.at[i].n);
    for (size_t i = 0; !st && i < jobs.n; i++)
        st = add_checkpoints(files, &jobs.at[i], add, user);
    ps_stored_rows_free(&sums);
    ps_stored_rows_free(&jobs);
    return st;
}

static void add_up(void *sum, const char *who, uint64_t bytes)
{
    (void)who;
    *(uint64_t *)sum += bytes;
}

ps_status ps_stored_bytes_of(const ps_stored_files *files, const char *who, uint64_t *bytes)
{
    uint64_t sum = 0;
    ps_status st = add_all(files, who, add_up, &sum);
    if (!st)
        *bytes = sum;
    return st;
}

ps_status ps_stored_bytes_all(const ps_stored_files *files, ps_stored_add add, void *user)
{
    return add_all(files, NULL, add, user);
}
