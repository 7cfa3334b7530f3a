/* Happy path: the identity's bucket has a token. One that is full again, and not at work, is
 * forgotten when the next identity comes, so what is kept is of those that were here of late. */
#include "server/guard/renew_limit.h"

#include "common/base/list.h"
#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "common/base/require.h"

#include <inttypes.h>

typedef struct bucket {
    ps_list link;
    ps_identity who;
    double tokens;
    uint64_t at_ms;
    bool busy;
} bucket;

struct ps_renew_limit {
    ps_mutex lock; /* guards all below */
    ps_list buckets;
    const ps_clock *clock;
    double every_ms; /* a token comes back */
};

ps_renew_limit *ps_renew_limit_create(uint64_t life_ms, const ps_clock *clock)
{
    PS_REQUIRE(life_ms > 0);
    ps_renew_limit *l = ps_new(ps_renew_limit);
    ps_mutex_init(&l->lock);
    ps_list_init(&l->buckets);
    l->clock = clock;
    l->every_ms = (double)life_ms / PS_RENEWALS;
    return l;
}

static void bucket_free(bucket *b)
{
    ps_list_remove(&b->link);
    ps_free(&b);
}

void ps_renew_limit_free(ps_renew_limit **limit)
{
    ps_renew_limit *l = *limit;
    if (!l)
        return;
    ps_list_each_safe(node, &l->buckets)
    {
        bucket *b = ps_container(node, bucket, link);
        PS_REQUIRE(!b->busy);
        bucket_free(b);
    }
    ps_mutex_destroy(&l->lock);
    ps_free(limit);
}

static void fill(const ps_renew_limit *l, bucket *b)
{
    uint64_t now = ps_clock_ms(l->clock);
    b->tokens += (double)(now - b->at_ms) / l->every_ms;
    b->tokens = b->tokens < PS_RENEWALS ? b->tokens : PS_RENEWALS;
    b->at_ms = now;
}

/* NULL: it is not known. Forgets those that are as good as new. */
static bucket *find(ps_renew_limit *l, const ps_identity *who)
{
    bucket *found = NULL;
    ps_list_each_safe(node, &l->buckets)
    {
        bucket *b = ps_container(node, bucket, link);
        fill(l, b);
        if (ps_identity_equal(&b->who, who))
            found = b;
        else if (!b->busy && b->tokens >= PS_RENEWALS)
            bucket_free(b);
    }
    return found;
}

static bucket *find_or_make(ps_renew_limit *l, const ps_identity *who)
{
    bucket *b = find(l, who);
    if (b)
        return b;
    b = ps_new(bucket);
    *b = (bucket){.who = *who, .tokens = PS_RENEWALS, .at_ms = ps_clock_ms(l->clock)};
    ps_list_append(&l->buckets, &b->link);
    return b;
}

ps_status ps_renew_limit_begin(ps_renew_limit *l, const ps_identity *who)
{
    char name[PS_IDENTITY_TEXT_MAX];
    ps_identity_format(who, name);
    ps_mutex_lock(&l->lock);
    bucket *b = find_or_make(l, who);
    bool busy = b->busy, empty = b->tokens < 1;
    double wait_s = (1 - b->tokens) * l->every_ms / 1000;
    if (!busy && !empty) {
        b->tokens -= 1;
        b->busy = true;
    }
    ps_mutex_unlock(&l->lock);
    if (busy)
        return ps_fail(PS_RESOURCE_EXHAUSTED, "another certificate for %s is being made", name);
    if (empty)
        return ps_fail(PS_RESOURCE_EXHAUSTED,
                       "%d certificates for %s within the life of one; try again in %" PRIu64 " s",
                       PS_RENEWALS, name, (uint64_t)wait_s + 1);
    return PS_OK;
}

void ps_renew_limit_done(ps_renew_limit *l, const ps_identity *who)
{
    ps_mutex_lock(&l->lock);
    bucket *b = find(l, who);
    PS_REQUIRE(b && b->busy);
    b->busy = false;
    ps_mutex_unlock(&l->lock);
}
