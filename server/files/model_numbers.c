/* Happy path: the file is read once from front to back; its tensors are in the order of their data.
 * One NaN in a layer is a NaN in every answer, so it is said at the border and not by a loss. */
#include "server/files/model_numbers.h"

#include "common/base/mem.h"
#include "common/form/factors.h"
#include "common/format/numbers.h"
#include "common/loop/loop.h"

enum { PIECE = 1 << 20 }; /* bytes */

static ps_status read_tensor(const ps_disk *disk, int file, ps_form_stream *stream, uint8_t *piece)
{
    while (ps_form_stream_missing(stream)) {
        uint64_t left = ps_form_stream_missing(stream);
        size_t n = left < PIECE ? (size_t)left : PIECE;
        ps_status st = ps_disk_read_full(disk, file, piece, n);
        if (!st)
            st = ps_form_stream_feed(stream, ps_slice_of(piece, n));
        if (st)
            return st;
    }
    return PS_OK;
}

ps_status ps_model_numbers_read(const ps_disk *disk, int file, const ps_model_header *header,
                                ps_form_sink sink)
{
    ps_loop_require_off();
    uint8_t *piece = ps_try_alloc_raw(PIECE);
    if (!piece)
        return ps_fail(PS_NO_MEMORY, "a buffer of 1 MiB");
    ps_form_stream *stream = ps_form_stream_new(sink);
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < header->file->n_tensors; i++) {
        st = ps_form_stream_begin(stream, &header->tensors[i]);
        if (!st)
            st = read_tensor(disk, file, stream, piece);
    }
    ps_form_stream_free(&stream);
    ps_free(&piece);
    return st;
}

ps_status ps_model_numbers_look(const ps_model_form *of, const ps_model_form *stored,
                                uint64_t first, const float *values, size_t n)
{
    ps_status st = ps_numbers_check(stored->name, stored->shape, stored->n_dims, first, values, n);
    if (st || !of->form.rank)
        return st;
    size_t beyond = ps_numbers_beyond(values, n, PS_FACTOR_LIMIT);
    return beyond == n ? PS_OK
                       : ps_fail(PS_INVALID_ARGUMENT,
                                 "tensor %s: a factor of it has %g; %g is too large for one",
                                 of->name, (double)values[beyond], (double)PS_FACTOR_LIMIT);
}

/* Factors are not multiplied for it: a small file may be the product of many numbers. */
typedef struct looking {
    const ps_model_header *header;
    ps_model_form *stored; /* of each tensor */
} looking;

static ps_status look(void *user, const ps_model_form *tensor, uint64_t first, const float *values,
                      size_t n)
{
    const looking *l = user;
    return ps_model_numbers_look(&l->header->tensors[tensor - l->stored], tensor, first, values, n);
}

ps_status ps_model_numbers_check(const ps_disk *disk, int file, const ps_model_header *header)
{
    size_t n = header->file->n_tensors;
    looking l = {header, ps_try_alloc((n + 1) * sizeof *l.stored)};
    if (!l.stored)
        return ps_fail(PS_NO_MEMORY, "%zu tensors", n);
    for (size_t i = 0; i < n; i++)
        l.stored[i] = header->tensors[i].form.rank ? ps_model_form_as_stored(&header->tensors[i])
                                                   : header->tensors[i];
    const ps_model_header stored = {.file = header->file, .tensors = l.stored};
    ps_status st = ps_model_numbers_read(disk, file, &stored, (ps_form_sink){look, &l});
    ps_free(&l.stored);
    return st;
}
