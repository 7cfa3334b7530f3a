/* block: a store whose tensors have blocks of two kinds. The second is made here, as simply as can
 * be: readers get a copy, and so does a snapshot. Whatever is done to it, such a store has what one
 * with dense blocks alone has. */
#include "server/params/block.h"

#include "common/base/list.h"
#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "server/params/snapshot.h"
#include "tests/lib/check_main.h"
#include "tests/lib/dies.h"
#include "tests/lib/params.h"

#include <math.h>
#include <string.h>

/* ---- a kind that copies ---- */

typedef struct copied {
    ps_block block;
    ps_mutex lock;
    uint64_t version, updates, epoch;
    float *values;
    void *state;
    struct frozen *saved;
} copied;

typedef struct copy {
    ps_block_buffer buffer;
    float values[];
} copy;

typedef struct frozen {
    copy *values;
    uint64_t updates;
    uint64_t state[]; /* the optimizer's, aligned as it wants */
} frozen;

static unsigned made, checked, applied, frozen_now;

static copied *of(ps_block *block)
{
    return ps_container(block, copied, block);
}

static ps_block_bytes copied_bytes(const ps_optimizer *rule, uint32_t elements)
{
    ps_block_bytes bytes = {.values = elements * sizeof(float),
                            .state = ps_optimizer_state_bytes(rule, elements)};
    bytes.memory = sizeof(copied) + bytes.values + bytes.state;
    return bytes;
}

static size_t state_bytes(const copied *b)
{
    return ps_optimizer_state_bytes(b->block.rule, b->block.elements);
}

static ps_block *copied_create(const ps_block *head)
{
    copied *b = ps_new(copied);
    b->block = *head;
    ps_mutex_init(&b->lock);
    b->values = ps_alloc_array(head->elements, sizeof(float));
    b->state = ps_try_alloc_raw(state_bytes(b) + 1);
    ps_optimizer_state_init(head->rule, head->config, b->state, head->elements);
    made++;
    return &b->block;
}

static void copied_free(ps_block *block)
{
    copied *b = of(block);
    ck_assert_ptr_null(b->saved);
    ps_mutex_destroy(&b->lock);
    ps_free(&b->values);
    free(b->state);
    ps_free(&b);
    made--;
}

static ps_status copied_check(const ps_block *block, const ps_block_chunk *chunk, double *sum_sq)
{
    checked++;
    ps_status st = ps_codec_check(chunk->codec, chunk->payload, chunk->count);
    if (st)
        return st;
    ps_codec_scan scan = chunk->codec->scan(chunk->payload, chunk->count, true);
    if (sum_sq)
        *sum_sq += scan.sum_sq;
    return scan.finite ? PS_OK : ps_fail(PS_INVALID_ARGUMENT, "not finite, says the kind");
}

static copy *copy_values(copied *b)
{
    size_t bytes = b->block.elements * sizeof(float);
    copy *out = ps_alloc(sizeof *out + bytes);
    out->buffer = (ps_block_buffer){.block = &b->block, .version = b->version};
    memcpy(out->values, b->values, bytes);
    return out;
}

static frozen *freeze(copied *b)
{
    frozen *out = ps_alloc(sizeof *out + state_bytes(b));
    out->values = copy_values(b);
    out->updates = b->updates;
    memcpy(out->state, b->state, state_bytes(b));
    b->epoch = ps_snapshot_epoch(b->block.store);
    frozen_now++;
    return out;
}

static void melt(frozen *f)
{
    if (f) {
        frozen_now--;
        ps_free(&f->values);
    }
    ps_free(&f);
}

static void copied_apply(ps_block *block, const ps_block_change *change,
                         const ps_block_piece *pieces, size_t n)
{
    copied *b = of(block);
    ps_mutex_lock(&b->lock);
    if (b->epoch != ps_snapshot_epoch(block->store))
        b->saved = freeze(b);
    const ps_optimizer_step step = {
        .rate = change->rate, .gradient_scale = change->gradient_scale, .count = ++b->updates};
    for (size_t i = 0; i < n; i++) {
        float *at = b->values + pieces[i].begin;
        const ps_optimizer_part part = {.elements = block->elements,
                                        .begin = pieces[i].begin,
                                        .count = pieces[i].count,
                                        .in = at,
                                        .out = at,
                                        .g = pieces[i].values,
                                        .state = b->state};
        block->rule->step(block->config, &step, &part);
    }
    b->version = b->version > change->version ? b->version : change->version;
    applied++;
    ps_mutex_unlock(&b->lock);
}

static uint64_t copied_version(ps_block *block)
{
    return of(block)->version;
}

static bool copied_view(ps_block *block, ps_block_seen *out)
{
    ps_mutex_lock(&of(block)->lock);
    copy *c = copy_values(of(block));
    ps_mutex_unlock(&of(block)->lock);
    *out = (ps_block_seen){.buffer = &c->buffer, .values = c->values};
    return true;
}

static void copied_release(ps_block_buffer *buffer)
{
    copy *c = ps_container(buffer, copy, buffer);
    ps_free(&c);
}

static bool copied_snapshot_next(ps_block *block, void *room, ps_block_frozen *out)
{
    copied *b = of(block);
    ps_mutex_lock(&b->lock);
    frozen *f = b->saved ? b->saved : freeze(b);
    b->saved = NULL;
    ps_mutex_unlock(&b->lock);
    *out = (ps_block_frozen){.state = {.version = f->values->buffer.version,
                                       .updates = f->updates,
                                       .elements = block->elements,
                                       .values = f->values->values,
                                       .state = f->state,
                                       .state_bytes = state_bytes(b)},
                             .saved = f};
    return true;
}

static void copied_snapshot_drop(ps_block *block, ps_block_frozen *state)
{
    melt(state->saved);
}

static void copied_snapshot_skip(ps_block *block)
{
    copied *b = of(block);
    ps_mutex_lock(&b->lock);
    melt(b->saved);
    b->saved = NULL;
    b->epoch = ps_snapshot_epoch(block->store);
    ps_mutex_unlock(&b->lock);
}

static void copied_put(ps_block *block, uint32_t begin, const ps_wire_float *values, size_t n)
{
    memcpy(of(block)->values + begin, values, n * sizeof *values);
}

static ps_block_restore copied_room(ps_block *block)
{
    copied *b = of(block);
    return (ps_block_restore){.elements = block->elements,
                              .values = b->values,
                              .state = b->state,
                              .state_bytes = state_bytes(b)};
}

static void copied_restored(ps_block *block, uint64_t version, uint64_t updates)
{
    of(block)->version = version;
    of(block)->updates = updates;
}

static const ps_block_kind kind = {.name = "copied",
                                   .bytes = copied_bytes,
                                   .create = copied_create,
                                   .free = copied_free,
                                   .check = copied_check,
                                   .apply = copied_apply,
                                   .version = copied_version,
                                   .view = copied_view,
                                   .release = copied_release,
                                   .snapshot_next = copied_snapshot_next,
                                   .snapshot_drop = copied_snapshot_drop,
                                   .snapshot_skip = copied_snapshot_skip,
                                   .put = copied_put,
                                   .room = copied_room,
                                   .restored = copied_restored};

/* ---- stores ---- */

static const char *const modes[] = {"asp", "bsp"};

/* A matrix in two column blocks of several blocks each, and a vector; with the row, the matrix is
 * of our kind. */
static ps_param_store *new_store(const char *mode, bool both)
{
    test_params p;
    ps_param_store *store;
    test_params_init(&p, 7, 9);
    p.config.column_blocks = 2;
    p.config.block_elements = 10;
    p.config.controller = test_controller(mode);
    p.config.clip_norm = 20;
    p.config.optimizer = (ps_optimizer_config){
        .name = "momentum", .learning_rate = 0.1, .momentum = 0.9, .weight_decay = 0.01};
    p.plans[0].kind = both ? &kind : NULL;
    ck_ok(ps_param_store_create(&p.config, &store));
    return store;
}

static float wave(void *user, uint64_t index)
{
    uint64_t step = *(uint64_t *)user;
    return (float)((int)((index * 7 + step * 13) % 23) - 11) / 8.0f;
}

static void train(ps_param_store *store, uint64_t from, uint64_t to)
{
    for (uint64_t step = from; step < to; step++) {
        ps_push *push;
        ps_push_reply reply;
        bool parked;
        ps_clock_reply ended;
        const ps_push_header header = {.incarnation = 1, .sequence = step, .clock = step};
        const ps_clock_end end = {.member = "worker", .clock = step};
        ck_ok(ps_push_begin(store, "worker", &header, &push));
        ck_ok(test_params_add(store, push, 0, wave, &step));
        if (step % 3)
            ck_ok(test_params_add(store, push, 1, wave, &step));
        ck_ok(ps_push_commit(&push, &reply, NULL));
        ck_ok(ps_param_store_clock(store, &end, &ended, &parked, NULL, NULL));
        ck_assert(!parked);
    }
}

static void join(ps_param_store *store)
{
    uint64_t first;
    ck_ok(ps_param_store_join(store, "worker", 0, &first));
    ck_assert_uint_eq(first, 1);
}

static void assert_same(ps_param_store *a, ps_param_store *b)
{
    for (uint32_t t = 0; t < 2; t++) {
        const ps_param_tensor *tensor = &ps_param_store_placement(a)->tensors[t];
        float *x = test_params_read(a, t), *y = test_params_read(b, t);
        ck_assert_mem_eq(x, y, tensor->rows * tensor->columns * sizeof *x);
        free(x);
        free(y);
        for (uint32_t s = 0; s < tensor->n_shards; s++)
            for (uint32_t i = 0; i < tensor->shards[s].blocks; i++)
                ck_assert_uint_eq(ps_param_store_block_version(a, t, s, i),
                                  ps_param_store_block_version(b, t, s, i));
    }
}

START_TEST(pushes_and_pulls_do_not_see_of_which_kind_a_block_is)
{
    ps_param_store *dense = new_store(modes[_i], false), *both = new_store(modes[_i], true);
    ck_assert_uint_eq(made, 3 + 4); /* of 7 × 4 and 7 × 5 elements, 10 a block */
    join(dense);
    join(both);
    assert_same(dense, both); /* initial values */
    train(dense, 1, 8);
    train(both, 1, 8);
    assert_same(dense, both);
    ck_assert_uint_gt(checked, 0);
    ck_assert_uint_eq(applied, 7 * made);

    ps_block_view view;
    ck_ok(ps_block_view_take(both, 0, 1, 2, &view)); /* held while it is pushed to, */
    float before;
    memcpy(&before, view.bytes.data, sizeof before);
    ck_assert_uint_eq(view.version, 7);
    train(both, 8, 10);
    ck_assert_mem_eq(view.bytes.data, &before, sizeof before);
    ps_param_store_unref(&both);
    ps_block_view_release(&view); /* and released after the store */
    ck_assert_uint_eq(made, 0);
    ps_param_store_unref(&dense);
}
END_TEST

static float not_finite(void *user, uint64_t index)
{
    return index == 60 ? INFINITY : 0;
}

START_TEST(a_kind_says_what_a_push_may_not_have)
{
    ps_param_store *store = new_store("asp", true);
    ps_push *push;
    ck_ok(test_params_begin(store, 1, &push));
    ck_assert_int_eq(test_params_add(store, push, 0, not_finite, NULL), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "tensor w: not finite, says the kind");
    ps_push_abort(&push);
    ps_param_store_unref(&store);
}
END_TEST

/* Puts what the snapshot gives, from block `from` on, into the other store. */
static void copy_blocks(ps_snapshot *snapshot, ps_param_store *to, uint64_t from, uint64_t end)
{
    for (uint64_t i = from; i < end; i++) {
        ps_block_state state;
        ck_ok(ps_snapshot_block(snapshot, i, &state));
        ps_block_restore room = ps_param_store_block_room(to, i);
        ck_assert_uint_eq(room.elements, state.elements);
        ck_assert_uint_eq(room.state_bytes, state.state_bytes);
        memcpy(room.values, state.values, state.elements * sizeof(float));
        memcpy(room.state, state.state, state.state_bytes);
        ps_param_store_restore_block(to, i, state.version, state.updates);
    }
}

/* Updates come while it is read; into stores with and without the kind. */
START_TEST(a_snapshot_is_of_one_instant_whatever_kinds_there_are)
{
    ps_param_store *store = new_store("asp", true), *wanted = new_store("asp", false);
    ps_param_store *back = new_store("asp", _i == 0);
    join(store);
    join(wanted);
    join(back);
    train(store, 1, 6);
    train(wanted, 1, 6);
    ps_snapshot *snapshot;
    uint64_t n = ps_param_store_blocks(store);
    ck_ok(ps_snapshot_begin(store, NULL, NULL, &snapshot));
    copy_blocks(snapshot, back, 0, 3);
    train(store, 6, 8);
    copy_blocks(snapshot, back, 3, n);
    ps_snapshot_end(&snapshot);
    assert_same(back, wanted);
    train(back, 6, 12); /* the optimizer's state came, too */
    train(wanted, 6, 12);
    float *x = test_params_read(back, 0), *y = test_params_read(wanted, 0);
    ck_assert_mem_eq(x, y, 63 * sizeof *x);
    free(x);
    free(y);

    ck_ok(ps_snapshot_begin(store, NULL, NULL, &snapshot)); /* one that is given up */
    copy_blocks(snapshot, back, 0, 2);
    train(store, 8, 9);
    ps_snapshot_end(&snapshot);
    ck_assert_uint_eq(frozen_now, 0);
    ps_param_store_unref(&store);
    ps_param_store_unref(&back);
    ps_param_store_unref(&wanted);
    ck_assert_uint_eq(made, 0);
}
END_TEST

static ps_param_store *outside;

static void update_outside_the_gate(void)
{
    ps_update update;
    ps_update_begin(outside, 1, 0, &update);
}

static void enter_twice(void)
{
    ps_update_enter(outside);
    ps_update_enter(outside); /* a snapshot that comes between waits for ever, and so does this */
}

START_TEST(parameters_change_in_the_gate_which_is_entered_once)
{
    char said[PS_DIES_SAID];
    test_params p;
    test_params_init(&p, 2, 3);
    ck_ok(ps_param_store_create(&p.config, &outside));
    ps_test_dies(update_outside_the_gate, said);
    ck_assert_msg(strstr(said, "ps_update_is_entered(store)"), "%s", said);
    ps_test_dies(enter_twice, said);
    ck_assert_msg(strstr(said, "this must hold: !entered"), "%s", said);
    ps_param_store_unref(&outside);
}
END_TEST

static const ps_check_case tests[] = {
    {&pushes_and_pulls_do_not_see_of_which_kind_a_block_is, 0, 2},
    {&a_kind_says_what_a_push_may_not_have},
    {&a_snapshot_is_of_one_instant_whatever_kinds_there_are, 0, 2},
    {&parameters_change_in_the_gate_which_is_entered_once},
    {0},
};

int main(void)
{
    return ps_check_main("server/params/block", tests);
}
