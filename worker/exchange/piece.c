/* Two walks over the tensors: one counts the pieces, one writes them. */
#include "worker/exchange/piece.h"

#include "common/base/mem.h"
#include "common/base/require.h"

/* The first border of blocks that is not before `at`. */
static uint64_t border(const ps_tensor_map *map, uint64_t at)
{
    uint32_t i = 0;
    while (i + 1 < map->shard_count && map->shards[i + 1].wire_offset <= at)
        i++;
    const ps_shard_map *s = &map->shards[i];
    uint64_t blocks = (at - s->wire_offset + s->block_elements - 1) / s->block_elements;
    uint64_t offset = blocks * s->block_elements;
    return s->wire_offset + (offset < s->elements ? offset : s->elements);
}

/* list: NULL to count. */
static size_t cut_tensor(const ps_tensor_map *map, size_t tensor, uint64_t limit,
                         ps_tensor_piece *list)
{
    uint64_t n = map->elements / limit + (map->elements % limit != 0);
    uint64_t most = map->elements / n + (map->elements % n != 0); /* alike: no crumb at the end */
    size_t count = 0;
    for (uint64_t begin = 0; begin < map->elements; count++) {
        uint64_t end = map->elements - begin > most ? border(map, begin + most) : map->elements;
        if (list)
            list[count] = (ps_tensor_piece){.tensor = tensor, .begin = begin, .end = end};
        begin = end;
    }
    return count;
}

void ps_pieces_make(const ps_tensor_maps *maps, size_t element_bytes, uint64_t limit,
                    ps_pieces *out)
{
    PS_REQUIRE(element_bytes > 0 && limit > 0);
    uint64_t elements = limit / element_bytes;
    ps_pieces pieces = {0};
    for (size_t i = 0; i < maps->count; i++)
        pieces.count += cut_tensor(&maps->tensors[i], i, elements ? elements : 1, NULL);
    pieces.list = ps_alloc_array(pieces.count, sizeof(*pieces.list));
    size_t at = 0;
    for (size_t i = 0; i < maps->count; i++)
        at += cut_tensor(&maps->tensors[i], i, elements ? elements : 1, &pieces.list[at]);
    *out = pieces;
}

void ps_pieces_free(ps_pieces *pieces)
{
    ps_free(&pieces->list);
    *pieces = (ps_pieces){0};
}
