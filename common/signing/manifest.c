#include "common/signing/manifest.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/base/text.h"
#include "common/base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ps_manifest_free(ps_manifest *m)
{
    for (size_t i = 0; i < m->n_resources; i++)
        free(m->resources[i].path);
    free(m->resources);
    for (char **path = m->ignored; path && *path; path++)
        free(*path);
    free(m->ignored);
    free(m->name);
    *m = (ps_manifest){0};
}

/* ---- paths ---- */

/* What a terminal obeys, or shows as something else, is no name that people can check. */
static bool is_fit(const char *path, size_t len)
{
    bool fit = true;
    for (size_t at = 0; fit && at < len;)
        at += ps_text_character(path + at, len - at, &fit);
    return fit;
}

/* What is wrong with a part between slashes; NULL: nothing. */
static const char *wrong_part(const char *part, size_t len)
{
    if (!len)
        return "has an empty part";
    if (len == 1 && part[0] == '.')
        return "has a part \".\"";
    if (len == 2 && part[0] == '.' && part[1] == '.')
        return "leads out of the folder by \"..\"";
    return NULL;
}

static const char *wrong(const char *path, size_t len)
{
    if (!len || len >= PS_MANIFEST_PATH_MOST)
        return "has no bytes, or too many";
    if (path[0] == '/')
        return "is absolute";
    if (memchr(path, 0, len))
        return "has a zero byte";
    if (!ps_utf8_is(ps_slice_of(path, len)))
        return "is not UTF-8";
    if (!is_fit(path, len))
        return "has control characters";
    for (size_t at = 0; at <= len;) {
        const char *slash = memchr(path + at, '/', len - at);
        size_t n = slash ? (size_t)(slash - path) - at : len - at;
        const char *what = wrong_part(path + at, n);
        if (what)
            return what;
        at += n + 1;
    }
    return NULL;
}

ps_status ps_manifest_check_path(const char *path, size_t len)
{
    const char *what = wrong(path, len);
    char shown[200];
    if (!what)
        return PS_OK;
    (void)snprintf(shown, sizeof shown, "%.*s", (int)(len < sizeof shown ? len : sizeof shown),
                   path);
    ps_text_clean(shown);
    return ps_fail(PS_INVALID_ARGUMENT, "the name '%s' %s", shown, what);
}

/* ---- order ---- */

void ps_manifest_name(const ps_resource *r, bool shard, char out[PS_MANIFEST_NAME_MOST])
{
    if (shard)
        (void)snprintf(out, PS_MANIFEST_NAME_MOST, "%s:%" PRIu64 ":%" PRIu64, r->path, r->begin,
                       r->end);
    else
        (void)snprintf(out, PS_MANIFEST_NAME_MOST, "%s", r->path);
}

/* Bytes of UTF-8 have the order of code points. */
static int by_name(const ps_resource *a, const ps_resource *b, bool shards)
{
    char left[PS_MANIFEST_NAME_MOST], right[PS_MANIFEST_NAME_MOST];
    ps_manifest_name(a, shards, left);
    ps_manifest_name(b, shards, right);
    return strcmp(left, right);
}

static int by_path_name(const void *a, const void *b)
{
    return by_name(a, b, false);
}

static int by_shard_name(const void *a, const void *b)
{
    return by_name(a, b, true);
}

static int by_place(const void *a, const void *b)
{
    const ps_resource *x = a, *y = b;
    int order = strcmp(x->path, y->path);
    return order ? order : (x->begin > y->begin) - (x->begin < y->begin);
}

ps_resource *ps_manifest_by_place(const ps_manifest *m)
{
    ps_resource *sorted = ps_alloc_array(m->n_resources + 1, sizeof *sorted);
    if (m->n_resources)
        memcpy(sorted, m->resources, m->n_resources * sizeof *sorted);
    qsort(sorted, m->n_resources, sizeof *sorted, by_place);
    return sorted;
}

static unsigned digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

void ps_manifest_root(const ps_manifest *m, char out[PS_DIGEST_TEXT])
{
    ps_digest *digest = ps_digest_new();
    for (size_t i = 0; i < m->n_resources; i++) {
        uint8_t raw[(PS_DIGEST_TEXT - 1) / 2];
        const char *text = m->resources[i].sha256;
        PS_REQUIRE(strlen(text) == PS_DIGEST_TEXT - 1);
        for (size_t b = 0; b < sizeof raw; b++)
            raw[b] = (uint8_t)(digit(text[2 * b]) << 4 | digit(text[2 * b + 1]));
        ps_digest_add(digest, raw, sizeof raw);
    }
    ps_digest_end(&digest, out);
}

void ps_manifest_settle(ps_manifest *m)
{
    PS_REQUIRE(m->n_resources > 0);
    qsort(m->resources, m->n_resources, sizeof *m->resources,
          m->shard_size ? by_shard_name : by_path_name);
    ps_manifest_root(m, m->root);
}

/* ---- what agrees with itself ---- */

static ps_status check_shard(const ps_manifest *m, const ps_resource *r, const ps_resource *before)
{
    bool first = !before || strcmp(before->path, r->path) != 0;
    uint64_t begin = first ? 0 : before->end;
    if (!first && before->begin == r->begin)
        return ps_fail(PS_CORRUPT, "%s is signed twice from byte %" PRIu64 " on", r->path,
                       r->begin);
    if (r->begin != begin)
        return ps_fail(PS_CORRUPT, "%s has a gap: no shard begins at byte %" PRIu64, r->path,
                       begin);
    if (r->end <= r->begin || r->end - r->begin > m->shard_size)
        return ps_fail(PS_CORRUPT,
                       "%s has a shard of bytes %" PRIu64 " to %" PRIu64
                       ", and shards have at most %" PRIu64,
                       r->path, r->begin, r->end, m->shard_size);
    if (!first && before->end - before->begin != m->shard_size)
        return ps_fail(PS_CORRUPT, "%s has a shard that is too short before byte %" PRIu64, r->path,
                       r->begin);
    return PS_OK;
}

static ps_status check_file(const ps_resource *r, const ps_resource *before)
{
    return before && !strcmp(before->path, r->path)
               ? ps_fail(PS_CORRUPT, "%s is signed twice", r->path)
               : PS_OK;
}

ps_status ps_manifest_check(const ps_manifest *m)
{
    ps_status st = PS_OK;
    ps_resource *sorted = ps_manifest_by_place(m);
    for (size_t i = 0; !st && i < m->n_resources; i++) {
        const ps_resource *before = i ? &sorted[i - 1] : NULL;
        st = m->shard_size ? check_shard(m, &sorted[i], before) : check_file(&sorted[i], before);
    }
    ps_free(&sorted);
    return st;
}
