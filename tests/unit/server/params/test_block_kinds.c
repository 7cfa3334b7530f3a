/* block_kinds: stores with words, whose bits come back whatever they are, and with sums, which do
 * not depend on the order of what is added. */
#include "server/params/block_kinds.h"

#include "server/params/block.h"
#include "server/params/ledger.h"
#include "tests/unit/server/durable/checkpoint_rig.h"

#include <math.h>

enum { ROWS = 5, COLUMNS = 6, N = ROWS * COLUMNS, PUSHES = 64 };

/* "w" of that kind, in blocks of 4 of two column blocks, and "b" dense. */
static ps_param_store *store_with(const ps_block_kind *kind)
{
    test_params p;
    ps_param_store *store;
    test_params_init(&p, ROWS, COLUMNS);
    p.config.column_blocks = 2;
    p.config.block_elements = 4;
    p.config.rows = PUSHES;
    p.config.epochs = 1;
    p.plans[0].kind = kind;
    p.plans[0].init = PS_PARAM_ZEROS;
    ck_ok(ps_param_store_create(&p.config, &store));
    return store;
}

/* Under a lease of its own, that may set "w", and has one row. */
static void begin(ps_param_store *store, uint64_t sequence, ps_push **out)
{
    ps_ledger *ledger = ps_param_store_ledger(store);
    const ps_row_span row = {sequence - 1, sequence};
    const ps_push_header header = {
        .incarnation = 1, .sequence = sequence, .lease = sequence, .rows = row};
    ps_ledger_lease_begin(ledger, sequence, 0, row);
    ps_ledger_lease_limit(ledger, sequence, "worker", 0);
    ck_ok(ps_push_begin(store, "worker", &header, out));
}

static void push_to(ps_param_store *store, uint64_t sequence, float (*value)(void *, uint64_t),
                    void *user)
{
    ps_push *push;
    ps_push_reply reply;
    begin(store, sequence, &push);
    ck_ok(test_params_add(store, push, 0, value, user));
    ck_ok(ps_push_commit(&push, &reply, NULL));
}

static void assert_bits(ps_param_store *store, const void *wanted)
{
    float *have = test_params_read(store, 0);
    ck_assert_mem_eq(have, wanted, N * sizeof *have);
    free(have);
}

/* As it is after a restart. */
static ps_param_store *restarted(ps_param_store *store)
{
    make_folder();
    ck_ok(write_to(&ps_disk_system, store));
    ps_param_store *again = load(NULL);
    assert_same(store, again);
    remove_folder();
    return again;
}

/* ---- words ---- */

/* What arithmetic would change: quiet and signalling NaN, infinities, denormals, zeros of two
 * signs; and what a multiplication spreads. */
static uint32_t word_at(uint64_t index, uint32_t salt)
{
    static const uint32_t odd[] = {0x7f800001, 0xffbfffff, 0x7fc00000, 0x7f800000, 0xff800000,
                                   0x00000001, 0x80000000, 0x807fffff, 0xffffffff, 0};
    return index % 2 ? odd[(index / 2 + salt) % 10] : (uint32_t)(index + salt + 1) * 2654435761U;
}

static float word(void *user, uint64_t index)
{
    uint32_t bits = word_at(index, *(uint32_t *)user);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

START_TEST(words_are_what_was_pushed_last_bit_for_bit)
{
    ps_param_store *store = store_with(&ps_block_words);
    uint32_t wanted[N], zeros[N] = {0};
    assert_bits(store, zeros);
    for (uint32_t salt = 0; salt < 10; salt++) {
        push_to(store, 1 + salt, word, &salt);
        for (uint32_t i = 0; i < N; i++)
            wanted[i] = word_at(i, salt);
        assert_bits(store, wanted);
    }
    ps_block_view view; /* what is sent is what is read */
    ck_ok(ps_block_view_take(store, 0, 0, 0, &view));
    ck_assert_mem_eq(view.bytes.data, wanted, 3 * sizeof *wanted);
    ps_block_view_release(&view);
    ps_param_store *again = restarted(store);
    assert_bits(again, wanted);
    ps_param_store_unref(&store);
    ps_param_store_unref(&again);
}
END_TEST

START_TEST(words_come_in_the_codec_that_keeps_bits)
{
    ps_param_store *store = store_with(&ps_block_words);
    ps_push *push;
    uint8_t two[8] = {0};
    const struct {
        const char *codec, *says;
        size_t bytes;
    } bad[] = {{"bf16", "tensor w: codec bf16: its words are pushed as float32", 4},
               {"float32", "tensor w: ", 7}};
    for (size_t i = 0; i < 2; i++) {
        const ps_push_chunk_header at = {.count = 2,
                                         .codec = ps_codec_by_name(bad[i].codec)->number};
        begin(store, 1 + i, &push);
        ck_assert_int_eq(
            ps_push_chunk(push, &at, ps_slice_of(two, bad[i].bytes), (ps_push_owner){0}),
            PS_INVALID_ARGUMENT);
        ck_assert_ptr_nonnull(strstr(ps_error_message(), bad[i].says));
        ps_push_abort(&push);
    }
    ps_param_store_unref(&store);
}
END_TEST

/* ---- sums ---- */

enum { PARTS = 24 };

/* Part k of element i: 24 bits, over a range of 2^42 in magnitude, of two signs. */
static float part_of(uint32_t k, uint64_t i)
{
    uint32_t mix = (uint32_t)(i * 97 + k + 1) * 2654435761U;
    float mantissa = (float)((int32_t)mix >> 8);
    return ldexpf(mantissa, (int)(mix % 43) - 20);
}

static float part(void *user, uint64_t index)
{
    return part_of(*(uint32_t *)user, index);
}

/* In 128 bits, of which all parts are multiples of the last. */
static float exact(uint64_t i)
{
    __int128 sum = 0;
    for (uint32_t k = 0; k < PARTS; k++) {
        double scaled = ldexp((double)part_of(k, i), 20);
        ck_assert(scaled == trunc(scaled) && fabs(scaled) < 0x1p67);
        sum += (__int128)scaled;
    }
    /* to float32 by a long double, of 64 bits: near enough, as no sum here lies by a midpoint */
    return (float)ldexpl((long double)sum, -20);
}

START_TEST(a_sum_is_of_what_was_added_in_any_order)
{
    ps_param_store *one = store_with(&ps_block_sum), *other = store_with(&ps_block_sum);
    float wanted[N];
    for (uint64_t i = 0; i < N; i++)
        wanted[i] = exact(i);
    for (uint32_t k = 0; k < PARTS; k++) {
        uint32_t turned = (k * 7 + 5) % PARTS;
        push_to(one, 1 + k, part, &k);
        push_to(other, 1 + k, part, &turned);
        if (k == PARTS / 2) { /* what float32 does not hold is in the checkpoint */
            ps_param_store *again = restarted(other);
            ps_param_store_unref(&other);
            other = again;
        }
    }
    assert_bits(one, wanted);
    assert_bits(other, wanted);
    assert_same(one, other); /* what the float32 lacks, too */
    ps_param_store_unref(&one);
    ps_param_store_unref(&other);
}
END_TEST

static float bad(void *user, uint64_t index)
{
    return index == 17 ? *(float *)user : 1;
}

START_TEST(what_is_no_number_is_not_added)
{
    ps_param_store *store = store_with(&ps_block_sum);
    float zeros[N] = {0}, values[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        ps_push *push;
        begin(store, 1 + i, &push);
        ck_assert_int_eq(test_params_add(store, push, 0, bad, &values[i]), PS_INVALID_ARGUMENT);
        ck_assert_str_eq(ps_error_message(),
                         "tensor w: NaN or infinity in what is to be added to its sum");
        ps_push_abort(&push);
    }
    assert_bits(store, zeros);
    ps_param_store_unref(&store);
}
END_TEST

/* While somebody reads it, and a snapshot wants what it was. */
START_TEST(a_sum_that_is_cleared_begins_anew)
{
    ps_param_store *store = store_with(&ps_block_sum), *fresh = store_with(&ps_block_sum);
    float zeros[N] = {0}, before[3];
    uint32_t k = 3, l = 4;
    push_to(store, 1, part, &k);
    push_to(store, 2, part, &l);
    ps_block_view view;
    ck_ok(ps_block_view_take(store, 0, 0, 0, &view));
    memcpy(before, view.bytes.data, sizeof before);
    ps_snapshot *snapshot;
    ck_ok(ps_snapshot_begin(store, NULL, NULL, &snapshot));
    ps_param_store_clear(store, 0);
    assert_bits(store, zeros);
    ck_assert_uint_eq(ps_param_store_block_version(store, 0, 0, 0), 3);
    ck_assert_uint_eq(ps_param_store_version(store), 3);
    ck_assert_mem_eq(view.bytes.data, before, sizeof before);
    ps_block_state then;
    ck_ok(ps_snapshot_block(snapshot, 0, &then));
    ck_assert_mem_eq(then.values, before, sizeof before);
    ck_assert_uint_eq(then.version, 2);
    ps_snapshot_end(&snapshot);
    ps_block_view_release(&view);
    push_to(store, 3, part, &l);
    push_to(fresh, 1, part, &l);
    float *have = test_params_read(store, 0);
    assert_bits(fresh, have);
    free(have);
    ps_param_store_unref(&store);
    ps_param_store_unref(&fresh);
}
END_TEST

/* ---- both ---- */

static float one(void *user, uint64_t index)
{
    return 1;
}

/* A worker that has some lease of the job is not for that to be trusted with all of it. */
START_TEST(only_who_is_to_change_one_does)
{
    static const struct {
        const char *client;
        ps_push_header header;
        ps_status words, sum; /* what each says */
    } cases[] = {
        {"worker", {.lease = 7, .rows = {2, 3}}, PS_OK, PS_OK},
        {"worker", {.lease = 7}, PS_OK, PS_PERMISSION_DENIED},
        {"worker", {0}, PS_PERMISSION_DENIED, PS_PERMISSION_DENIED},
        {"worker", {.rows = {2, 3}}, PS_PERMISSION_DENIED, PS_PERMISSION_DENIED},
        {"worker", {.lease = 8, .rows = {4, 5}}, PS_PERMISSION_DENIED, PS_OK}, /* of another */
        {"other", {.lease = 7, .rows = {2, 3}}, PS_PERMISSION_DENIED, PS_PERMISSION_DENIED},
    };
    ps_param_store *store = store_with(_i ? &ps_block_sum : &ps_block_words);
    ps_ledger *ledger = ps_param_store_ledger(store);
    ps_ledger_lease_begin(ledger, 7, 0, (ps_row_span){0, 4});
    ps_ledger_lease_limit(ledger, 7, "worker", 0);
    ps_ledger_lease_begin(ledger, 8, 0, (ps_row_span){4, 8});
    ps_ledger_lease_limit(ledger, 8, "worker", PS_LEDGER_NO_WORDS);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ps_push_header header = cases[i].header;
        ps_push *push = NULL;
        header.incarnation = 1;
        header.sequence = 1 + i;
        ps_status st = ps_push_begin(store, cases[i].client, &header, &push);
        if (!st)
            st = test_params_add(store, push, 0, one, NULL);
        ck_assert_msg(st == (_i ? cases[i].sum : cases[i].words), "%zu: %s", i,
                      st ? ps_error_message() : "let in");
        ps_push_abort(&push);
    }
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(neither_is_for_a_controller_that_averages)
{
    const ps_block_kind *kind = _i ? &ps_block_sum : &ps_block_words;
    test_params p;
    ps_param_store *store;
    test_params_init(&p, ROWS, COLUMNS);
    p.config.controller = test_controller("bsp");
    p.plans[0].kind = kind;
    ck_assert_int_eq(ps_param_store_create(&p.config, &store), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), kind->name));
    ck_assert_ptr_eq(ps_block_kind_find(kind->name), kind);
    ck_assert_ptr_null(ps_block_kind_find("dense"));
}
END_TEST

static const ps_check_case tests[] = {
    {&words_are_what_was_pushed_last_bit_for_bit},
    {&words_come_in_the_codec_that_keeps_bits},
    {&a_sum_is_of_what_was_added_in_any_order},
    {&what_is_no_number_is_not_added},
    {&a_sum_that_is_cleared_begins_anew},
    {&only_who_is_to_change_one_does, 0, 2},
    {&neither_is_for_a_controller_that_averages, 0, 2},
    {0},
};

int main(void)
{
    return ps_check_main("server/params/block_kinds", tests);
}
