/* What a training leaves of itself, out of any bytes, as psctl reads it: the record of its pushes,
 * its losses, both together, and as a page, with two scripts and no more; and the report of a
 * probe, as psd does. */
#include "client/report/report.h"

#include <stdlib.h>
#include <string.h>

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

static size_t count(ps_buf *text, const char *what)
{
    size_t n = 0;
    for (const char *at = ps_buf_cstr(text); (at = strstr(at, what)); at++)
        n++;
    return n;
}

static void draw(ps_slice losses, ps_slice pushes)
{
    const ps_training_files files = {.losses = losses, .influence = pushes};
    ps_training *training = NULL;
    if (ps_training_read(&files, &training) &&
        ps_training_read(&(ps_training_files){.losses = losses}, &training))
        return;
    ps_report report = {
        .title = "m", .command = "psctl", .training = training, .room = ps_room_of(5 << 20)};
    ps_buf out = PS_BUF_EMPTY;
    require(!ps_report_html(&report, &out));
    require(count(&out, "<script") == 2 && count(&out, "</script") == 2);
    ps_room_clear(&report.room);
    ps_buf_free(&out);
    ps_training_free(&training);
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
    draw(losses, pushes);
    if (ps_loss_file_read(losses, &file))
        return 0;
    require(file.n_units > 0 && file.n_segments > 0);
    (void)!ps_loss_file_shares(&file, pushes, each, &file, &corrected);
    ps_loss_file_free(&file);
    return 0;
}
