#include "common/base/repeat.h"

#include "common/base/crc32c.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* After ps_repeat_over: `said` is 0 and `times` still tells how often it was. */
bool ps_repeat_due(ps_repeat *r, uint64_t now_ms, const char *what)
{
    uint32_t sum = what ? ps_crc32c(0, what, strlen(what)) : 0;
    if (sum != r->what)
        r->said = 0;
    r->what = sum;
    if (r->said == 0)
        r->times = 0;
    r->times++;
    if (r->said > 0 && now_ms < r->next_ms)
        return false;
    unsigned doublings = r->said < 6 ? (unsigned)r->said : 6;
    uint64_t wait_ms = PS_REPEAT_FIRST_MS << doublings;
    r->next_ms = now_ms + (wait_ms < PS_REPEAT_MOST_MS ? wait_ms : PS_REPEAT_MOST_MS);
    r->said++;
    return true;
}

bool ps_repeat_over(ps_repeat *r)
{
    bool was = r->said > 0;
    r->said = 0;
    return was;
}

const char *ps_repeat_text(const ps_repeat *r, char text[PS_REPEAT_TEXT])
{
    text[0] = 0;
    if (r->said == 0)
        (void)snprintf(text, PS_REPEAT_TEXT, " (after %" PRIu64 " failure%s)", r->times,
                       r->times == 1 ? "" : "s");
    else if (r->times > 1)
        (void)snprintf(text, PS_REPEAT_TEXT, " (%" PRIu64 " times so far)", r->times);
    return text;
}
