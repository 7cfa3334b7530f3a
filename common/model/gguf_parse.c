/* Happy path: counts, then every key and every tensor in a row through one cursor; then both are
 * sorted, so that two of a name stand side by side, and tensors that overlap too. A header that
 * goes on behind the bytes that were given is PS_AGAIN; one that goes on behind the file's end is
 * damaged. */
#include "common/model/gguf_parse.h"

#include "common/base/mem.h"

#include <inttypes.h>

#define CUT "; the file is cut off or damaged, fetch it anew"
enum { LEAST_KEY = 8 + 1 + 4 + 1, LEAST_TENSOR = 8 + 1 + 4 + 8 + 4 + 8, MAX_ALIGNMENT = 1 << 20 };

/* Bytes of a value; 0: it says so itself. */
static const uint8_t sizes[PS_GGUF_VALUES] = {
    [PS_GGUF_U8] = 1,  [PS_GGUF_I8] = 1,  [PS_GGUF_U16] = 2,    [PS_GGUF_I16] = 2,
    [PS_GGUF_U32] = 4, [PS_GGUF_I32] = 4, [PS_GGUF_FLOAT] = 4,  [PS_GGUF_BOOL] = 1,
    [PS_GGUF_U64] = 8, [PS_GGUF_I64] = 8, [PS_GGUF_DOUBLE] = 8,
};

typedef struct parser {
    ps_cursor c;
    ps_slice head;
    uint64_t file_bytes;
    ps_gguf *file;
} parser;

/* Bytes of the file from here on; not when the cursor has failed. */
static uint64_t left(const parser *p)
{
    return p->file_bytes - (uint64_t)(p->c.at - p->head.data);
}

static ps_status check_cut(const parser *p)
{
    if (!p->c.failed)
        return PS_OK;
    if (p->head.len < p->file_bytes)
        return ps_fail(PS_AGAIN, "the header is longer than %zu bytes", p->head.len);
    return ps_fail(PS_CORRUPT, "the file ends within the header, at byte %" PRIu64 CUT,
                   p->file_bytes);
}

static ps_status read_text(parser *p, ps_slice *out)
{
    uint64_t len = ps_read_u64le(&p->c);
    ps_status st = check_cut(p);
    if (st)
        return st;
    if (len > left(p))
        return ps_fail(PS_CORRUPT, "a text of %" PRIu64 " bytes, %" PRIu64 " are left" CUT, len,
                       left(p));
    *out = ps_read_bytes(&p->c, (size_t)len);
    return check_cut(p);
}

static ps_status read_name(parser *p, size_t most, ps_slice *out)
{
    ps_status st = read_text(p, out);
    if (st)
        return st;
    if (!out->len || out->len > most)
        return ps_fail(PS_CORRUPT, "a name of %zu bytes, allowed 1 to %zu", out->len, most);
    for (size_t i = 0; i < out->len; i++)
        if (out->data[i] <= ' ' || out->data[i] > '~')
            return ps_fail(PS_CORRUPT, "a name with the byte 0x%02x", out->data[i]);
    return PS_OK;
}

/* ---- keys ---- */

static ps_status read_type(parser *p, ps_gguf_value *out)
{
    uint32_t type = ps_read_u32le(&p->c);
    ps_status st = check_cut(p);
    if (!st && type >= PS_GGUF_VALUES)
        st = ps_fail(PS_CORRUPT, "type %" PRIu32 " is not known", type);
    if (!st)
        *out = (ps_gguf_value)type;
    return st;
}

static ps_status skip_array(parser *p, unsigned depth, ps_gguf_value *item, uint64_t *n,
                            ps_slice *values);

static ps_status skip_items(parser *p, unsigned depth, ps_gguf_value item, uint64_t n)
{
    uint64_t bytes = 0;
    if (__builtin_mul_overflow(n, sizes[item] ? sizes[item] : (uint64_t)8, &bytes) ||
        bytes > left(p))
        return ps_fail(PS_CORRUPT, "an array of %" PRIu64 ", %" PRIu64 " bytes are left" CUT, n,
                       left(p));
    if (sizes[item]) {
        (void)ps_read_bytes(&p->c, (size_t)bytes);
        return check_cut(p);
    }
    ps_status st = PS_OK;
    for (uint64_t i = 0; !st && i < n; i++) {
        ps_slice ignored;
        ps_gguf_value type;
        uint64_t count;
        st = item == PS_GGUF_STRING ? read_text(p, &ignored)
                                    : skip_array(p, depth + 1, &type, &count, &ignored);
    }
    return st;
}

static ps_status skip_array(parser *p, unsigned depth, ps_gguf_value *item, uint64_t *n,
                            ps_slice *values)
{
    if (depth == PS_GGUF_MAX_NESTED)
        return ps_fail(PS_CORRUPT, "arrays in arrays, more than %d deep", PS_GGUF_MAX_NESTED);
    ps_status st = read_type(p, item);
    *n = ps_read_u64le(&p->c);
    st = st ? st : check_cut(p);
    const uint8_t *start = p->c.at;
    if (!st)
        st = skip_items(p, depth, *item, *n);
    if (!st)
        *values = ps_slice_of(start, (size_t)(p->c.at - start));
    return st;
}

static ps_status read_value(parser *p, ps_gguf_key *key)
{
    ps_status st = read_type(p, &key->type);
    if (st)
        return st;
    if (key->type == PS_GGUF_ARRAY)
        return skip_array(p, 0, &key->item, &key->n, &key->bytes);
    if (key->type == PS_GGUF_STRING)
        return read_text(p, &key->bytes);
    key->bytes = ps_read_bytes(&p->c, sizes[key->type]);
    return check_cut(p);
}

static ps_status read_keys(parser *p, uint64_t n)
{
    if (n > PS_GGUF_MAX_KEYS || n > left(p) / LEAST_KEY)
        return ps_fail(PS_CORRUPT,
                       "%" PRIu64 " keys in a file of %" PRIu64 " bytes, allowed %d" CUT, n,
                       p->file_bytes, PS_GGUF_MAX_KEYS);
    ps_gguf *f = p->file;
    f->keys = ps_try_alloc((n + 1) * sizeof *f->keys);
    if (!f->keys)
        return ps_fail(PS_NO_MEMORY, "no memory for %" PRIu64 " keys", n);
    for (; f->n_keys < n; f->n_keys++) {
        ps_gguf_key *key = &f->keys[f->n_keys];
        ps_status st = read_name(p, PS_GGUF_MAX_KEY, &key->name);
        if (st)
            return ps_wrap(st, "key number %zu", f->n_keys + 1);
        st = read_value(p, key);
        if (st)
            return ps_wrap(st, "key %.*s", PS_GGUF_NAME(key->name));
    }
    return PS_OK;
}

/* ---- tensors ---- */

static ps_status read_sides(parser *p, ps_gguf_tensor *t)
{
    t->n_dims = ps_read_u32le(&p->c);
    ps_status st = check_cut(p);
    if (!st && (t->n_dims < 1 || t->n_dims > PS_GGUF_MAX_DIMS))
        st = ps_fail(PS_CORRUPT, "%" PRIu32 " dimensions, allowed 1 to %d", t->n_dims,
                     PS_GGUF_MAX_DIMS);
    for (uint32_t d = 0; !st && d < PS_GGUF_MAX_DIMS; d++) {
        t->sides[d] = d < t->n_dims ? ps_read_u64le(&p->c) : 1;
        st = check_cut(p);
        if (!st && !t->sides[d])
            st = ps_fail(PS_CORRUPT, "a dimension of 0");
    }
    return st;
}

static ps_status read_tensor_type(parser *p, ps_gguf_tensor *t)
{
    uint32_t type = ps_read_u32le(&p->c);
    ps_status st = check_cut(p);
    if (st)
        return st;
    const char *name = ps_gguf_type_name(type);
    t->form.row = ps_gguf_form_row(type);
    if (!t->form.row && name)
        return ps_fail(PS_INVALID_ARGUMENT, "it is %s; allowed: %s", name,
                       ps_gguf_types_known().text);
    if (!t->form.row)
        return ps_fail(PS_CORRUPT, "type %" PRIu32 " is not known", type);
    t->form.group = t->form.row->group;
    return PS_OK;
}

/* Bytes of the data, from sides and type. */
static ps_status count_bytes(const ps_gguf_tensor *t, uint64_t *out)
{
    uint32_t block = t->form.group;
    if (t->sides[0] % block)
        return ps_fail(PS_CORRUPT, "rows of %" PRIu64 ", no multiple of the %" PRIu32 " of %s",
                       t->sides[0], block, ps_gguf_type_name((uint32_t)t->form.row->ggml));
    uint64_t bytes = t->sides[0] / block;
    bool over = __builtin_mul_overflow(bytes, t->form.row->bytes(block), &bytes);
    for (uint32_t d = 1; d < PS_GGUF_MAX_DIMS; d++)
        over |= __builtin_mul_overflow(bytes, t->sides[d], &bytes);
    if (over)
        return ps_fail(PS_CORRUPT, "its dimensions are beyond any file");
    *out = bytes;
    return PS_OK;
}

/* begin and end are relative to the data for now. */
static ps_status read_tensor(parser *p, ps_gguf_tensor *t)
{
    ps_status st = read_sides(p, t);
    if (!st)
        st = read_tensor_type(p, t);
    t->begin = ps_read_u64le(&p->c);
    st = st ? st : check_cut(p);
    uint64_t bytes = 0;
    if (!st)
        st = count_bytes(t, &bytes);
    if (!st && t->begin % p->file->alignment)
        st = ps_fail(PS_CORRUPT, "offset %" PRIu64 " is no multiple of the alignment, %" PRIu64,
                     t->begin, p->file->alignment);
    if (!st && __builtin_add_overflow(t->begin, bytes, &t->end))
        st = ps_fail(PS_CORRUPT, "offset %" PRIu64 " is beyond any file", t->begin);
    return st;
}

static ps_status read_tensors(parser *p, uint64_t n)
{
    if (n > PS_GGUF_MAX_TENSORS || n > left(p) / LEAST_TENSOR)
        return ps_fail(PS_CORRUPT,
                       "%" PRIu64 " tensors in a file of %" PRIu64 " bytes, allowed %d" CUT, n,
                       p->file_bytes, PS_GGUF_MAX_TENSORS);
    ps_gguf *f = p->file;
    f->tensors = ps_try_alloc((n + 1) * sizeof *f->tensors);
    if (!f->tensors)
        return ps_fail(PS_NO_MEMORY, "no memory for %" PRIu64 " tensors", n);
    for (; f->n_tensors < n; f->n_tensors++) {
        ps_gguf_tensor *t = &f->tensors[f->n_tensors];
        ps_status st = read_name(p, PS_GGUF_MAX_NAME, &t->name);
        if (st)
            return ps_wrap(st, "tensor number %zu", f->n_tensors + 1);
        st = read_tensor(p, t);
        if (st)
            return ps_wrap(st, "tensor %.*s", PS_GGUF_NAME(t->name));
    }
    return PS_OK;
}

/* ---- across keys and tensors ---- */

/* Both begin with their name. */
static int compare_names(const void *a, const void *b)
{
    const ps_slice *x = a, *y = b;
    int order = memcmp(x->data, y->data, x->len < y->len ? x->len : y->len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

static int compare_begins(const void *a, const void *b)
{
    const ps_gguf_tensor *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

static ps_status settle_keys(ps_gguf *f)
{
    qsort(f->keys, f->n_keys, sizeof *f->keys, compare_names);
    for (size_t i = 1; i < f->n_keys; i++)
        if (!compare_names(&f->keys[i - 1], &f->keys[i]))
            return ps_fail(PS_CORRUPT, "key %.*s is there twice", PS_GGUF_NAME(f->keys[i].name));
    const ps_gguf_key *key = ps_gguf_find_key(f, "general.alignment");
    f->alignment = PS_GGUF_ALIGNMENT;
    if (!key)
        return PS_OK;
    ps_status st = ps_gguf_get_uint(key, &f->alignment);
    uint64_t a = f->alignment;
    if (!st && (!a || a > MAX_ALIGNMENT || (a & (a - 1))))
        st = ps_fail(PS_CORRUPT,
                     "key general.alignment: %" PRIu64 " is no power of two, or beyond %d", a,
                     MAX_ALIGNMENT);
    return st;
}

ps_status ps_gguf_sort_tensors(ps_gguf *f)
{
    qsort(f->tensors, f->n_tensors, sizeof *f->tensors, compare_names);
    for (size_t i = 1; i < f->n_tensors; i++)
        if (!compare_names(&f->tensors[i - 1], &f->tensors[i]))
            return ps_fail(PS_CORRUPT, "tensor %.*s is there twice",
                           PS_GGUF_NAME(f->tensors[i].name));
    return PS_OK;
}

/* Behind the header's end is room for the data of all. */
static ps_status place_tensors(parser *p, uint64_t end)
{
    ps_gguf *f = p->file;
    uint64_t whole = f->data_start = (end + f->alignment - 1) / f->alignment * f->alignment;
    for (size_t i = 0; i < f->n_tensors; i++) {
        ps_gguf_tensor *t = &f->tensors[i];
        if (__builtin_add_overflow(t->end, f->data_start, &t->end))
            return ps_fail(PS_CORRUPT, "tensor %.*s: it ends beyond any file",
                           PS_GGUF_NAME(t->name));
        t->begin += f->data_start;
        whole = t->end > whole ? t->end : whole;
    }
    return f->n_tensors && whole > p->file_bytes ? ps_fail(PS_CORRUPT,
                                                           "the file is cut off: it has %" PRIu64
                                                           " of %" PRIu64 " bytes; fetch it anew",
                                                           p->file_bytes, whole)
                                                 : PS_OK;
}

static ps_status settle_tensors(parser *p)
{
    ps_gguf *f = p->file;
    ps_status st = place_tensors(p, (uint64_t)(p->c.at - p->head.data));
    if (st)
        return st;
    qsort(f->tensors, f->n_tensors, sizeof *f->tensors, compare_begins);
    for (size_t i = 1; i < f->n_tensors; i++)
        if (f->tensors[i].begin < f->tensors[i - 1].end)
            return ps_fail(PS_CORRUPT, "tensors %.*s and %.*s overlap",
                           PS_GGUF_NAME(f->tensors[i - 1].name), PS_GGUF_NAME(f->tensors[i].name));
    return ps_gguf_sort_tensors(f);
}

static ps_status read_start(parser *p, uint64_t *n_tensors, uint64_t *n_keys)
{
    ps_slice magic = ps_read_bytes(&p->c, sizeof PS_GGUF_MAGIC - 1);
    uint32_t version = ps_read_u32le(&p->c);
    *n_tensors = ps_read_u64le(&p->c);
    *n_keys = ps_read_u64le(&p->c);
    ps_status st = check_cut(p);
    if (st)
        return st;
    if (memcmp(magic.data, PS_GGUF_MAGIC, magic.len) != 0)
        return ps_fail(PS_CORRUPT, "not a GGUF file");
    if (version && !(version & 0xffff))
        return ps_fail(PS_INVALID_ARGUMENT, "a big-endian GGUF file; little-endian ones are read");
    if (version < 2 || version > 3)
        return ps_fail(PS_INVALID_ARGUMENT, "GGUF version %" PRIu32 "; allowed: 2, 3", version);
    return PS_OK;
}

ps_status ps_gguf_parse(ps_slice head, uint64_t file_bytes, ps_gguf **out)
{
    parser p = {.c = ps_cursor_of(head), .head = head, .file_bytes = file_bytes};
    uint64_t n_tensors = 0, n_keys = 0;
    p.file = ps_new(ps_gguf);
    ps_status st = read_start(&p, &n_tensors, &n_keys);
    if (!st)
        st = read_keys(&p, n_keys);
    if (!st)
        st = settle_keys(p.file);
    if (!st)
        st = read_tensors(&p, n_tensors);
    if (!st)
        st = settle_tensors(&p);
    if (st)
        ps_gguf_free(&p.file);
    else
        *out = p.file;
    return st;
}

void ps_gguf_free(ps_gguf **file)
{
    if (!*file)
        return;
    ps_free(&(*file)->keys);
    ps_free(&(*file)->tensors);
    ps_free(file);
}

const ps_gguf_key *ps_gguf_find_key(const ps_gguf *f, const char *name)
{
    ps_gguf_key key = {.name = ps_slice_str(name)};
    return f->n_keys ? bsearch(&key, f->keys, f->n_keys, sizeof key, compare_names) : NULL;
}

const ps_gguf_tensor *ps_gguf_find_tensor(const ps_gguf *f, const char *name)
{
    ps_gguf_tensor key = {.name = ps_slice_str(name)};
    return f->n_tensors ? bsearch(&key, f->tensors, f->n_tensors, sizeof key, compare_names) : NULL;
}
