#include "common/loop/off_loop.h"

#include "common/base/mem.h"
#include "common/base/require.h"

static atomic_uint pending;

/* The caller's struct is freed by run, but the pool needs the ps_work until done: so the work that
 * is submitted is one of our own. */
typedef struct carrier {
    ps_work work;
    ps_off_loop *self;
} carrier;

static void work_cb(ps_work *w)
{
    ps_off_loop *self = ps_container(w, carrier, work)->self;
    self->run(self);
}

static void done_cb(ps_work *w)
{
    carrier *c = ps_container(w, carrier, work);
    ps_free(&c);
    atomic_fetch_sub(&pending, 1);
}

static void hop_cb(ps_loop_task *task)
{
    ps_off_loop *self = ps_container(task, ps_off_loop, task);
    carrier *c = ps_new(carrier);
    c->self = self;
    c->work = (ps_work){.work = work_cb, .done = done_cb};
    ps_work_submit(self->loop, &c->work);
}

void ps_off_loop_submit(ps_loop *loop, ps_off_loop *self, void (*run)(ps_off_loop *self))
{
    PS_REQUIRE(run);
    atomic_fetch_add(&pending, 1);
    self->run = run;
    self->loop = loop;
    ps_loop_task_init(&self->task, hop_cb);
    ps_loop_post(loop, &self->task);
}

static void turn_run(ps_off_loop *off)
{
    ps_off_loop_turn *turn = ps_container(off, ps_off_loop_turn, off);
    turn->run(turn->user);
    atomic_store(&turn->busy, false);
}

bool ps_off_loop_turn_submit(ps_loop *loop, ps_off_loop_turn *turn, void (*run)(void *user),
                             void *user)
{
    if (atomic_exchange(&turn->busy, true))
        return false;
    turn->run = run;
    turn->user = user;
    ps_off_loop_submit(loop, &turn->off, turn_run);
    return true;
}

unsigned ps_off_loop_pending(void)
{
    return atomic_load(&pending);
}
