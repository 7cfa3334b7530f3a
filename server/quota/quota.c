#include "server/quota/quota.h"

#include "common/base/require.h"

#include <inttypes.h>
#include <stdio.h>

static const struct {
    const char *key;
    bool bytes;
    int retry_ms;
    const char *one, *many, *advice;
} table[PS_QUOTAS] = {
#define UNIT_COUNT false
#define UNIT_BYTES true
#define X(name, key, kind, unit, most, retry_ms, one, many, advice) \
    [PS_QUOTA_##name] = {#key, UNIT_##unit, retry_ms, one, many, advice},
    PS_QUOTA_TABLE(X)
#undef X
};

const char *ps_quota_key(ps_quota quota)
{
    PS_REQUIRE(quota < PS_QUOTAS);
    return table[quota].key;
}

bool ps_quota_is_bytes(ps_quota quota)
{
    PS_REQUIRE(quota < PS_QUOTAS);
    return table[quota].bytes;
}

/* As somebody has written it: in the largest unit that leaves no rest. */
static void amount_text(ps_quota quota, uint64_t n, char out[32])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    while (table[quota].bytes && n && n % 1024 == 0 && unit + 1 < sizeof units / sizeof *units) {
        n /= 1024;
        unit++;
    }
    (void)snprintf(out, 32, "%" PRIu64 "%s%s", n, table[quota].bytes ? " " : "",
                   table[quota].bytes ? units[unit] : "");
}

ps_status ps_quota_refuse(const char *who, ps_quota quota, uint64_t limit, uint64_t retry_ms)
{
    PS_REQUIRE(quota < PS_QUOTAS && retry_ms <= INT32_MAX);
    char amount[32];
    amount_text(quota, limit, amount);
    const char *what = limit == 1 ? table[quota].one : table[quota].many;
    int wait_ms = retry_ms ? (int)retry_ms : table[quota].retry_ms;
    if (wait_ms < 0)
        return ps_fail_retry(PS_RESOURCE_EXHAUSTED, wait_ms, "quota of %s: %s %s; %s", who, amount,
                             what, table[quota].advice);
    bool seconds = wait_ms >= 1000 && wait_ms % 1000 == 0;
    return ps_fail_retry(PS_RESOURCE_EXHAUSTED, wait_ms, "quota of %s: %s %s; try again in %d %s",
                         who, amount, what, seconds ? wait_ms / 1000 : wait_ms,
                         seconds ? "s" : "ms");
}
