/* Cannot fail. */
#include "common/transport/tls/tls_expiry.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/security/certificate.h"

#include <stdio.h>

enum { HOUR_S = 3600, DAY_S = 24 * HOUR_S };

bool ps_tls_expiry_is_near(int64_t begins, int64_t ends, int64_t now)
{
    int64_t life = ends - begins, before = (int64_t)PS_TLS_EXPIRY_DAYS * DAY_S;
    if (life <= 7 * DAY_S)
        before = life / 4 < DAY_S ? life / 4 : DAY_S;
    return ends - now < before;
}

/* "ends on 2026-01-01 12:00:00 UTC, in 3 days", "ended on …" */
static const char *when_text(int64_t not_after, int64_t now, char *out, size_t size)
{
    char date[PS_CERTIFICATE_TIME_MAX];
    int64_t left = not_after - now, days = left / DAY_S, hours = left / HOUR_S;
    ps_certificate_time_text(not_after, date);
    if (left < 0)
        (void)snprintf(out, size, "ended on %s", date);
    else if (days > 1)
        (void)snprintf(out, size, "ends on %s, in %d days", date, (int)days);
    else
        (void)snprintf(out, size, "ends on %s, in %d hours", date, (int)hours);
    return out;
}

static bool is_due(int64_t *told, int64_t *next, int64_t begins, int64_t not_after, int64_t now)
{
    if (!ps_tls_expiry_is_near(begins, not_after, now) || (*told == not_after && now < *next))
        return false;
    *told = not_after;
    *next = now + (not_after - now < DAY_S ? HOUR_S : DAY_S);
    return true;
}

void ps_tls_expiry_look(ps_tls_expiry *e, ps_tls_holder *holder, int64_t now)
{
    ps_tls_context *context = ps_tls_holder_get(holder);
    ps_tls_dates dates = ps_tls_context_dates(context);
    bool server = ps_tls_context_side(context) == PS_TLS_SERVER;
    char when[96];
    if (is_due(&e->own.not_after, &e->own.next, dates.own_not_before, dates.own_not_after, now))
        ps_log(dates.own_not_after < now ? PS_LOG_ERROR : PS_LOG_WARNING, "tls",
               "certificate %s %s: issue a new one (psctl cert create-%s) and reload",
               dates.own_file, when_text(dates.own_not_after, now, when, sizeof when),
               server ? "server" : "client");
    if (is_due(&e->ca.not_after, &e->ca.next, dates.ca_not_before, dates.ca_not_after, now))
        ps_log(dates.ca_not_after < now ? PS_LOG_ERROR : PS_LOG_WARNING, "tls",
               "CA certificate %s %s, and with it every certificate it signed: add a new CA to the "
               "file everywhere, issue new certificates, and reload",
               dates.ca_file, when_text(dates.ca_not_after, now, when, sizeof when));
    if (dates.crl_file &&
        is_due(&e->crl.not_after, &e->crl.next, dates.crl_this_update, dates.crl_next_update, now))
        ps_log(dates.crl_next_update < now ? PS_LOG_ERROR : PS_LOG_WARNING, "tls",
               "CRL %s %s: make a new one beside the CA (psctl cert crl) and put it there",
               dates.crl_file, when_text(dates.crl_next_update, now, when, sizeof when));
    ps_tls_context_unref(&context);
}

char *ps_tls_expiry_remark(const ps_tls_context *context, int64_t now)
{
    ps_tls_dates dates = ps_tls_context_dates(context);
    bool server = ps_tls_context_side(context) == PS_TLS_SERVER; /* who asks runs psd */
    char when[96];
    if (ps_tls_expiry_is_near(dates.ca_not_before, dates.ca_not_after, now) &&
        dates.ca_not_after <= dates.own_not_after)
        return ps_asprintf("the CA's certificate %s %s; %s", dates.ca_file,
                           when_text(dates.ca_not_after, now, when, sizeof when),
                           server ? "add a new CA to the file everywhere and issue new certificates"
                                  : "who runs psd gives you new files");
    if (ps_tls_expiry_is_near(dates.own_not_before, dates.own_not_after, now))
        return ps_asprintf("%s certificate %s %s; %s", server ? "the" : "your", dates.own_file,
                           when_text(dates.own_not_after, now, when, sizeof when),
                           server ? "issue a new one with psctl cert create-server"
                                  : "who runs psd gives you a new one");
    if (dates.crl_file && ps_tls_expiry_is_near(dates.crl_this_update, dates.crl_next_update, now))
        return ps_asprintf("CRL %s %s; %s", dates.crl_file,
                           when_text(dates.crl_next_update, now, when, sizeof when),
                           server ? "make a new one beside the CA (psctl cert crl)"
                                  : "who runs psd gives you a new one");
    return NULL;
}
