/* One walk from the last piece to the first. */
#include "worker/exchange/bucket.h"

#include "common/base/mem.h"
#include "common/base/require.h"

static void join(ps_bucket *bucket, size_t piece, uint64_t bytes)
{
    bucket->last = piece;
    bucket->bytes += bytes;
}

void ps_buckets_plan(const uint64_t *bytes, size_t count, uint64_t limit, ps_buckets *out)
{
    PS_REQUIRE(limit > 0);
    uint64_t small = limit / PS_BUCKET_SMALL;
    ps_buckets plan = {.list = ps_alloc_array(count, sizeof(ps_bucket))};
    for (size_t i = count; i-- > 0;) {
        ps_bucket *open = plan.count ? &plan.list[plan.count - 1] : NULL;
        /* neither half leaves a bucket that is small by itself */
        if (open && (open->bytes + bytes[i] <= limit || open->bytes < small)) {
            join(open, i, bytes[i]);
        } else if (open && open->beyond + bytes[i] < small) {
            join(open, i, bytes[i]);
            open->beyond += bytes[i];
        } else {
            plan.list[plan.count++] = (ps_bucket){.first = i, .last = i, .bytes = bytes[i]};
        }
    }
    if (plan.count > 1 && plan.list[plan.count - 1].bytes < small) {
        ps_bucket *rest = &plan.list[--plan.count];
        join(rest - 1, rest->last, rest->bytes);
    }
    *out = plan;
}

void ps_buckets_free(ps_buckets *buckets)
{
    ps_free(&buckets->list);
    *buckets = (ps_buckets){0};
}
