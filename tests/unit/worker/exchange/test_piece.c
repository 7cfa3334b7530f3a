#include "worker/exchange/piece.h"

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "tests/lib/check_main.h"

/* rows × columns in column shards as even as they get, and blocks of `block` elements. */
static ps_tensor_map make_map(uint64_t rows, uint64_t columns, uint32_t shards, uint32_t block)
{
    ps_tensor_map map = {.rows = rows, .columns = columns, .elements = rows * columns};
    map.shards = ps_alloc_array(shards, sizeof(*map.shards));
    map.shard_count = shards;
    for (uint32_t i = 0; i < shards; i++) {
        uint64_t begin = columns * i / shards, end = columns * (i + 1) / shards;
        map.shards[i] = (ps_shard_map){.column_begin = begin,
                                       .width = end - begin,
                                       .elements = rows * (end - begin),
                                       .wire_offset = rows * begin,
                                       .block_elements = block};
    }
    return map;
}

/* By walking through every block. */
static bool is_border(const ps_tensor_map *map, uint64_t at)
{
    for (uint32_t i = 0; i < map->shard_count; i++) {
        const ps_shard_map *s = &map->shards[i];
        for (uint64_t o = 0; o < s->elements; o += s->block_elements)
            if (s->wire_offset + o == at)
                return true;
    }
    return at == map->elements;
}

START_TEST(a_tensor_within_the_limit_is_one_piece)
{
    ps_tensor_map maps[] = {make_map(784, 512, 1, 262144), make_map(1, 512, 1, 262144)};
    ps_tensor_maps all = {.tensors = maps, .count = 2};
    ps_pieces pieces;
    ps_pieces_make(&all, 4, 784 * 512 * 4, &pieces);
    ck_assert_uint_eq(pieces.count, 2);
    ck_assert_uint_eq(pieces.list[0].end, 784 * 512);
    ck_assert_uint_eq(pieces.list[1].tensor, 1);
    ck_assert_uint_eq(pieces.list[1].begin, 0);
    ck_assert_uint_eq(pieces.list[1].end, 512);
    ps_pieces_free(&pieces);
    ps_free(&maps[0].shards);
    ps_free(&maps[1].shards);
}
END_TEST

START_TEST(the_embedding_of_gpt2_is_cut_into_bounded_pieces)
{
    ps_tensor_map map = make_map(50257, 768, 1, 262144);
    ps_tensor_maps all = {.tensors = &map, .count = 1};
    ps_pieces pieces;
    ps_pieces_make(&all, 4, PS_PIECE_BYTES, &pieces);
    ck_assert_uint_ge(pieces.count, 154389504 / (9 << 20));
    ck_assert_uint_le(pieces.count, 154389504 / (8 << 20) + 1);
    for (size_t i = 0; i < pieces.count; i++)
        ck_assert_uint_le((pieces.list[i].end - pieces.list[i].begin) * 4, 9 << 20);
    ps_pieces_free(&pieces);
    ps_free(&map.shards);
}
END_TEST

START_TEST(pieces_follow_one_another_and_no_block_is_in_two)
{
    ps_rng rng;
    ps_rng_seed(&rng, 11);
    for (int round = 0; round < 300; round++) {
        uint64_t columns = 1 + ps_rng_below(&rng, 60);
        uint32_t block = 1 + (uint32_t)ps_rng_below(&rng, 50);
        uint32_t shards = 1 + (uint32_t)ps_rng_below(&rng, columns < 5 ? columns : 5);
        ps_tensor_map map = make_map(1 + ps_rng_below(&rng, 60), columns, shards, block);
        ps_tensor_maps all = {.tensors = &map, .count = 1};
        uint64_t limit = 4 * (1 + ps_rng_below(&rng, 400));
        ps_pieces pieces;
        ps_pieces_make(&all, 4, limit, &pieces);
        uint64_t next = 0;
        for (size_t i = 0; i < pieces.count; i++) {
            const ps_tensor_piece *p = &pieces.list[i];
            ck_assert_uint_eq(p->begin, next);
            ck_assert_uint_gt(p->end, p->begin);
            ck_assert_uint_le((p->end - p->begin) * 4, limit + 4 * block);
            ck_assert(is_border(&map, p->end));
            next = p->end;
        }
        ck_assert_uint_eq(next, map.elements);
        ps_pieces_free(&pieces);
        ps_free(&map.shards);
    }
}
END_TEST

static const ps_check_case tests[] = {{&a_tensor_within_the_limit_is_one_piece},
                                      {&the_embedding_of_gpt2_is_cut_into_bounded_pieces},
                                      {&pieces_follow_one_another_and_no_block_is_in_two},
                                      {0}};

int main(void)
{
    return ps_check_main("worker/exchange/piece", tests);
}
