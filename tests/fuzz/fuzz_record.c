/* What a training leaves of itself, out of any bytes, as psctl reads it: the record of its pushes,
 * its losses, both together, and the report of a probe, as psd does. */
#include "common/record/loss_file.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void each(void *user, const ps_loss_share *share)
{
    const ps_loss_file *file = user;
    require(share->segment < file->n_segments && share->number > 0);
    require(share->push->version > file->segments[share->segment].begin);
    require(share->push->version <= file->segments[share->segment].end);
}

static void read_pushes(ps_slice bytes)
{
    ps_influence_head head;
    ps_influence_record record;
    ps_sketch *shape;
    size_t used, n = 0;
    if (ps_influence_head_read(bytes, &head, &used))
        return;
    require(used <= bytes.len && head.n_units > 0);
    ps_influence_sketch(&head, &shape);
    float *numbers = malloc(ps_sketch_width(shape) * sizeof *numbers);
    ps_cursor at = ps_cursor_of(ps_slice_of(bytes.data + used, bytes.len - used));
    while (numbers && !ps_influence_read(&at, shape, &record, numbers))
        n++;
    require(n <= bytes.len / 100);
    free(numbers);
    ps_sketch_free(&shape);
    ps_influence_head_free(&head);
}

/* The first two bytes say where the record ends and the losses begin. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t cut = data[0] | (size_t)data[1] << 8;
    data += 2;
    size -= 2;
    cut = cut < size ? cut : size;
    ps_slice pushes = ps_slice_of(data, cut), losses = ps_slice_of(data + cut, size - cut);
    ps_loss_segment segment;
    ps_loss_file file;
    double corrected;
    read_pushes(pushes);
    if (!ps_loss_report_read(losses, 2, 3, &segment))
        ps_loss_segment_free(&segment);
    if (ps_loss_file_read(losses, &file))
        return 0;
    require(file.n_units > 0 && file.n_segments > 0);
    (void)!ps_loss_file_shares(&file, pushes, each, &file, &corrected);
    ps_loss_file_free(&file);
    return 0;
}
