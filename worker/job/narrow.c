/* Numbers are put together of bytes, rounded, and written where they belong, some thousand at a
 * time. Fails as the staging does. */
#include "worker/job/narrow.h"

#include "common/base/half.h"
#include "common/base/mem.h"
#include "common/base/require.h"

#include <string.h>

enum { PIECE = 4096 }; /* numbers written at once */

struct ps_narrow {
    ps_staging *staging; /* borrowed */
    ps_tensor to;
    uint64_t rows, columns; /* in the file */
    uint64_t done, written; /* numbers */
    uint8_t number[sizeof(float)];
    size_t have;     /* bytes of it */
    uint16_t *whole; /* [columns, rows]: of a matrix that is stored [in,out]; NULL: it is not */
    uint16_t piece[PIECE];
};

ps_status ps_narrow_create(ps_staging *staging, const ps_model_parameter_spec *spec, ps_tensor to,
                           ps_narrow **out)
{
    PS_REQUIRE(spec->rank == 2 && to.dtype == PS_DTYPE_U8);
    ps_narrow *n = ps_new(ps_narrow);
    *n = (ps_narrow){.staging = staging,
                     .to = to,
                     .rows = (uint64_t)spec->shape[0],
                     .columns = (uint64_t)spec->shape[1]};
    PS_REQUIRE(n->rows * n->columns * sizeof(uint16_t) == ps_tensor_bytes(to));
    *out = n;
    if (!spec->input_major)
        return PS_OK;
    n->whole = ps_try_alloc_raw(ps_tensor_bytes(to));
    return n->whole ? PS_OK
                    : ps_fail(PS_NO_MEMORY, "%s as bfloat16: %zu bytes", spec->name,
                              ps_tensor_bytes(to));
}

void ps_narrow_free(ps_narrow **narrow)
{
    if (!*narrow)
        return;
    ps_free(&(*narrow)->whole);
    ps_free(narrow);
}

/* Numbers from the first that was not written yet. */
static ps_status write_numbers(ps_narrow *n, const uint16_t *numbers, uint64_t count)
{
    uint64_t at = n->written;
    n->written += count;
    return ps_staging_write(n->staging, n->to, at * sizeof *numbers, numbers,
                            (size_t)count * sizeof *numbers);
}

static ps_status take(ps_narrow *n, float value)
{
    uint64_t all = n->rows * n->columns, at = n->done++;
    PS_REQUIRE(at < all);
    if (n->whole) {
        n->whole[at % n->columns * n->rows + at / n->columns] = ps_bf16_of(value);
        return n->done == all ? write_numbers(n, n->whole, all) : PS_OK;
    }
    n->piece[at - n->written] = ps_bf16_of(value);
    if (n->done - n->written < PIECE && n->done < all)
        return PS_OK;
    return write_numbers(n, n->piece, n->done - n->written);
}

ps_status ps_narrow_write(ps_narrow *n, ps_slice bytes)
{
    ps_status st = PS_OK;
    const uint8_t *from = bytes.data;
    for (size_t left = bytes.len; !st && left;) {
        size_t more = sizeof n->number - n->have < left ? sizeof n->number - n->have : left;
        memcpy(n->number + n->have, from, more);
        n->have += more;
        from += more;
        left -= more;
        if (n->have < sizeof n->number)
            break;
        float value;
        memcpy(&value, n->number, sizeof value);
        n->have = 0;
        st = take(n, value);
    }
    return st;
}
