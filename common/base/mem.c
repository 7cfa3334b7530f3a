#include "common/base/mem.h"

#include "common/base/log.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ALIGNMENT 64
#define LARGE     (64u << 10) /* bytes */

static _Thread_local struct {
    bool (*fails)(void *user);
    void *user;
} test_hook;

static void *must(void *p)
{
    if (!p) {
        ps_log_error("memory", "out of memory for a small allocation");
        ps_log_flush();
        abort();
    }
    return p;
}

void *ps_alloc(size_t bytes)
{
    return must(calloc(1, bytes ? bytes : 1));
}

void *ps_alloc_array(size_t n, size_t one)
{
    return must(calloc(n ? n : 1, one ? one : 1));
}

void *ps_realloc(void *p, size_t bytes)
{
    return must(realloc(p, bytes ? bytes : 1));
}

char *ps_strdup(const char *s)
{
    return s ? must(strdup(s)) : NULL;
}

char *ps_asprintf(const char *format, ...)
{
    char *out = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&out, format, args);
    va_end(args);
    return must(n < 0 ? NULL : out);
}

/* What is so large is of parameters, of data, or of what a model makes of them, and in no core dump
 * (madvise(2)). A page is marked as a whole, and stays so when the allocator gives it to somebody
 * else: whose bytes are left out as well is no loss. */
static void leave_out_of_dumps(void *p, size_t bytes)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)p / page * page;
    if (bytes >= LARGE)
        (void)madvise((void *)begin, (uintptr_t)p + bytes - begin, MADV_DONTDUMP);
}

void *ps_try_alloc_raw(size_t bytes)
{
    if (test_hook.fails && test_hook.fails(test_hook.user))
        return NULL;
    if (bytes > SIZE_MAX - ALIGNMENT)
        return NULL;
    size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    void *p = aligned_alloc(ALIGNMENT, rounded ? rounded : ALIGNMENT);
    if (p)
        leave_out_of_dumps(p, rounded);
    return p;
}

void *ps_try_alloc(size_t bytes)
{
    void *p = ps_try_alloc_raw(bytes);
    if (p)
        memset(p, 0, bytes);
    return p;
}

void ps_wipe(void *p, size_t bytes)
{
    explicit_bzero(p, bytes);
}

void ps_mem_on_try(bool (*fails)(void *user), void *user)
{
    test_hook.fails = fails;
    test_hook.user = user;
}
