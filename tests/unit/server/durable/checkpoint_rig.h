/* checkpoint_rig: a store that is trained, and a folder for its checkpoints. */
#ifndef PS_TEST_CHECKPOINT_RIG_H
#define PS_TEST_CHECKPOINT_RIG_H

#include "common/base/mem.h"
#include "server/durable/checkpoint.h"
#include "server/params/snapshot.h"
#include "tests/lib/check_main.h"
#include "tests/lib/fault_disk.h"
#include "tests/lib/params.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];

static inline void make_folder(void)
{
    strcpy(folder, "/tmp/psd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static inline void remove_folder(void)
{
    ck_ok(ps_checkpoint_delete(&ps_disk_system, folder, false));
    ck_assert_int_ne(access(folder, F_OK), 0);
}

/* 30 + 6 parameters in blocks of 4, two column blocks, adamw. */
static inline ps_param_store *store_of(const char *optimizer, const char *consistency)
{
    test_params p;
    test_params_init(&p, 5, 6);
    p.config.column_blocks = 2;
    p.config.block_elements = 4;
    p.config.controller = test_controller(consistency);
    p.config.clip_norm = 3;
    p.config.schedule = (ps_schedule){.kind = PS_SCHEDULE_COSINE, .warmup_steps = 3};
    p.config.optimizer = (ps_optimizer_config){.name = optimizer,
                                               .learning_rate = 0.01,
                                               .beta1 = 0.9,
                                               .beta2 = 0.99,
                                               .epsilon = 1e-8,
                                               .initial_accumulator = 0.5,
                                               .weight_decay = 0.1};
    ps_param_store *store;
    ck_ok(ps_param_store_create(&p.config, &store));
    return store;
}

static inline ps_param_store *new_store(const char *consistency)
{
    return store_of("adamw", consistency);
}

static inline float wave(void *user, uint64_t index)
{
    uint64_t step = *(uint64_t *)user;
    return (float)((int)((index * 7 + step * 13) % 23) - 11) / 8.0f;
}

/* Push number `step`; every third one has part of the model only. */
static inline void train(ps_param_store *store, uint64_t from, uint64_t to)
{
    for (uint64_t step = from; step < to; step++) {
        ps_push *push;
        ps_push_reply reply;
        ck_ok(test_params_begin(store, step, &push));
        ck_ok(test_params_add(store, push, 0, wave, &step));
        if (step % 3)
            ck_ok(test_params_add(store, push, 1, wave, &step));
        ck_ok(ps_push_commit(&push, &reply, NULL));
        ck_assert(!reply.duplicate);
    }
}

/* Everything that matters, as bytes. */
static inline ps_buf image(ps_param_store *store)
{
    ps_buf out = PS_BUF_EMPTY;
    ps_snapshot *snapshot;
    ck_ok(ps_snapshot_begin(store, NULL, NULL, &snapshot));
    const ps_snapshot_small *small = ps_snapshot_small_state(snapshot);
    ps_buf_append(&out, &small->version, sizeof small->version);
    ps_buf_append(&out, small->windows.data, small->windows.len);
    ps_buf_append(&out, small->controller.data, small->controller.len);
    for (uint64_t i = 0; i < ps_param_store_blocks(store); i++) {
        ps_block_state b;
        ck_ok(ps_snapshot_block(snapshot, i, &b));
        ps_buf_append(&out, &b.version, sizeof b.version);
        ps_buf_append(&out, &b.updates, sizeof b.updates);
        ps_buf_append(&out, b.values, b.elements * sizeof(float));
        ps_buf_append(&out, b.state, b.state_bytes);
    }
    ps_snapshot_end(&snapshot);
    return out;
}

static inline void assert_same(ps_param_store *a, ps_param_store *b)
{
    ps_buf x = image(a), y = image(b);
    ck_assert_uint_eq(x.len, y.len);
    ck_assert_mem_eq(x.data, y.data, x.len);
    ps_buf_free(&x);
    ps_buf_free(&y);
}

static inline ps_param_store *load(ps_checkpoint_info *info)
{
    ps_param_store *store;
    ck_ok(ps_checkpoint_load(&ps_disk_system, folder, NULL, &store, NULL, info));
    return store;
}

static inline ps_status write_to(const ps_disk *disk, ps_param_store *store)
{
    return ps_checkpoint_write(disk, folder, store, 0, NULL, NULL, NULL);
}

#endif
