/* Who gives new certificates (Identity.Renew), and psd's own: of those that it gives, it gives
 * itself one at half of its certificate's life. */
#include "common/base/log.h"
#include "common/security/pem_renewal.h"
#include "server/daemon_internal.h"

#include <stdio.h>

ps_status ps_daemon_open_issuer(ps_daemon *d)
{
    ps_tls_renewal_init(&d->own_renewal, ps_rng_entropy());
    if (!d->conf->identity.renew)
        return PS_OK;
    return ps_issuer_open(&(ps_issuer_conf){.source = d->conf->identity.signer,
                                            .ca_file = d->conf->tls.ca,
                                            .leaf_ms = d->conf->identity.leaf_ms,
                                            .tls = d->tls},
                          &d->clock, &d->issuer);
}

static ps_status ask(ps_daemon *d, ps_pem_renewal *pair, ps_buf *chain)
{
    ps_identity self;
    char serial[PS_CERTIFICATE_SERIAL_MAX] = "";
    struct x509_st *before = ps_pem_renewal_before(pair);
    ps_certificate_info made = {0};
    ps_status st = ps_certificate_identity(before, &self);
    if (!st)
        st = ps_issuer_renew(d->issuer, before, ps_pem_renewal_request(pair), chain, &made);
    if (st)
        return st;
    (void)snprintf(serial, sizeof serial, "%s", made.serial);
    ps_certificate_info_clear(&made);
    return ps_audit_require(d->audit, &(ps_audit_event){.event = "renew",
                                                        .identity = &self,
                                                        .outcome = PS_AUDIT_ALLOWED,
                                                        .reason = serial});
}

static ps_status renew(ps_daemon *d)
{
    const ps_conf_tls *files = &d->conf->tls;
    ps_pem_renewal *pair = NULL;
    ps_buf chain = PS_BUF_EMPTY;
    ps_error error;
    ps_status st = ps_pem_renewal_begin(&(ps_pem_renewal_files){.cert = files->certificate,
                                                                .key = files->key,
                                                                .ca = files->ca,
                                                                .wait_ms = PS_PEM_SWAP_WAIT_MS},
                                        &pair);
    if (!st)
        st = ask(d, pair, &chain);
    if (!st)
        st = ps_pem_renewal_finish(pair, ps_buf_slice(&chain), 0);
    ps_error_save(&error, st);
    ps_pem_renewal_free(&pair);
    ps_buf_free(&chain);
    return ps_error_raise(&error);
}

void ps_daemon_renew_own(ps_daemon *d)
{
    char times[PS_REPEAT_TEXT];
    ps_loop_require_off();
    if (!d->issuer || !d->conf->tls.renew)
        return;
    int64_t now = ps_clock_wall_ms(&d->clock);
    ps_tls_context *tls = ps_tls_holder_get(d->tls);
    ps_tls_dates dates = ps_tls_context_dates(tls);
    int64_t begin = dates.own_not_before * 1000; /* signers date back */
    ps_tls_renewal_has(&d->own_renewal, begin < d->own_renewed_ms ? d->own_renewed_ms : begin,
                       dates.own_not_after * 1000);
    ps_tls_context_unref(&tls);
    if (now < d->own_renewal.due_ms)
        return;
    ps_status st = renew(d);
    ps_tls_renewal_failed(&d->own_renewal, now, false); /* unless the new one comes into force */
    if (!st) {
        d->own_renewed_ms = now;
        (void)ps_repeat_over(&d->renew_trouble);
        ps_log_info("identity", "psd's own certificate was renewed");
        atomic_store(&d->own_renewed, true);
    } else if (ps_repeat_due(&d->renew_trouble, ps_clock_ms(&d->clock), NULL)) {
        ps_log_warning("identity", "psd's own certificate was not renewed, it is tried again: %s%s",
                       ps_error_message(), ps_repeat_text(&d->renew_trouble, times));
    }
}

void ps_daemon_take_own(ps_daemon *d)
{
    ps_loop_require_on(d->loop);
    if (!atomic_exchange(&d->own_renewed, false) || !atomic_load(&d->ready))
        return;
    if (ps_tls_holder_reload(d->tls))
        ps_log_error("identity", "%s", ps_error_message());
    ps_daemon_use_tls(d);
}
