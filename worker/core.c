/* Happy path: hello says what this worker is, and then what psd and the tasks say goes to the agent
 * and what the agent decides to the stream and the runner. Cannot fail: without psd it waits. */
#include "worker/core.h"

#include "common/base/mem.h"
#include "worker/link/agent.h"
#include "worker/link/attach.h"
#include "worker/runner.h"
#include "worker/tasks/task_kind.h"

struct ps_worker_core {
    ps_worker_core_options o;
    ps_runner *runner;
    ps_attach *attach;
    ps_agent *agent;
    Psd__V1__Hello hello;
    ps_timer *wake;
};

/* ---- the agent's port ---- */

static void port_open(void *user)
{
    ps_attach_open(((ps_worker_core *)user)->attach);
}

static void port_send(void *user, const Psd__V1__WorkerMessage *message)
{
    ps_attach_send(((ps_worker_core *)user)->attach, message);
}

static void port_close(void *user)
{
    ps_attach_close(((ps_worker_core *)user)->attach);
}

static void port_leave(void *user)
{
    ps_attach_leave(((ps_worker_core *)user)->attach);
}

static void port_start(void *user, Psd__V1__Task *task)
{
    ps_runner_start(((ps_worker_core *)user)->runner, task);
}

static void port_cancel(void *user, uint64_t lease_id, const char *reason)
{
    ps_runner_cancel(((ps_worker_core *)user)->runner, lease_id, reason);
}

static void port_stop_tasks(void *user)
{
    ps_runner_stop(((ps_worker_core *)user)->runner);
}

static void port_wake(void *user, uint64_t delay_ms)
{
    ps_timer_start(((ps_worker_core *)user)->wake, delay_ms, 0);
}

static void port_gone(void *user)
{
    ps_runner_quit(((ps_worker_core *)user)->runner);
}

static const ps_agent_port agent_port = {.open = port_open,
                                         .send = port_send,
                                         .close = port_close,
                                         .leave = port_leave,
                                         .start = port_start,
                                         .cancel = port_cancel,
                                         .stop_tasks = port_stop_tasks,
                                         .wake = port_wake,
                                         .gone = port_gone};

/* ---- events ---- */

static void attach_message_cb(void *user, Psd__V1__ServerMessage *message)
{
    ps_agent_message(((ps_worker_core *)user)->agent, message);
}

static void attach_ended_cb(void *user, ps_status status, const char *text)
{
    ps_agent_ended(((ps_worker_core *)user)->agent, status, text);
}

static void progress_cb(void *user, const Psd__V1__TaskProgress *progress)
{
    ps_agent_progress(((ps_worker_core *)user)->agent, progress);
}

static void output_cb(void *user, const Psd__V1__TaskOutput *output)
{
    ps_agent_output(((ps_worker_core *)user)->agent, output);
}

static void result_cb(void *user, Psd__V1__TaskResult *result)
{
    ps_agent_result(((ps_worker_core *)user)->agent, result);
}

static void lost_cb(void *user, const char *why)
{
    ps_worker_core *c = user;
    c->o.lost(c->o.user, why);
}

static void stopped_cb(void *user)
{
    ps_worker_core *c = user;
    c->o.stopped(c->o.user);
}

static void wake_cb(void *user)
{
    ps_agent_tick(((ps_worker_core *)user)->agent);
}

/* ---- making ---- */

static void say_hello(ps_worker_core *c, uint64_t incarnation)
{
    psd__v1__hello__init(&c->hello);
    c->hello.version = ps_strdup(c->o.version);
    c->hello.device = ps_asprintf("%s %s", c->o.backend->info.label, c->o.backend->info.device);
    c->hello.device_reason = ps_strdup(c->o.backend->info.reason);
    c->hello.shown_name = ps_strdup(c->o.conf->name);
    c->hello.memory_bytes = c->o.backend->info.memory;
    c->hello.slots = (uint32_t)c->o.conf->slots;
    c->hello.train_slots = PS_RUNNER_TRAIN_SLOTS;
    c->hello.incarnation = incarnation;
    size_t kinds = 0;
    while (ps_worker_kinds[kinds])
        kinds++;
    c->hello.kinds = ps_alloc_array(kinds, sizeof(char *));
    for (; c->hello.n_kinds < kinds; c->hello.n_kinds++)
        c->hello.kinds[c->hello.n_kinds] = ps_strdup(ps_worker_kinds[c->hello.n_kinds]->name);
}

void ps_worker_core_create(const ps_worker_core_options *options, ps_worker_core **out)
{
    ps_loop_require_on(options->loop);
    ps_worker_core *c = ps_new(ps_worker_core);
    c->o = *options;
    /* greater at each start as long as the machine's clock does not go back by more than it was
     * down; psd refuses an older one and says so */
    uint64_t incarnation = (uint64_t)ps_clock_wall_ms(&ps_clock_system);
    say_hello(c, incarnation);
    ps_timer_create(c->o.loop, wake_cb, c, &c->wake);
    ps_worker_env env = {.version = c->o.version,
                         .conf = c->o.conf,
                         .backend = c->o.backend,
                         .loop = c->o.loop,
                         .channel = c->o.data,
                         .clock = &ps_clock_system,
                         .incarnation = incarnation};
    ps_runner_create(&env, (unsigned)c->o.conf->slots,
                     &(ps_runner_events){.progress = progress_cb,
                                         .output = output_cb,
                                         .result = result_cb,
                                         .lost = lost_cb,
                                         .stopped = stopped_cb,
                                         .user = c},
                     &c->runner);
    ps_attach_create(
        c->o.control,
        &(ps_attach_events){.message = attach_message_cb, .ended = attach_ended_cb, .user = c},
        &c->attach);
    ps_agent_create(&(ps_agent_options){.port = &agent_port,
                                        .user = c,
                                        .clock = &ps_clock_system,
                                        .hello = &c->hello,
                                        .stop_ms = c->o.conf->shutdown_grace_ms},
                    &c->agent);
    *out = c;
}

void ps_worker_core_start(ps_worker_core *c)
{
    ps_loop_require_on(c->o.loop);
    ps_agent_start(c->agent);
}

void ps_worker_core_stop(ps_worker_core *c)
{
    ps_loop_require_on(c->o.loop);
    ps_agent_stop(c->agent);
}

void ps_worker_core_connected(ps_worker_core *c)
{
    ps_loop_require_on(c->o.loop);
    if (c->attach && ps_attach_is_behind(c->attach))
        ps_agent_move_over(c->agent);
}

void ps_worker_core_not_connected(ps_worker_core *c)
{
    ps_loop_require_on(c->o.loop);
    if (c->attach)
        ps_attach_cut(c->attach);
}

bool ps_worker_core_superseded(const ps_worker_core *c)
{
    ps_loop_require_on(c->o.loop);
    return ps_agent_superseded(c->agent);
}

unsigned ps_worker_core_running(const ps_worker_core *c)
{
    ps_loop_require_on(c->o.loop);
    return ps_agent_running(c->agent);
}

void ps_worker_core_close(ps_worker_core *c)
{
    ps_loop_require_on(c->o.loop);
    ps_runner_join(c->runner);
    ps_attach_free(&c->attach);
    ps_timer_free(&c->wake);
}

static void free_hello(Psd__V1__Hello *hello)
{
    for (size_t i = 0; i < hello->n_kinds; i++)
        ps_free(&hello->kinds[i]);
    ps_free(&hello->kinds);
    ps_free(&hello->version);
    ps_free(&hello->device);
    ps_free(&hello->device_reason);
    ps_free(&hello->shown_name);
}

void ps_worker_core_free(ps_worker_core **core)
{
    ps_worker_core *c = *core;
    if (!c)
        return;
    ps_runner_free(&c->runner);
    ps_agent_free(&c->agent);
    free_hello(&c->hello);
    ps_free(core);
}
