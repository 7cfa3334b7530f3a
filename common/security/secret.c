/* Happy path: one arena of OpenSSL's for the whole process, made when the first key is. When it is
 * full, and where it cannot be had, OpenSSL gives ordinary memory, which is wiped as well. */
#include "common/security/secret.h"

#include "common/base/log.h"
#include "common/base/require.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

/* Two pages of guard, and room for some hundred keys: within the 64 KiB that an unprivileged
 * process may lock on older kernels. */
enum { ARENA = 32 << 10, SMALLEST = 32 };

struct ps_secret {
    uint8_t bytes[PS_SECRET_BYTES];
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_arena(void)
{
    int made = CRYPTO_secure_malloc_init(ARENA, SMALLEST);
    if (made != 1)
        ps_log_warning("security",
                       "keys are not locked into memory (%s): raise LimitMEMLOCK, or "
                       "see that swap is encrypted",
                       made ? "mlock" : "no arena");
}

/* What is handed out follows its own size: a library's free does not say it. */
typedef struct block {
    _Alignas(16) size_t bytes;
    uint8_t memory[];
} block;

void *ps_secret_alloc(size_t bytes)
{
    PS_REQUIRE(bytes && bytes < SIZE_MAX - sizeof(block));
    (void)pthread_once(&once, make_arena);
    bytes += sizeof(block);
    block *b = OPENSSL_secure_zalloc(bytes);
    if (!b) /* the arena is full */
        b = OPENSSL_zalloc(bytes);
    PS_REQUIRE(b);
    b->bytes = bytes;
    return b->memory;
}

void ps_secret_release(void *memory)
{
    if (!memory)
        return;
    block *b = (block *)((uint8_t *)memory - offsetof(block, memory));
    if (CRYPTO_secure_allocated(b))
        OPENSSL_secure_clear_free(b, b->bytes);
    else
        OPENSSL_clear_free(b, b->bytes);
}

ps_secret *ps_secret_new(void)
{
    return ps_secret_alloc(sizeof(ps_secret));
}

/* From the kernel's generator. OpenSSL's own keeps a state for each thread, which it cannot free of
 * threads that outlive it, as those of libuv's pool do. */
static void fill(uint8_t *out, size_t len)
{
    while (len) {
        ssize_t n = getrandom(out, len, 0);
        PS_REQUIRE(n > 0 || errno == EINTR); /* a system without randomness makes no keys */
        size_t got = n > 0 ? (size_t)n : 0;
        out += got;
        len -= got;
    }
}

ps_secret *ps_secret_random(void)
{
    ps_secret *secret = ps_secret_new();
    fill(secret->bytes, sizeof secret->bytes);
    return secret;
}

ps_secret *ps_secret_copy(const ps_secret *secret)
{
    ps_secret *copy = ps_secret_new();
    memcpy(copy->bytes, secret->bytes, sizeof copy->bytes);
    return copy;
}

uint8_t *ps_secret_bytes(ps_secret *secret)
{
    return secret->bytes;
}

const uint8_t *ps_secret_const(const ps_secret *secret)
{
    return secret->bytes;
}

void ps_secret_free(ps_secret **secret)
{
    ps_secret_release(*secret);
    *secret = NULL;
}

bool ps_secret_equal(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

void ps_random_public(void *out, size_t len)
{
    fill(out, len);
}
