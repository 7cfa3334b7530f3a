/* Happy path: of each block the device multiplies what belongs to it, and what that gives is copied
 * out, one block after the other. */
#include "worker/explain/cut_matrix.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "gpu/op.h"

#include <stdio.h>
#include <string.h>

bool ps_cut_matrix_is(const ps_model *model, size_t parameter)
{
    ps_tap behind[PS_MODEL_TAPS_BEHIND];
    return ps_model_taps_behind(model, parameter, behind) > 0;
}

/* What stands beside a weight of that name, if anything does. */
static ps_status read_bias(const ps_explaining *x, const char *weight, ps_cut_matrix *p)
{
    static const char suffix[] = "weight";
    char name[sizeof((ps_model_parameter_spec *)0)->name];
    size_t kept = strlen(weight) - (sizeof suffix - 1), i;
    PS_REQUIRE(!strcmp(weight + kept, suffix));
    p->bias = ps_try_alloc(p->outputs * sizeof *p->bias);
    if (!p->bias)
        return ps_fail(PS_NO_MEMORY, "bias of %s", weight);
    (void)snprintf(name, sizeof name, "%.*sbias", (int)kept, weight);
    if (ps_model_find(x->model, name, &i))
        return PS_OK;
    ps_tensor from = ps_model_parameter(x->model, i);
    PS_REQUIRE((size_t)ps_tensor_count(from) == p->outputs);
    return ps_copy_to_host(ps_model_stream(x->model), p->bias, from, ps_tensor_bytes(from));
}

ps_status ps_cut_matrix_open(const ps_explaining *x, size_t parameter, size_t blocks,
                             ps_cut_matrix *out)
{
    const ps_model_parameter_spec *spec = &ps_model_parameters(x->model)->parameters[parameter];
    *out = (ps_cut_matrix){.parameter = parameter, .side_by_side = spec->input_major};
    out->n_behind = ps_model_taps_behind(x->model, parameter, out->behind);
    PS_REQUIRE(out->n_behind > 0 && spec->rank == 2 && blocks > 0);
    out->layer = out->behind[0].layer;
    out->outputs = (size_t)spec->shape[spec->input_major ? 1 : 0];
    out->inputs = (size_t)spec->shape[spec->input_major ? 0 : 1];
    size_t columns = (size_t)spec->shape[1];
    out->blocks = blocks < columns ? blocks : columns;
    for (size_t i = 0; i < out->n_behind; i++)
        out->columns[i] = (size_t)ps_model_tap_columns(x->model, out->behind[i]);
    PS_REQUIRE(out->outputs == out->columns[0] + out->columns[1] + out->columns[2]);
    ps_status st = ps_model_tap_before(x->model, parameter, &out->before);
    return st ? st : read_bias(x, spec->name, out);
}

void ps_cut_matrix_free(const ps_explaining *x, ps_cut_matrix *matrix)
{
    ps_free(&matrix->bias);
    ps_buffer_free(ps_model_stream(x->model)->backend, &matrix->room);
}

static ps_status take_room(ps_cut_matrix *p, ps_stream *stream, size_t rows)
{
    if (p->room && p->room_rows >= rows)
        return PS_OK;
    ps_buffer_free(stream->backend, &p->room);
    p->room_rows = rows;
    ps_status st = ps_buffer_new(stream->backend, rows * p->outputs * sizeof(float), &p->room);
    return st ? ps_wrap(st, "a column block's product of %zu rows", rows) : PS_OK;
}

static ps_tensor from_column(ps_tensor t, size_t column)
{
    t.offset += column * sizeof(float);
    return t;
}

/* P_i of columns begin to end, into c[rows, outputs]. */
static void multiply(const ps_cut_matrix *p, ps_stream *s, ps_tensor weight, ps_tensor x,
                     int64_t ld, size_t begin, size_t end, ps_tensor c)
{
    PS_REQUIRE(begin < end && end <= (p->side_by_side ? p->outputs : p->inputs));
    ps_gemm g = {.m = x.shape[0],
                 .n = (int64_t)p->outputs,
                 .k = (int64_t)(end - begin),
                 .alpha = 1,
                 .transpose_b = true,
                 .a = from_column(x, begin),
                 .b = from_column(weight, begin),
                 .c = c,
                 .ld_a = ld,
                 .ld_b = (int64_t)p->inputs,
                 .ld_c = (int64_t)p->outputs,
                 .batch = 1};
    if (p->side_by_side) {
        ps_op_fill(s, c, 0);
        g.transpose_b = false;
        g.n = (int64_t)(end - begin);
        g.k = (int64_t)p->inputs;
        g.a = x;
        g.c = from_column(c, begin);
        g.ld_b = (int64_t)p->outputs;
    }
    ps_op_gemm(s, &g);
}

ps_status ps_cut_matrix_parts(const ps_explaining *x, ps_cut_matrix *p, ps_tensor seen, int64_t ld,
                              float *parts)
{
    ps_stream *stream = ps_model_stream(x->model);
    ps_tensor weight = ps_model_parameter(x->model, p->parameter);
    size_t rows = (size_t)seen.shape[0], columns = p->side_by_side ? p->outputs : p->inputs;
    PS_REQUIRE(seen.rank == 2 && (size_t)seen.shape[1] == p->inputs);
    PS_REQUIRE(seen.dtype == PS_DTYPE_F32 && ld >= seen.shape[1] && weight.rank == 2);
    ps_status st = take_room(p, stream, rows);
    for (size_t i = 0; !st && i < p->blocks; i++) {
        ps_tensor c = ps_tensor_2d(p->room, 0, PS_DTYPE_F32, (int64_t)rows, (int64_t)p->outputs);
        multiply(p, stream, weight, seen, ld, columns * i / p->blocks,
                 columns * (i + 1) / p->blocks, c);
        st = ps_copy_to_host(stream, parts + i * rows * p->outputs, c, ps_tensor_bytes(c));
    }
    return st;
}

size_t ps_cut_matrix_column(const ps_cut_matrix *p, ps_tap tap)
{
    size_t column = 0;
    for (size_t i = 0; i < p->n_behind; column += p->columns[i++])
        if (ps_tap_equal(tap, p->behind[i]))
            return column;
    return SIZE_MAX;
}
