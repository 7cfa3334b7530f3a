/* Two walks over the tensors: one counts the chunks, one writes them. */
#include "worker/exchange/chunk.h"

#include "common/base/mem.h"

/* chunks: NULL to count. */
static size_t cut_tensor(const ps_tensor_map *map, const ps_codec *codec, ps_chunks *chunks,
                         ps_chunk *list)
{
    size_t n = 0;
    for (uint32_t s = 0; s < map->shard_count; s++) {
        const ps_shard_map *shard = &map->shards[s];
        for (uint64_t offset = 0; offset < shard->elements; n++) {
            uint32_t count = ps_tensor_map_chunk(map, s, offset);
            if (list) {
                list[n] = (ps_chunk){.shard = s,
                                     .count = count,
                                     .offset = offset,
                                     .at = shard->wire_offset + offset,
                                     .room = chunks->bytes};
                chunks->bytes += codec->encoded_max(count);
            }
            offset += count;
        }
    }
    return n;
}

void ps_chunks_make(const ps_tensor_maps *maps, const ps_codec *codec, ps_chunks *out)
{
    *out = (ps_chunks){.first = ps_alloc_array(maps->count + 1, sizeof(*out->first))};
    for (size_t i = 0; i < maps->count; i++)
        out->first[i + 1] = out->first[i] + cut_tensor(&maps->tensors[i], codec, out, NULL);
    out->list = ps_alloc_array(out->first[maps->count], sizeof(*out->list));
    for (size_t i = 0; i < maps->count; i++)
        cut_tensor(&maps->tensors[i], codec, out, out->list + out->first[i]);
}

void ps_chunks_free(ps_chunks *chunks)
{
    ps_free(&chunks->list);
    ps_free(&chunks->first);
    *chunks = (ps_chunks){0};
}

size_t ps_chunks_find(const ps_chunks *chunks, size_t tensor, uint64_t at)
{
    size_t low = chunks->first[tensor], high = chunks->first[tensor + 1];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (chunks->list[middle].at < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
