/* The table of losses, and their memory: one device buffer, and a host array where one-hot rows may
 * have to be written. */
#include "worker/layers/loss.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <string.h>

static const ps_loss_row *const rows[] = {&ps_loss_cross_entropy, &ps_loss_squared_error};

#define ALIGNMENT 256

ps_status ps_loss_parse(const char *name, int64_t outputs, const ps_loss_row **out)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (name && strcmp(name, rows[i]->name) != 0)
            continue;
        if (outputs < rows[i]->outputs_min)
            return ps_fail(PS_INVALID_ARGUMENT,
                           "loss: %s needs a last layer of at least %lld, not %lld", rows[i]->name,
                           (long long)rows[i]->outputs_min, (long long)outputs);
        *out = rows[i];
        return PS_OK;
    }
    return ps_fail(PS_INVALID_ARGUMENT,
                   "loss: %s is unknown, there are cross_entropy, squared_error", name);
}

static size_t align(size_t n)
{
    return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

ps_status ps_loss_init(ps_loss *l, const ps_loss_row *row, ps_backend *b, int64_t max_rows,
                       int64_t outputs)
{
    PS_REQUIRE(max_rows > 0 && outputs > 0);
    size_t per_row = sizeof(int32_t), wide = (size_t)max_rows * (size_t)outputs * sizeof(float);
    size_t goal = row->goal_is_labels ? (size_t)max_rows * per_row : wide;
    size_t indices = row->goal_is_labels ? 0 : (size_t)max_rows * per_row;

    void *staged = NULL;
    if (!row->goal_is_labels && !(staged = ps_try_alloc(wide)))
        return ps_fail(PS_NO_MEMORY, "no room for %zu bytes of targets", wide);
    ps_buffer *buffer = NULL;
    ps_status st = ps_buffer_new(b, ALIGNMENT + align(goal) + indices, &buffer);
    if (st) {
        ps_free(&staged);
        return st;
    }
    *l = (ps_loss){
        .row = row,
        .outputs = outputs,
        .staged = staged,
        .result = ps_tensor_1d(buffer, 0, PS_DTYPE_F32, 3),
        .goal = row->goal_is_labels
                    ? ps_tensor_1d(buffer, ALIGNMENT, PS_DTYPE_I32, max_rows)
                    : ps_tensor_2d(buffer, ALIGNMENT, PS_DTYPE_F32, max_rows, outputs),
    };
    if (indices)
        l->indices = ps_tensor_1d(buffer, ALIGNMENT + align(goal), PS_DTYPE_I32, max_rows);
    return PS_OK;
}

void ps_loss_fini(ps_loss *l, ps_backend *b)
{
    ps_buffer_free(b, &l->result.buffer);
    ps_free(&l->staged);
    *l = (ps_loss){0};
}

ps_status ps_loss_check_labels(const int32_t *labels, int64_t n, int64_t classes)
{
    for (int64_t i = 0; i < n; i++) {
        if (labels[i] < 0 || labels[i] >= classes)
            return ps_fail(PS_INVALID_ARGUMENT,
                           "label %d in row %lld of the batch, the model has classes 0 to %lld",
                           (int)labels[i], (long long)i, (long long)classes - 1);
    }
    return PS_OK;
}

ps_tensor ps_loss_result_loss(const ps_loss *l)
{
    return ps_tensor_1d(l->result.buffer, l->result.offset, PS_DTYPE_F32, 1);
}

ps_tensor ps_loss_result_correct(const ps_loss *l)
{
    return ps_tensor_1d(l->result.buffer, l->result.offset + sizeof(float), PS_DTYPE_I32, 1);
}

ps_tensor ps_loss_result_divergence(const ps_loss *l)
{
    return ps_tensor_1d(l->result.buffer, l->result.offset + 2 * sizeof(float), PS_DTYPE_F32, 1);
}

void ps_loss_distil(ps_stream *s, const ps_loss_teaching *how, const ps_cross_entropy *task,
                    ps_tensor teacher, ps_tensor divergence)
{
    if (how->hidden) {
        ps_op_cross_entropy(s, task);
        if (ps_tensor_present(task->dlogits))
            ps_op_scale(s, task->dlogits, 1 - how->alpha);
        return;
    }
    ps_op_distil(s, &(ps_distil){.task = *task,
                                 .teacher = teacher,
                                 .divergence = divergence,
                                 .kind = how->kind,
                                 .temperature = how->temperature,
                                 .alpha = how->alpha,
                                 .top_k = how->top_k});
}
