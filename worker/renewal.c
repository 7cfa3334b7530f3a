/* Happy path: as drawn in the header. Whatever fails, be it the disk, the way to psd, psd or its
 * signer, is said once and then seldom, and tried again while the certificate holds. */
#include "worker/renewal.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/repeat.h"
#include "common/security/pem_renewal.h"
#include "common/transport/tls/tls_renewal.h"
#include "psd/v1/identity.pb-c.h"

#include <inttypes.h>

enum {
    CALL_MS = 30000,
    LOOK_MS = 3600000, /* wall clocks may be set */
    ENDED_MS = 60000,  /* a clock that is wrong may say so, too */
    PACE_MS = 1000,    /* between one that came and the next */
};

struct ps_renewal {
    ps_renewal_options o;
    ps_tls_renewal when; /* by the clock of psd, */
    ps_tls_judge judge;  /* as far as that is known */
    ps_timer *timer;
    ps_work work;
    ps_pem_renewal *pair; /* NULL: none is under way */
    bool busy, freed;
    bool fresh;     /* what is told to be in force came right now */
    bool clock_off; /* and that was told */
    int64_t end_ms; /* of the certificate that is being replaced */
    ps_error error; /* of the work */
    char *chain;    /* psd's answer */
    ps_repeat trouble;
};

static int64_t now_ms(const ps_renewal *r)
{
    return ps_tls_judge_now(&r->judge, ps_clock_wall_ms(&ps_clock_system),
                            ps_clock_ms(&ps_clock_system));
}

static void wait_on(ps_renewal *r)
{
    uint64_t ms = ps_tls_renewal_wait(&r->when, now_ms(r));
    if (ms == UINT64_MAX)
        ms = ENDED_MS;
    ps_timer_start(r->timer, ms < LOOK_MS ? ms : LOOK_MS, 0);
}

/* psd judges what we show it: its clock is the one that counts, and ours has other uses. */
static void learn_clock(ps_renewal *r, const Psd__V1__RenewResponse *answer)
{
    const int64_t most = INT64_C(1) << 52; /* of what nobody has checked */
    bool said =
        answer->now_ms > 0 && answer->now_ms < answer->not_after_ms && answer->not_after_ms < most;
    r->judge = (ps_tls_judge){.said_ms = said ? answer->now_ms : 0,
                              .wall_ms = ps_clock_wall_ms(&ps_clock_system),
                              .monotonic_ms = ps_clock_ms(&ps_clock_system)};
    int64_t off = ps_tls_judge_off(&r->judge, answer->not_before_ms, answer->not_after_ms);
    if (off && !r->clock_off)
        ps_log_warning("renewal",
                       "this machine's clock is %" PRId64 " s %s psd's: the certificate that came "
                       "right now %s by it, and is renewed by psd's clock; set the clocks (NTP)",
                       (off < 0 ? -off : off) / 1000, off < 0 ? "behind" : "ahead of",
                       off < 0 ? "is not yet in force" : "is past half of its life");
    else if (!off && r->clock_off)
        ps_log_notice("renewal", "this machine's clock and psd's agree again");
    if (off || r->clock_off)
        r->o.clock_off(r->o.user, off / 1000);
    r->clock_off = off != 0;
}

/* One attempt has ended. True: nobody is there any more. */
static bool forget(ps_renewal *r)
{
    ps_pem_renewal_free(&r->pair);
    ps_free(&r->chain);
    r->busy = false;
    if (!r->freed)
        return false;
    ps_free(&r);
    return true;
}

static void failed(ps_renewal *r, ps_status status, const char *why)
{
    char times[PS_REPEAT_TEXT];
    bool lasting = status == PS_FAILED_PRECONDITION || status == PS_UNIMPLEMENTED ||
                   status == PS_PERMISSION_DENIED;
    bool due = ps_repeat_due(&r->trouble, ps_clock_ms(&ps_clock_system), NULL);
    if (due)
        ps_log(lasting ? PS_LOG_NOTICE : PS_LOG_WARNING, "renewal",
               "the certificate was not renewed, it is tried again: %s%s", why,
               ps_repeat_text(&r->trouble, times));
    ps_tls_renewal_failed(&r->when, now_ms(r), lasting);
    wait_on(r);
}

static void finished_cb(ps_work *w)
{
    ps_renewal *r = ps_container(w, ps_renewal, work);
    ps_error error = r->error;
    if (forget(r))
        return;
    if (error.code) {
        r->fresh = false;
        failed(r, error.code, error.message);
        return;
    }
    char times[PS_REPEAT_TEXT];
    bool again = ps_repeat_over(&r->trouble);
    ps_log_info("renewal", "the certificate was renewed%s",
                again ? ps_repeat_text(&r->trouble, times) : "");
    r->o.renewed(r->o.user); /* also when the files were seen to change and read already */
    r->fresh = false;
    if (r->when.end_ms == r->end_ms)
        failed(r, PS_UNAVAILABLE, "the new files could not be read");
}

static void finish_cb(ps_work *w)
{
    ps_renewal *r = ps_container(w, ps_renewal, work);
    ps_error_save(&r->error,
                  ps_pem_renewal_finish(r->pair, ps_slice_str(r->chain), r->judge.said_ms / 1000));
}

static void answered_cb(void *user, ps_status status, const char *message, ProtobufCMessage *reply)
{
    ps_renewal *r = user;
    if (r->freed || status) {
        if (!forget(r))
            failed(r, status, message);
    } else {
        const Psd__V1__RenewResponse *answer = (const Psd__V1__RenewResponse *)(void *)reply;
        learn_clock(r, answer);
        r->fresh = true;
        r->chain = ps_strdup(answer->chain);
        r->work = (ps_work){.work = finish_cb, .done = finished_cb};
        ps_work_submit(r->o.loop, &r->work);
    }
    if (reply)
        protobuf_c_message_free_unpacked(reply, NULL);
}

static void begun_cb(ps_work *w)
{
    ps_renewal *r = ps_container(w, ps_renewal, work);
    ps_error error = r->error;
    if (r->freed || error.code) {
        if (!forget(r))
            failed(r, error.code, error.message);
        return;
    }
    ps_slice request = ps_pem_renewal_request(r->pair);
    Psd__V1__RenewRequest message = PSD__V1__RENEW_REQUEST__INIT;
    message.request.data = (uint8_t *)(uintptr_t)request.data; /* only read */
    message.request.len = request.len;
    ps_channel_unary_async(
        r->o.channel, "/psd.v1.Identity/Renew", &message.base, &psd__v1__renew_response__descriptor,
        &(ps_call_options){.deadline_ms = CALL_MS, .wait_for_ready = true}, answered_cb, r);
}

static void begin_cb(ps_work *w)
{
    ps_renewal *r = ps_container(w, ps_renewal, work);
    const ps_conf_tls *files = r->o.files;
    ps_error_save(&r->error,
                  ps_pem_renewal_begin(&(ps_pem_renewal_files){.cert = files->certificate,
                                                               .key = files->key,
                                                               .ca = files->ca,
                                                               .wait_ms = PS_PEM_SWAP_WAIT_MS},
                                       &r->pair));
}

static void due_cb(void *user)
{
    ps_renewal *r = user;
    if (r->busy)
        return;
    uint64_t ms = ps_tls_renewal_wait(&r->when, now_ms(r));
    if (ms && ms != UINT64_MAX) {
        wait_on(r);
        return;
    }
    r->busy = true;
    r->end_ms = r->when.end_ms;
    r->work = (ps_work){.work = begin_cb, .done = begun_cb};
    ps_work_submit(r->o.loop, &r->work);
}

void ps_renewal_create(const ps_renewal_options *options, ps_renewal **out)
{
    ps_loop_require_on(options->loop);
    PS_REQUIRE(options->renewed && options->clock_off);
    ps_renewal *r = ps_new(ps_renewal);
    r->o = *options;
    ps_tls_renewal_init(&r->when, ps_rng_entropy());
    ps_timer_create(r->o.loop, due_cb, r, &r->timer);
    *out = r;
}

void ps_renewal_has(ps_renewal *r, int64_t not_before, int64_t not_after)
{
    ps_loop_require_on(r->o.loop);
    int64_t begin = not_before * 1000;
    if (r->fresh && begin < now_ms(r)) /* signers date back, some by more than such a life */
        begin = now_ms(r);
    ps_tls_renewal_has(&r->when, begin, not_after * 1000);
    if (r->fresh && r->when.due_ms < now_ms(r) + PACE_MS)
        r->when.due_ms = now_ms(r) + PACE_MS;
    if (!r->busy)
        wait_on(r);
}

void ps_renewal_free(ps_renewal **renewal)
{
    ps_renewal *r = *renewal;
    if (!r)
        return;
    *renewal = NULL;
    ps_loop_require_on(r->o.loop);
    ps_timer_free(&r->timer);
    r->freed = true;
    if (!r->busy)
        ps_free(&r);
}
