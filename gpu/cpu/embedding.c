/* Rows of a table by number: forward and backward. */
#include "common/base/require.h"
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/run.h"
#include "gpu/cpu/vector.h"

typedef struct lookup {
    ps_tensor rows, table; /* y or dy [rows,columns]; table or dtable [entries,columns] */
    const int32_t *ids;
    int64_t columns;
    bool add;
    float *scratch; /* for BF16: two rows a thread */
} lookup;

static bool open_lookup(ps_stream *s, lookup *l, ps_tensor rows, ps_tensor table, ps_tensor ids)
{
    *l = (lookup){
        .rows = rows, .table = table, .ids = ps_tensor_address(ids), .columns = rows.shape[1]};
    l->scratch = ps_cpu_scratch(s, 2 * ps_cpu_padded(l->columns) * (size_t)ps_cpu_threads(s));
    return l->scratch != NULL;
}

static void forward_row(const lookup *l, int64_t r, float *scratch)
{
    int64_t n = l->columns, from = l->ids[r] * n;
    PS_REQUIRE(l->ids[r] >= 0 && l->ids[r] < l->table.shape[0]);
    if (!l->add) {
        size_t size = ps_dtype_bytes(l->rows.dtype);
        memcpy((char *)ps_tensor_address(l->rows) + (size_t)(r * n) * size,
               (const char *)ps_tensor_address(l->table) + (size_t)from * size, (size_t)n * size);
        return;
    }
    float *y = ps_cpu_place(l->rows, r * n, scratch);
    if (y == scratch)
        (void)ps_cpu_load(l->rows, r * n, n, scratch);
    ps_cpu_add_scaled(y, 1, ps_cpu_load(l->table, from, n, scratch + ps_cpu_padded(n)), n);
    ps_cpu_store(l->rows, r * n, n, y);
}

static void forward_cb(void *context, int64_t begin, int64_t end, int slot)
{
    const lookup *l = context;
    float *scratch = l->scratch + 2 * ps_cpu_padded(l->columns) * (size_t)slot;
    for (int64_t r = begin; r < end; r++)
        forward_row(l, r, scratch);
}

void ps_cpu_embedding(ps_stream *s, ps_tensor y, ps_tensor table, ps_tensor ids, bool add)
{
    lookup l;
    if (!open_lookup(s, &l, y, table, ids))
        return;
    l.add = add;
    ps_cpu_for(s, y.shape[0], ps_cpu_grain(y.shape[1]), forward_cb, &l);
}

/* Two rows may have the same number, so threads share columns: then each sum has one order. */
static void backward_cb(void *context, int64_t begin, int64_t end, int slot)
{
    const lookup *l = context;
    float *scratch = l->scratch + 2 * ps_cpu_padded(l->columns) * (size_t)slot;
    float *table = ps_tensor_address(l->table);
    for (int64_t r = 0; r < l->rows.shape[0]; r++) {
        PS_REQUIRE(l->ids[r] >= 0 && l->ids[r] < l->table.shape[0]);
        const float *dy = ps_cpu_load(l->rows, r * l->columns + begin, end - begin, scratch);
        ps_cpu_add_scaled(table + l->ids[r] * l->columns + begin, 1, dy, end - begin);
    }
}

void ps_cpu_embedding_backward(ps_stream *s, ps_tensor dtable, ps_tensor dy, ps_tensor ids)
{
    lookup l;
    if (!open_lookup(s, &l, dy, dtable, ids))
        return;
    ps_cpu_for(s, l.columns, ps_cpu_column_grain(s, l.columns), backward_cb, &l);
}
