#include "server/sealing_known.h"

#include "common/base/mem.h"
#include "common/security/digest.h"

#include <stdlib.h>
#include <string.h>

static uint64_t name_of(const char *path)
{
    char text[PS_DIGEST_TEXT];
    ps_digest *digest = ps_digest_new();
    ps_digest_add(digest, path, strlen(path));
    ps_digest_end(&digest, text);
    text[16] = 0;
    return strtoull(text, NULL, 16);
}

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void ps_sealing_known_add(ps_sealing_known *k, const char *path)
{
    if (k->n == k->room) {
        k->room = k->room ? 2 * k->room : 64;
        k->names = ps_realloc(k->names, k->room * sizeof *k->names);
    }
    k->names[k->n++] = name_of(path);
}

void ps_sealing_known_settle(ps_sealing_known *k)
{
    if (k->n)
        qsort(k->names, k->n, sizeof *k->names, by_value);
}

bool ps_sealing_known_has(const ps_sealing_known *k, const char *path)
{
    const uint64_t name = k->n ? name_of(path) : 0;
    return k->n && bsearch(&name, k->names, k->n, sizeof name, by_value);
}

void ps_sealing_known_clear(ps_sealing_known *k)
{
    ps_free(&k->names);
    *k = (ps_sealing_known){0};
}
