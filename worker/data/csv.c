/* Happy path: the first record says how many columns there are and which are labels; every further
 * one has as many numbers. They are read as doubles, normalised, and kept as floats in two arrays
 * that grow within the budget. Failures name file, line and column. */
#include "worker/data/csv.h"

#include "common/base/mem.h"
#include "worker/data/class_names.h"
#include "worker/data/csv_columns.h"
#include "worker/data/csv_number.h"
#include "worker/data/csv_text.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* A label: CLASSES have the one, REALS the other. */
typedef union csv_label {
    int32_t class;
    float real;
} csv_label;

typedef struct csv_state {
    ps_csv_columns columns;
    size_t rows, capacity; /* in rows */
    float *x;              /* [rows, features] */
    csv_label *y;          /* [rows, n_labels] */
    int64_t classes;
} csv_state;

/* One file being read. */
typedef struct csv_file {
    const ps_dataset_options *options;
    const ps_normaliser *normaliser;
    ps_csv_text *text;
    csv_state *state;
    ps_class_names *names; /* of labels; NULL: they are numbers */
    double *values;        /* [features] of a row */
    size_t first;          /* line of the first record */
} csv_file;

/* ---- memory ---- */

static ps_status grow_array(void *array, size_t used, size_t n)
{
    _Static_assert(sizeof(csv_label) == sizeof(float), "both arrays grow by the same rule");
    void **values = array, *moved = ps_try_alloc_raw((n ? n : 1) * sizeof(float));
    if (!moved)
        return ps_fail(PS_NO_MEMORY, "no memory for %zu values", n);
    if (used)
        memcpy(moved, *values, used * sizeof(float));
    ps_free(values);
    *values = moved;
    return PS_OK;
}

static ps_status grow(csv_state *s, uint64_t max_bytes)
{
    if (s->rows < s->capacity)
        return PS_OK;
    size_t next = s->capacity ? s->capacity + s->capacity / 2 : 1024;
    uint64_t row = s->columns.n * sizeof(float);
    if (next > max_bytes / row)
        next = (size_t)(max_bytes / row);
    if (next <= s->rows)
        return ps_fail(PS_RESOURCE_EXHAUSTED, "more than %" PRIu64 " bytes in memory", max_bytes);
    ps_status st = grow_array(&s->x, s->rows * s->columns.features, next * s->columns.features);
    if (!st)
        st = grow_array(&s->y, s->rows * s->columns.n_labels, next * s->columns.n_labels);
    if (!st)
        s->capacity = next;
    return st;
}

/* ---- a record ---- */

static bool has_numbers(const ps_csv_record *r)
{
    double ignored;
    for (size_t i = 0; i < r->n; i++)
        if (ps_csv_number(r->fields[i].text, &ignored))
            return true;
    return false;
}

static const char *hint_for(const csv_file *f, const ps_csv_record *r, const char *text)
{
    const char *delimiter = ps_csv_delimiter_hint(text);
    if (*delimiter)
        return delimiter;
    return r->line == f->first && !f->options->data->csv.header && !has_numbers(r)
               ? "; if the first line names the columns: data.csv.header: true (--header)"
               : "";
}

/* What to do about a value that is missing. */
static const char feature_missing[] =
    "data.csv.missing (error or zero) says what becomes of a feature that is missing";
static const char label_missing[] = "a row needs its label";

static ps_status read_number(const csv_file *f, const ps_csv_record *r, size_t column,
                             const char *missing, double *out)
{
    const char *text = r->fields[column].text;
    if (ps_csv_missing(text))
        return ps_fail(PS_CORRUPT, "column %zu is %s; %s", column,
                       *text ? ps_csv_show(text).text : "empty", missing);
    if (!ps_csv_number(text, out))
        return ps_fail(PS_CORRUPT, "column %zu: %s is not a number%s", column,
                       ps_csv_show(text).text, hint_for(f, r, text));
    if (!isfinite(*out))
        return ps_fail(PS_CORRUPT, "column %zu: %s is too large for a number", column,
                       ps_csv_show(text).text);
    return PS_OK;
}

static ps_status read_features(csv_file *f, const ps_csv_record *r)
{
    csv_state *s = f->state;
    const ps_csv_columns *c = &s->columns;
    bool zero = f->options->data->csv.missing == PS_SPEC_MISSING_ZERO;
    for (size_t i = 0; i < c->features; i++) {
        size_t column = ps_csv_feature(c, i);
        f->values[i] = 0;
        if (zero && ps_csv_missing(r->fields[column].text))
            continue;
        ps_status st = read_number(f, r, column, feature_missing, &f->values[i]);
        if (st)
            return st;
    }
    size_t good =
        ps_normaliser_apply(f->normaliser, f->values, c->features, s->x + s->rows * c->features);
    if (good == c->features)
        return PS_OK;
    size_t column = ps_csv_feature(c, good);
    return ps_fail(PS_CORRUPT, "column %zu: %s is beyond float32, normalised", column,
                   ps_csv_show(r->fields[column].text).text);
}

static ps_status read_class_name(csv_file *f, const ps_csv_record *r, const char *text,
                                 int32_t *out)
{
    ps_status st = ps_class_names_find(f->names, text, out);
    if (st) /* it is the file that is wrong */
        st = ps_fail(PS_INVALID_ARGUMENT, "row %zu has label %s, %s%s", f->state->rows,
                     ps_csv_show(text).text, ps_error_message(), hint_for(f, r, ""));
    return st;
}

static ps_status read_class(csv_file *f, const ps_csv_record *r, int32_t *out)
{
    csv_state *s = f->state;
    size_t column = s->columns.first_label;
    const char *text = r->fields[column].text;
    if (f->names)
        return read_class_name(f, r, text, out);
    double v;
    ps_status st = read_number(f, r, column, label_missing, &v);
    if (st)
        return st;
    int64_t classes = f->options->classes, most = classes ? classes - 1 : INT32_MAX;
    if (v != floor(v) || v < 0 || v > (double)most)
        return ps_fail(PS_INVALID_ARGUMENT, "row %zu has label %s, allowed 0 to %" PRId64 "%s",
                       s->rows, text, most, v == (double)classes ? PS_LABELS_FROM_ONE : "");
    *out = (int32_t)v;
    return PS_OK;
}

static ps_status read_target(const csv_file *f, const ps_csv_record *r, size_t column, float *out)
{
    double v;
    ps_status st = read_number(f, r, column, label_missing, &v);
    if (st)
        return st;
    *out = (float)v;
    if (!isfinite(*out))
        return ps_fail(PS_CORRUPT, "column %zu: %s is beyond float32", column,
                       ps_csv_show(r->fields[column].text).text);
    return PS_OK;
}

static ps_status read_labels(csv_file *f, const ps_csv_record *r)
{
    csv_state *s = f->state;
    const ps_csv_columns *c = &s->columns;
    csv_label *y = s->y + s->rows * c->n_labels;
    ps_status st = PS_OK;
    if (f->options->labels == PS_LABELS_NONE)
        return PS_OK; /* whatever stands there */
    if (f->options->labels == PS_LABELS_CLASSES) {
        st = read_class(f, r, &y->class);
        if (!st && y->class >= s->classes)
            s->classes = (int64_t)y->class + 1;
        return st;
    }
    for (size_t i = 0; i < c->n_labels && !st; i++)
        st = read_target(f, r, c->first_label + i, &y[i].real);
    return st;
}

static ps_status read_row(csv_file *f, const ps_csv_record *r)
{
    csv_state *s = f->state;
    if (r->n != s->columns.n)
        return ps_fail(PS_CORRUPT, "%zu column%s, but the first line has %zu", r->n,
                       r->n == 1 ? "" : "s", s->columns.n);
    ps_status st = grow(s, f->options->max_bytes);
    if (!st)
        st = read_features(f, r);
    if (!st)
        st = read_labels(f, r);
    if (!st)
        s->rows++;
    return st;
}

/* ---- the file ---- */

static ps_status learn(csv_file *f, const ps_csv_record *first)
{
    f->first = first->line;
    ps_status st = ps_csv_columns_learn(f->options, first, &f->state->columns);
    if (!st)
        f->values = ps_alloc_array(f->state->columns.features, sizeof *f->values);
    return st;
}

static ps_status read_records(csv_file *f)
{
    ps_csv_record r;
    ps_status st = ps_csv_text_next(f->text, &r);
    for (bool first = true; !st; first = false) {
        st = first ? learn(f, &r) : PS_OK;
        if (!st && !(first && f->options->data->csv.header))
            st = read_row(f, &r);
        if (st)
            return ps_csv_text_at(f->text, r.line, st);
        st = ps_csv_text_next(f->text, &r);
    }
    return st == PS_END ? PS_OK : st;
}

static void csv_close(void *state)
{
    csv_state *s = state;
    ps_free(&s->x);
    ps_free(&s->y);
    ps_free(&s);
}

static ps_status csv_open(const ps_dataset_options *o, ps_normaliser *normaliser,
                          ps_dataset_shape *shape, void **state)
{
    const char *delimiter = o->data->csv.delimiter;
    csv_file f = {.options = o, .normaliser = normaliser};
    ps_status st = ps_csv_text_open(o->files->features,
                                    strcmp(delimiter, "tab") ? delimiter[0] : '\t', &f.text);
    if (st)
        return st;
    if (normaliser->scale == 0)
        normaliser->scale = 1;
    csv_state *s = f.state = ps_new(csv_state);
    if (o->labels == PS_LABELS_CLASSES && o->n_class_names)
        f.names = ps_class_names_new(o->class_names, o->n_class_names);
    st = read_records(&f);
    ps_class_names_free(&f.names);
    ps_csv_text_close(&f.text);
    ps_free(&f.values);
    if (st) {
        csv_close(s);
        return st;
    }
    *shape = (ps_dataset_shape){
        .rows = s->rows,
        .features = s->columns.features,
        .targets = o->labels == PS_LABELS_REALS ? s->columns.n_labels : 0,
        .classes = s->classes,
    };
    *state = s;
    return PS_OK;
}

static void csv_row(const void *state, const ps_normaliser *normaliser, size_t row, float *features,
                    void *label)
{
    const csv_state *s = state;
    size_t n = s->columns.features, n_labels = s->columns.n_labels;
    memcpy(features, s->x + row * n, n * sizeof *features);
    if (label)
        memcpy(label, s->y + row * n_labels, n_labels * sizeof *s->y);
}

const ps_reader ps_reader_csv = {
    .name = "csv",
    .open = csv_open,
    .close = csv_close,
    .row = csv_row,
};
