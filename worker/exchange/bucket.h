/* bucket: which pieces of tensors (piece.h) are pushed together. The backward pass makes gradients
 * from the last tensor to the first; a bucket is a run of pieces in that order, closed once it
 * holds about `limit` bytes, so that a push is neither a handful of bytes nor a whole model. What
 * is small joins the bucket that is open, or the last one; a bucket has at most 3/PS_BUCKET_SMALL
 * of limit more than its largest piece or limit. Pure; any thread. */
#ifndef PS_EXCHANGE_BUCKET_H
#define PS_EXCHANGE_BUCKET_H

#include <stddef.h>
#include <stdint.h>

/* Holds pieces first, first-1, …, last. */
typedef struct ps_bucket {
    size_t first, last;
    uint64_t bytes;
    uint64_t beyond; /* of these, what is small and joined although the bucket was full */
} ps_bucket;

typedef struct ps_buckets {
    ps_bucket *list; /* in the order of the backward pass */
    size_t count;
} ps_buckets;

/* Small is below limit / PS_BUCKET_SMALL. */
enum { PS_BUCKET_BYTES = 4 << 20, PS_BUCKET_SMALL = 8 };

/* bytes: of each piece. */
void ps_buckets_plan(const uint64_t *bytes, size_t count, uint64_t limit, ps_buckets *out);
void ps_buckets_free(ps_buckets *buckets);

#endif
