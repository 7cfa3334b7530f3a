#include "server/params/placement.h"

#include "tests/lib/check_main.h"

#include <stdio.h>
#include <string.h>

START_TEST(a_matrix_is_cut_into_column_blocks_that_cover_it)
{
    const uint64_t shapes[][3] = {{5, 7, 0}, {1, 1, 0}, {100, 3, 0}, {2, 3, 10}};
    for (uint32_t k = 1; k <= 12; k++) {
        ps_placement_request requests[] = {
            {"a", 2, shapes[0]}, {"b", 0, NULL}, {"c", 1, &shapes[2][0]}, {"d", 3, shapes[3]}};
        const uint64_t rows[] = {5, 1, 1, 6}, columns[] = {7, 1, 100, 10};
        ps_placement *p;
        ck_ok(ps_placement_create(requests, 4, k, 4, 1, &p));
        uint64_t elements = 0, blocks = 0;
        for (size_t t = 0; t < 4; t++) {
            const ps_param_tensor *tensor = &p->tensors[t];
            ck_assert_uint_eq(tensor->rows, rows[t]);
            ck_assert_uint_eq(tensor->columns, columns[t]);
            ck_assert_uint_eq(tensor->n_shards, k < columns[t] ? k : columns[t]);
            uint64_t column = 0;
            for (uint32_t i = 0; i < tensor->n_shards; i++) {
                const ps_param_shard *s = &tensor->shards[i];
                uint64_t width = s->column_end - s->column_begin;
                ck_assert_uint_eq(s->column_begin, column);
                ck_assert_uint_ge(width, columns[t] / tensor->n_shards);
                ck_assert_uint_le(width, columns[t] / tensor->n_shards + 1);
                ck_assert_uint_eq(s->elements, width * rows[t]);
                ck_assert_uint_eq(s->blocks, (s->elements + 3) / 4);
                ck_assert_uint_eq(s->first_block, blocks);
                blocks += s->blocks;
                column = s->column_end;
            }
            ck_assert_uint_eq(column, columns[t]);
            elements += rows[t] * columns[t];
        }
        ck_assert_uint_eq(p->elements, elements);
        ck_assert_uint_eq(p->blocks, blocks);
        ps_placement_free(&p);
    }
}
END_TEST

START_TEST(every_element_is_where_the_protocol_says)
{
    const uint64_t shape[] = {6, 11};
    for (uint32_t k = 1; k <= 11; k++) {
        ps_placement_request request = {"w", 2, shape};
        ps_placement *p;
        ck_ok(ps_placement_create(&request, 1, k, 5, 1, &p));
        const ps_param_tensor *t = &p->tensors[0];
        for (uint64_t i = 0; i < 66; i++) {
            ps_param_run run = ps_placement_locate(t, i);
            const ps_param_shard *s = &t->shards[run.shard];
            uint64_t width = s->column_end - s->column_begin;
            for (uint64_t j = 0; j < run.count; j++) {
                uint64_t row = (run.offset + j) / width;
                uint64_t column = s->column_begin + (run.offset + j) % width;
                ck_assert_uint_eq(row * 11 + column, i + j);
            }
            ck_assert_uint_ge(run.count, 1);
            ck_assert_uint_le(i + run.count, 66);
        }
        ps_placement_free(&p);
    }
}
END_TEST

START_TEST(tensors_are_found_by_name)
{
    enum { N = 500 };
    static char names[N][16];
    static ps_placement_request requests[N];
    const uint64_t one = 1;
    for (int i = 0; i < N; i++) {
        (void)snprintf(names[i], sizeof names[i], "layer.%d", i);
        requests[i] = (ps_placement_request){names[i], 1, &one};
    }
    ps_placement *p;
    ck_ok(ps_placement_create(requests, N, 1, 1, 1, &p));
    uint32_t id;
    for (uint32_t i = 0; i < N; i++) {
        ck_ok(ps_placement_find(p, names[i], &id));
        ck_assert_uint_eq(id, i);
    }
    ck_assert_int_eq(ps_placement_find(p, "layer.500", &id), PS_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "layer.500"));
    ps_placement_free(&p);
}
END_TEST

START_TEST(shards_go_to_servers_in_turn)
{
    const uint64_t shape[] = {2, 6};
    ps_placement_request request = {"w", 2, shape};
    ps_placement *p;
    ck_ok(ps_placement_create(&request, 1, 5, 4, 3, &p));
    for (uint32_t i = 0; i < 5; i++)
        ck_assert_uint_eq(p->tensors[0].shards[i].server, i % 3);
    ps_placement_free(&p);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_matrix_is_cut_into_column_blocks_that_cover_it},
    {&every_element_is_where_the_protocol_says},
    {&tensors_are_found_by_name},
    {&shards_go_to_servers_in_turn},
    {0},
};

int main(void)
{
    return ps_check_main("params/placement", cases);
}
