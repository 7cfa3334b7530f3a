/* The functions that -fsanitize=thread has the compiler call. ThreadSanitizer's library, which has
 * them otherwise, is not linked. */
#include "tests/cuda/checker.h"
#include "tests/cuda/report.h"

#define PC __builtin_return_address(0)

extern "C" {
void __tsan_init(void)
{
    ps_checker_enable();
}

#define ACCESS(function, size, kind, aligned)       \
    void function(const void *address)              \
    {                                               \
        if (aligned)                                \
            ps_checker_aligned(address, size, PC);  \
        ps_checker_access(address, size, kind, PC); \
    }
#define ACCESSES(size)                                                 \
    ACCESS(__tsan_read##size, size, PS_ACCESS_READ, true)              \
    ACCESS(__tsan_write##size, size, PS_ACCESS_WRITE, true)            \
    ACCESS(__tsan_unaligned_read##size, size, PS_ACCESS_READ, false)   \
    ACCESS(__tsan_unaligned_write##size, size, PS_ACCESS_WRITE, false) \
    ACCESS(__tsan_volatile_read##size, size, PS_ACCESS_READ, true)     \
    ACCESS(__tsan_volatile_write##size, size, PS_ACCESS_WRITE, true)

ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)

void __tsan_read_range(const void *address, unsigned long size)
{
    ps_checker_access(address, size, PS_ACCESS_READ, PC);
}

void __tsan_write_range(const void *address, unsigned long size)
{
    ps_checker_access(address, size, PS_ACCESS_WRITE, PC);
}

void __tsan_vptr_update(void **address, void *value)
{
    (void)address;
    (void)value;
}

void __tsan_vptr_read(void **address)
{
    (void)address;
}
}

/* -fsanitize=bounds: an index that an array of known length does not have. The layout is the
 * compiler's. */
typedef struct bounds_data {
    const char *file;
    unsigned line, column;
    const struct {
        unsigned short kind, info;
        char name[100];
    } * array;
} bounds_data;

extern "C" void __ubsan_handle_out_of_bounds(const bounds_data *data, void *index)
{
    ps_report(NULL, "%s:%u: index %ld of %s", data->file, data->line, (long)index,
              data->array->name);
}
