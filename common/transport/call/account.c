/* Cannot fail but by what the account's owner says. */
#include "common/transport/call/account.h"

#include "common/base/require.h"

ps_status ps_account_take(ps_account *account, ps_account_use use, uint64_t n)
{
    PS_REQUIRE(n > 0);
    return account ? account->ops->take(account, use, n) : PS_OK;
}

void ps_account_charge(ps_account *account, ps_account_use use, uint64_t n)
{
    if (account)
        account->ops->charge(account, use, n);
}

void ps_account_give(ps_account *account, ps_account_use use, uint64_t n)
{
    if (account)
        account->ops->give(account, use, n);
}

uint64_t ps_account_left(const ps_account *account, ps_account_use use)
{
    return account ? account->ops->left(account, use) : UINT64_MAX;
}

uint64_t ps_account_hold_ms(ps_account *account, uint64_t retry_ms)
{
    PS_REQUIRE(retry_ms > 0);
    return account ? account->ops->hold_ms(account, retry_ms) : 0;
}
