/* Progress of a job as a checkpoint has it: what is accepted must be a state that the scheduler can
 * go on from: every row is given out once, and then all is done. */
#include "common/base/mem.h"
#include "server/sched/kinds/epoch_rows.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TRIES = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_epoch_rows rows;
    ps_cursor c = ps_cursor_of(ps_slice_of(data, size));
    if (ps_epoch_rows_load(&rows, 1, true, &c))
        return 0;
    rows.per_task = rows.n_rows; /* so that few pieces are many rows */
    ps_buf again = PS_BUF_EMPTY;
    ps_epoch_rows_save(&rows, NULL, 0, &again);
    assert(again.len <= size);
    ps_buf_free(&again);
    uint64_t before = ps_epoch_rows_count_done(&rows), taken = 0;
    ps_row_range piece;
    int tries = 0;
    while (tries++ < TRIES && !ps_epoch_rows_take(&rows, "w", false, true, 0, &piece)) {
        assert(piece.begin < piece.end && piece.end <= rows.n_rows);
        taken += piece.end - piece.begin;
        ps_epoch_rows_done(&rows, piece.epoch, piece.end - piece.begin);
    }
    assert(ps_epoch_rows_count_done(&rows) == before + taken);
    assert(tries > TRIES || ps_epoch_rows_all_done(&rows));
    ps_epoch_rows_free(&rows);
    return 0;
}
