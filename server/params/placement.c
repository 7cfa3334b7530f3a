/* Sizes are checked first, tensor by tensor; then one allocation holds the shards of all. Fails on
 * a name or shape that cannot be, and when memory is out. */
#include "server/params/placement.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/base/utf8.h"

#include <string.h>

struct entry { /* for finding by name */
    uint64_t hash;
    uint32_t id;
};

typedef struct placement {
    ps_placement public;
    ps_param_shard *shards;
    struct entry *index; /* sorted by hash */
    char *names;
} placement;

static uint64_t hash_name(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 0x100000001b3u;
    return hash;
}

static ps_status check_shape(const ps_placement_request *t, ps_param_tensor *out)
{
    if (!t->name || !*t->name)
        return ps_fail(PS_INVALID_ARGUMENT, "a tensor without a name");
    if (!ps_utf8_is(ps_slice_str(t->name))) /* files have it in JSON */
        return ps_fail(PS_INVALID_ARGUMENT, "a tensor whose name is no UTF-8");
    if (strlen(t->name) > PS_PARAM_NAME_MAX)
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %.64s...: name longer than %d bytes", t->name,
                       PS_PARAM_NAME_MAX);
    if (t->rank > PS_PARAM_DIMS_MAX)
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %s: %u dimensions, at most %d", t->name,
                       t->rank, PS_PARAM_DIMS_MAX);
    out->rank = t->rank;
    out->rows = out->columns = 1;
    uint64_t elements = 1;
    for (unsigned i = 0; i < t->rank; i++) {
        uint64_t side = t->shape[i];
        if (side == 0)
            return ps_fail(PS_INVALID_ARGUMENT, "tensor %s: dimension %u is 0", t->name, i);
        if (side > PS_PARAM_ELEMENTS_MAX / elements)
            return ps_fail(PS_INVALID_ARGUMENT, "tensor %s: more than 2^48 elements", t->name);
        elements *= side;
        out->shape[i] = side;
        if (i + 1 < t->rank)
            out->rows *= side;
        else
            out->columns = side;
    }
    return PS_OK;
}

static uint32_t shard_count(const ps_param_tensor *t, uint32_t column_blocks)
{
    return t->columns < column_blocks ? (uint32_t)t->columns : column_blocks;
}

static int by_hash(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

/* Binary search for the first entry of that hash. */
static size_t first_of(const placement *p, uint64_t hash)
{
    size_t low = 0, high = p->public.n_tensors;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (p->index[mid].hash < hash)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static ps_status build_index(placement *p)
{
    size_t n = p->public.n_tensors;
    for (size_t i = 0; i < n; i++)
        p->index[i] = (struct entry){hash_name(p->public.tensors[i].name), (uint32_t)i};
    qsort(p->index, n, sizeof *p->index, by_hash);
    for (size_t i = 0; i < n; i++) {
        const char *name = p->public.tensors[p->index[i].id].name;
        for (size_t j = i + 1; j < n && p->index[j].hash == p->index[i].hash; j++)
            if (strcmp(name, p->public.tensors[p->index[j].id].name) == 0)
                return ps_fail(PS_INVALID_ARGUMENT, "tensor %s: there twice", name);
    }
    return PS_OK;
}

/* Fails when the blocks of all would not fit 32 bits a shard or 2^40 in all. */
static ps_status cut(placement *p, ps_param_tensor *t, ps_param_shard *shards, uint32_t k,
                     uint32_t servers, uint64_t *next_shard)
{
    ps_placement *out = &p->public;
    for (uint32_t i = 0; i < k; i++) {
        ps_param_shard *s = &shards[i];
        /* 2^48 columns × 2^16 shards stays within 64 bits */
        s->column_begin = t->columns * i / k;
        s->column_end = t->columns * (i + 1) / k;
        s->elements = t->rows * (s->column_end - s->column_begin);
        uint64_t blocks = (s->elements + out->block_elements - 1) / out->block_elements;
        if (blocks > UINT32_MAX || out->blocks + blocks > UINT64_C(1) << 40)
            return ps_fail(PS_INVALID_ARGUMENT, "tensor %s: too many blocks of %u elements",
                           t->name, out->block_elements);
        s->blocks = (uint32_t)blocks;
        s->first_block = out->blocks;
        s->server = (uint32_t)((*next_shard)++ % servers);
        out->blocks += blocks;
    }
    PS_REQUIRE(shards[0].column_begin == 0 && shards[k - 1].column_end == t->columns);
    t->n_shards = k;
    t->shards = shards;
    out->elements += t->rows * t->columns;
    return PS_OK;
}

static ps_status measure(placement *p, const ps_placement_request *tensors, uint32_t column_blocks,
                         size_t *shards, size_t *name_bytes)
{
    *shards = *name_bytes = 0;
    for (size_t i = 0; i < p->public.n_tensors; i++) {
        ps_status st = check_shape(&tensors[i], &p->public.tensors[i]);
        if (st)
            return st;
        *shards += shard_count(&p->public.tensors[i], column_blocks);
        *name_bytes += strlen(tensors[i].name) + 1;
    }
    return PS_OK;
}

/* Is every row of every shard, and every block, whole groups? */
static ps_status check_form(const ps_placement *p, const ps_param_tensor *t)
{
    if (t->transposed && !t->form.row)
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %s: transposed, and in no form", t->name);
    if (!t->form.row)
        return PS_OK;
    char text[PS_FORM_TEXT];
    (void)ps_form_text(t->form, text);
    if (t->rank != 2 || !t->form.group)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "tensor %s: not to be trained in %s: only matrices, in "
                       "forms whose group is no row",
                       t->name, text);
    if (p->block_elements % t->form.group)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "tensor %s: blocks of %u elements are not whole groups "
                       "of %s",
                       t->name, p->block_elements, text);
    for (uint32_t i = 0; i < t->n_shards; i++) {
        uint64_t width = t->shards[i].column_end - t->shards[i].column_begin;
        if (!ps_form_divides(t->form, width))
            return ps_fail(PS_INVALID_ARGUMENT,
                           "tensor %s: a column block of %llu columns is not whole groups of %s; "
                           "use fewer column_blocks",
                           t->name, (unsigned long long)width, text);
    }
    return PS_OK;
}

static ps_status fill(placement *p, const ps_placement_request *tensors, uint32_t column_blocks,
                      uint32_t servers)
{
    char *name = p->names;
    ps_param_shard *shard = p->shards;
    uint64_t next_shard = 0;
    for (size_t i = 0; i < p->public.n_tensors; i++) {
        ps_param_tensor *t = &p->public.tensors[i];
        size_t len = strlen(tensors[i].name) + 1;
        t->name = memcpy(name, tensors[i].name, len);
        name += len;
        uint32_t k = shard_count(t, column_blocks);
        t->form = tensors[i].form;
        t->transposed = tensors[i].transposed;
        ps_status st = cut(p, t, shard, k, servers, &next_shard);
        if (!st)
            st = check_form(&p->public, t);
        if (st)
            return st;
        shard += k;
    }
    return build_index(p);
}

ps_status ps_placement_create(const ps_placement_request *tensors, size_t n, uint32_t column_blocks,
                              uint32_t block_elements, uint32_t servers, ps_placement **out)
{
    if (n == 0 || n > PS_PARAM_TENSORS_MAX)
        return ps_fail(PS_INVALID_ARGUMENT, "%zu tensors, must be 1..%d", n, PS_PARAM_TENSORS_MAX);
    if (column_blocks == 0 || column_blocks > PS_PARAM_COLUMN_BLOCKS_MAX)
        return ps_fail(PS_INVALID_ARGUMENT, "column_blocks %u, must be 1..%d", column_blocks,
                       PS_PARAM_COLUMN_BLOCKS_MAX);
    if (block_elements == 0 || block_elements > PS_PARAM_BLOCK_MAX)
        return ps_fail(PS_INVALID_ARGUMENT, "block_elements %u, must be 1..%d", block_elements,
                       PS_PARAM_BLOCK_MAX);
    placement *p = ps_new(placement);
    ps_placement *made = &p->public;
    made->n_tensors = n;
    made->block_elements = block_elements;
    ps_status st = PS_NO_MEMORY;
    size_t shards, name_bytes;
    made->tensors = ps_try_alloc(n * sizeof *made->tensors);
    if (!made->tensors)
        goto no_memory;
    st = measure(p, tensors, column_blocks, &shards, &name_bytes);
    if (st)
        goto free_placement;
    p->shards = ps_try_alloc(shards * sizeof *p->shards);
    p->index = ps_try_alloc(n * sizeof *p->index);
    p->names = ps_try_alloc(name_bytes);
    if (!p->shards || !p->index || !p->names)
        goto no_memory;
    st = fill(p, tensors, column_blocks, servers ? servers : 1);
    if (st)
        goto free_placement;
    *out = made;
    return PS_OK;

no_memory:
    st = ps_fail(PS_NO_MEMORY, "out of memory for the list of %zu tensors", n);
free_placement:
    ps_placement_free(&made);
    return st;
}

void ps_placement_free(ps_placement **out)
{
    if (!*out)
        return;
    placement *p = (placement *)(void *)*out; /* its first member */
    free(p->public.tensors);
    free(p->shards);
    free(p->index);
    free(p->names);
    free(p);
    *out = NULL;
}

ps_status ps_placement_find(const ps_placement *public, const char *name, uint32_t *id)
{
    const placement *p = (const placement *)(const void *)public;
    uint64_t hash = hash_name(name);
    for (size_t i = first_of(p, hash); i < public->n_tensors && p->index[i].hash == hash; i++) {
        if (strcmp(public->tensors[p->index[i].id].name, name) == 0) {
            *id = p->index[i].id;
            return PS_OK;
        }
    }
    return ps_fail(PS_NOT_FOUND, "tensor %s: there is none of that name", name);
}

void ps_placement_model_shape(const ps_param_tensor *t, uint64_t out[PS_PARAM_DIMS_MAX])
{
    PS_REQUIRE(!t->transposed || t->rank == 2);
    for (unsigned d = 0; d < t->rank; d++)
        out[d] = t->shape[t->transposed ? t->rank - 1 - d : d];
}

ps_param_run ps_placement_locate(const ps_param_tensor *t, uint64_t index)
{
    PS_REQUIRE(index < t->rows * t->columns);
    if (t->n_shards == 1)
        return (ps_param_run){.shard = 0, .offset = index, .count = t->columns * t->rows - index};
    uint64_t row = index / t->columns, column = index % t->columns;
    /* shard i begins at ⌊i·M/k⌋: this is the right one or one too few */
    uint32_t i = (uint32_t)(column * t->n_shards / t->columns);
    while (column >= t->shards[i].column_end)
        i++;
    PS_REQUIRE(i < t->n_shards && column >= t->shards[i].column_begin);
    const ps_param_shard *s = &t->shards[i];
    return (ps_param_run){
        .shard = i,
        .offset = row * (s->column_end - s->column_begin) + column - s->column_begin,
        .count = s->column_end - column,
    };
}
