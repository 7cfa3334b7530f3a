/* An idle buffer is taken from its class's list under the pool's lock (held for a few
 * instructions); only when there is none is memory asked for, outside the lock. */
#include "server/params/block_pool.h"

#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "common/base/require.h"

struct ps_block_class {
    ps_block_pool *pool;
    ps_block_class *next;
    ps_dense_buffer *idle;
    uint32_t elements;
};

enum { BUCKETS = 256 };

struct ps_block_pool {
    ps_mutex lock;
    ps_block_class *classes[BUCKETS];
    uint64_t keep_bytes, idle_bytes, bytes;
};

void ps_block_pool_create(uint64_t keep_bytes, ps_block_pool **out)
{
    ps_block_pool *pool = ps_new(ps_block_pool);
    ps_mutex_init(&pool->lock);
    pool->keep_bytes = keep_bytes;
    *out = pool;
}

static void free_class(ps_block_class *class)
{
    while (class->idle) {
        ps_dense_buffer *buffer = class->idle;
        class->idle = buffer->next;
        free(buffer);
    }
    free(class);
}

void ps_block_pool_free(ps_block_pool **pool)
{
    if (!*pool)
        return;
    for (int i = 0; i < BUCKETS; i++) {
        while ((*pool)->classes[i]) {
            ps_block_class *class = (*pool)->classes[i];
            (*pool)->classes[i] = class->next;
            free_class(class);
        }
    }
    PS_REQUIRE((*pool)->bytes == (*pool)->idle_bytes); /* every buffer was returned */
    ps_mutex_destroy(&(*pool)->lock);
    ps_free(pool);
}

ps_block_class *ps_block_pool_class(ps_block_pool *pool, uint32_t elements)
{
    ps_block_class **bucket = &pool->classes[elements % BUCKETS];
    for (ps_block_class *c = *bucket; c; c = c->next)
        if (c->elements == elements)
            return c;
    ps_block_class *class = ps_new(ps_block_class);
    class->pool = pool;
    class->elements = elements;
    class->next = *bucket;
    *bucket = class;
    return class;
}

static uint64_t bytes_of(const ps_block_class *class)
{
    return sizeof(ps_dense_buffer) + (uint64_t) class->elements * sizeof(float);
}

ps_dense_buffer *ps_block_pool_get(ps_block_class *class)
{
    ps_block_pool *pool = class->pool;
    uint64_t bytes = bytes_of(class);
    ps_mutex_lock(&pool->lock);
    ps_dense_buffer *buffer = class->idle;
    if (buffer) {
        class->idle = buffer->next;
        pool->idle_bytes -= bytes;
    } else {
        pool->bytes += bytes;
    }
    ps_mutex_unlock(&pool->lock);
    if (buffer)
        return buffer;

    buffer = ps_try_alloc_raw(bytes);
    if (!buffer) {
        ps_mutex_lock(&pool->lock);
        pool->bytes -= bytes;
        ps_mutex_unlock(&pool->lock);
        return NULL;
    }
    buffer->class = class;
    return buffer;
}

void ps_block_pool_put(ps_dense_buffer *buffer)
{
    ps_block_class *class = buffer->class;
    ps_block_pool *pool = class->pool;
    uint64_t bytes = bytes_of(class);
    buffer->head.block = NULL;
    ps_mutex_lock(&pool->lock);
    PS_REQUIRE(pool->idle_bytes + bytes <= pool->bytes);
    bool keep = pool->idle_bytes + bytes <= pool->keep_bytes;
    if (keep) {
        buffer->next = class->idle;
        class->idle = buffer;
        pool->idle_bytes += bytes;
    } else {
        pool->bytes -= bytes;
    }
    ps_mutex_unlock(&pool->lock);
    if (!keep)
        free(buffer);
}

uint64_t ps_block_pool_bytes(ps_block_pool *pool)
{
    ps_mutex_lock(&pool->lock);
    uint64_t bytes = pool->bytes;
    ps_mutex_unlock(&pool->lock);
    return bytes;
}
