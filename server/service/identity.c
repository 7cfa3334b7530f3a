/* Identity: certificates for who has one. */
#include "psd/v1/identity.pb-c.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "server/service/unary.h"

#include <string.h>
#include <time.h>

static ps_status check_caller(const ps_services *services, const ps_caller *caller)
{
    char when[PS_CERTIFICATE_TIME_MAX];
    if (!services->issuer)
        return ps_fail(PS_FAILED_PRECONDITION,
                       "psd renews no certificates (identity.renew in psd.yaml)");
    if (!caller->certificate)
        return ps_fail(PS_UNAUTHENTICATED, "%s shows no certificate that could be renewed",
                       caller->name);
    int64_t until = ps_certificate_not_after(caller->certificate);
    if (until >= (int64_t)time(NULL))
        return PS_OK;
    return ps_fail(PS_UNAUTHENTICATED, "certificate of %s expired on %s", caller->name,
                   ps_certificate_time_text(until, when));
}

/* "serial 1f…, until 2026-…, in the place of 2e…" */
static char *describe(const ps_caller *caller, const ps_certificate_info *made)
{
    char until[PS_CERTIFICATE_TIME_MAX], before[PS_CERTIFICATE_SERIAL_MAX];
    return ps_asprintf("serial %s, until %s, in the place of %s", made->serial,
                       ps_certificate_time_text(made->not_after, until),
                       ps_certificate_serial_hex(caller->certificate, before));
}

static ps_status renew(ps_services *services, const ps_caller *caller,
                       const ProtobufCMessage *request, ProtobufCMessage **reply)
{
    const Psd__V1__RenewRequest *in = (const Psd__V1__RenewRequest *)request;
    Psd__V1__RenewResponse *out = PS_REPLY_NEW(Psd__V1__RenewResponse, psd__v1__renew_response);
    *reply = &out->base;
    ps_buf chain = PS_BUF_EMPTY;
    ps_certificate_info made = {0};
    ps_status st = check_caller(services, caller);
    if (!st)
        st = ps_issuer_renew(services->issuer, caller->certificate,
                             ps_slice_of(in->request.data, in->request.len), &chain, &made);
    char *what = NULL;
    if (!st) {
        what = describe(caller, &made);
        out->chain = ps_strdup(ps_buf_cstr(&chain));
        out->not_before_ms = made.not_before * 1000;
        out->not_after_ms = made.not_after * 1000;
        out->now_ms = ps_clock_wall_ms(&ps_clock_system);
        ps_certificate_info_clear(&made);
    }
    ps_buf_free(&chain);
    st = ps_caller_audit_leaves(services, caller, st, what, false);
    ps_free(&what);
    return st;
}

const ps_unary_method ps_identity_unary[] = {
    {"/psd.v1.Identity/Renew", &psd__v1__renew_request__descriptor,
     &psd__v1__renew_response__descriptor, renew},
    {0},
};
