/* Happy path: batches go by, a row's bytes into the digest and into its mark; of two sets one is
 * sorted, and the other's marks are looked up in it. Cannot fail. */
#include "worker/tasks/data_mark.h"

#include "common/base/mem.h"

#include <stdlib.h>

void ps_data_mark_begin(ps_data_mark *m, const ps_dataset *data)
{
    *m = (ps_data_mark){.data = data, .all = ps_digest_new()};
}

void ps_data_mark_free(ps_data_mark *m)
{
    char digest[PS_DIGEST_TEXT];
    if (m->all)
        ps_digest_end(&m->all, digest);
    ps_free(&m->rows);
}

void ps_data_mark_end(ps_data_mark *m, char out[PS_DIGEST_TEXT])
{
    ps_digest_end(&m->all, out);
}

/* Of bytes that nobody chooses to collide: FNV-1a, 64 bits. */
static uint64_t mark_of(const uint8_t *bytes, size_t n)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < n; i++)
        h = (h ^ bytes[i]) * UINT64_C(0x100000001b3);
    return h;
}

static void note(ps_data_mark *m, uint64_t mark)
{
    if (m->n == PS_DATA_MARK_ROWS)
        return;
    if (m->n == m->capacity) {
        m->capacity = m->capacity ? 2 * m->capacity : 256;
        m->rows = ps_realloc(m->rows, m->capacity * sizeof *m->rows);
    }
    m->rows[m->n++] = mark;
}

void ps_data_mark_add(ps_data_mark *m, const ps_batch *batch)
{
    size_t label =
        batch->next || batch->classes || batch->targets ? ps_dataset_label_bytes(m->data) : 0;
    const uint8_t *labels = batch->next      ? (const uint8_t *)batch->next
                            : batch->classes ? (const uint8_t *)batch->classes
                                             : (const uint8_t *)batch->targets;
    size_t bytes = batch->tokens ? batch->length * sizeof(int32_t)
                                 : ps_dataset_features(m->data) * sizeof(float);
    const uint8_t *rows =
        batch->tokens ? (const uint8_t *)batch->tokens : (const uint8_t *)batch->features;
    for (size_t i = 0; i < batch->rows; i++) {
        note(m, mark_of(rows + i * bytes, bytes));
        ps_digest_add(m->all, rows + i * bytes, bytes);
        if (label)
            ps_digest_add(m->all, labels + i * label, label);
    }
}

static int by_mark(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

size_t ps_data_mark_shared(const ps_data_mark *rows, ps_data_mark *among)
{
    size_t shared = 0;
    if (among->n)
        qsort(among->rows, among->n, sizeof *among->rows, by_mark);
    for (size_t i = 0; among->n && i < rows->n; i++)
        shared +=
            bsearch(&rows->rows[i], among->rows, among->n, sizeof *among->rows, by_mark) != NULL;
    return shared;
}
