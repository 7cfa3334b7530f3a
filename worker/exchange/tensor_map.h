/* tensor_map: where a job's tensors lie on the wire, beside where they lie in the model.
 *
 * On the wire a matrix is its column shards, one after the other, each row by row ("wire order");
 * in the model it is rows × columns, or, of a tensor that psd has transposed (one that is trained
 * in a form, whose rows run along the input), columns × rows. With one shard, and not transposed,
 * both are the same. Maps are indexed as the model's parameters are; the server's ids are looked
 * up.
 */
#ifndef PS_EXCHANGE_TENSOR_MAP_H
#define PS_EXCHANGE_TENSOR_MAP_H

#include "common/base/status.h"
#include "common/form/form.h"
#include "psd/v1/parameters.pb-c.h"
#include "worker/exchange/ranges.h"

#include <stddef.h>
#include <stdint.h>

/* Elements of the largest chunk: 1 MiB of float32. */
enum { PS_CHUNK_ELEMENTS = (1 << 20) / 4 };

typedef struct ps_shard_map {
    uint64_t column_begin;
    uint64_t width;
    uint64_t elements;    /* rows × width */
    uint64_t wire_offset; /* of its first element in wire order */
    uint32_t block_elements;
} ps_shard_map;

typedef struct ps_tensor_map {
    const char *name;                 /* borrowed from who made the map */
    uint32_t id;                      /* the server's */
    uint64_t rows, columns, elements; /* psd's */
    bool transposed;                  /* the model has columns × rows */
    ps_shard_map *shards;
    uint32_t shard_count;
    bool same_order; /* wire order is the model's */
    ps_form form;    /* that it is trained in; row NULL: none */
} ps_tensor_map;

typedef struct ps_tensor_maps {
    ps_tensor_map *tensors;
    size_t count;
    uint32_t
        *by_id; /* [ids]: the parameter that the server calls id; PS_NO_TENSOR: none of these */
    size_t ids; /* tensors that the server has; count, unless these are some of them */
    uint64_t elements;
} ps_tensor_maps;

#define PS_NO_TENSOR UINT32_MAX

/* What the model has; names must outlive the maps. */
typedef struct ps_tensor_shape {
    const char *name;
    int rank;
    const int64_t *shape;
} ps_tensor_shape;

/* PS_FAILED_PRECONDITION: the server's tensors are not the model's (which one, how). */
PS_MUST_CHECK ps_status ps_tensor_maps_make(const Psd__V1__DescribeResponse *described,
                                            const ps_tensor_shape *shapes, size_t count,
                                            ps_tensor_maps *out);
/* Some of the server's tensors, by name; their shapes are what it says, of at most max elements.
 * PS_FAILED_PRECONDITION: it has none of a name. Names must outlive the maps. */
PS_MUST_CHECK ps_status ps_tensor_maps_some(const Psd__V1__DescribeResponse *described,
                                            const char *const *names, size_t count, uint64_t max,
                                            ps_tensor_maps *out);
void ps_tensor_maps_free(ps_tensor_maps *maps);
bool ps_tensor_maps_equal(const ps_tensor_maps *a, const ps_tensor_maps *b);

/* A received chunk into the model's order; the caller has checked the range. */
void ps_tensor_map_scatter(const ps_tensor_map *map, uint32_t shard, uint64_t offset,
                           uint64_t count, const void *payload, float *tensor);
/* Where such a chunk lies in the model's order: from its first element to its last; with several
 * shards, or transposed, elements of others lie between. */
ps_range ps_tensor_map_span(const ps_tensor_map *map, uint32_t shard, uint64_t offset,
                            uint64_t count);
/* The whole tensor into wire order. */
void ps_tensor_map_gather(const ps_tensor_map *map, const float *tensor, float *wire);
/* The next piece of a shard from offset on: within a block, at most PS_CHUNK_ELEMENTS. */
uint32_t ps_tensor_map_chunk(const ps_tensor_map *map, uint32_t shard, uint64_t offset);

#endif
