/* A name counts only when it is written as psd writes it. Fails as the disk does. */
#include "server/durable/checkpoint_folder.h"

#include "common/base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(ps_checkpoint_numbers *to, uint64_t number)
{
    if (to->n == to->capacity) {
        to->capacity = to->capacity ? 2 * to->capacity : 16;
        to->list = ps_realloc(to->list, to->capacity * sizeof *to->list);
    }
    to->list[to->n++] = number;
}

static bool is_name(const char *name, uint64_t number, const char *end)
{
    char again[64];
    (void)snprintf(again, sizeof again, PS_CHECKPOINT_PREFIX "%" PRIu64 "%s", number, end);
    return strcmp(again, name) == 0;
}

static void collect_cb(void *user, const char *name)
{
    ps_checkpoint_found *found = user;
    uint64_t number;
    if (sscanf(name, PS_CHECKPOINT_PREFIX "%" SCNu64, &number) != 1)
        return;
    if (is_name(name, number, ""))
        add(&found->good, number);
    else if (is_name(name, number, PS_CHECKPOINT_DAMAGED))
        add(&found->damaged, number);
}

static int descending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x > y ? -1 : x < y;
}

ps_status ps_checkpoint_find(const ps_disk *disk, const char *folder, ps_checkpoint_found *out)
{
    ps_status st = disk->list(disk->state, folder, collect_cb, out);
    if (out->good.n)
        qsort(out->good.list, out->good.n, sizeof *out->good.list, descending);
    if (out->damaged.n)
        qsort(out->damaged.list, out->damaged.n, sizeof *out->damaged.list, descending);
    return st;
}

void ps_checkpoint_found_free(ps_checkpoint_found *found)
{
    ps_free(&found->good.list);
    ps_free(&found->damaged.list);
}

bool ps_checkpoint_is_damaged(const ps_checkpoint_found *found, uint64_t number)
{
    for (size_t i = 0; i < found->damaged.n; i++)
        if (found->damaged.list[i] == number)
            return true;
    return false;
}

char *ps_checkpoint_path(const char *folder, uint64_t number)
{
    return ps_asprintf("%s/" PS_CHECKPOINT_PREFIX "%" PRIu64, folder, number);
}
