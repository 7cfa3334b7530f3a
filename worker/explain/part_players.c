/* Happy path: the entry's keys name parts, and these are where the model has them. */
#include "worker/explain/part_players.h"

#include "worker/explain/look.h"

#include "common/base/require.h"
#include "common/conf/explain_spec.h"

#include <string.h>

/* ---- which ---- */

static ps_status find_tensor(const ps_explaining *x, const char *name, size_t *out)
{
    const ps_model_layout *layout = ps_model_parameters(x->model);
    const char *last = "";
    for (size_t i = 0; i < layout->count; i++) {
        if (!ps_cut_matrix_is(x->model, i))
            continue;
        last = layout->parameters[i].name;
        *out = i;
        if (name && !strcmp(name, last))
            return PS_OK;
    }
    if (!name || !*name)
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT,
                   "tensor: '%s' is no matrix of a layer of the model; its last one is %s", name,
                   last);
}

static ps_status add_blocks(const ps_explaining *x, const ps_spec_explain_method *spec,
                            ps_part_players *p)
{
    size_t tensor = 0;
    if (spec->n_layers)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "layers: of players layers and heads; blocks are those of one tensor");
    ps_status st = find_tensor(x, spec->tensor, &tensor);
    if (!st && spec->blocks > PS_PART_PLAYERS_MAX)
        st = ps_fail(PS_INVALID_ARGUMENT, "blocks: %lld, but a game has at most %d players",
                     (long long)spec->blocks, PS_PART_PLAYERS_MAX);
    if (!st)
        st = ps_cut_matrix_open(x, tensor, (size_t)spec->blocks, &p->matrix);
    for (; !st && p->n < p->matrix.blocks; p->n++)
        p->player[p->n] = (ps_part_player){
            .tap = p->matrix.behind[0], .number = p->n, .of_layer = (size_t)p->matrix.layer};
    return st;
}

static ps_status add(ps_part_players *p, ps_part_player player)
{
    if (p->n == PS_PART_PLAYERS_MAX)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "more than %d players: 2 of each block of the model, or its heads; choose "
                       "some by layers",
                       PS_PART_PLAYERS_MAX);
    p->player[p->n++] = player;
    return PS_OK;
}

static ps_status add_layer(const ps_explaining *x, size_t layer, ps_part_players *p)
{
    bool heads = p->kind == PS_EXPLAIN_PLAYERS_HEADS;
    size_t n = heads ? ps_explain_heads(x) : 2;
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < n; i++) {
        ps_tap tap = {.kind = heads ? PS_TAP_Z
                              : i   ? PS_TAP_MLP_OUT
                                    : PS_TAP_ATTN_OUT,
                      .layer = (int64_t)layer};
        size_t columns = (size_t)ps_model_tap_columns(x->model, tap);
        st = add(p, (ps_part_player){.tap = tap,
                                     .begin = heads ? columns / n * i : 0,
                                     .end = heads ? columns / n * (i + 1) : columns,
                                     .number = i,
                                     .of_layer = layer});
    }
    return st;
}

static ps_status add_layers(const ps_explaining *x, const ps_spec_explain_method *spec,
                            ps_part_players *p)
{
    size_t there = ps_explain_layers(x), n = spec->n_layers ? spec->n_layers : there;
    if (!x->language)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "players: layers and heads are of language models; of this one say blocks");
    if (spec->tensor && *spec->tensor)
        return ps_fail(PS_INVALID_ARGUMENT, "tensor: of players blocks alone");
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < n; i++) {
        size_t layer = spec->n_layers ? (size_t)spec->layers[i] : i;
        st = layer < there
                 ? add_layer(x, layer, p)
                 : ps_fail(PS_INVALID_ARGUMENT, "layers: %zu, and the model has %zu", layer, there);
    }
    return st;
}

ps_status ps_part_players_open(const ps_explaining *x, const ps_spec_explain_method *spec,
                               ps_part_players *out)
{
    *out = (ps_part_players){.kind = spec->players};
    return spec->players == PS_EXPLAIN_PLAYERS_BLOCKS ? add_blocks(x, spec, out)
                                                      : add_layers(x, spec, out);
}

void ps_part_players_free(const ps_explaining *x, ps_part_players *players)
{
    ps_cut_matrix_free(x, &players->matrix);
}

/* ---- without some ---- */

bool ps_part_players_at(const ps_part_players *p, ps_tap tap)
{
    if (p->kind == PS_EXPLAIN_PLAYERS_BLOCKS)
        return ps_cut_matrix_column(&p->matrix, tap) != SIZE_MAX;
    for (size_t i = 0; i < p->n; i++)
        if (ps_tap_equal(tap, p->player[i].tap))
            return true;
    return false;
}

static void apply_blocks(const ps_part_players *p, size_t there, ps_tap tap, const float *parts,
                         float *values, size_t rows, size_t columns)
{
    const ps_cut_matrix *w = &p->matrix;
    size_t column = ps_cut_matrix_column(w, tap);
    PS_REQUIRE(parts && column + columns <= w->outputs);
    for (size_t row = 0; row < rows; row++)
        for (size_t c = 0; c < columns; c++) {
            double z = (double)w->bias[column + c];
            for (size_t b = 0; b < w->blocks; b++)
                if (there >> b & 1)
                    z += (double)parts[(b * rows + row) * w->outputs + column + c];
            values[row * columns + c] = (float)z;
        }
}

void ps_part_players_apply(const ps_part_players *p, size_t there, ps_tap tap, const float *parts,
                           float *values, size_t rows, size_t columns)
{
    if (p->kind == PS_EXPLAIN_PLAYERS_BLOCKS) {
        apply_blocks(p, there, tap, parts, values, rows, columns);
        return;
    }
    for (size_t i = 0; i < p->n; i++) {
        const ps_part_player *player = &p->player[i];
        if (there >> i & 1 || !ps_tap_equal(tap, player->tap))
            continue;
        PS_REQUIRE(player->begin < player->end && player->end <= columns);
        for (size_t row = 0; row < rows; row++)
            memset(values + row * columns + player->begin, 0,
                   (player->end - player->begin) * sizeof *values);
    }
}
