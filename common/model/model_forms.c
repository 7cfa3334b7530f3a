/* Happy path of the parse: every tensor is float32 at first; those that the metadata names get form
 * and shape, and must then be as many bytes as these say. Names are found in a sorted index, as a
 * hostile header may have a million of them. */
#include "common/model/model_forms.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/form/factors.h"
#include "common/json/json.h"

#include <inttypes.h>
#include <stdlib.h>

enum { DIMS = 2, KEY = 32 };

/* Numbers of a tensor: as many bytes as they take as float32 can be counted. */
static const uint64_t numbers_most = INT64_MAX / sizeof(float);

typedef struct parser {
    ps_json_reader json;
    const ps_safetensors *file;
    ps_model_form *tensors; /* [file->n_tensors] */
    ps_model_form **index;  /* by name */
} parser;

uint64_t ps_model_form_numbers(const ps_model_form *t)
{
    uint64_t n = 1;
    for (uint32_t d = 0; d < t->n_dims; d++)
        n *= t->shape[d];
    return n;
}

uint64_t ps_model_form_bytes(const ps_model_form *t)
{
    if (!t->form.row)
        return ps_model_form_numbers(t) * sizeof(float);
    if (t->form.rank)
        return (t->shape[0] + t->shape[1]) * t->form.rank * sizeof(float);
    return ps_model_form_rows(t) * ps_form_row_bytes(t->form, ps_model_form_columns(t));
}

ps_status ps_model_forms_check_growth(const ps_model_form *tensors, size_t n)
{
    double are = 0, become = 0;
    for (size_t i = 0; i < n; i++) {
        are += (double)ps_model_form_bytes(&tensors[i]);
        become += (double)ps_model_form_numbers(&tensors[i]) * sizeof(float);
    }
    return become <= PS_MODEL_FORMS_GROWTH * are
               ? PS_OK
               : ps_fail(PS_OUT_OF_RANGE,
                         "out of %.4g MB matrices of low rank make %.4g MB, more than %d times as "
                         "much; format safetensors keeps them as they are",
                         are / 1e6, become / 1e6, PS_MODEL_FORMS_GROWTH);
}

const ps_model_form *ps_model_form_find(const ps_model_form *tensors, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(tensors[i].name, name))
            return &tensors[i];
    return NULL;
}

/* ---- reading ---- */

static ps_status read_form(parser *p, ps_model_form *t)
{
    ps_json_token token;
    ps_status st = ps_json_expect(&p->json, PS_JSON_STRING, &token);
    if (st)
        return st;
    const char *text = (const char *)token.text.data;
    if (strlen(text) != token.text.len || !ps_form_parse_stored(text, &t->form))
        return ps_fail(PS_CORRUPT, "psd does not know the form '%.40s'", text);
    if (!t->form.rank && !strcmp(t->form.row->name, "float32"))
        return ps_fail(PS_CORRUPT, "float32 is no form of a U8 tensor; it is F32");
    return PS_OK;
}

static ps_status read_shape(parser *p, ps_model_form *t)
{
    ps_json_token token;
    ps_status st = ps_json_expect(&p->json, PS_JSON_ARRAY, &token);
    for (t->n_dims = 0; !st; t->n_dims++) {
        st = ps_json_next(&p->json, &token);
        if (st || token.kind == PS_JSON_ARRAY_END)
            break;
        if (token.kind != PS_JSON_NUMBER || !token.is_u64 || t->n_dims == DIMS)
            return ps_fail(PS_CORRUPT, "its shape must be two integers");
        t->shape[t->n_dims] = token.u64;
    }
    if (!st && t->n_dims != DIMS)
        st = ps_fail(PS_CORRUPT, "its shape must be two integers");
    return st;
}

static ps_status read_transposed(parser *p, ps_model_form *t)
{
    ps_json_token token;
    ps_status st = ps_json_next(&p->json, &token);
    if (!st && token.kind != PS_JSON_TRUE && token.kind != PS_JSON_FALSE)
        st = ps_fail(PS_CORRUPT, "transposed must be true or false");
    t->transposed = token.kind == PS_JSON_TRUE;
    return st;
}

static ps_status read_field(parser *p, const char *key, ps_model_form *t, unsigned *seen)
{
    static const struct {
        const char *key;
        ps_status (*read)(parser *p, ps_model_form *t);
    } fields[] = {{"form", read_form}, {"shape", read_shape}, {"transposed", read_transposed}};
    for (unsigned i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (strcmp(fields[i].key, key) != 0)
            continue;
        if (*seen & 1u << i)
            return ps_fail(PS_CORRUPT, "%s is there twice", key);
        *seen |= 1u << i;
        return fields[i].read(p, t);
    }
    return ps_fail(PS_CORRUPT, "psd does not know the key '%.*s'", KEY, key);
}

static ps_status check_factors(const ps_safetensors_tensor *stored, const ps_model_form *t)
{
    uint32_t rank = t->form.rank;
    if (!ps_factors_fit(rank, t->shape[0], t->shape[1]))
        return ps_fail(PS_CORRUPT, "[%" PRIu64 ", %" PRIu64 "] is no product of two of rank %u",
                       t->shape[0], t->shape[1], rank);
    if (stored->dtype != PS_SAFETENSORS_F32 || stored->n_dims != DIMS ||
        stored->shape[0] != t->shape[0] + t->shape[1] || stored->shape[1] != rank)
        return ps_fail(PS_CORRUPT,
                       "[%" PRIu64 ", %" PRIu64 "] of rank %u is F32 of [%" PRIu64
                       ", %u], which it is not",
                       t->shape[0], t->shape[1], rank, t->shape[0] + t->shape[1], rank);
    return PS_OK;
}

/* Does what the metadata says fit the tensor that is there? */
static ps_status check(const ps_safetensors_tensor *stored, const ps_model_form *t)
{
    char text[PS_FORM_TEXT];
    uint64_t rows = ps_model_form_rows(t), columns = ps_model_form_columns(t), numbers = 0;
    (void)ps_form_text(t->form, text);
    if (t->form.rank)
        return check_factors(stored, t);
    if (!rows || __builtin_mul_overflow(rows, columns, &numbers) || numbers > numbers_most)
        return ps_fail(PS_CORRUPT, "[%" PRIu64 ", %" PRIu64 "] is no shape that can be stored",
                       t->shape[0], t->shape[1]);
    if (!ps_form_divides(t->form, columns))
        return ps_fail(PS_CORRUPT, "a row of %" PRIu64 " numbers is not whole blocks of %s",
                       columns, text);
    uint64_t bytes = ps_form_row_bytes(t->form, columns);
    if (stored->dtype != PS_SAFETENSORS_U8 || stored->n_dims != DIMS || stored->shape[0] != rows ||
        stored->shape[1] != bytes)
        return ps_fail(PS_CORRUPT,
                       "[%" PRIu64 ", %" PRIu64 "] in form %s is U8 of [%" PRIu64 ", %" PRIu64
                       "], which it is not",
                       t->shape[0], t->shape[1], text, rows, bytes);
    return PS_OK;
}

static ps_status read_fields(parser *p, ps_model_form *t)
{
    ps_json_token token;
    unsigned seen = 0;
    ps_status st = ps_json_expect(&p->json, PS_JSON_OBJECT, &token);
    while (ps_json_member(&p->json, &token, &st)) {
        char key[KEY]; /* the token's text goes with the next one */
        size_t len = token.text.len < sizeof key ? token.text.len : sizeof key - 1;
        memcpy(key, token.text.data, len);
        key[len] = '\0';
        st = read_field(p, key, t, &seen);
    }
    if (!st && (seen & 3) != 3)
        st = ps_fail(PS_CORRUPT, "needs form and shape");
    return st ? st : check(&p->file->tensors[t - p->tensors], t);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(ps_model_form *const *)a)->name, (*(ps_model_form *const *)b)->name);
}

static ps_status read_entry(parser *p, ps_slice name)
{
    char text[PS_SAFETENSORS_MAX_NAME + 1];
    size_t len = name.len < sizeof text ? name.len : sizeof text - 1;
    memcpy(text, name.data, len);
    text[len] = '\0';
    ps_model_form key = {.name = text}, *wanted = &key, **found = NULL;
    if (p->file->n_tensors && name.len == strlen(text))
        found = bsearch(&wanted, p->index, p->file->n_tensors, sizeof *p->index, by_name);
    if (!found)
        return ps_fail(PS_CORRUPT, "the file has no tensor %.100s", text);
    if ((*found)->form.row)
        return ps_fail(PS_CORRUPT, "tensor %.100s is there twice", text);
    ps_status st = read_fields(p, *found);
    return st ? ps_wrap(st, "tensor %.100s", text) : PS_OK;
}

static ps_status read_entries(parser *p, const char *text)
{
    ps_json_token token;
    ps_json_reader_init(&p->json, ps_slice_str(text));
    ps_status st = ps_json_expect(&p->json, PS_JSON_OBJECT, &token);
    while (ps_json_member(&p->json, &token, &st))
        st = read_entry(p, token.text);
    if (!st)
        st = ps_json_expect(&p->json, PS_JSON_END, &token);
    ps_json_reader_free(&p->json);
    return st ? ps_wrap(st, PS_MODEL_META_FORMS) : PS_OK;
}

/* As if there were no forms. */
static void begin(parser *p)
{
    for (size_t i = 0; i < p->file->n_tensors; i++) {
        const ps_safetensors_tensor *from = &p->file->tensors[i];
        p->tensors[i] = (ps_model_form){.name = from->name, .n_dims = from->n_dims};
        memcpy(p->tensors[i].shape, from->shape, sizeof from->shape);
        p->index[i] = &p->tensors[i];
    }
    if (p->file->n_tensors)
        qsort(p->index, p->file->n_tensors, sizeof *p->index, by_name);
}

static ps_status check_rest(const parser *p)
{
    for (size_t i = 0; i < p->file->n_tensors; i++)
        if (!p->tensors[i].form.row && p->file->tensors[i].dtype != PS_SAFETENSORS_F32)
            return ps_fail(PS_CORRUPT, "tensor %.100s is %s; psd holds F32, and its own forms",
                           p->tensors[i].name, ps_safetensors_type_of(&p->file->tensors[i]));
    return PS_OK;
}

ps_status ps_model_forms_parse(const ps_safetensors *file, ps_model_form **out)
{
    const char *text = ps_safetensors_metadata(file, PS_MODEL_META_FORMS);
    parser p = {.file = file};
    p.tensors = ps_try_alloc((file->n_tensors + 1) * sizeof *p.tensors);
    p.index = ps_try_alloc((file->n_tensors + 1) * sizeof(ps_model_form *));
    ps_status st = p.tensors && p.index
                       ? PS_OK
                       : ps_fail(PS_NO_MEMORY, "forms of %zu tensors", file->n_tensors);
    if (!st)
        begin(&p);
    if (!st && text)
        st = read_entries(&p, text);
    if (!st)
        st = check_rest(&p);
    ps_free(&p.index);
    if (st)
        ps_free(&p.tensors);
    else
        *out = p.tensors;
    return st;
}

/* ---- writing ---- */

static void put(ps_json_writer *w, const ps_model_form *t)
{
    char text[PS_FORM_TEXT];
    PS_REQUIRE(t->n_dims == DIMS);
    PS_REQUIRE(t->form.rank || ps_form_divides(t->form, ps_model_form_columns(t)));
    ps_json_key(w, t->name);
    ps_json_object(w);
    ps_json_put_string(w, "form", ps_form_text(t->form, text));
    ps_json_key(w, "shape");
    ps_json_array(w);
    for (uint32_t d = 0; d < DIMS; d++)
        ps_json_uint(w, t->shape[d]);
    ps_json_array_end(w);
    if (t->transposed)
        ps_json_put_bool(w, "transposed", true);
    ps_json_object_end(w);
}

void ps_model_forms_format(const ps_model_form *tensors, size_t n, ps_buf *out)
{
    ps_json_writer w = ps_json_writer_to(out);
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        if (!tensors[i].form.row)
            continue;
        if (!any)
            ps_json_object(&w);
        any = true;
        put(&w, &tensors[i]);
    }
    if (any)
        ps_json_object_end(&w);
}

ps_safetensors_tensor ps_model_form_stored(const ps_model_form *t)
{
    ps_safetensors_tensor out = {.name = t->name, .dtype = PS_SAFETENSORS_F32, .n_dims = t->n_dims};
    memcpy(out.shape, t->shape, sizeof t->shape);
    if (t->form.rank) {
        out.shape[0] = t->shape[0] + t->shape[1];
        out.shape[1] = t->form.rank;
    } else if (t->form.row) {
        out.dtype = PS_SAFETENSORS_U8;
        out.shape[0] = ps_model_form_rows(t);
        out.shape[1] = ps_form_row_bytes(t->form, ps_model_form_columns(t));
    }
    return out;
}

ps_model_form ps_model_form_as_stored(const ps_model_form *t)
{
    ps_model_form out = *t;
    if (t->form.rank) {
        out.form = (ps_form){0};
        out.shape[0] = t->shape[0] + t->shape[1];
        out.shape[1] = t->form.rank;
    } else if (t->transposed) {
        out.shape[0] = t->shape[1];
        out.shape[1] = t->shape[0];
    }
    out.transposed = false;
    return out;
}

/* ---- in words ---- */

enum { LISTED = 64 }; /* different forms; there are fewer */

typedef struct share {
    char text[PS_FORM_TEXT];
    uint64_t numbers;
} share;

static int by_numbers(const void *a, const void *b)
{
    const share *x = a, *y = b;
    if (x->numbers != y->numbers)
        return x->numbers > y->numbers ? -1 : 1;
    return strcmp(x->text, y->text);
}

void ps_model_forms_list(const ps_model_form *tensors, size_t n, ps_buf *out)
{
    share shares[LISTED] = {{{0}, 0}};
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        char text[PS_FORM_TEXT] = "float32";
        if (tensors[i].form.row)
            (void)ps_form_text(tensors[i].form, text);
        size_t at = 0;
        while (at < count && strcmp(shares[at].text, text) != 0)
            at++;
        if (at == LISTED)
            continue;
        count = at == count ? count + 1 : count;
        memcpy(shares[at].text, text, sizeof text);
        shares[at].numbers += ps_model_form_numbers(&tensors[i]);
    }
    qsort(shares, count, sizeof *shares, by_numbers);
    for (size_t i = 0; i < count; i++)
        ps_buf_printf(out, "%s%s", i ? ", " : "", shares[i].text);
}
