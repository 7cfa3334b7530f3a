/* quotas: who uses how much of a psd. An account an identity, made when it is first seen and kept:
 * there are as many as certificates were ever shown, a few hundred bytes each.
 *
 * Taking and giving back are atomic operations on the account's own cache lines: no lock, and what
 * one identity does costs no other anything. A table of accounts, behind a mutex, is looked through
 * when a connection or a job begins. Any thread, but for _create and _free.
 */
#ifndef PS_QUOTA_QUOTAS_H
#define PS_QUOTA_QUOTAS_H

#include "common/base/clock.h"
#include "common/transport/call/account.h"
#include "server/quota/quota.h"

/* The longest that a refusal of one who does not wait as told is held back (ps_account_hold_ms):
 * somebody may sit before it. */
#define PS_QUOTAS_HOLD_MOST_MS 1000u

typedef struct ps_quotas ps_quotas;

void ps_quotas_create(const ps_quota_conf *conf, const ps_clock *clock, ps_quotas **out);
void ps_quotas_free(ps_quotas **quotas); /* accounts and all: after whoever uses them */
/* Other limits, for what is taken from now on: what is held beyond them stays. */
void ps_quotas_set(ps_quotas *quotas, const ps_quota_conf *conf);

ps_account *ps_quotas_account(ps_quotas *quotas, const ps_identity *who);
/* spiffe://CLUSTER/ROLE/NAME; NULL when it is none: such a job of an old catalog is nobody's. */
ps_account *ps_quotas_account_named(ps_quotas *quotas, const char *who);

/* As ps_account_take and the others, which do the same for the quotas that the transport knows. A
 * rate is not given back; of a sum, what is charged is on its way to become part of it, and given
 * back when it is. */
PS_MUST_CHECK ps_status ps_quota_take(ps_account *account, ps_quota quota, uint64_t n);
void ps_quota_charge(ps_account *account, ps_quota quota, uint64_t n);
void ps_quota_give(ps_account *account, ps_quota quota, uint64_t n);
/* Of a SUM, which is `sum` now (and is shown as that), without what was charged: may there be so
 * much, and `more`? PS_RESOURCE_EXHAUSTED. */
PS_MUST_CHECK ps_status ps_quota_check(ps_account *account, ps_quota quota, uint64_t sum,
                                       uint64_t more);
/* Fails as ps_quota_check has within the last second, if nothing was freed and no limit changed
 * since: whoever asks again and again costs nobody the sum. PS_OK: it is to be asked for. */
PS_MUST_CHECK ps_status ps_quota_recall(ps_account *account, ps_quota quota);
/* Another number than before once a sum may have changed by what was given back, which is part of
 * it now, or freed. Taken before the sum is looked at. */
uint64_t ps_quota_stamp(const ps_account *account);
void ps_quotas_freed(ps_quotas *quotas); /* something that is summed has become less */
bool ps_quota_has_limit(const ps_account *account, ps_quota quota);

/* What there is now. */
typedef struct ps_quota_use {
    uint64_t used, limit, refused; /* limit 0: none; refused: since psd began */
} ps_quota_use;
typedef struct ps_quota_account_use {
    ps_identity who;
    ps_quota_use of[PS_QUOTAS];
} ps_quota_account_use;

void ps_quotas_look(const ps_account *account, ps_quota_account_use *out);
/* All of them; free() the array. */
ps_quota_account_use *ps_quotas_look_all(ps_quotas *quotas, size_t *n);
uint64_t ps_quotas_refused(const ps_quotas *quotas, ps_quota quota, ps_role role);

#endif
