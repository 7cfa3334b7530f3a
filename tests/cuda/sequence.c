#include "tests/cuda/sequence.h"

#include <check.h>
#include <string.h>

enum { ROWS = 37, COLUMNS = 24, COUNT = ROWS * COLUMNS };

static ps_tensor place(sequence *q, ps_dtype type, int64_t rows, int64_t columns)
{
    ps_tensor t = ps_tensor_2d(q->buffer, q->used, type, rows, columns);
    q->used += (ps_tensor_bytes(t) + 255) & ~(size_t)255;
    ck_assert_uint_le(q->used, SEQUENCE_BYTES);
    ck_assert_uint_lt(q->count, SEQUENCE_TENSORS);
    q->tensors[q->count++] = t;
    return t;
}

/* Random numbers, of BF16 those that it has. */
static ps_tensor matrix(sequence *q, ps_dtype type, int64_t rows, int64_t columns)
{
    ps_tensor t = place(q, type, rows, columns);
    float x[COUNT];
    uint16_t high[COUNT];
    for (int64_t i = 0; i < rows * columns; i++) {
        x[i] = (float)ps_rng_normal(&q->rng);
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        high[i] = (uint16_t)(bits >> 16);
    }
    ps_copy_to_device(q->stream, t, type == PS_DTYPE_BF16 ? (void *)high : x, ps_tensor_bytes(t));
    return t;
}

static ps_tensor all(sequence *q, ps_dtype type)
{
    return matrix(q, type, ROWS, COLUMNS);
}

static ps_tensor floats(sequence *q, int64_t n)
{
    return matrix(q, PS_DTYPE_F32, 1, n);
}

static ps_tensor numbers(sequence *q, int32_t below)
{
    ps_tensor t = place(q, PS_DTYPE_I32, 1, ROWS);
    int32_t x[ROWS];
    for (int i = 0; i < ROWS; i++)
        x[i] = i * 5 % below;
    ps_copy_to_device(q->stream, t, x, sizeof x);
    return t;
}

static void run_products(sequence *q, ps_dtype type)
{
    ps_tensor a = all(q, type), b = all(q, type);
    ps_op_matmul(q->stream, matrix(q, type, COLUMNS, COLUMNS), a, true, b, false, 0);
    ps_op_matmul(q->stream, matrix(q, PS_DTYPE_F32, COLUMNS, COLUMNS), a, true, b, false, 0.5f);
    ps_op_gemm(q->stream, &(ps_gemm){.m = 3,
                                     .n = 5,
                                     .k = 4,
                                     .alpha = 1,
                                     .a = a,
                                     .b = b,
                                     .c = all(q, type),
                                     .ld_a = 4,
                                     .ld_b = 5,
                                     .ld_c = 6,
                                     .batch = 3,
                                     .stride_a = 12,
                                     .stride_b = 20,
                                     .stride_c = 40});
    ps_op_bias_add(q->stream, all(q, type), matrix(q, type, 1, COLUMNS));
    ps_op_bias_backward(q->stream, floats(q, COLUMNS), a, 0.5f);
}

static void run_elements(sequence *q, ps_dtype type)
{
    for (int kind = 0; kind < PS_ACTIVATION_COUNT; kind++) {
        ps_tensor x = all(q, type), y = all(q, type);
        ps_op_activation(q->stream, (ps_activation)kind, y, x);
        ps_op_activation_backward(q->stream, (ps_activation)kind, all(q, type), x, x, y);
    }
    for (int kind = 0; kind < PS_ACTIVATION_COUNT; kind++) {
        if (kind == PS_ACTIVATION_TANH)
            continue;
        ps_tensor x = all(q, type);
        ps_op_gated(q->stream, (ps_activation)kind, all(q, type), x, x);
        ps_op_gated_backward(q->stream, (ps_activation)kind, all(q, type), all(q, type), x, x, x);
    }
    ps_tensor capped = all(q, type);
    ps_op_softcap(q->stream, capped, all(q, type), 2);
    ps_op_softcap_backward(q->stream, all(q, type), all(q, type), capped, 2);
    ps_op_softcap_backward(q->stream, all(q, type), all(q, type), all(q, PS_DTYPE_F32), 2);
    ps_op_scale(q->stream, all(q, type), 3);
    ps_op_add(q->stream, all(q, type), all(q, type), all(q, type));
    ps_op_dropout(q->stream, &(ps_dropout){all(q, type), all(q, type), 0.25f, 99, 6});
    ps_op_cast(q->stream, all(q, PS_DTYPE_BF16), all(q, type));
    ps_op_cast(q->stream, all(q, PS_DTYPE_F32), all(q, type));
}

static void run_rows(sequence *q, ps_dtype type)
{
    ps_tensor mean = floats(q, ROWS), rstd = floats(q, ROWS);
    ps_norm n = {.y = all(q, type),
                 .x = all(q, type),
                 .gain = matrix(q, type, 1, COLUMNS),
                 .bias = matrix(q, type, 1, COLUMNS),
                 .mean = mean,
                 .rstd = rstd,
                 .epsilon = 1e-5f};
    ps_norm_backward b = {.dx = all(q, type),
                          .dgain = floats(q, COLUMNS),
                          .dbias = floats(q, COLUMNS),
                          .dy = all(q, type),
                          .x = n.x,
                          .gain = n.gain,
                          .mean = mean,
                          .rstd = rstd,
                          .add_dx = true};
    ps_op_layernorm(q->stream, &n);
    ps_op_layernorm_backward(q->stream, &b);
    n.bias = n.mean = b.dbias = b.mean = (ps_tensor){0};
    n.y = all(q, type);
    b.dx = all(q, type);
    ps_op_rmsnorm(q->stream, &n);
    ps_op_rmsnorm_backward(q->stream, &b);
    /* two rows in each of 36 stored ones */
    n.x = b.x = matrix(q, type, ROWS - 1, COLUMNS);
    n.y = matrix(q, type, ROWS - 1, COLUMNS);
    b.dx = b.dy = matrix(q, type, ROWS - 1, COLUMNS);
    n.x.shape[1] = n.y.shape[1] = b.x.shape[1] = b.dx.shape[1] = b.dy.shape[1] = COLUMNS / 4;
    n.x.shape[0] = n.y.shape[0] = b.x.shape[0] = b.dx.shape[0] = b.dy.shape[0] = 2 * (ROWS - 1);
    n.gain = b.gain = matrix(q, type, 1, COLUMNS / 4);
    n.rstd = b.rstd = floats(q, 2 * (ROWS - 1));
    b.dgain = floats(q, COLUMNS / 4);
    b.add_dx = false;
    n.each = b.each = 2;
    n.ld_x = n.ld_y = b.ld_x = b.ld_dy = COLUMNS;
    n.gain_offset = b.gain_offset = 1;
    ps_op_rmsnorm(q->stream, &n);
    ps_op_rmsnorm_backward(q->stream, &b);
    ps_tensor ids = numbers(q, ROWS);
    ps_op_embedding(q->stream, all(q, type), all(q, type), ids, true);
    ps_op_embedding_backward(q->stream, all(q, PS_DTYPE_F32), all(q, type), numbers(q, 7));
    ps_tensor table = floats(q, ROWS * COLUMNS / 2);
    table.rank = 3;
    table.shape[0] = ROWS;
    table.shape[1] = COLUMNS / 4;
    table.shape[2] = 2;
    ps_op_rope(q->stream, &(ps_rope){.x = all(q, type),
                                     .positions = ids,
                                     .table = table,
                                     .rows = ROWS,
                                     .heads = 2,
                                     .head_dim = COLUMNS / 2,
                                     .ld = COLUMNS});
}

/* Random codes under scales that are numbers. */
static void run_form(sequence *q, ps_dtype type)
{
    enum { BYTES = 34 }; /* one block */
    uint8_t blocks[ROWS * BYTES];
    for (int i = 0; i < ROWS * BYTES; i++)
        blocks[i] = i % BYTES == 0   ? 0
                    : i % BYTES == 1 ? 0x28
                                     : (uint8_t)ps_rng_below(&q->rng, 256);
    ps_tensor bytes = place(q, PS_DTYPE_U8, ROWS, BYTES);
    ps_copy_to_device(q->stream, bytes, blocks, sizeof blocks);
    ps_form_matrix w = {.bytes = bytes, .form = {.row = ps_form_find("q8_0")}, .columns = 32};
    w.form.group = w.form.row->group;
    ps_op_form_arrange(q->stream, &w);
    for (int rows = 1; rows <= 16; rows += 15)
        ps_op_form_product(q->stream, &(ps_form_product){.y = matrix(q, type, rows, ROWS),
                                                         .x = matrix(q, type, rows, 32),
                                                         .w = &w,
                                                         .rows = rows,
                                                         .ld_y = ROWS,
                                                         .ld_x = 32,
                                                         .exact = true});
    ps_tensor ids = numbers(q, ROWS);
    ids.shape[1] = 16;
    ps_op_form_embedding(q->stream, matrix(q, type, 16, 32), &w, ids, true);
}

static void run_attention_as(sequence *q, ps_dtype type, bool other)
{
    int32_t spans[2][ROWS];
    for (int i = 0; i < ROWS; i++) {
        spans[0][i] = i / 14 * 14;
        spans[1][i] = i % 7 == 3 ? i - 1 : ROWS;
    }
    ps_tensor starts = place(q, PS_DTYPE_I32, 1, ROWS), ends = place(q, PS_DTYPE_I32, 1, ROWS);
    ps_copy_to_device(q->stream, starts, spans[0], sizeof spans[0]);
    ps_copy_to_device(q->stream, ends, spans[1], sizeof spans[1]);
    ps_tensor keys = matrix(q, type, ROWS, COLUMNS / 2),
              values = matrix(q, type, ROWS, COLUMNS / 2);
    ps_attention a = {.batch = 1,
                      .queries = ROWS,
                      .keys = ROWS,
                      .key_rows = ROWS,
                      .heads = 2,
                      .kv_heads = 1,
                      .head_dim = COLUMNS / 2,
                      .ld_q = COLUMNS,
                      .ld_k = COLUMNS / 2,
                      .ld_v = COLUMNS / 2,
                      .ld_y = COLUMNS,
                      .y = all(q, type),
                      .q = all(q, type),
                      .k = keys,
                      .v = values,
                      .lse = floats(q, 2 * ROWS),
                      .scale = 0.3f,
                      .causal = true};
    if (other) {
        a.window = 7;
        a.softcap = 1.5f;
        a.starts = starts;
        a.ends = ends;
        a.dropout = 0.2f;
        a.dropout_seed = 9;
    }
    ps_op_attention(q->stream, &a);
    ps_op_attention_weights(
        q->stream,
        &(ps_attention_weights){.forward = &a, .p = place(q, PS_DTYPE_F32, 2 * ROWS, ROWS)});
    ps_op_attention_backward(q->stream,
                             &(ps_attention_backward){.forward = &a,
                                                      .dq = all(q, type),
                                                      .dk = matrix(q, type, ROWS, COLUMNS / 2),
                                                      .dv = matrix(q, type, ROWS, COLUMNS / 2),
                                                      .dy = all(q, type),
                                                      .delta = floats(q, 2 * ROWS)});
}

/* Plain, and with all that leaves keys out. */
static void run_attention(sequence *q, ps_dtype type)
{
    run_attention_as(q, type, false);
    run_attention_as(q, type, true);
}

static void run_losses(sequence *q, ps_dtype type)
{
    ps_tensor logits = all(q, PS_DTYPE_F32);
    ps_op_cross_entropy(q->stream, &(ps_cross_entropy){.loss = floats(q, 1),
                                                       .correct = place(q, PS_DTYPE_I32, 1, 1),
                                                       .dlogits = all(q, type),
                                                       .logits = logits,
                                                       .labels = numbers(q, COLUMNS),
                                                       .scale = 0.1f});
    for (int kind = 0; kind < PS_DIVERGENCE_COUNT; kind++)
        ps_op_distil(q->stream, &(ps_distil){.task = {.loss = floats(q, 1),
                                                      .correct = place(q, PS_DTYPE_I32, 1, 1),
                                                      .dlogits = all(q, type),
                                                      .logits = logits,
                                                      .labels = numbers(q, COLUMNS),
                                                      .scale = 0.1f},
                                             .teacher = all(q, PS_DTYPE_F32),
                                             .divergence = floats(q, 1),
                                             .kind = (ps_divergence)kind,
                                             .temperature = 2,
                                             .alpha = 0.5f,
                                             .top_k = kind ? 3 : 0});
}

/* Also where all above 0 are few enough, and where some are equal. */
static void run_sparse(sequence *q, ps_tensor x)
{
    ps_tensor flat = all(q, PS_DTYPE_F32), norms = floats(q, ROWS);
    for (int64_t k = 1; k <= COLUMNS; k += 7)
        ps_op_topk(q->stream, &(ps_topk){.y = all(q, PS_DTYPE_F32), .z = x, .k = k});
    ps_op_fill(q->stream, flat, 0.5f);
    ps_op_topk(
        q->stream,
        &(ps_topk){.y = all(q, PS_DTYPE_F32), .z = flat, .left_out = floats(q, COLUMNS), .k = 5});
    ps_op_row_norms(q->stream, norms, x);
    ps_op_row_norms_backward(q->stream, all(q, PS_DTYPE_F32), floats(q, ROWS), norms, x);
    ps_op_count_positive(q->stream, place(q, PS_DTYPE_I32, 1, 1), x);
}

static void run_f32(sequence *q)
{
    ps_tensor x = all(q, PS_DTYPE_F32), y = all(q, PS_DTYPE_F32), dy = all(q, PS_DTYPE_F32);
    ps_tensor norm = floats(q, 1), one = place(q, PS_DTYPE_I32, 1, 1);
    ps_op_squared_error(q->stream, floats(q, 1), dy, x, y);
    ps_op_softmax(q->stream, all(q, PS_DTYPE_F32), x);
    ps_op_argmax(q->stream, numbers(q, 2), x);
    ps_op_fill(q->stream, all(q, PS_DTYPE_F32), 2.5f);
    ps_op_axpy(q->stream, y, -0.5f, x);
    ps_op_squared_norm(q->stream, norm, x, true);
    ps_op_clip_norm(q->stream, all(q, PS_DTYPE_F32), norm, 0.5f);
    ps_op_all_finite(q->stream, one, x);
    ps_tensor v = all(q, PS_DTYPE_F32);
    ps_op_fill(q->stream, v, 0.25f);
    ps_op_adamw(q->stream, &(ps_adamw){all(q, PS_DTYPE_F32), all(q, PS_DTYPE_F32), v, x, 0.01f,
                                       0.9f, 0.99f, 1e-8f, 0.1f, 3});
    ps_tensor bytes = place(q, PS_DTYPE_I8, 1, COUNT), scales = floats(q, (COUNT + 63) / 64);
    ps_op_quantise(q->stream, bytes, scales, x, 64);
    ps_op_dequantise(q->stream, all(q, PS_DTYPE_F32), bytes, scales, 64);
    ps_copy(q->stream, all(q, PS_DTYPE_F32), x);
    run_sparse(q, x);
}

static ps_tensor images(sequence *q, int64_t n, int64_t channels, int64_t h, int64_t w)
{
    ps_tensor t = floats(q, n * channels * h * w);
    t.rank = 4;
    t.shape[0] = n, t.shape[1] = channels, t.shape[2] = h, t.shape[3] = w;
    return t;
}

static void run_images(sequence *q)
{
    ps_conv c = {.y = images(q, 2, 4, 6, 7),
                 .x = images(q, 2, 3, 6, 7),
                 .weight = images(q, 4, 3, 3, 3),
                 .bias = floats(q, 4),
                 .stride = 1,
                 .padding = 1,
                 .beta = 0.5f};
    ps_op_conv(q->stream, &c);
    ps_tensor y = c.y;
    ps_group_norm n = {.y = images(q, 2, 4, 6, 7),
                       .x = y,
                       .gain = floats(q, 4),
                       .bias = floats(q, 4),
                       .mean = floats(q, 4),
                       .rstd = floats(q, 4),
                       .groups = 2,
                       .epsilon = 1e-5f};
    ps_op_group_norm(q->stream, &n);
    ps_op_group_norm_backward(q->stream, &(ps_group_norm_backward){.dx = images(q, 2, 4, 6, 7),
                                                                   .dgain = floats(q, 4),
                                                                   .dbias = floats(q, 4),
                                                                   .dy = images(q, 2, 4, 6, 7),
                                                                   .x = y,
                                                                   .gain = n.gain,
                                                                   .mean = n.mean,
                                                                   .rstd = n.rstd,
                                                                   .groups = 2});
    for (int kind = 0; kind < 2; kind++) {
        ps_pool p = {.kind = kind ? PS_POOL_MAX : PS_POOL_AVERAGE,
                     .y = images(q, 2, 4, 2, 3),
                     .x = y,
                     .index = kind ? place(q, PS_DTYPE_U8, 1, 48) : (ps_tensor){0},
                     .window_h = 3,
                     .window_w = 2,
                     .stride = 2};
        ps_op_pool(q->stream, &p);
        p.x = images(q, 2, 4, 6, 7);
        ps_op_pool_backward(q->stream, &p);
    }
    c.y = images(q, 2, 4, 6, 7);
    ps_op_conv_backward_weight(q->stream, &c);
    c.x = images(q, 2, 3, 6, 7);
    ps_op_conv_backward_input(q->stream, &c);
}

void sequence_run(sequence *q, ps_stream *s, ps_buffer *buffer, int count)
{
    *q = (sequence){.stream = s, .buffer = buffer};
    ps_rng_seed(&q->rng, 11);
    static const ps_dtype types[] = {PS_DTYPE_F32, PS_DTYPE_BF16};
    for (int i = 0; i < count; i++) {
        run_products(q, types[i]);
        run_elements(q, types[i]);
        run_rows(q, types[i]);
        run_form(q, types[i]);
        run_attention(q, types[i]);
        run_losses(q, types[i]);
    }
    run_f32(q);
    run_images(q);
}
