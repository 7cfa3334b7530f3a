/* Outputs where they are asked for, and gradients from there to the input: the calls of model.h for
 * explanations. Many points are taken some at a time.
 *
 * Fails on a hook that says so, and on what the device reports when it is waited for. */
#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/models/model_row.h"

ps_status ps_model_make_points(ps_model *m)
{
    size_t bytes = ps_tensor_bytes(m->points);
    m->points_host = ps_try_alloc_raw(bytes);
    return m->points_host ? PS_OK : ps_fail(PS_NO_MEMORY, "%zu bytes of points", bytes);
}

static int64_t fewer(size_t n, int64_t at_once)
{
    return n < (size_t)at_once ? (int64_t)n : at_once;
}

/* The first points of n that fit, as numbers of rows on the device. The copy before has been waited
 * for. */
static ps_tensor take_points(ps_model *m, const ps_model_point *points, size_t n)
{
    int64_t count = fewer(n, m->points.shape[0]), length = m->row->takes_tokens ? m->length : 1;
    for (int64_t i = 0; i < count; i++) {
        PS_REQUIRE(points[i].row >= 0 && points[i].row < m->rows);
        PS_REQUIRE(points[i].position >= 0 && points[i].position < length);
        m->points_host[i] = (int32_t)(points[i].row * length + points[i].position);
    }
    ps_tensor ids = ps_tensor_head(m->points, count);
    ps_copy_to_device(m->stream, ids, m->points_host, ps_tensor_bytes(ids));
    return ids;
}

ps_status ps_model_outputs_at(ps_model *m, const ps_model_point *points, size_t n, float *out)
{
    ps_one_thread_require(&m->mine);
    PS_REQUIRE(m->options.explain && m->stage != PS_MODEL_EMPTY);
    ps_status st = PS_OK;
    for (size_t done = 0; !st && done < n;) {
        ps_tensor ids = take_points(m, points + done, n - done);
        ps_tensor y = m->row->outputs_at(m, ids);
        st = ps_copy_to_host(m->stream, out + done * (size_t)m->outputs, y, ps_tensor_bytes(y));
        done += (size_t)ids.shape[0];
    }
    return st;
}

static ps_status seed(ps_model *m, const ps_model_point *points, size_t n, const float *douts)
{
    ps_status st = PS_OK;
    for (size_t done = 0; !st && done < n;) {
        ps_tensor ids = take_points(m, points + done, n - done);
        m->row->seed(m, ids, douts + done * (size_t)m->outputs, done == 0);
        st = ps_stream_sync(m->stream); /* points_host is used again, and douts the caller's */
        done += (size_t)ids.shape[0];
    }
    return st;
}

ps_status ps_model_backward_at(ps_model *m, const ps_model_point *points, size_t n,
                               const float *douts, const ps_model_hooks *hooks)
{
    ps_one_thread_require(&m->mine);
    PS_REQUIRE(m->options.explain && m->stage != PS_MODEL_EMPTY && n > 0);
    ps_status st = seed(m, points, n, douts);
    return st ? st : ps_model_pass(m, m->row->backward, hooks);
}

ps_tensor ps_model_input_gradient(const ps_model *m)
{
    PS_REQUIRE(m->options.explain);
    if (m->embedded && !m->row->takes_tokens)
        return ps_tensor_head(m->first_gradient, m->rows);
    return ps_tensor_head(m->input_gradient, m->rows * (m->row->takes_tokens ? m->length : 1));
}

ps_status ps_model_attention(ps_model *m, int64_t layer, int64_t row, float *out)
{
    ps_one_thread_require(&m->mine);
    PS_REQUIRE(m->options.explain && m->stage != PS_MODEL_EMPTY && row >= 0 && row < m->rows);
    if (!ps_model_tap_columns(m, (ps_tap){PS_TAP_Z, layer}))
        return ps_fail(PS_INVALID_ARGUMENT, "the model has no attention in a block %lld",
                       (long long)layer);
    return m->row->attention(m, layer, row, out);
}

ps_status ps_model_embed(ps_model *m, const int32_t *tokens, size_t n, float *out)
{
    ps_one_thread_require(&m->mine);
    PS_REQUIRE(m->options.explain && m->row->embed);
    ps_status st = ps_model_check_tokens(m, tokens, (int64_t)n);
    for (size_t done = 0; !st && done < n;) {
        ps_tensor ids = ps_tensor_head(m->points, fewer(n - done, m->points.shape[0]));
        ps_copy_to_device(m->stream, ids, tokens + done, ps_tensor_bytes(ids));
        ps_tensor x = m->row->embed(m, ids);
        st = ps_copy_to_host(m->stream, out + done * (size_t)x.shape[1], x, ps_tensor_bytes(x));
        done += (size_t)ids.shape[0];
    }
    return st;
}

ps_status ps_model_read_out(ps_model *m, const float *x, size_t n, float *out)
{
    ps_one_thread_require(&m->mine);
    PS_REQUIRE(m->options.explain && m->row->read_out);
    size_t width = (size_t)ps_model_input_gradient(m).shape[1];
    ps_status st = PS_OK;
    for (size_t done = 0; !st && done < n;) {
        int64_t count = fewer(n - done, m->points.shape[0]);
        ps_tensor y = m->row->read_out(m, x + done * width, count);
        st = ps_copy_to_host(m->stream, out + done * (size_t)m->outputs, y, ps_tensor_bytes(y));
        done += (size_t)count;
    }
    return st;
}
