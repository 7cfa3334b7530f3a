/* tensor_map: of a tensor that psd has transposed: chunks of it, and gradients for it, against an
 * element by element reading of what lies where. */
#include "worker/exchange/tensor_map.h"

#include "tests/lib/check_main.h"

#include <string.h>

/* The model has [IN, OUT], psd [OUT, IN] in two shards of 2 and 3 columns. */
enum { IN = 5, OUT = 4, SHARDS = 2 };
static const uint64_t begins[SHARDS + 1] = {0, 2, IN};

static ps_status make(bool transposed, uint64_t rows, uint64_t columns, ps_tensor_maps *out)
{
    char name[] = "w", form[] = "bfloat16", none[] = "";
    Psd__V1__Shard shards[SHARDS], *pointers[SHARDS];
    for (uint32_t i = 0; i < SHARDS; i++) {
        psd__v1__shard__init(&shards[i]);
        shards[i].index = i;
        shards[i].column_begin = begins[i];
        shards[i].column_end = begins[i + 1];
        shards[i].elements = rows * (begins[i + 1] - begins[i]);
        shards[i].block_elements = 3;
        pointers[i] = &shards[i];
    }
    uint64_t shape[] = {rows, columns};
    Psd__V1__Tensor w = PSD__V1__TENSOR__INIT, *tensor = &w;
    w.name = name;
    w.n_shape = 2;
    w.shape = shape;
    w.n_shards = SHARDS;
    w.shards = pointers;
    w.form = transposed ? form : none;
    w.transposed = transposed;
    Psd__V1__DescribeResponse described = PSD__V1__DESCRIBE_RESPONSE__INIT;
    described.n_tensors = 1;
    described.tensors = &tensor;
    const int64_t wanted[] = {IN, OUT};
    const ps_tensor_shape model = {.name = "w", .rank = 2, .shape = wanted};
    return ps_tensor_maps_make(&described, &model, 1, out);
}

/* Where element `at` of a shard is in the model. */
static size_t place(uint32_t shard, uint64_t at)
{
    uint64_t width = begins[shard + 1] - begins[shard];
    uint64_t out = at / width, in = begins[shard] + at % width;
    return (size_t)(in * OUT + out);
}

START_TEST(a_chunk_goes_to_where_the_model_has_it)
{
    ps_tensor_maps maps;
    ck_ok(make(true, OUT, IN, &maps));
    const ps_tensor_map *map = &maps.tensors[0];
    ck_assert(!map->same_order && map->transposed && map->rows == OUT && map->columns == IN);
    for (uint32_t s = 0; s < SHARDS; s++)
        for (uint64_t first = 0; first < map->shards[s].elements; first++)
            for (uint64_t n = 1; first + n <= map->shards[s].elements; n++) {
                float chunk[IN * OUT], model[IN * OUT] = {0};
                for (uint64_t i = 0; i < n; i++)
                    chunk[i] = (float)(i + 1);
                ps_tensor_map_scatter(map, s, first, n, chunk, model);
                ps_range span = ps_tensor_map_span(map, s, first, n);
                ck_assert_uint_le(span.end, IN * OUT);
                uint64_t found = 0;
                for (uint64_t i = 0; i < n; i++) {
                    size_t at = place(s, first + i);
                    ck_assert_float_eq(model[at], chunk[i]);
                    ck_assert(at >= span.begin && at < span.end);
                }
                for (size_t k = 0; k < IN * OUT; k++)
                    found += model[k] != 0;
                ck_assert_uint_eq(found, n);
            }
    ps_tensor_maps_free(&maps);
}
END_TEST

START_TEST(a_gradient_goes_out_as_psd_has_it)
{
    ps_tensor_maps maps;
    float model[IN * OUT], wire[IN * OUT];
    ck_ok(make(true, OUT, IN, &maps));
    for (size_t i = 0; i < IN * OUT; i++)
        model[i] = (float)i;
    ps_tensor_map_gather(&maps.tensors[0], model, wire);
    const float *at = wire;
    for (uint32_t s = 0; s < SHARDS; s++)
        for (uint64_t i = 0; i < maps.tensors[0].shards[s].elements; i++)
            ck_assert_float_eq(*at++, (float)place(s, i));
    ps_tensor_maps_free(&maps);
}
END_TEST

START_TEST(one_that_lies_otherwise_than_psd_says_is_refused)
{
    ps_tensor_maps maps;
    ck_assert_int_eq(make(false, OUT, IN, &maps), PS_FAILED_PRECONDITION);
    ck_assert_int_eq(make(true, IN, OUT, &maps), PS_FAILED_PRECONDITION);
    ck_assert_str_eq(ps_error_message(), "tensor w: psd has another shape than the model");
}
END_TEST

static const ps_check_case tests[] = {
    {&a_chunk_goes_to_where_the_model_has_it},
    {&a_gradient_goes_out_as_psd_has_it},
    {&one_that_lies_otherwise_than_psd_says_is_refused},
    {0},
};

int main(void)
{
    return ps_check_main("exchange/tensor_map", tests);
}
