/* The channel connects when the work first uses it, so that a psd that is not there fails that. */
#include "tests/bench/bench_session.h"

#include "common/transport/tls/tls_context.h"

ps_status bench_session_run(const bench_target *target, bench_work work, void *user)
{
    ps_loop *loop = NULL;
    ps_tls_context *tls = NULL;
    ps_channel *channel = NULL;
    ps_status st = ps_loop_create(&loop);
    if (!st)
        ps_loop_set_busy_poll(loop, true); /* as psworker's */
    if (!st)
        st = ps_tls_context_new(&(ps_tls_options){.side = PS_TLS_CLIENT,
                                                  .ca_file = target->ca,
                                                  .cert_file = target->cert,
                                                  .key_file = target->key},
                                &tls);
    if (!st)
        st = ps_channel_create(loop, &(ps_channel_options){.target = target->address, .tls = tls},
                               &channel);
    if (!st)
        st = work(loop, channel, user);
    ps_error kept;
    ps_error_save(&kept, st);
    ps_channel_free(&channel);
    ps_tls_context_unref(&tls);
    ps_loop_free(&loop);
    return st ? ps_error_raise(&kept) : PS_OK;
}
