/* data_mark: which data rows are: SHA-256 of them all, and a mark of each, by which rows are known
 * that two sets of data share. A row is as a model sees it: float32 or int32 numbers,
 * little-endian, and, in the digest alone, its label behind it. One thread (not asserted: it is a
 * local of the task). */
#ifndef PS_TASKS_DATA_MARK_H
#define PS_TASKS_DATA_MARK_H

#include "common/security/digest.h"
#include "worker/data/prefetch.h"

/* Of the marks: what is beyond is digested, and not compared. */
enum { PS_DATA_MARK_ROWS = 1 << 24 };

typedef struct ps_data_mark {
    const ps_dataset *data; /* borrowed */
    ps_digest *all;
    uint64_t *rows; /* a mark each */
    size_t n, capacity;
} ps_data_mark;

void ps_data_mark_begin(ps_data_mark *mark, const ps_dataset *data);
void ps_data_mark_free(ps_data_mark *mark);
void ps_data_mark_add(ps_data_mark *mark, const ps_batch *batch);
/* The digest, in hexadecimal; nothing is added any more. */
void ps_data_mark_end(ps_data_mark *mark, char out[PS_DIGEST_TEXT]);
/* How many of `rows` are rows of `among`, whose marks it puts in order. */
size_t ps_data_mark_shared(const ps_data_mark *rows, ps_data_mark *among);

#endif
