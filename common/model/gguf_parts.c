/* Happy path: the header of the file that was named is read; when it says that there are others,
 * theirs are read in order, beginning with the first, and their tensors come behind its own. Of the
 * others only the tensors stay: a header may be large, and there may be thousands. */
#include "common/model/gguf_parts.h"

#include "common/base/mem.h"
#include "common/model/model_files.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_READ = 1 << 20 };

/* ---- one file ---- */

static void close_file(ps_gguf_parts *p)
{
    if (p->fd >= 0)
        ps_model_file_close(p->disk, p->fd);
    p->fd = -1;
}

static ps_status open_file(ps_gguf_parts *p, size_t i, uint64_t *size)
{
    close_file(p);
    ps_status st = ps_model_input_open(p->disk, p->at[i].path, &p->fd, size);
    if (st)
        p->fd = -1;
    p->open = i;
    return st;
}

/* As much of the file is read as its header takes. *file points into *head. */
static ps_status parse_head(const ps_disk *disk, const ps_gguf_part *part, int fd, uint8_t **head,
                            ps_gguf **file)
{
    for (uint64_t len = FIRST_READ;; len *= 4) {
        len = len < part->size ? len : part->size;
        len = len < PS_GGUF_MAX_HEADER ? len : PS_GGUF_MAX_HEADER;
        *head = ps_try_alloc_raw((size_t)len);
        if (!*head)
            return ps_fail(PS_NO_MEMORY, "header of %" PRIu64 " bytes", len);
        ps_status st = ps_model_file_read(disk, fd, part->path, 0, *head, (size_t)len);
        if (!st)
            st = ps_gguf_parse(ps_slice_of(*head, (size_t)len), part->size, file);
        else
            return st; /* which names the file */
        if (st == PS_AGAIN && len == PS_GGUF_MAX_HEADER)
            st = ps_fail(PS_CORRUPT, "a header of more than %d bytes", PS_GGUF_MAX_HEADER);
        if (st != PS_AGAIN)
            return st ? ps_wrap(st, "%s", part->path) : PS_OK;
        ps_free(head);
    }
}

static ps_status read_head(ps_gguf_parts *p, size_t i, uint8_t **head, ps_gguf **file)
{
    ps_status st = open_file(p, i, &p->at[i].size);
    if (!st)
        st = parse_head(p->disk, &p->at[i], p->fd, head, file);
    if (st)
        ps_free(head);
    return st;
}

/* ---- what a file says of the others ---- */

typedef struct split {
    uint64_t count, number;
    uint64_t tensors; /* in all; 0: it does not say */
} split;

static ps_status get_uint(const ps_gguf *file, const char *name, uint64_t *out)
{
    const ps_gguf_key *key = ps_gguf_find_key(file, name);
    *out = 0;
    return key ? ps_gguf_get_uint(key, out) : PS_OK;
}

static ps_status read_split(const char *path, const ps_gguf *file, split *out)
{
    ps_status st = get_uint(file, PS_GGUF_KEY_SPLIT_COUNT, &out->count);
    if (!st)
        st = get_uint(file, PS_GGUF_KEY_SPLIT_NO, &out->number);
    if (!st)
        st = get_uint(file, PS_GGUF_KEY_SPLIT_TENSORS, &out->tensors);
    if (!st && out->count > PS_GGUF_MAX_PARTS)
        st = ps_fail(PS_INVALID_ARGUMENT, "key split.count: %" PRIu64 " files, allowed %d",
                     out->count, PS_GGUF_MAX_PARTS);
    if (!st && out->number >= (out->count ? out->count : 1))
        st = ps_fail(PS_CORRUPT, "key split.no: %" PRIu64 ", of %" PRIu64 " files", out->number,
                     out->count);
    return st ? ps_wrap(st, "%s", path) : PS_OK;
}

void ps_gguf_part_suffix(uint64_t i, uint64_t n, char out[PS_GGUF_PART_SUFFIX])
{
    (void)snprintf(out, PS_GGUF_PART_SUFFIX, "-%05" PRIu64 "-of-%05" PRIu64 ".gguf", i + 1, n);
}

/* The part of the path that all have. */
static ps_status find_stem(const char *path, const split *is, size_t *stem)
{
    char suffix[PS_GGUF_PART_SUFFIX];
    ps_gguf_part_suffix(is->number, is->count, suffix);
    size_t len = strlen(path), end = strlen(suffix);
    if (len < end || strcmp(path + len - end, suffix) != 0)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "%s: it is part %" PRIu64 " of a model in %" PRIu64 " files, whose names "
                       "must end as they were made: this one in %s, in a folder with the others",
                       path, is->number + 1, is->count, suffix);
    *stem = len - end;
    return PS_OK;
}

static void name_parts(ps_gguf_parts *p, const char *path, size_t stem, size_t n)
{
    char suffix[PS_GGUF_PART_SUFFIX];
    ps_free(&p->at[0].path);
    ps_free(&p->at);
    p->at = ps_alloc_array(n, sizeof *p->at);
    for (p->n = 0; p->n < n; p->n++) {
        ps_gguf_part_suffix(p->n, n, suffix);
        p->at[p->n].path = ps_asprintf("%.*s%s", (int)stem, path, suffix);
    }
}

/* ---- all of them ---- */

static ps_status check_part(const char *path, size_t i, const split *want, const ps_gguf *file)
{
    split has;
    ps_status st = read_split(path, file, &has);
    if (!st && (has.count != want->count || has.number != i))
        st = ps_fail(PS_INVALID_ARGUMENT,
                     "%s: it says that it is part %" PRIu64 " of %" PRIu64 ", not what its name "
                     "says",
                     path, has.number + 1, has.count);
    if (!st && has.tensors != want->tensors)
        st = ps_fail(PS_INVALID_ARGUMENT,
                     "%s: it says that there are %" PRIu64 " tensors in all, another part says "
                     "%" PRIu64 ": they are of two models",
                     path, has.tensors, want->tensors);
    return st;
}

/* With names of their own: the header goes. */
static ps_status add_tensors(ps_gguf_parts *p, size_t i, const ps_gguf *file)
{
    ps_gguf *whole = p->whole;
    if (file->n_tensors > PS_GGUF_MAX_TENSORS - whole->n_tensors)
        return ps_fail(PS_INVALID_ARGUMENT, "%s: with it there are more than %d tensors",
                       p->at[i].path, PS_GGUF_MAX_TENSORS);
    size_t n = whole->n_tensors + file->n_tensors;
    whole->tensors = ps_realloc(whole->tensors, (n + 1) * sizeof *whole->tensors);
    char *names = p->at[i].names = ps_alloc_array(file->n_tensors + 1, PS_GGUF_MAX_NAME);
    for (size_t k = 0; k < file->n_tensors; k++) {
        ps_gguf_tensor *t = &whole->tensors[whole->n_tensors++];
        *t = file->tensors[k];
        memcpy(names, t->name.data, t->name.len);
        t->name.data = (const uint8_t *)names;
        t->part = i;
        names += t->name.len;
    }
    return PS_OK;
}

static ps_status add_part(ps_gguf_parts *p, size_t i, const split *want)
{
    uint8_t *head = NULL;
    ps_gguf *file = NULL;
    ps_status st = read_head(p, i, &head, &file);
    if (st == PS_NOT_FOUND)
        st = ps_wrap(st, "the model is in %" PRIu64 " files, and one is missing", want->count);
    if (!st)
        st = check_part(p->at[i].path, i, want, file);
    if (!st && i > 0)
        st = add_tensors(p, i, file);
    if (!st && i == 0) {
        p->head = head;
        p->whole = file;
        return PS_OK;
    }
    ps_gguf_free(&file);
    ps_free(&head);
    return st;
}

static ps_status settle(ps_gguf_parts *p, const split *want)
{
    ps_gguf *whole = p->whole;
    if (want->tensors && want->tensors != whole->n_tensors)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "%s: the files have %zu tensors, and key split.tensors.count says %" PRIu64,
                       p->at[0].path, whole->n_tensors, want->tensors);
    ps_status st = ps_gguf_sort_tensors(whole);
    return st ? ps_wrap(st, "%s and the others", p->at[0].path) : PS_OK;
}

static ps_status open_others(ps_gguf_parts *p, const char *path, const split *is)
{
    size_t stem = 0;
    ps_status st = find_stem(path, is, &stem);
    if (st)
        return st;
    name_parts(p, path, stem, (size_t)is->count);
    for (size_t i = 0; !st && i < p->n; i++)
        st = add_part(p, i, is);
    return st ? st : settle(p, is);
}

ps_status ps_gguf_parts_open(const ps_disk *disk, const char *path, ps_gguf_parts *out)
{
    split is;
    *out =
        (ps_gguf_parts){.disk = disk, .fd = -1, .n = 1, .at = ps_alloc_array(1, sizeof *out->at)};
    out->at[0].path = ps_strdup(path);
    ps_status st = read_head(out, 0, &out->head, &out->whole);
    if (!st)
        st = read_split(path, out->whole, &is);
    if (st || is.count < 2)
        return st;
    ps_gguf_parts_forget(out);
    return open_others(out, path, &is);
}

void ps_gguf_parts_forget(ps_gguf_parts *p)
{
    ps_gguf_free(&p->whole);
    ps_free(&p->head);
    for (size_t i = 0; i < p->n; i++)
        ps_free(&p->at[i].names);
}

ps_status ps_gguf_parts_read(ps_gguf_parts *p, size_t part, uint64_t at, void *out, size_t len)
{
    uint64_t ignored;
    ps_status st = p->fd >= 0 && p->open == part ? PS_OK : open_file(p, part, &ignored);
    return st ? st : ps_model_file_read(p->disk, p->fd, p->at[part].path, at, out, len);
}

void ps_gguf_parts_clear(ps_gguf_parts *p)
{
    ps_gguf_parts_forget(p);
    close_file(p);
    for (size_t i = 0; i < p->n; i++)
        ps_free(&p->at[i].path);
    ps_free(&p->at);
    p->n = 0;
}
