/* lease: what a task said leaves in pieces, and all of it again when a stream was lost. */
#include "worker/link/lease.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"

static struct {
    uint64_t first;
    size_t n, messages;
    uint32_t last;
} sent;

static void send_message(void *user, const Psd__V1__WorkerMessage *message)
{
    ck_assert_ptr_null(user);
    ck_assert_int_eq(message->body_case, PSD__V1__WORKER_MESSAGE__BODY_OUTPUT);
    ck_assert_uint_eq(message->output->lease_id, 5);
    const Psd__V1__Output *o = message->output->output;
    sent.first = o->first;
    sent.n = o->n_tokens;
    sent.last = o->tokens[o->n_tokens - 1];
    sent.messages++;
}

static void say(ps_task_lease *lease, uint32_t begin, size_t n)
{
    uint32_t tokens[64];
    Psd__V1__Output more = PSD__V1__OUTPUT__INIT;
    for (size_t i = 0; i < n; i++)
        tokens[i] = begin + (uint32_t)i;
    more.tokens = tokens;
    more.n_tokens = n;
    ps_task_lease_generated(lease, &more);
    ps_task_lease_flush(lease, send_message, NULL, 0);
}

START_TEST(output_leaves_once_and_after_a_lost_stream_whole)
{
    uint32_t said[] = {1, 2, 3};
    Psd__V1__Task task = PSD__V1__TASK__INIT;
    task.lease_id = 5;
    task.said = said; /* by a worker before: ours begins behind it */
    task.n_said = 3;
    ps_task_lease *lease = ps_task_lease_new(&task);
    ps_task_lease_flush(lease, send_message, NULL, 0);
    ck_assert_uint_eq(sent.messages, 0);
    say(lease, 100, 1);
    ck_assert(sent.first == 3 && sent.n == 1 && sent.last == 100);
    say(lease, 101, 50);
    ck_assert(sent.first == 4 && sent.n == 50 && sent.last == 150);
    ps_task_lease_flush(lease, send_message, NULL, 0);
    ck_assert_uint_eq(sent.messages, 2);
    ps_task_lease_unsend(lease);
    ps_task_lease_flush(lease, send_message, NULL, 0);
    ck_assert(sent.messages == 3 && sent.first == 3 && sent.n == 51 && sent.last == 150);
    ps_task_lease_free(lease);
}
END_TEST

static const ps_check_case cases[] = {
    {&output_leaves_once_and_after_a_lost_stream_whole},
    {0},
};

int main(void)
{
    return ps_check_main("worker/link/lease", cases);
}
