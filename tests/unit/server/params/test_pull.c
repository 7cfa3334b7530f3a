#include "server/params/pull.h"

#include "tests/lib/check_main.h"
#include "tests/lib/fault.h"
#include "tests/lib/params.h"

#include "common/base/mem.h"

static ps_param_store *new_store(void)
{
    test_params p;
    test_params_init(&p, 4, 6); /* shards of 3 columns: 12 elements, blocks of 5, 5 and 2 */
    p.config.column_blocks = 2;
    p.config.block_elements = 5;
    ps_param_store *store;
    ck_ok(ps_param_store_create(&p.config, &store));
    return store;
}

static void push_one(ps_param_store *store, uint64_t sequence, uint32_t shard, uint64_t offset)
{
    const float one = 1;
    ps_push *push;
    ps_push_reply reply;
    ck_ok(test_params_begin(store, sequence, &push));
    ps_push_chunk_header at = {.shard = shard, .offset = offset, .count = 1};
    ck_ok(ps_push_chunk(push, &at, ps_slice_of(&one, 4), (ps_push_owner){0}));
    ck_ok(ps_push_commit(&push, &reply, NULL));
}

START_TEST(a_pull_gives_every_block_once_and_in_order)
{
    ps_param_store *store = new_store();
    uint64_t version;
    ps_pull *pull;
    ck_ok(ps_pull_begin(store, NULL, 0, 0, &version, &pull));
    const struct {
        uint32_t tensor, shard;
        uint64_t offset;
        uint32_t count;
    } want[] = {{0, 0, 0, 5}, {0, 0, 5, 5},  {0, 0, 10, 2}, {0, 1, 0, 5},
                {0, 1, 5, 5}, {0, 1, 10, 2}, {1, 0, 0, 3},  {1, 1, 0, 3}};
    float *w = test_params_read(store, 0);
    ps_block_view v;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        ck_ok(ps_pull_next(pull, &v));
        ck_assert_uint_eq(v.tensor, want[i].tensor);
        ck_assert_uint_eq(v.shard, want[i].shard);
        ck_assert_uint_eq(v.offset, want[i].offset);
        ck_assert_uint_eq(v.count, want[i].count);
        ck_assert_uint_eq(v.bytes.len, want[i].count * sizeof(float));
        for (uint32_t j = 0; j < v.count && v.tensor == 0; j++) {
            /* the definition in parameters.proto */
            uint64_t element = v.offset + j, row = element / 3, column = v.shard * 3 + element % 3;
            float value;
            memcpy(&value, v.bytes.data + j * sizeof value, sizeof value);
            ck_assert_float_eq(value, w[row * 6 + column]);
        }
        ps_block_view_release(&v);
    }
    ck_assert_int_eq(ps_pull_next(pull, &v), PS_END);
    ck_assert_int_eq(ps_pull_next(pull, &v), PS_END);
    ps_pull_free(&pull);
    free(w);
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(ranges_are_cut_at_blocks_and_checked)
{
    ps_param_store *store = new_store();
    uint64_t version;
    ps_pull *pull;
    ps_block_view v;
    const ps_pull_range range = {.shard = 1, .offset = 3, .count = 8};
    ck_ok(ps_pull_begin(store, &range, 1, 0, &version, &pull));
    const uint64_t offsets[] = {3, 5, 10};
    const uint32_t counts[] = {2, 5, 1};
    for (int i = 0; i < 3; i++) {
        ck_ok(ps_pull_next(pull, &v));
        ck_assert_uint_eq(v.offset, offsets[i]);
        ck_assert_uint_eq(v.count, counts[i]);
        ps_block_view_release(&v);
    }
    ck_assert_int_eq(ps_pull_next(pull, &v), PS_END);
    ps_pull_free(&pull);

    const struct {
        ps_pull_range range;
        ps_status want;
    } bad[] = {
        {{.tensor = 2}, PS_NOT_FOUND},
        {{.shard = 2}, PS_NOT_FOUND},
        {{.offset = 13}, PS_INVALID_ARGUMENT},
        {{.offset = 6, .count = 7}, PS_INVALID_ARGUMENT},
        {{.offset = 6, .count = UINT64_MAX}, PS_INVALID_ARGUMENT},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(ps_pull_begin(store, &bad[i].range, 1, 0, &version, &pull), bad[i].want);
    /* at the very end: nothing to give */
    const ps_pull_range end = {.offset = 12};
    ck_ok(ps_pull_begin(store, &end, 1, 0, &version, &pull));
    ck_assert_int_eq(ps_pull_next(pull, &v), PS_END);
    ps_pull_free(&pull);
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(only_newer_blocks_come_when_asked_for)
{
    ps_param_store *store = new_store();
    push_one(store, 1, 0, 0);
    push_one(store, 2, 1, 7);
    push_one(store, 3, 1, 11);
    uint64_t version;
    ps_pull *pull;
    ps_block_view v;
    ck_ok(ps_pull_begin(store, NULL, 0, 1, &version, &pull));
    ck_assert_uint_eq(version, 3);
    ck_ok(ps_pull_next(pull, &v));
    ck_assert_uint_eq(v.shard, 1);
    ck_assert_uint_eq(v.offset, 5);
    ck_assert_uint_eq(v.version, 2);
    ps_block_view_release(&v);
    ck_ok(ps_pull_next(pull, &v));
    ck_assert_uint_eq(v.offset, 10);
    ck_assert_uint_eq(v.version, 3);
    ps_block_view_release(&v);
    ck_assert_int_eq(ps_pull_next(pull, &v), PS_END);
    ps_pull_free(&pull);
    ck_ok(ps_pull_begin(store, NULL, 0, 3, &version, &pull));
    ck_assert_int_eq(ps_pull_next(pull, &v), PS_END);
    ps_pull_free(&pull);
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(skipping_lets_others_have_their_turn)
{
    test_params p;
    test_params_init(&p, 100, 500);
    p.config.block_elements = 5; /* 10000 blocks and more */
    ps_param_store *store;
    ck_ok(ps_param_store_create(&p.config, &store));
    uint64_t version;
    ps_pull *pull;
    ps_block_view v;
    ck_ok(ps_pull_begin(store, NULL, 0, UINT64_MAX, &version, &pull));
    unsigned turns = 0;
    ps_status st;
    while ((st = ps_pull_next(pull, &v)) == PS_AGAIN)
        turns++;
    ck_assert_int_eq(st, PS_END);
    ck_assert_uint_ge(turns, 4);
    ps_pull_free(&pull);

    push_one(store, 1, 0, 0);
    push_one(store, 2, 0, 42000); /* what is newer is found behind all that is skipped */
    ck_ok(ps_pull_begin(store, NULL, 0, 1, &version, &pull));
    while ((st = ps_pull_next(pull, &v)) == PS_AGAIN)
        ;
    ck_ok(st);
    ck_assert_uint_eq(v.offset, 42000);
    ps_block_view_release(&v);
    while ((st = ps_pull_next(pull, &v)) == PS_AGAIN)
        ;
    ck_assert_int_eq(st, PS_END);
    ps_pull_free(&pull);
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(more_ranges_than_anybody_needs_are_refused)
{
    ps_param_store *store = new_store(); /* 4 shards */
    ps_pull_range ranges[4 * PS_PULL_RANGES_A_SHARD + 1] = {{0}};
    uint64_t version;
    ps_pull *pull;
    ck_ok(ps_pull_begin(store, ranges, 4 * PS_PULL_RANGES_A_SHARD, 0, &version, &pull));
    ps_pull_free(&pull);
    ck_assert_int_eq(
        ps_pull_begin(store, ranges, 4 * PS_PULL_RANGES_A_SHARD + 1, 0, &version, &pull),
        PS_INVALID_ARGUMENT);
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(a_view_stays_as_it_is_while_the_block_changes)
{
    ps_param_store *store = new_store();
    ps_block_view old, middle;
    ck_ok(ps_block_view_take(store, 0, 0, 0, &old));
    float before[5];
    memcpy(before, old.bytes.data, sizeof before);
    push_one(store, 1, 0, 2);
    ck_ok(ps_block_view_take(store, 0, 0, 0, &middle));
    push_one(store, 2, 0, 2);
    ck_assert_mem_eq(old.bytes.data, before, sizeof before);
    ck_assert_uint_eq(old.version, 0);
    ck_assert_uint_eq(middle.version, 1);
    float value;
    memcpy(&value, middle.bytes.data + 2 * sizeof value, sizeof value);
    ck_assert_float_eq(value, before[2] - 1);
    ps_block_view_release(&old);
    ps_block_view_release(&middle);
    ck_assert_ptr_null(old.buffer);
    /* nobody reads: the next update is in place */
    ps_block_view a, b;
    ck_ok(ps_block_view_take(store, 0, 0, 0, &a));
    const void *place = a.bytes.data;
    ps_block_view_release(&a);
    push_one(store, 3, 0, 2);
    ck_ok(ps_block_view_take(store, 0, 0, 0, &b));
    ck_assert_ptr_eq(b.bytes.data, place);
    memcpy(&value, b.bytes.data + 2 * sizeof value, sizeof value);
    ck_assert_float_eq(value, before[2] - 3);
    /* a view outlives the store's last reference */
    ps_param_store_unref(&store);
    memcpy(&value, b.bytes.data + 2 * sizeof value, sizeof value);
    ck_assert_float_eq(value, before[2] - 3);
    ps_block_view_release(&b);
}
END_TEST

START_TEST(without_memory_the_pull_fails_and_pushes_do_not)
{
    ps_param_store *store = new_store();
    ps_block_view v, second;
    fault_memory(1);
    ck_assert_int_eq(ps_block_view_take(store, 0, 0, 0, &v), PS_RESOURCE_EXHAUSTED);
    fault_memory(0);
    ck_ok(ps_block_view_take(store, 0, 0, 0, &v));
    fault_memory(1);
    /* the spare is secured: another reader needs none */
    ck_ok(ps_block_view_take(store, 0, 0, 0, &second));
    fault_memory(0);
    push_one(store, 1, 0, 1);
    ps_block_view_release(&second);
    ps_block_view_release(&v);
    ps_param_store_unref(&store);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_pull_gives_every_block_once_and_in_order},
    {&ranges_are_cut_at_blocks_and_checked},
    {&only_newer_blocks_come_when_asked_for},
    {&skipping_lets_others_have_their_turn},
    {&more_ranges_than_anybody_needs_are_refused},
    {&a_view_stays_as_it_is_while_the_block_changes},
    {&without_memory_the_pull_fails_and_pushes_do_not},
    {0},
};

int main(void)
{
    return ps_check_main("params/pull", cases);
}
