/* Happy path: all arrays together take no more than may be read again. */
#include "worker/explain/part_file.h"

#include <inttypes.h>

static uint64_t bytes_of(const ps_explain_array *a)
{
    return ps_explain_array_count(a) * (a->doubles ? sizeof(double) : sizeof(float));
}

/* NULL: it has none. */
static const ps_explain_array *largest_of(const ps_explain_part *part)
{
    const ps_explain_array *largest = NULL;
    for (size_t i = 0; i < part->n; i++)
        if (!largest || bytes_of(&part->arrays[i]) > bytes_of(largest))
            largest = &part->arrays[i];
    return largest;
}

ps_status ps_explain_parts_fit(const ps_explain_parts *parts, size_t *method)
{
    uint64_t all = ps_explain_part_bytes(&parts->rows), most = all;
    *method = parts->n_methods;
    for (size_t i = 0; i < parts->n_methods; i++) {
        uint64_t bytes = ps_explain_part_bytes(&parts->methods[i]);
        all += bytes;
        if (bytes > most) {
            most = bytes;
            *method = i;
        }
    }
    if (all <= PS_EXPLAIN_FILE_MAX)
        return PS_OK;
    const ps_explain_array *largest =
        largest_of(*method < parts->n_methods ? &parts->methods[*method] : &parts->rows);
    return ps_fail(PS_OUT_OF_RANGE,
                   "a task may leave %" PRIu64 " bytes, and all of its methods have %" PRIu64
                   ", of which %" PRIu64 " are this one's %s; lower explain.rows.count, or leave "
                   "the method out",
                   (uint64_t)PS_EXPLAIN_FILE_MAX, all, largest ? bytes_of(largest) : 0,
                   largest ? largest->name : "arrays");
}
