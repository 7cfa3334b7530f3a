/* The header's metadata: "psd_explain_part" the version; "rows" what stands of each row; "method.3"
 * what the arrays of method 3 are, in the order of its tensors; "sources" as sources.h has it. */
#include "worker/explain/part_file.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/json/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION_KEY "psd_explain_part"
#define VERSION     "1"

/* The part of that number; the one behind the methods is that of the rows. */
static const ps_explain_part *part_at(const ps_explain_parts *parts, size_t i)
{
    return i < parts->n_methods ? &parts->methods[i] : &parts->rows;
}

/* ---- writing ---- */

static void put_numbers(ps_json_writer *w, const char *key, const uint64_t *numbers, size_t n)
{
    ps_json_key(w, key);
    ps_json_array(w);
    for (size_t i = 0; i < n; i++)
        ps_json_uint(w, numbers[i]);
    ps_json_array_end(w);
}

static void write_rows(const ps_explain_parts *parts, ps_buf *out)
{
    ps_json_writer w = ps_json_writer_to(out);
    size_t shown =
        parts->n_left_out < PS_EXPLAIN_LEFT_OUT ? (size_t)parts->n_left_out : PS_EXPLAIN_LEFT_OUT;
    ps_json_object(&w);
    ps_json_put_uint(&w, "n_left_out", parts->n_left_out);
    put_numbers(&w, "left_out", parts->left_out, shown);
    ps_json_key(&w, "rows");
    ps_json_array(&w);
    for (size_t i = 0; i < parts->n_info; i++) {
        const ps_explain_row_info *r = &parts->info[i];
        ps_json_array(&w);
        ps_json_uint(&w, r->row);
        ps_json_int(&w, r->label);
        ps_json_int(&w, r->prediction);
        ps_json_int(&w, r->target);
        ps_json_double(&w, r->confidence);
        ps_json_double(&w, r->score);
        ps_json_array_end(&w);
    }
    ps_json_array_end(&w);
    ps_json_object_end(&w);
}

static void write_part(const ps_explain_part *part, ps_buf *out)
{
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    ps_json_put_double(&w, "tolerance", part->tolerance);
    ps_json_put_uint(&w, "evaluations", part->evaluations);
    ps_json_put_double(&w, "seconds", part->seconds);
    ps_json_key(&w, "arrays");
    ps_json_array(&w);
    for (size_t i = 0; i < part->n; i++) {
        ps_json_object(&w);
        ps_json_put_string(&w, "name", part->arrays[i].name);
        ps_json_put_string(&w, "axes", part->arrays[i].axes);
        ps_json_put_uint(&w, "kind", part->arrays[i].kind);
        ps_json_object_end(&w);
    }
    ps_json_array_end(&w);
    ps_json_key(&w, "warnings");
    ps_json_array(&w);
    for (size_t i = 0; i < part->n_warnings; i++)
        ps_json_string(&w, part->warnings[i]);
    ps_json_array_end(&w);
    ps_json_object_end(&w);
}

/* What the file has, in its order. */
typedef struct contents {
    ps_safetensors_tensor *tensors;
    const ps_explain_array **arrays;
    size_t n;
    ps_safetensors_pair *pairs;
    size_t n_pairs;
} contents;

static void add_pair(contents *c, char *key, ps_buf *value)
{
    c->pairs[c->n_pairs++] =
        (ps_safetensors_pair){.key = key, .value = ps_strdup(ps_buf_cstr(value))};
    ps_buf_free(value);
}

static void list_arrays(const ps_explain_part *part, size_t number, contents *c)
{
    for (size_t i = 0; i < part->n; i++) {
        const ps_explain_array *a = &part->arrays[i];
        ps_safetensors_tensor *t = &c->tensors[c->n];
        *t = (ps_safetensors_tensor){.name = ps_asprintf("%zu/%s", number, a->name),
                                     .dtype = a->kind == PS_EXPLAIN_SUMS ? PS_SAFETENSORS_F64
                                                                         : PS_SAFETENSORS_F32,
                                     .n_dims = (uint32_t)a->rank};
        memcpy(t->shape, a->shape, (size_t)a->rank * sizeof *a->shape);
        c->arrays[c->n++] = a;
    }
}

static void list_all(const ps_explain_parts *parts, contents *c)
{
    size_t n = 0;
    for (size_t i = 0; i <= parts->n_methods; i++)
        n += part_at(parts, i)->n;
    *c = (contents){.tensors = ps_alloc_array(n + 1, sizeof *c->tensors),
                    .arrays = ps_alloc_array(n + 1, sizeof *c->arrays),
                    .pairs = ps_alloc_array(parts->n_methods + 4, sizeof *c->pairs)};
    ps_buf text = PS_BUF_EMPTY;
    ps_buf_puts(&text, VERSION);
    add_pair(c, ps_strdup(VERSION_KEY), &text);
    write_rows(parts, &text);
    add_pair(c, ps_strdup("rows"), &text);
    ps_explain_sources_write(&parts->sources, &text);
    add_pair(c, ps_strdup("sources"), &text);
    for (size_t i = 0; i <= parts->n_methods; i++) {
        list_arrays(part_at(parts, i), i, c);
        write_part(part_at(parts, i), &text);
        add_pair(c, ps_asprintf("method.%zu", i), &text);
    }
}

static void free_text(const char *text)
{
    union {
        const char *kept;
        char *gone;
    } p = {.kept = text};
    ps_free(&p.gone);
}

static void contents_free(contents *c)
{
    for (size_t i = 0; i < c->n; i++)
        free_text(c->tensors[i].name);
    for (size_t i = 0; i < c->n_pairs; i++) {
        free_text(c->pairs[i].key);
        free_text(c->pairs[i].value);
    }
    ps_free(&c->tensors);
    ps_free(&c->arrays);
    ps_free(&c->pairs);
}

static ps_status write_data(const contents *c, ps_safetensors_writer *w)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < c->n; i++) {
        const ps_explain_array *a = c->arrays[ps_safetensors_writer_order(w, i)];
        uint64_t n = ps_explain_array_count(a);
        st = a->kind == PS_EXPLAIN_SUMS
                 ? ps_safetensors_writer_data(w, a->doubles, n * sizeof(double))
                 : ps_safetensors_writer_data(w, a->floats, n * sizeof(float));
    }
    return st;
}

ps_status ps_explain_parts_write(const ps_explain_parts *parts, ps_safetensors_sink sink)
{
    contents c;
    ps_safetensors_writer *w = NULL;
    list_all(parts, &c);
    ps_status st = ps_safetensors_writer_new(c.tensors, c.n, c.pairs, c.n_pairs, sink, &w);
    if (!st)
        st = write_data(&c, w);
    if (!st)
        st = ps_safetensors_writer_finish(&w);
    ps_safetensors_writer_free(&w);
    contents_free(&c);
    return st;
}

/* ---- reading ---- */

static ps_status corrupt(const char *what)
{
    return ps_fail(PS_CORRUPT, "a part of an explanation: %s", what);
}

static ps_status next_number(ps_json_reader *r, double *out)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    if (!st && token.kind != PS_JSON_NUMBER && token.kind != PS_JSON_NULL)
        st = corrupt("a number is none");
    *out = !st && token.kind == PS_JSON_NUMBER ? token.number : 0;
    return st;
}

static ps_status next_whole(ps_json_reader *r, double least, double most, double *out)
{
    ps_status st = next_number(r, out);
    if (!st && !(*out >= least && *out <= most && *out == (double)(int64_t)*out))
        st = corrupt("a number is out of range");
    return st;
}

static ps_status read_row(ps_json_reader *r, ps_explain_parts *out)
{
    double row = 0, label = 0, prediction = 0, target = 0;
    ps_explain_row_info info = {0};
    ps_json_token token;
    ps_status st = next_whole(r, 0, 1e15, &row);
    if (!st)
        st = next_whole(r, -1, 1e15, &label);
    if (!st)
        st = next_whole(r, 0, 1e15, &prediction);
    if (!st)
        st = next_whole(r, 0, 1e15, &target);
    if (!st)
        st = next_number(r, &info.confidence);
    if (!st)
        st = next_number(r, &info.score);
    if (!st)
        st = ps_json_expect(r, PS_JSON_ARRAY_END, &token);
    info.row = (uint64_t)row;
    info.label = (int64_t)label;
    info.prediction = (int64_t)prediction;
    info.target = (int64_t)target;
    return st ? st : ps_explain_parts_add_row(out, &info);
}

static ps_status too_many(void)
{
    return corrupt("it has more rows than its task");
}

static ps_status read_row_list(ps_json_reader *r, uint64_t most, ps_explain_parts *out)
{
    ps_json_token token;
    ps_status st = ps_json_expect(r, PS_JSON_ARRAY, &token);
    while (!st && !(st = ps_json_next(r, &token)) && token.kind == PS_JSON_ARRAY)
        st = out->n_info < most ? read_row(r, out) : too_many();
    return st || token.kind == PS_JSON_ARRAY_END ? st : corrupt("rows are no list");
}

static ps_status read_left_out(ps_json_reader *r, ps_explain_parts *out)
{
    ps_json_token token;
    size_t n = 0;
    ps_status st = ps_json_expect(r, PS_JSON_ARRAY, &token);
    while (!st && !(st = ps_json_next(r, &token)) && token.kind == PS_JSON_NUMBER)
        if (n < PS_EXPLAIN_LEFT_OUT)
            out->left_out[n++] = token.is_u64 ? token.u64 : 0;
    return st || token.kind == PS_JSON_ARRAY_END ? st : corrupt("rows left out are no list");
}

static ps_status read_rows(ps_slice text, uint64_t most, ps_explain_parts *out)
{
    ps_json_reader r;
    ps_json_token token;
    ps_json_reader_init(&r, text);
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &token);
    while (ps_json_member(&r, &token, &st)) {
        double n = 0;
        if (!strcmp((const char *)token.text.data, "rows"))
            st = read_row_list(&r, most, out);
        else if (!strcmp((const char *)token.text.data, "left_out"))
            st = read_left_out(&r, out);
        else if (!strcmp((const char *)token.text.data, "n_left_out"))
            st = next_whole(&r, 0, 1e9, &n), out->n_left_out = (uint64_t)n;
        else
            st = ps_json_skip(&r);
    }
    ps_json_reader_free(&r);
    return st || out->n_info + out->n_left_out <= most ? st : too_many();
}

/* An array of a method, as the header describes it and the file has it. */
typedef struct described {
    char name[PS_EXPLAIN_NAME], axes[PS_EXPLAIN_AXES];
    double kind;
} described;

static ps_status read_text(ps_json_reader *r, size_t most, char *out)
{
    ps_json_token token;
    ps_status st = ps_json_expect(r, PS_JSON_STRING, &token);
    if (st)
        return st;
    if (token.text.len >= most || memchr(token.text.data, 0, token.text.len))
        return corrupt("a name is too long");
    memcpy(out, token.text.data, token.text.len);
    out[token.text.len] = 0;
    return PS_OK;
}

static ps_status read_described(ps_json_reader *r, described *out)
{
    ps_json_token token;
    ps_status st = PS_OK;
    *out = (described){.kind = -1};
    while (ps_json_member(r, &token, &st)) {
        if (!strcmp((const char *)token.text.data, "name"))
            st = read_text(r, sizeof out->name, out->name);
        else if (!strcmp((const char *)token.text.data, "axes"))
            st = read_text(r, sizeof out->axes, out->axes);
        else if (!strcmp((const char *)token.text.data, "kind"))
            st = next_whole(r, 0, PS_EXPLAIN_RESULT, &out->kind);
        else
            st = ps_json_skip(r);
    }
    bool named = *out->name &&
                 strspn(out->name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(out->name);
    return st || (named && out->kind >= 0) ? st : corrupt("an array without name or kind");
}

typedef struct reading {
    ps_slice bytes;
    const ps_safetensors *file;
    size_t number; /* of the part */
    uint64_t rows; /* at most */
    ps_explain_part *part;
} reading;

static ps_status take_array(const reading *in, const described *d)
{
    char name[PS_EXPLAIN_NAME + 24];
    (void)snprintf(name, sizeof name, "%zu/%s", in->number, d->name);
    const ps_safetensors_tensor *t = ps_safetensors_find(in->file, name);
    bool sums = (unsigned)d->kind == PS_EXPLAIN_SUMS;
    bool fits = t && t->n_dims <= PS_EXPLAIN_RANK_MAX &&
                t->dtype == (sums ? PS_SAFETENSORS_F64 : PS_SAFETENSORS_F32) &&
                ((unsigned)d->kind != PS_EXPLAIN_OF_ROWS || t->n_dims > 0);
    if (!fits || in->part->n == PS_EXPLAIN_ARRAYS_MAX || ps_explain_get(in->part, d->name))
        return corrupt("an array is not what its header says");
    if ((unsigned)d->kind == PS_EXPLAIN_OF_ROWS && t->shape[0] > in->rows)
        return too_many();
    size_t len = (size_t)(t->end - t->begin);
    void *memory = ps_try_alloc_raw(len ? len : 1);
    if (!memory)
        return ps_fail(PS_NO_MEMORY, "%s: %zu bytes", name, len);
    memcpy(memory, in->bytes.data + in->file->data_start + t->begin, len);
    ps_explain_array *a = &in->part->arrays[in->part->n++];
    *a = (ps_explain_array){.kind = (ps_explain_array_kind)d->kind,
                            .rank = (int)t->n_dims,
                            .floats = sums ? NULL : memory,
                            .doubles = sums ? memory : NULL};
    memcpy(a->shape, t->shape, t->n_dims * sizeof *t->shape);
    memcpy(a->name, d->name, sizeof a->name);
    memcpy(a->axes, d->axes, sizeof a->axes);
    return PS_OK;
}

static ps_status read_arrays(ps_json_reader *r, const reading *in)
{
    ps_json_token token;
    described d;
    ps_status st = ps_json_expect(r, PS_JSON_ARRAY, &token);
    while (!st && !(st = ps_json_next(r, &token)) && token.kind == PS_JSON_OBJECT) {
        st = read_described(r, &d);
        if (!st)
            st = take_array(in, &d);
    }
    return st || token.kind == PS_JSON_ARRAY_END ? st : corrupt("arrays are no list");
}

static ps_status read_warnings(ps_json_reader *r, ps_explain_part *part)
{
    ps_json_token token;
    ps_status st = ps_json_expect(r, PS_JSON_ARRAY, &token);
    while (!st && !(st = ps_json_next(r, &token)) && token.kind == PS_JSON_STRING)
        ps_explain_warn(part, "%.*s", (int)(token.text.len < 255 ? token.text.len : 255),
                        (const char *)token.text.data);
    return st || token.kind == PS_JSON_ARRAY_END ? st : corrupt("warnings are no list");
}

static ps_status read_part(ps_slice text, const reading *in)
{
    ps_json_reader r;
    ps_json_token token;
    double evaluations = 0;
    ps_json_reader_init(&r, text);
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &token);
    while (ps_json_member(&r, &token, &st)) {
        const char *key = (const char *)token.text.data;
        if (!strcmp(key, "tolerance"))
            st = next_number(&r, &in->part->tolerance);
        else if (!strcmp(key, "evaluations"))
            st = next_whole(&r, 0, 1e15, &evaluations);
        else if (!strcmp(key, "seconds"))
            st = next_number(&r, &in->part->seconds);
        else if (!strcmp(key, "arrays"))
            st = read_arrays(&r, in);
        else if (!strcmp(key, "warnings"))
            st = read_warnings(&r, in->part);
        else
            st = ps_json_skip(&r);
    }
    in->part->evaluations = (uint64_t)evaluations;
    ps_json_reader_free(&r);
    return st;
}

static ps_status read_all(const ps_safetensors *file, ps_slice bytes, uint64_t most,
                          ps_explain_parts *out)
{
    const char *version = ps_safetensors_metadata(file, VERSION_KEY),
               *rows = ps_safetensors_metadata(file, "rows"),
               *sources = ps_safetensors_metadata(file, "sources");
    if (!version || strcmp(version, VERSION) != 0 || !rows)
        return corrupt("it is of another version, or none");
    ps_status st = read_rows(ps_slice_str(rows), most, out);
    if (!st && sources)
        st = ps_explain_sources_read(ps_slice_str(sources), &out->sources);
    for (size_t i = 0; !st && i <= out->n_methods; i++) {
        char key[40];
        (void)snprintf(key, sizeof key, "method.%zu", i);
        const char *text = ps_safetensors_metadata(file, key);
        ps_explain_part *part = i < out->n_methods ? &out->methods[i] : &out->rows;
        const reading in = {.bytes = bytes, .file = file, .number = i, .rows = most, .part = part};
        st = text ? read_part(ps_slice_str(text), &in) : corrupt("a method is missing");
    }
    return st;
}

ps_status ps_explain_parts_read(ps_slice bytes, size_t n_methods, uint64_t rows,
                                ps_explain_parts *out)
{
    ps_safetensors *file = NULL;
    ps_explain_parts_init(out, n_methods);
    ps_status st = ps_safetensors_parse(bytes, bytes.len, &file);
    if (!st)
        st = read_all(file, bytes, rows, out);
    ps_safetensors_free(&file);
    if (st)
        ps_explain_parts_free(out);
    return st;
}
