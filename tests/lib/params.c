#include "tests/lib/params.h"

#include "common/base/mem.h"

const ps_controller_ops *test_controller(const char *name)
{
    const ps_controller_ops *row;
    if (ps_consistency_find(name, &row))
        abort();
    return row;
}

void test_params_init(test_params *p, uint64_t rows, uint64_t columns)
{
    *p = (test_params){
        .plans = {{.name = "w",
                   .rank = 2,
                   .shape = {rows, columns},
                   .init = PS_PARAM_NORMAL,
                   .scale = 1},
                  {.name = "b", .rank = 1, .shape = {columns}, .init = PS_PARAM_ZEROS}},
        .config = {.n_plans = 2,
                   .seed = 7,
                   .optimizer = {.name = "sgd", .learning_rate = 1},
                   .controller = test_controller("asp")},
    };
    p->config.plans = p->plans;
}

typedef struct reader {
    float *values;
    uint64_t n;
} reader;

static ps_status append(void *state, const float *values, size_t count)
{
    reader *r = state;
    memcpy(r->values + r->n, values, count * sizeof *values);
    r->n += count;
    return PS_OK;
}

float *test_params_read(ps_param_store *store, uint32_t tensor)
{
    const ps_param_tensor *t = &ps_param_store_placement(store)->tensors[tensor];
    reader r = {.values = ps_alloc_array(t->rows * t->columns, sizeof(float))};
    if (ps_param_export(store, tensor, (ps_param_sink){append, &r}) || r.n != t->rows * t->columns)
        abort();
    return r.values;
}

ps_status test_params_begin(ps_param_store *store, uint64_t sequence, ps_push **out)
{
    ps_push_header header = {.incarnation = 1, .sequence = sequence};
    return ps_push_begin(store, "worker", &header, out);
}

static ps_status add_block(ps_param_store *store, ps_push *push, const ps_push_chunk_header *at,
                           float (*value)(void *user, uint64_t index), void *user)
{
    const ps_param_tensor *t = &ps_param_store_placement(store)->tensors[at->tensor];
    const ps_param_shard *s = &t->shards[at->shard];
    uint64_t width = s->column_end - s->column_begin;
    /* one byte off, as a payload inside a message may be */
    uint8_t *bytes = ps_alloc(at->count * sizeof(float) + 1);
    for (uint32_t i = 0; i < at->count; i++) {
        uint64_t row = (at->offset + i) / width;
        uint64_t column = s->column_begin + (at->offset + i) % width;
        float v = value(user, row * t->columns + column);
        memcpy(bytes + 1 + i * sizeof v, &v, sizeof v);
    }
    return ps_push_chunk(push, at, ps_slice_of(bytes + 1, at->count * sizeof(float)),
                         (ps_push_owner){free, bytes});
}

ps_status test_params_add(ps_param_store *store, ps_push *push, uint32_t tensor,
                          float (*value)(void *user, uint64_t index), void *user)
{
    const ps_placement *p = ps_param_store_placement(store);
    const ps_param_tensor *t = &p->tensors[tensor];
    for (uint32_t s = 0; s < t->n_shards; s++) {
        for (uint64_t offset = 0; offset < t->shards[s].elements; offset += p->block_elements) {
            uint64_t left = t->shards[s].elements - offset;
            ps_push_chunk_header at = {
                .tensor = tensor,
                .shard = s,
                .offset = offset,
                .count = (uint32_t)(left < p->block_elements ? left : p->block_elements),
            };
            ps_status st = add_block(store, push, &at, value, user);
            if (st)
                return st;
        }
    }
    return PS_OK;
}

static float constant(void *user, uint64_t index)
{
    return *(float *)user;
}

ps_status test_params_push(ps_param_store *store, const char *client, const ps_push_header *header,
                           float value, ps_push_reply *reply)
{
    ps_push *push;
    ps_status st = ps_push_begin(store, client, header, &push);
    if (st)
        return st;
    size_t n = ps_param_store_placement(store)->n_tensors;
    for (uint32_t i = 0; i < n && !st; i++)
        st = test_params_add(store, push, i, constant, &value);
    if (!st)
        return ps_push_commit(&push, reply, NULL);
    ps_push_abort(&push);
    return st;
}
