/* A whole connection out of any bytes, without TLS: the server's side (with Echo, health and
 * reflection on it) is fed what a client would send, the client's side (with four calls under way)
 * what a server would answer. http2_session.h says how an input is read. Every call ends once,
 * memory stays within its limits all the way and goes back at the end, and a connection that is
 * closed is gone after a bounded number of turns of its loop. */
#include "tests/fuzz/http2_session.h"

#include "common/base/log.h"
#include "common/base/rng.h"
#include "tests/lib/pipe.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SETTLE_TURNS = 200, CLOSE_TURNS = 2000, TURNS_PER_PIECE = 2 };

static void require(bool condition)
{
    if (!condition)
        abort();
}

typedef struct turn {
    ps_loop_task job;
    bool over;
} turn;

static void turn_cb(ps_loop_task *job)
{
    ps_container(job, turn, job)->over = true;
}

/* One turn of the loop; the peer reads, unless it is deaf. */
static bool run_turn(ps_fuzz_session *s)
{
    uint8_t sink[4096];
    size_t got = 0, before = s->traffic->bytes_in + s->traffic->bytes_out;
    while (!s->deaf && s->far && s->far->ops->recv(s->far, sink, sizeof sink, &got) == PS_OK)
        ;
    turn t = {0};
    ps_loop_task_init(&t.job, turn_cb);
    ps_loop_defer(s->loop, &t.job);
    require(ps_loop_run_until(s->loop, &t.over));
    ps_fuzz_session_check(s);
    return s->traffic->bytes_in + s->traffic->bytes_out != before;
}

static void settle(ps_fuzz_session *s)
{
    for (int turns = 0, idle = 0; turns < SETTLE_TURNS && idle < 4; turns++)
        idle = run_turn(s) ? 0 : idle + 1;
}

static void hang_up(ps_fuzz_session *s)
{
    if (s->far)
        s->far->ops->close(s->far);
    s->far = NULL;
}

/* Bytes in pieces, as far as the pipe takes them; NULL: in one. */
static void say(ps_fuzz_session *s, ps_slice bytes, ps_rng *splits)
{
    while (bytes.len > 0 && !s->closed) {
        size_t piece = splits ? ps_rng_below(splits, 64) + 1 : bytes.len, sent = 0;
        ps_slice slice = ps_slice_of(bytes.data, piece < bytes.len ? piece : bytes.len);
        ps_status st = s->far->ops->send(s->far, &slice, 1, &sent);
        if (st && st != PS_AGAIN)
            return;
        bool moved = !st;
        if (!st)
            bytes = ps_slice_of(bytes.data + sent, bytes.len - sent);
        for (int i = 0; i < TURNS_PER_PIECE; i++)
            moved |= run_turn(s);
        if (!moved)
            return; /* back-pressure */
    }
}

static void say_all(ps_fuzz_session *s, unsigned flags, ps_slice input, ps_rng *splits)
{
    ps_buf bytes = PS_BUF_EMPTY;
    if (!(flags & PS_FUZZ_RAW)) {
        ps_fuzz_session_greeting(s, &bytes);
        say(s, ps_buf_slice(&bytes), splits);
        settle(s);
        ps_buf_clear(&bytes);
    }
    ps_fuzz_session_bytes(flags, input, &bytes);
    say(s, ps_buf_slice(&bytes), splits);
    ps_buf_free(&bytes);
}

static void finish(ps_fuzz_session *s, unsigned how)
{
    settle(s);
    if (how == PS_FUZZ_END_DRAIN) {
        ps_http2_drain(s->conn);
        settle(s);
    } else if (how == PS_FUZZ_END_HANG_UP) {
        hang_up(s);
        settle(s);
    }
    ps_http2_close(s->conn, PS_OK, "over");
    for (int turns = 0; !s->closed; turns++) {
        require(turns < CLOSE_TURNS);
        (void)run_turn(s);
    }
    hang_up(s);
    settle(s); /* the last on_end */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < PS_FUZZ_HEAD)
        return 0;
    unsigned flags = data[0];
    ps_log_set_level(PS_LOG_ERROR);
    ps_pipe_faults faults = {.recv_max = data[2] & 15 ? 1u << (data[2] & 15) : 0,
                             .send_max = data[2] & 128 ? 100 : 0,
                             .capacity = 1024u << (data[2] >> 4 & 3)};
    ps_fuzz_session s;
    ps_fuzz_session_open(&s, flags & PS_FUZZ_CLIENT, flags & PS_FUZZ_DEAF, &faults);
    ps_rng splits;
    ps_rng_seed(&splits, data[1]);
    say_all(&s, flags, ps_slice_of(data + PS_FUZZ_HEAD, size - PS_FUZZ_HEAD),
            data[1] ? &splits : NULL);
    finish(&s, flags >> PS_FUZZ_END_SHIFT & 3);
    ps_fuzz_session_close(&s);
    return 0;
}
