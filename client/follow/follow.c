/* Happy path: open Watch, keep the newest job that arrives, draw it ten times a second at the most,
 * stop when the stream ends with a job that has ended.
 *
 *            event                    job has ended, stream over
 *   OPENING ------> FOLLOWING ---------------------------------> OVER
 *      |    event   ^   | stream broken; a new one every 0.5 s
 *      |            |   v
 *      '----------> LOST -- five minutes (--timeout) or a refusal --> OVER
 *      of who is patient (follow.h)
 *
 *   Ctrl-C leads from everywhere to OVER, by way of the call's own end.
 */
#include "client/follow/follow.h"

#include "client/call/prediction_fetch.h"
#include "client/follow/event_json.h"
#include "client/follow/progress.h"
#include "client/follow/screen.h"
#include "client/show/human.h"
#include "client/show/job_view.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/sm.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FRAME_MS = 100, LINE_MS = 5000, RETRY_MS = 500, LOST_MS = 300000 };

static const int watched[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP};
enum { SIGNALS = sizeof watched / sizeof *watched };

enum { OPENING, FOLLOWING, LOST, OVER };
static const char *const state_names[] = {"opening", "following", "lost", "over"};
static const ps_sm_set state_next[] = {
    [OPENING] = PS_SM(FOLLOWING) | PS_SM(LOST) | PS_SM(OVER),
    [FOLLOWING] = PS_SM(LOST) | PS_SM(OVER),
    [LOST] = PS_SM(FOLLOWING) | PS_SM(OVER),
    [OVER] = 0,
};
static const ps_sm machine = {
    .tag = "follow", .names = state_names, .next = state_next, .count = 4};

typedef struct follower {
    unsigned state;
    ps_client *client;
    const ps_follow_options *options;
    uint64_t job_id;
    bool bar; /* a terminal */
    ps_style style;
    ps_screen screen;
    ps_buf out;

    ps_call *call; /* NULL between two attempts */
    ps_timer *tick, *retry;
    ps_signal *signals[SIGNALS];
    Psd__V1__Job *job; /* the newest; NULL: none yet */
    bool answered;     /* psd has spoken to us */
    bool detached;
    ps_error error;
    char lost[160]; /* why there is no connection */
    uint64_t lost_since_ms;

    Psd__V1__LogEvent *held; /* perhaps why the job has failed, which the verdict says */
    int64_t log_ms;          /* of the newest line that was shown, */
    bool again;              /* and a new stream begins with some of those */

    bool dirty; /* something changed since the last frame */
    uint64_t frame_ms, line_ms;
    uint32_t line_epoch;
    int line_state;
} follower;

static void open_stream(follower *f);

static uint64_t now(void)
{
    return ps_clock_ms(&ps_clock_system);
}

static void move(follower *f, unsigned to)
{
    if (f->state != to)
        ps_sm_go(&machine, &f->state, to, "job=%" PRIu64, f->job_id);
}

static void finish(follower *f)
{
    move(f, OVER);
    if (f->call)
        ps_call_cancel(f->call); /* its end stops the loop */
    else
        ps_loop_stop(f->client->loop);
}

static void fail(follower *f, ps_status st)
{
    if (f->state != OVER)
        ps_error_save(&f->error, st);
    finish(f);
}

static void flush(follower *f)
{
    ps_status st = ps_output_flush(&f->out, f->options->fd);
    if (st)
        fail(f, st);
}

/* Showing ----------------------------------------------------------------------------------------
 */

static void draw(follower *f)
{
    ps_buf lines = PS_BUF_EMPTY;
    char note[200];
    snprintf(note, sizeof note, "no connection: %s; trying again", f->lost);
    if (f->job)
        ps_progress_bar(&lines, &f->style, f->job, ps_clock_wall_ms(&ps_clock_system),
                        f->state == LOST ? note : NULL);
    ps_screen_draw(&f->screen, f->style.width, ps_buf_cstr(&lines), &f->out);
    ps_buf_free(&lines);
    f->dirty = false;
    f->frame_ms = now();
    flush(f);
}

/* Begun, and what there is to do is not known yet; its log says so. */
static bool is_being_planned(const Psd__V1__Job *job)
{
    return job->state == PSD__V1__JOB_STATE__JOB_STATE_RUNNING && ps_job_share(job) < 0;
}

/* A line at each change of epoch or state, and otherwise one in five seconds. */
static void maybe_line(follower *f)
{
    if (!f->job || ps_job_has_ended((int)f->job->state))
        return;
    uint32_t epoch = f->job->progress ? f->job->progress->epoch : 0;
    bool changed = f->line_ms == 0 || epoch != f->line_epoch || (int)f->job->state != f->line_state;
    if (!changed && now() - f->line_ms < LINE_MS)
        return;
    if (!changed || !is_being_planned(f->job))
        ps_progress_line(&f->out, &f->style, f->job, ps_clock_wall_ms(&ps_clock_system));
    f->line_epoch = epoch;
    f->line_state = (int)f->job->state;
    f->line_ms = now();
    flush(f);
}

/* Text goes where the bar may be, so that goes first. */
static void pass_output(follower *f, const Psd__V1__Output *more)
{
    if (!f->options->output)
        return;
    if (f->bar) {
        ps_screen_end(&f->screen, f->style.width, &f->out);
        f->bar = false;
        flush(f);
    }
    ps_status st = f->options->output(f->options->user, more);
    if (st)
        fail(f, st);
}

static bool was_shown(follower *f, const Psd__V1__LogEvent *log)
{
    if (f->again && log->time_ms <= f->log_ms)
        return true;
    f->again = false;
    f->log_ms = log->time_ms;
    return false;
}

static void put_log(follower *f, const Psd__V1__LogEvent *log)
{
    if (f->options->form == PS_FOLLOW_QUIET && (!f->bar || log->level > PS_LOG_WARNING))
        return;
    ps_progress_log(f->bar ? &f->screen.above : &f->out, &f->style, log);
    if (!f->bar)
        flush(f);
}

static bool says_why(const follower *f, const Psd__V1__LogEvent *log)
{
    return f->job && f->job->state == PSD__V1__JOB_STATE__JOB_STATE_FAILED &&
           !strcmp(f->job->reason, log->text);
}

/* A failure is told once: its line waits for what comes next, and is left out when that is the end
 * for this very reason. */
static void let_go(follower *f)
{
    if (f->held && !says_why(f, f->held))
        put_log(f, f->held);
    ps_reply_free(&f->held);
}

/* Takes the event's line out of it if it is kept. */
static void show_log(follower *f, Psd__V1__LogEvent **log)
{
    let_go(f);
    if ((*log)->level > PS_LOG_ERROR) {
        put_log(f, *log);
        return;
    }
    f->held = *log;
    *log = NULL;
}

static void say_lost(follower *f, const char *why)
{
    bool first = f->state != LOST;
    const char *server = f->client->server;
    size_t len = strlen(server);
    if (why && !strncmp(why, server, len) && !strncmp(why + len, ": ", 2))
        why += len + 2; /* who was asked is known here */
    snprintf(f->lost, sizeof f->lost, "%s", why && *why ? why : "psd has gone");
    move(f, LOST);
    if (first) {
        f->lost_since_ms = now();
        if (!f->bar && f->options->form == PS_FOLLOW_TEXT) {
            ps_buf_puts(&f->out, "no connection: ");
            ps_put_clean(&f->out, &f->style, f->lost, 160);
            ps_buf_puts(&f->out, "; trying again\n");
            flush(f);
        }
    }
    f->dirty = true;
}

/* The stream -------------------------------------------------------------------------------------
 */

static void message_cb(ps_call *call, ps_message *message, void *user)
{
    follower *f = user;
    (void)call;
    ProtobufCMessage *any = NULL;
    ps_status st =
        ps_message_unpack(ps_message_bytes(message), &psd__v1__watch_event__descriptor, &any, NULL);
    ps_message_release(&message);
    if (st || f->state == OVER) {
        if (st)
            fail(f, st);
        ps_reply_free(&any);
        return;
    }
    Psd__V1__WatchEvent *event = (Psd__V1__WatchEvent *)(void *)any;
    f->answered = true;
    move(f, FOLLOWING);
    f->dirty = true;
    bool again = event->log && was_shown(f, event->log);
    if (!again && f->options->form == PS_FOLLOW_JSON) {
        ps_follow_json(&f->out, event);
        flush(f);
    } else if (!again && event->log) {
        show_log(f, &event->log);
    }
    if (event->output)
        pass_output(f, event->output);
    if (event->job) { /* taken out of the event */
        ps_reply_free(&f->job);
        f->job = event->job;
        event->job = NULL;
        let_go(f);
    }
    ps_reply_free(&any);
    if (!f->bar && f->options->form == PS_FOLLOW_TEXT)
        maybe_line(f);
}

static bool worth_waiting(const follower *f, ps_status st)
{
    bool gone = st == PS_UNAVAILABLE || st == PS_OK || st == PS_DEADLINE_EXCEEDED;
    return gone && (f->answered || f->options->patient);
}

static void end_cb(ps_call *call, ps_status status, const char *message, void *user)
{
    follower *f = user;
    ps_call_unref(call);
    f->call = NULL;
    if (f->state == OVER || (f->job && ps_job_has_ended((int)f->job->state))) {
        finish(f);
    } else if (worth_waiting(f, status)) {
        say_lost(f, message);
        f->again = true;
        ps_timer_start(f->retry, RETRY_MS, 0);
    } else {
        ps_status st = ps_fail(status ? status : PS_UNAVAILABLE, "%s", message);
        fail(f, ps_client_explain(f->client, st));
    }
}

static const ps_call_events events = {.on_message = message_cb, .on_end = end_cb};

static void open_stream(follower *f)
{
    ps_call_options options = {.wait_for_ready = f->answered || f->options->patient};
    Psd__V1__WatchJobRequest request = PSD__V1__WATCH_JOB_REQUEST__INIT;
    request.job_id = f->job_id;
    f->call = ps_channel_call(f->client->channel, "/psd.v1.Jobs/Watch", &options, &events, f);
    ps_call_send(f->call, &request.base, NULL);
    ps_call_half_close(f->call);
}

static void retry_cb(void *user)
{
    follower *f = user;
    if (f->state != OVER && !f->call)
        open_stream(f);
}

static void state_cb(void *user, bool up, const char *reason)
{
    follower *f = user;
    if (!up && f->state != OVER && (f->answered || f->options->patient))
        say_lost(f, reason);
}

/* Time and signals -------------------------------------------------------------------------------
 */

static void tick_cb(void *user)
{
    follower *f = user;
    uint64_t t = now(), window = f->client->globals.timeout_ms;
    if (f->state == LOST && t - f->lost_since_ms > (window ? window : LOST_MS)) {
        fail(f, ps_fail(PS_UNAVAILABLE, "%s: no connection for %s: %s", f->client->server,
                        ps_human_duration((double)(t - f->lost_since_ms) / 1000).text, f->lost));
        return;
    }
    if (f->bar && (f->dirty || t - f->frame_ms >= 1000))
        draw(f);
    else if (!f->bar && f->options->form == PS_FOLLOW_TEXT && f->dirty)
        maybe_line(f);
}

static void signal_cb(void *user, int number)
{
    follower *f = user;
    if (number == SIGWINCH) {
        f->style.width = ps_style_for(f->options->fd, true).width;
        f->dirty = true;
        return;
    }
    if (number == SIGTSTP) { /* the shell gets a clean screen and its cursor */
        if (f->bar) {
            ps_screen_end(&f->screen, f->style.width, &f->out);
            flush(f);
        }
        (void)raise(SIGSTOP);
        f->dirty = true;
        return;
    }
    f->detached = true;
    f->client->interrupted_by = number;
    fail(f, ps_fail(PS_CANCELLED, "interrupted"));
}

static ps_status watch_signals(follower *f)
{
    ps_loop *loop = f->client->loop;
    for (size_t i = 0; i < SIGNALS; i++) {
        if (!f->bar && (watched[i] == SIGTSTP || watched[i] == SIGWINCH))
            continue;
        ps_status st = ps_signal_watch(loop, watched[i], signal_cb, f, &f->signals[i]);
        if (st)
            return st;
    }
    return PS_OK;
}

/* The whole --------------------------------------------------------------------------------------
 */

static void say_detached(const follower *f)
{
    fprintf(stderr,
            "detached: job %" PRIu64 " goes on\n  psctl watch %" PRIu64
            "    follow it again\n  psctl cancel %" PRIu64 "   end it\n",
            f->job_id, f->job_id, f->job_id);
}

static void last_words(follower *f)
{
    let_go(f);
    if (f->bar)
        ps_screen_end(&f->screen, f->style.width, &f->out);
    if (f->options->form == PS_FOLLOW_TEXT && f->job && ps_job_has_ended((int)f->job->state))
        ps_progress_result(&f->out, &f->style, f->job, ps_clock_wall_ms(&ps_clock_system));
    move(f, OVER); /* a failing write has nobody left to stop */
    ps_status st = ps_output_flush(&f->out, f->options->fd);
    if (st && !f->error.code)
        ps_error_save(&f->error, st);
}

static ps_status run(follower *f)
{
    ps_client *client = f->client;
    ps_status st = watch_signals(f);
    if (st)
        return st;
    client->on_state = state_cb;
    client->on_state_user = f;
    ps_timer_create(client->loop, tick_cb, f, &f->tick);
    ps_timer_create(client->loop, retry_cb, f, &f->retry);
    ps_timer_start(f->tick, FRAME_MS, f->bar ? FRAME_MS : 1000);
    open_stream(f);
    ps_loop_run(client->loop);
    client->on_state = NULL;
    last_words(f);
    if (f->detached) {
        client->interrupted = true;
        if (!f->options->ends)
            say_detached(f);
    }
    return f->error.code ? ps_error_raise(&f->error) : PS_OK;
}

ps_status ps_follow(ps_client *client, uint64_t job_id, const ps_follow_options *options,
                    Psd__V1__Job **job)
{
    ps_status st = ps_client_connect(client);
    if (st)
        return st;
    follower f = {.client = client, .options = options, .job_id = job_id};
    f.style = ps_style_for(options->fd, client->globals.no_color);
    f.bar = f.style.width > 0 && options->form != PS_FOLLOW_JSON;
    if (f.bar)
        ps_screen_guard(options->fd);
    st = run(&f);
    ps_timer_free(&f.tick);
    ps_timer_free(&f.retry);
    for (size_t i = 0; i < SIGNALS; i++)
        ps_signal_free(&f.signals[i]);
    ps_screen_free(&f.screen);
    ps_buf_free(&f.out);
    if (st || !f.job) {
        ps_reply_free(&f.job);
        return st ? st : ps_fail(PS_PROTOCOL, "psd said nothing about job %" PRIu64, job_id);
    }
    *job = f.job;
    return PS_OK;
}

ps_status ps_follow_verdict(const Psd__V1__Job *job)
{
    if (job->state == PSD__V1__JOB_STATE__JOB_STATE_DONE)
        return PS_OK;
    bool cancelled = job->state == PSD__V1__JOB_STATE__JOB_STATE_CANCELLED;
    const char *what = cancelled ? "was cancelled" : "failed";
    return ps_fail(PS_ABORTED, "job %" PRIu64 " %s%s%s", job->id, what, *job->reason ? ": " : "",
                   job->reason);
}

ps_status ps_follow_to_end(ps_client *client, uint64_t job_id, bool patient)
{
    ps_follow_options how = {.form = client->json ? PS_FOLLOW_JSON : PS_FOLLOW_TEXT,
                             .fd = STDOUT_FILENO,
                             .patient = patient};
    Psd__V1__Job *job = NULL;
    ps_status st = ps_follow(client, job_id, &how, &job);
    if (st)
        return st;
    st = ps_follow_verdict(job);
    if (!st && !client->json && !strcmp(job->kind, "predict"))
        st = ps_predictions_fetch_all(client, job_id);
    ps_reply_free(&job);
    return st;
}
