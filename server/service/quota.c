/* What the caller may store, and who uses how much (Admin.Quotas). What fails is the disk, or it is
 * too much. */
#include "server/quota/quotas.h"

#include "common/base/mem.h"
#include "server/runs/stored.h"
#include "server/service/unary.h"

#include <stdlib.h>
#include <string.h>

#define SUM_FOR_NS UINT64_C(1000000000) /* a sum is good for */

static ps_status sum_stored(ps_services *services, const ps_caller *caller, ps_stored_sum *last)
{
    uint64_t now_ns = ps_clock_ns(&services->files.clock);
    uint64_t stamp = ps_quota_stamp(caller->account);
    if (last->known && last->stamp == stamp && now_ns - last->at_ns < SUM_FOR_NS)
        return PS_OK;
    *last = (ps_stored_sum){.at_ns = now_ns, .stamp = stamp};
    ps_status st = ps_stored_bytes_of(&services->files, caller->name, &last->bytes);
    last->known = !st;
    return st;
}

ps_status ps_caller_may_store(ps_services *services, const ps_caller *caller, uint64_t more,
                              ps_stored_sum *last)
{
    ps_loop_require_off();
    ps_stored_sum once = {.known = false}, *sum = last ? last : &once;
    if (!ps_quota_has_limit(caller->account, PS_QUOTA_STORED))
        return PS_OK;
    ps_status st = ps_quota_recall(caller->account, PS_QUOTA_STORED);
    if (!st)
        st = sum_stored(services, caller, sum);
    return st ? st : ps_quota_check(caller->account, PS_QUOTA_STORED, sum->bytes, more);
}

/* ---- Admin.Quotas ---- */

static Psd__V1__QuotaUse *use_message(ps_quota quota, const ps_quota_use *use)
{
    Psd__V1__QuotaUse *out = PS_REPLY_NEW(Psd__V1__QuotaUse, psd__v1__quota_use);
    out->name = ps_strdup(ps_quota_key(quota));
    out->bytes = ps_quota_is_bytes(quota);
    out->used = use->used;
    out->limit = use->limit;
    out->refused = use->refused;
    return out;
}

static Psd__V1__IdentityUse *identity_message(const ps_quota_account_use *use)
{
    char who[PS_IDENTITY_TEXT_MAX];
    Psd__V1__IdentityUse *out = PS_REPLY_NEW(Psd__V1__IdentityUse, psd__v1__identity_use);
    out->identity = ps_strdup(ps_identity_format(&use->who, who));
    out->quotas = ps_alloc_array(PS_QUOTAS, sizeof *out->quotas);
    for (ps_quota q = 0; q < PS_QUOTAS; q++)
        out->quotas[out->n_quotas++] = use_message(q, &use->of[q]);
    return out;
}

static int by_name(const void *a, const void *b)
{
    const ps_quota_account_use *x = a, *y = b;
    int names = strcmp(x->who.name, y->who.name);
    return names ? names : (int)x->who.role - (int)y->who.role;
}

typedef struct uses {
    ps_quota_account_use *at; /* by name */
    size_t n;
} uses;

/* Somebody's who was not here since psd began has no account to be shown. */
static void add_stored(void *user, const char *who, uint64_t bytes)
{
    const uses *all = user;
    ps_quota_account_use key = {0};
    if (ps_identity_parse(ps_slice_str(who), &key.who))
        return;
    ps_quota_account_use *use = bsearch(&key, all->at, all->n, sizeof *all->at, by_name);
    if (use)
        use->of[PS_QUOTA_STORED].used += bytes;
}

/* What is stored is not counted as it comes: it is looked at now. */
static ps_status look_at_stored(ps_services *services, const ps_caller *caller, bool all, uses *u)
{
    for (size_t i = 0; i < u->n; i++)
        u->at[i].of[PS_QUOTA_STORED].used = 0;
    if (all)
        return ps_stored_bytes_all(&services->files, add_stored, u);
    return u->n ? ps_stored_bytes_of(&services->files, caller->name,
                                     &u->at[0].of[PS_QUOTA_STORED].used)
                : PS_OK;
}

/* The caller's own, or everybody's. */
static uses look(ps_services *services, const ps_caller *caller, bool all)
{
    uses u = {0};
    if (all) {
        u.at = ps_quotas_look_all(services->quotas, &u.n);
        qsort(u.at, u.n, sizeof *u.at, by_name);
    } else if (caller->account) {
        u.at = ps_new(ps_quota_account_use);
        ps_quotas_look(caller->account, u.at);
        u.n = 1;
    }
    return u;
}

ps_status ps_admin_quotas(ps_services *services, const ps_caller *caller,
                          const ProtobufCMessage *request, ProtobufCMessage **reply)
{
    enum { MOST = 1000 }; /* in one answer */
    bool all = ((const Psd__V1__QuotasRequest *)request)->all;
    if (all && caller->identity.role == PS_ROLE_SUBMITTER)
        return ps_fail(PS_PERMISSION_DENIED, "a submitter may see what it uses itself; what "
                                             "others use is for roles observer and admin");
    Psd__V1__QuotasResponse *out = PS_REPLY_NEW(Psd__V1__QuotasResponse, psd__v1__quotas_response);
    *reply = &out->base;
    uses u = look(services, caller, all);
    size_t shown = u.n < MOST ? u.n : MOST;
    ps_status st = look_at_stored(services, caller, all, &u);
    out->identities = ps_alloc_array(shown + 1, sizeof *out->identities);
    out->left_out = u.n - shown;
    while (!st && out->n_identities < shown) {
        out->identities[out->n_identities] = identity_message(&u.at[out->n_identities]);
        out->n_identities++;
    }
    free(u.at);
    return st;
}
