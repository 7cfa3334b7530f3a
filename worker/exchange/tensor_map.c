/* Everything here comes from the server and is checked against the model, which is ours: sizes are
 * multiplied only after they have been found equal to sizes that the model already has. */
#include "worker/exchange/tensor_map.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <string.h>

static ps_status map_shards(const Psd__V1__Tensor *tensor, ps_tensor_map *map)
{
    if (!tensor->n_shards || tensor->n_shards > map->columns)
        return ps_fail(PS_FAILED_PRECONDITION, "tensor %s: psd has %zu shards of %llu columns",
                       map->name, tensor->n_shards, (unsigned long long)map->columns);
    map->shards = ps_alloc_array(tensor->n_shards, sizeof(*map->shards));
    map->shard_count = (uint32_t)tensor->n_shards;
    uint64_t column = 0;
    for (uint32_t i = 0; i < map->shard_count; i++) {
        const Psd__V1__Shard *s = tensor->shards[i];
        if (s->index != i || s->column_begin != column || s->column_end <= column ||
            s->column_end > map->columns || !s->block_elements ||
            s->elements != map->rows * (s->column_end - column))
            return ps_fail(PS_FAILED_PRECONDITION, "tensor %s: psd's shard %u does not fit",
                           map->name, i);
        map->shards[i] = (ps_shard_map){.column_begin = column,
                                        .width = s->column_end - column,
                                        .elements = s->elements,
                                        .wire_offset = map->rows * column,
                                        .block_elements = s->block_elements};
        column = s->column_end;
    }
    if (column != map->columns)
        return ps_fail(PS_FAILED_PRECONDITION, "tensor %s: psd's shards end at column %llu of %llu",
                       map->name, (unsigned long long)column, (unsigned long long)map->columns);
    map->same_order = !map->transposed && (map->shard_count == 1 || map->rows == 1);
    return PS_OK;
}

static ps_status map_tensor(const Psd__V1__Tensor *tensor, const ps_tensor_shape *shape,
                            ps_tensor_map *map)
{
    *map = (ps_tensor_map){.name = shape->name, .id = tensor->id, .rows = 1, .columns = 1};
    map->transposed = tensor->transposed;
    bool same = tensor->n_shape == (size_t)shape->rank && (!map->transposed || shape->rank == 2);
    for (int d = 0; same && d < shape->rank; d++)
        same = tensor->shape[d] == (uint64_t)shape->shape[map->transposed ? 1 - d : d];
    if (!same)
        return ps_fail(PS_FAILED_PRECONDITION, "tensor %s: psd has another shape than the model",
                       shape->name);
    for (int d = 0; d < shape->rank - 1; d++) /* equal to the model's by now */
        map->rows *= tensor->shape[d];
    if (shape->rank > 0)
        map->columns = tensor->shape[shape->rank - 1];
    map->elements = map->rows * map->columns;
    if (*tensor->form && (!ps_form_parse(tensor->form, &map->form) || !map->form.group))
        return ps_fail(PS_FAILED_PRECONDITION,
                       "tensor %s: psd trains it in form %.64s, which this "
                       "worker does not know",
                       shape->name, tensor->form);
    return map_shards(tensor, map);
}

static const Psd__V1__Tensor *find(const Psd__V1__DescribeResponse *described, const char *name)
{
    for (size_t i = 0; i < described->n_tensors; i++)
        if (!strcmp(described->tensors[i]->name, name))
            return described->tensors[i];
    return NULL;
}

ps_status ps_tensor_maps_make(const Psd__V1__DescribeResponse *described,
                              const ps_tensor_shape *shapes, size_t count, ps_tensor_maps *out)
{
    if (described->n_tensors != count)
        return ps_fail(PS_FAILED_PRECONDITION, "psd has %zu tensors, the model %zu",
                       described->n_tensors, count);
    ps_status st = PS_OK;
    ps_tensor_maps maps = {.count = count, .ids = count};
    maps.tensors = ps_alloc_array(count, sizeof(*maps.tensors));
    maps.by_id = ps_alloc_array(count, sizeof(*maps.by_id));
    bool *seen = ps_alloc_array(count, sizeof(*seen));
    for (size_t i = 0; !st && i < count; i++) {
        const Psd__V1__Tensor *tensor = find(described, shapes[i].name);
        if (!tensor)
            st = ps_fail(PS_FAILED_PRECONDITION, "psd has no tensor %s", shapes[i].name);
        else if (tensor->id >= count || seen[tensor->id])
            st = ps_fail(PS_FAILED_PRECONDITION, "tensor %s: psd gives it the number %u again",
                         shapes[i].name, tensor->id);
        else
            st = map_tensor(tensor, &shapes[i], &maps.tensors[i]);
        if (st)
            break;
        seen[tensor->id] = true;
        maps.by_id[tensor->id] = (uint32_t)i;
        maps.elements += maps.tensors[i].elements;
    }
    ps_free(&seen);
    if (st)
        ps_tensor_maps_free(&maps);
    else
        *out = maps;
    return st;
}

/* A shape is the server's word: its sides are multiplied within max. */
static ps_status take_shape(const Psd__V1__Tensor *tensor, uint64_t max, ps_tensor_map *map)
{
    map->rows = map->columns = 1;
    for (size_t d = 0; d < tensor->n_shape; d++) {
        uint64_t side = tensor->shape[d];
        if (!side || side > max / (map->rows * map->columns))
            return ps_fail(PS_FAILED_PRECONDITION, "tensor %s: psd has another shape than is due",
                           map->name);
        if (d + 1 < tensor->n_shape)
            map->rows *= side;
        else
            map->columns = side;
    }
    map->elements = map->rows * map->columns;
    return map_shards(tensor, map);
}

static ps_status add_some(const Psd__V1__DescribeResponse *described, const char *name,
                          uint64_t max, ps_tensor_maps *maps)
{
    const Psd__V1__Tensor *tensor = find(described, name);
    if (!tensor)
        return ps_fail(PS_FAILED_PRECONDITION, "psd has no tensor %s", name);
    if (tensor->id >= maps->ids || maps->by_id[tensor->id] != PS_NO_TENSOR)
        return ps_fail(PS_FAILED_PRECONDITION, "tensor %s: psd gives it the number %u again", name,
                       tensor->id);
    ps_tensor_map *map = &maps->tensors[maps->count];
    *map = (ps_tensor_map){.name = name, .id = tensor->id};
    maps->by_id[tensor->id] = (uint32_t)maps->count++;
    ps_status st = take_shape(tensor, max, map);
    maps->elements += st ? 0 : map->elements;
    return st;
}

ps_status ps_tensor_maps_some(const Psd__V1__DescribeResponse *described, const char *const *names,
                              size_t count, uint64_t max, ps_tensor_maps *out)
{
    ps_status st = PS_OK;
    ps_tensor_maps maps = {.ids = described->n_tensors};
    maps.tensors = ps_alloc_array(count + 1, sizeof(*maps.tensors));
    maps.by_id = ps_alloc_array(maps.ids + 1, sizeof(*maps.by_id));
    for (size_t i = 0; i < maps.ids; i++)
        maps.by_id[i] = PS_NO_TENSOR;
    for (size_t i = 0; !st && i < count; i++)
        st = add_some(described, names[i], max, &maps);
    if (st)
        ps_tensor_maps_free(&maps);
    else
        *out = maps;
    return st;
}

void ps_tensor_maps_free(ps_tensor_maps *maps)
{
    for (size_t i = 0; maps->tensors && i < maps->count; i++)
        ps_free(&maps->tensors[i].shards);
    ps_free(&maps->tensors);
    ps_free(&maps->by_id);
    *maps = (ps_tensor_maps){0};
}

static bool tensors_equal(const ps_tensor_map *a, const ps_tensor_map *b)
{
    if (strcmp(a->name, b->name) != 0 || a->id != b->id || a->rows != b->rows ||
        a->columns != b->columns || a->transposed != b->transposed ||
        a->shard_count != b->shard_count || !ps_form_same(a->form, b->form))
        return false;
    for (uint32_t i = 0; i < a->shard_count; i++)
        if (a->shards[i].column_begin != b->shards[i].column_begin ||
            a->shards[i].block_elements != b->shards[i].block_elements)
            return false;
    return true;
}

bool ps_tensor_maps_equal(const ps_tensor_maps *a, const ps_tensor_maps *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!tensors_equal(&a->tensors[i], &b->tensors[i]))
            return false;
    return true;
}

static void scatter_turned(const ps_tensor_map *map, const ps_shard_map *s, uint64_t offset,
                           uint64_t count, const char *from, float *tensor)
{
    uint64_t row = offset / s->width, column = offset % s->width;
    for (uint64_t i = 0; i < count; i++) {
        memcpy(tensor + (s->column_begin + column) * map->rows + row, from + i * sizeof(float),
               sizeof(float));
        if (++column == s->width) {
            column = 0;
            row++;
        }
    }
}

void ps_tensor_map_scatter(const ps_tensor_map *map, uint32_t shard, uint64_t offset,
                           uint64_t count, const void *payload, float *tensor)
{
    PS_REQUIRE(shard < map->shard_count && offset + count <= map->shards[shard].elements);
    const ps_shard_map *s = &map->shards[shard];
    if (map->same_order) {
        memcpy(tensor + s->wire_offset + offset, payload, count * sizeof(float));
        return;
    }
    const char *from = payload; /* not aligned */
    if (map->transposed) {
        scatter_turned(map, s, offset, count, from, tensor);
        return;
    }
    while (count) {
        uint64_t row = offset / s->width, column = offset % s->width;
        uint64_t n = s->width - column < count ? s->width - column : count;
        memcpy(tensor + row * map->columns + s->column_begin + column, from, n * sizeof(float));
        from += n * sizeof(float);
        offset += n;
        count -= n;
    }
}

/* Of the shard's element offset, in the model's order. */
static uint64_t place_of(const ps_tensor_map *map, const ps_shard_map *s, uint64_t offset)
{
    if (map->same_order)
        return s->wire_offset + offset;
    return offset / s->width * map->columns + s->column_begin + offset % s->width;
}

/* Transposed: of its columns, from the first row that it has of the first to the last of the last.
 */
static ps_range span_turned(const ps_tensor_map *map, const ps_shard_map *s, uint64_t offset,
                            uint64_t count)
{
    uint64_t first = offset / s->width, last = (offset + count - 1) / s->width;
    uint64_t begin = s->column_begin, end = s->column_begin + s->width;
    if (first == last) {
        begin += offset % s->width;
        end = begin + count;
    }
    return (ps_range){begin * map->rows + first, (end - 1) * map->rows + last + 1};
}

ps_range ps_tensor_map_span(const ps_tensor_map *map, uint32_t shard, uint64_t offset,
                            uint64_t count)
{
    PS_REQUIRE(shard < map->shard_count);
    const ps_shard_map *s = &map->shards[shard];
    if (!count)
        return (ps_range){0, 0};
    if (map->transposed)
        return span_turned(map, s, offset, count);
    return (ps_range){place_of(map, s, offset), place_of(map, s, offset + count - 1) + 1};
}

static void gather_turned(const ps_tensor_map *map, const ps_shard_map *s, uint64_t row,
                          const float *tensor, float *wire)
{
    const float *from = tensor + s->column_begin * map->rows + row;
    for (uint64_t i = 0; i < s->width; i++)
        wire[i] = from[i * map->rows];
}

void ps_tensor_map_gather(const ps_tensor_map *map, const float *tensor, float *wire)
{
    if (map->same_order) {
        memcpy(wire, tensor, map->elements * sizeof(float));
        return;
    }
    for (uint32_t i = 0; i < map->shard_count; i++) {
        const ps_shard_map *s = &map->shards[i];
        for (uint64_t row = 0; row < map->rows; row++)
            if (map->transposed)
                gather_turned(map, s, row, tensor, wire + s->wire_offset + row * s->width);
            else
                memcpy(wire + s->wire_offset + row * s->width,
                       tensor + row * map->columns + s->column_begin, s->width * sizeof(float));
    }
}

uint32_t ps_tensor_map_chunk(const ps_tensor_map *map, uint32_t shard, uint64_t offset)
{
    PS_REQUIRE(shard < map->shard_count);
    const ps_shard_map *s = &map->shards[shard];
    uint64_t n = s->block_elements - offset % s->block_elements;
    if (n > s->elements - offset)
        n = s->elements - offset;
    return n < PS_CHUNK_ELEMENTS ? (uint32_t)n : PS_CHUNK_ELEMENTS;
}
