/* account: what one identity uses of a server: all its connections and calls together, on whatever
 * loop they are. Whose the accounts are, and what they allow, is not the transport's to know
 * (server/quota): it takes from one before something costs, and gives back when that is gone. An
 * account lives as long as the server. NULL is nobody's: nothing is counted. Any thread, and no
 * lock (not asserted: there is nothing to hold).
 */
#ifndef PS_TRANSPORT_CALL_ACCOUNT_H
#define PS_TRANSPORT_CALL_ACCOUNT_H

#include "common/base/status.h"

#include <stdint.h>

typedef struct ps_account ps_account;

typedef enum ps_account_use {
    PS_ACCOUNT_CONNECTIONS,
    PS_ACCOUNT_CALLS, /* until nobody works on them any more */
    PS_ACCOUNT_BYTES, /* of messages that were received and are held, and of answers that wait */
} ps_account_use;

typedef struct ps_account_ops {
    PS_MUST_CHECK ps_status (*take)(ps_account *account, ps_account_use use, uint64_t n);
    void (*charge)(ps_account *account, ps_account_use use, uint64_t n);
    void (*give)(ps_account *account, ps_account_use use, uint64_t n);
    uint64_t (*left)(const ps_account *account, ps_account_use use);
    uint64_t (*hold_ms)(ps_account *account, uint64_t retry_ms);
} ps_account_ops;

/* The head of whatever keeps it. */
struct ps_account {
    const ps_account_ops *ops;
};

/* PS_RESOURCE_EXHAUSTED, with when to try again (ps_error_retry_ms): it would be more than is
 * allowed, and nothing was taken. */
PS_MUST_CHECK ps_status ps_account_take(ps_account *account, ps_account_use use, uint64_t n);
/* Is held already, allowed or not. */
void ps_account_charge(ps_account *account, ps_account_use use, uint64_t n);
void ps_account_give(ps_account *account, ps_account_use use, uint64_t n);
/* UINT64_MAX: as much as there is. */
uint64_t ps_account_left(const ps_account *account, ps_account_use use);
/* It is refused something, whatever that is, and is to try again after retry_ms, more than 0: how
 * long the answer is held back. 0: it has waited as it was told before; else retry_ms, or what is
 * the most. */
uint64_t ps_account_hold_ms(ps_account *account, uint64_t retry_ms);

#endif
