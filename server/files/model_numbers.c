/* Happy path: the file is read once from front to back; its tensors are in the order of their data.
 * One NaN in a layer is a NaN in every answer, so it is said at the border and not by a loss. */
#include "server/files/model_numbers.h"

#include "common/base/mem.h"
#include "common/format/numbers.h"
#include "common/loop/loop.h"

enum { PIECE = 256 * 1024 }; /* numbers */

static ps_status check_tensor(const ps_disk *disk, int file, const ps_safetensors_tensor *t,
                              float *piece)
{
    uint64_t all = (t->end - t->begin) / sizeof *piece;
    for (uint64_t at = 0; at < all;) {
        size_t n = all - at < PIECE ? (size_t)(all - at) : PIECE;
        ps_status st = ps_disk_read_full(disk, file, piece, n * sizeof *piece);
        if (!st)
            st = ps_numbers_check(t->name, t->shape, t->n_dims, at, piece, n);
        if (st)
            return st;
        at += n;
    }
    return PS_OK;
}

ps_status ps_model_numbers_check(const ps_disk *disk, int file, const ps_safetensors *header)
{
    ps_loop_require_off();
    float *piece = ps_try_alloc_raw(PIECE * sizeof *piece);
    if (!piece)
        return ps_fail(PS_NO_MEMORY, "a buffer of 1 MiB");
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < header->n_tensors; i++)
        st = check_tensor(disk, file, &header->tensors[i], piece);
    ps_free(&piece);
    return st;
}
