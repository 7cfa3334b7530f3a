/* Happy path: N is read and bounded, the JSON is pulled token by token into tensors, the tensors
 * are sorted by where their data begins, and then one pass sees that each begins where the one
 * before ended and that names differ. Everything is sized by a peer's file, so it grows by
 * ps_try_alloc; all failures but PS_NO_MEMORY are PS_CORRUPT and name the tensor or the byte. */
#include "common/format/safetensors.h"

#include "common/base/mem.h"
#include "common/json/json.h"

#include <inttypes.h>
#include <stdio.h>

static const struct {
    const char *name;
    size_t size;
} dtypes[PS_SAFETENSORS_DTYPE_COUNT] = {
#define X(n, s) [PS_SAFETENSORS_##n] = {.name = #n, .size = s},
    PS_SAFETENSORS_DTYPES(X)
#undef X
};

const char *ps_safetensors_dtype_name(ps_safetensors_dtype dtype)
{
    return dtypes[dtype].name;
}

size_t ps_safetensors_dtype_size(ps_safetensors_dtype dtype)
{
    return dtypes[dtype].size;
}

const char *ps_safetensors_type_of(const ps_safetensors_tensor *tensor)
{
    return tensor->dtype == PS_SAFETENSORS_OTHER ? tensor->other : dtypes[tensor->dtype].name;
}

/* The parse; names are kept in blocks of their own because a file may have many. */
typedef struct parser {
    ps_json_reader json;
    ps_safetensors *file;
    size_t tensors_capacity, metadata_capacity;
} parser;

/* Doubles *items; what was there is moved. */
static ps_status grow(void **items, size_t n, size_t *capacity, size_t one)
{
    if (n < *capacity)
        return PS_OK;
    size_t next = *capacity ? *capacity * 2 : 16;
    void *moved = ps_try_alloc(next * one);
    if (!moved)
        return ps_fail(PS_NO_MEMORY, "no memory for %zu entries", next);
    if (n)
        memcpy(moved, *items, n * one);
    ps_free(items);
    *items = moved;
    *capacity = next;
    return PS_OK;
}

static ps_status keep_text(ps_slice text, char **out)
{
    if (memchr(text.data, 0, text.len))
        return ps_fail(PS_CORRUPT, "a zero byte in a name");
    char *copy = ps_try_alloc_raw(text.len + 1);
    if (!copy)
        return ps_fail(PS_NO_MEMORY, "no memory for a text of %zu bytes", text.len);
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    *out = copy;
    return PS_OK;
}

static void drop_text(const char **text)
{
    union {
        const char *kept;
        char *gone;
    } p = {.kept = *text}; /* const for those who read the parsed file */
    ps_free(&p.gone);
    *text = NULL;
}

static ps_status read_metadata(parser *p)
{
    ps_json_token token;
    ps_status st = ps_json_expect(&p->json, PS_JSON_OBJECT, &token);
    while (ps_json_member(&p->json, &token, &st)) {
        ps_safetensors *f = p->file;
        void *items = f->metadata;
        st = grow(&items, f->n_metadata, &p->metadata_capacity, sizeof *f->metadata);
        f->metadata = items;
        if (st)
            return st;
        ps_safetensors_pair *pair = &f->metadata[f->n_metadata];
        char *text = NULL;
        st = keep_text(token.text, &text);
        if (st)
            return st;
        f->n_metadata++; /* from here on freed with the file */
        pair->key = text;
        st = ps_json_expect(&p->json, PS_JSON_STRING, &token);
        if (!st)
            st = keep_text(token.text, &text);
        if (!st)
            pair->value = text;
    }
    return st;
}

/* A dtype that is new is no damage: the tensor may be one that its reader passes over. */
static ps_status read_dtype(parser *p, ps_safetensors_tensor *t)
{
    ps_json_token token;
    ps_status st = ps_json_expect(&p->json, PS_JSON_STRING, &token);
    if (st)
        return st;
    for (int i = 0; i < PS_SAFETENSORS_OTHER; i++) {
        if (strlen(dtypes[i].name) != token.text.len ||
            memcmp(dtypes[i].name, token.text.data, token.text.len) != 0)
            continue;
        t->dtype = (ps_safetensors_dtype)i;
        return PS_OK;
    }
    const char *name = (const char *)token.text.data;
    size_t known = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    if (!known || known != token.text.len || known >= sizeof t->other)
        return ps_fail(PS_CORRUPT, "'%.20s' is no dtype", name);
    t->dtype = PS_SAFETENSORS_OTHER;
    memcpy(t->other, name, known);
    return PS_OK;
}

/* An array of plain integers; at most `most`. */
static ps_status read_u64s(parser *p, uint64_t *out, uint32_t most, uint32_t *n)
{
    ps_json_token token;
    ps_status st = ps_json_expect(&p->json, PS_JSON_ARRAY, &token);
    for (*n = 0; !st; (*n)++) {
        st = ps_json_next(&p->json, &token);
        if (st || token.kind == PS_JSON_ARRAY_END)
            return st;
        if (token.kind != PS_JSON_NUMBER || !token.is_u64)
            return ps_fail(PS_CORRUPT, "expected integers from 0");
        if (*n == most)
            return ps_fail(PS_CORRUPT, "more than %" PRIu32 " numbers", most);
        out[*n] = token.u64;
    }
    return st;
}

static ps_status read_field(parser *p, ps_slice key, ps_safetensors_tensor *t, unsigned *seen)
{
    static const char *const names[] = {"dtype", "shape", "data_offsets"};
    unsigned which = 0;
    while (which < 3 &&
           (strlen(names[which]) != key.len || memcmp(names[which], key.data, key.len)))
        which++;
    if (which == 3)
        return ps_fail(PS_CORRUPT, "unknown key '%.40s'", (const char *)key.data);
    if (*seen & 1u << which)
        return ps_fail(PS_CORRUPT, "%s is there twice", names[which]);
    *seen |= 1u << which;
    if (which == 0)
        return read_dtype(p, t);
    if (which == 1)
        return read_u64s(p, t->shape, PS_SAFETENSORS_MAX_DIMS, &t->n_dims);
    uint64_t ends[2] = {0};
    uint32_t n = 0;
    ps_status st = read_u64s(p, ends, 2, &n);
    if (!st && n != 2)
        st = ps_fail(PS_CORRUPT, "data_offsets must be two numbers");
    t->begin = ends[0];
    t->end = ends[1];
    return st;
}

/* Elements times their size; false when that is beyond 2^63. */
static bool tensor_bytes(const ps_safetensors_tensor *t, uint64_t *out)
{
    uint64_t n = dtypes[t->dtype].size;
    bool zero = false, over = false;
    for (uint32_t d = 0; d < t->n_dims; d++) {
        zero |= t->shape[d] == 0;
        over |= t->shape[d] && __builtin_mul_overflow(n, t->shape[d], &n);
    }
    *out = zero ? 0 : n;
    return !over && n <= INT64_MAX;
}

static ps_status read_fields(parser *p, ps_safetensors_tensor *t)
{
    ps_json_token token;
    unsigned seen = 0;
    ps_status st = ps_json_expect(&p->json, PS_JSON_OBJECT, &token);
    while (ps_json_member(&p->json, &token, &st)) {
        ps_buf key = PS_BUF_EMPTY; /* the token's text goes with the next one */
        ps_buf_append(&key, token.text.data, token.text.len < 64 ? token.text.len : 64);
        (void)ps_buf_cstr(&key);
        st = read_field(p, ps_buf_slice(&key), t, &seen);
        ps_buf_free(&key);
    }
    if (st)
        return st;
    uint64_t bytes = 0;
    if (seen != 7)
        return ps_fail(PS_CORRUPT, "needs dtype, shape and data_offsets");
    if (!tensor_bytes(t, &bytes))
        return ps_fail(PS_CORRUPT, "its shape is too large");
    if (t->dtype == PS_SAFETENSORS_OTHER && t->begin <= t->end)
        return PS_OK;
    if (t->begin > t->end || t->end - t->begin != bytes)
        return ps_fail(PS_CORRUPT,
                       "shape and dtype take %" PRIu64 " bytes, but data_offsets are [%" PRIu64
                       ", %" PRIu64 "]",
                       bytes, t->begin, t->end);
    return PS_OK;
}

static ps_status read_tensor(parser *p, ps_slice name)
{
    ps_safetensors *f = p->file;
    if (name.len == 0 || name.len > PS_SAFETENSORS_MAX_NAME)
        return ps_fail(PS_CORRUPT, "a tensor's name has %zu bytes, allowed 1 to %d", name.len,
                       PS_SAFETENSORS_MAX_NAME);
    void *items = f->tensors;
    ps_status st = grow(&items, f->n_tensors, &p->tensors_capacity, sizeof *f->tensors);
    f->tensors = items;
    if (st)
        return st;
    char *text = NULL;
    st = keep_text(name, &text);
    if (st)
        return st;
    ps_safetensors_tensor *t = &f->tensors[f->n_tensors++];
    t->name = text;
    st = read_fields(p, t);
    return st ? ps_wrap(st, "tensor %.100s", text) : PS_OK;
}

static ps_status read_entries(parser *p)
{
    ps_json_token token;
    bool had_metadata = false;
    ps_status st = ps_json_expect(&p->json, PS_JSON_OBJECT, &token);
    while (ps_json_member(&p->json, &token, &st)) {
        if (token.text.len != 12 || memcmp(token.text.data, "__metadata__", 12) != 0) {
            st = read_tensor(p, token.text);
            continue;
        }
        if (had_metadata)
            return ps_fail(PS_CORRUPT, "__metadata__ is there twice");
        had_metadata = true;
        st = read_metadata(p);
        if (st)
            st = ps_wrap(st, "__metadata__");
    }
    return st ? st : ps_json_expect(&p->json, PS_JSON_END, &token);
}

static int by_begin(const void *a, const void *b)
{
    const ps_safetensors_tensor *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) /* an empty one before the one that begins where it is */
        return x->end < y->end ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static ps_status check_names(const ps_safetensors *f)
{
    const char **names = ps_try_alloc((f->n_tensors + 1) * sizeof *names);
    if (!names)
        return ps_fail(PS_NO_MEMORY, "no memory for %zu names", f->n_tensors);
    for (size_t i = 0; i < f->n_tensors; i++)
        names[i] = f->tensors[i].name;
    qsort(names, f->n_tensors, sizeof *names, by_name);
    ps_status st = PS_OK;
    for (size_t i = 1; i < f->n_tensors && !st; i++)
        if (!strcmp(names[i - 1], names[i]))
            st = ps_fail(PS_CORRUPT, "tensor %.100s is there twice", names[i]);
    ps_free(&names);
    return st;
}

static ps_status check_layout(ps_safetensors *f, uint64_t file_bytes)
{
    uint64_t at = 0;
    if (f->n_tensors)
        qsort(f->tensors, f->n_tensors, sizeof *f->tensors, by_begin);
    for (size_t i = 0; i < f->n_tensors; i++) {
        const ps_safetensors_tensor *t = &f->tensors[i];
        if (t->begin != at)
            return ps_fail(PS_CORRUPT,
                           "tensor %.100s: its data begins at %" PRIu64 ", %s at %" PRIu64, t->name,
                           t->begin,
                           t->begin < at ? "inside another one that ends" : "after a hole", at);
        at = t->end;
    }
    f->data_bytes = at;
    if (at > INT64_MAX - f->data_start)
        return ps_fail(PS_CORRUPT, "its data is too large");
    if (file_bytes < f->data_start + at)
        return ps_fail(PS_CORRUPT,
                       "the file is cut off: it has %" PRIu64 " of %" PRIu64
                       " bytes; fetch it anew",
                       file_bytes, f->data_start + at);
    if (file_bytes != UINT64_MAX && file_bytes != f->data_start + at)
        return ps_fail(PS_CORRUPT, "the file has %" PRIu64 " bytes, its header says %" PRIu64,
                       file_bytes, f->data_start + at);
    return check_names(f);
}

ps_status ps_safetensors_header_bytes(ps_slice first, uint64_t *out)
{
    ps_cursor c = ps_cursor_of(first);
    uint64_t n = ps_read_u64le(&c);
    if (c.failed)
        return ps_fail(PS_CORRUPT, "safetensors: %zu bytes are not even a length", first.len);
    if (n < 2 || n > PS_SAFETENSORS_MAX_HEADER)
        return ps_fail(PS_CORRUPT,
                       "safetensors: a header of %" PRIu64 " bytes, allowed 2 to %d; is it another "
                       "kind of file?",
                       n, PS_SAFETENSORS_MAX_HEADER);
    *out = 8 + n;
    return PS_OK;
}

ps_status ps_safetensors_parse(ps_slice head, uint64_t file_bytes, ps_safetensors **out)
{
    uint64_t size = 0;
    ps_status st = ps_safetensors_header_bytes(head, &size);
    if (st)
        return st;
    if (head.len < size)
        return ps_fail(PS_CORRUPT,
                       "safetensors: the header takes %" PRIu64 " bytes, only %zu are there", size,
                       head.len);
    if (head.data[8] != '{')
        return ps_fail(PS_CORRUPT, "safetensors: the header does not start with {");
    parser p = {.file = ps_new(ps_safetensors)};
    p.file->data_start = size;
    ps_json_reader_init(&p.json, ps_slice_of(head.data + 8, size - 8));
    st = read_entries(&p);
    if (!st)
        st = check_layout(p.file, file_bytes);
    ps_json_reader_free(&p.json);
    if (st) {
        ps_safetensors_free(&p.file);
        return ps_wrap(st, "safetensors");
    }
    *out = p.file;
    return PS_OK;
}

void ps_safetensors_free(ps_safetensors **file)
{
    ps_safetensors *f = *file;
    if (!f)
        return;
    for (size_t i = 0; i < f->n_tensors; i++)
        drop_text(&f->tensors[i].name);
    for (size_t i = 0; i < f->n_metadata; i++) {
        drop_text(&f->metadata[i].key);
        drop_text(&f->metadata[i].value);
    }
    ps_free(&f->tensors);
    ps_free(&f->metadata);
    ps_free(file);
}

const ps_safetensors_tensor *ps_safetensors_find(const ps_safetensors *file, const char *name)
{
    for (size_t i = 0; i < file->n_tensors; i++)
        if (!strcmp(file->tensors[i].name, name))
            return &file->tensors[i];
    return NULL;
}

const char *ps_safetensors_metadata(const ps_safetensors *file, const char *key)
{
    for (size_t i = 0; i < file->n_metadata; i++)
        if (!strcmp(file->metadata[i].key, key))
            return file->metadata[i].value;
    return NULL;
}
