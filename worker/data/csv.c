/* Happy path: the numbers of each row are read as doubles, normalised, and kept as floats in two
 * arrays that grow within the budget. Failures name file, line and column. */
#include "worker/data/csv.h"

#include "common/base/mem.h"
#include "worker/data/class_names.h"
#include "worker/data/csv_file.h"

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

/* A file being read. */
typedef struct csv_reading {
    const ps_normaliser *normaliser;
    csv_state *state;
    ps_class_names *names; /* of labels; NULL: they are numbers */
    double *values;        /* [features] of a row */
} csv_reading;

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

static ps_status read_features(csv_reading *c, const ps_csv_file *f, const ps_csv_record *r)
{
    csv_state *s = c->state;
    size_t n = f->columns.features;
    bool missing;
    for (size_t i = 0; i < n; i++) {
        ps_status st = ps_csv_file_feature(f, r, i, &c->values[i], &missing);
        if (st)
            return st;
    }
    size_t good = ps_normaliser_apply(c->normaliser, c->values, 0, n, s->x + s->rows * n);
    if (good == n)
        return PS_OK;
    size_t column = ps_csv_feature(&f->columns, good);
    return ps_fail(PS_CORRUPT, "%s: %s is beyond float32, normalised",
                   ps_csv_file_column(f, column).text, ps_csv_show(r->fields[column].text).text);
}

static ps_status read_class_name(const csv_reading *c, const ps_csv_file *f, const ps_csv_record *r,
                                 const char *text, int32_t *out)
{
    ps_status st = ps_class_names_find(c->names, text, out);
    if (st) /* it is the file that is wrong */
        st = ps_fail(PS_INVALID_ARGUMENT, "row %zu has label %s, %s%s", f->rows,
                     ps_csv_show(text).text, ps_error_message(), ps_csv_file_hint(f, r, ""));
    return st;
}

static ps_status read_class(const csv_reading *c, const ps_csv_file *f, const ps_csv_record *r,
                            int32_t *out)
{
    size_t column = f->columns.first_label;
    const char *text = r->fields[column].text;
    if (c->names)
        return read_class_name(c, f, r, text, out);
    double v;
    ps_status st = ps_csv_file_label(f, r, column, &v);
    if (st)
        return st;
    int64_t classes = f->options->classes, most = classes ? classes - 1 : INT32_MAX;
    if (v != floor(v) || v < 0 || v > (double)most)
        return ps_fail(PS_INVALID_ARGUMENT, "row %zu has label %s, allowed 0 to %" PRId64 "%s",
                       f->rows, text, most, v == (double)classes ? PS_LABELS_FROM_ONE : "");
    *out = (int32_t)v;
    return PS_OK;
}

static ps_status read_target(const ps_csv_file *f, const ps_csv_record *r, size_t column,
                             float *out)
{
    double v;
    ps_status st = ps_csv_file_label(f, r, column, &v);
    if (st)
        return st;
    *out = (float)v;
    if (!isfinite(*out))
        return ps_fail(PS_CORRUPT, "%s: %s is beyond float32", ps_csv_file_column(f, column).text,
                       ps_csv_show(r->fields[column].text).text);
    return PS_OK;
}

static ps_status read_labels(csv_reading *c, const ps_csv_file *f, const ps_csv_record *r)
{
    csv_state *s = c->state;
    csv_label *y = s->y + s->rows * f->columns.n_labels;
    ps_status st = PS_OK;
    if (f->options->labels == PS_LABELS_NONE)
        return PS_OK; /* whatever stands there */
    if (f->options->labels == PS_LABELS_CLASSES) {
        st = read_class(c, f, r, &y->class);
        if (!st && y->class >= s->classes)
            s->classes = (int64_t)y->class + 1;
        return st;
    }
    for (size_t i = 0; i < f->columns.n_labels && !st; i++)
        st = read_target(f, r, f->columns.first_label + i, &y[i].real);
    return st;
}

static ps_status begin_cb(void *user, const ps_csv_file *f)
{
    csv_reading *c = user;
    c->state->columns = f->columns;
    c->values = ps_alloc_array(f->columns.features, sizeof *c->values);
    return f->options->numbers.n ? ps_dataset_check_features(f->options, f->columns.features)
                                 : PS_OK;
}

static ps_status row_cb(void *user, const ps_csv_file *f, const ps_csv_record *r)
{
    csv_reading *c = user;
    ps_status st = grow(c->state, f->options->max_bytes);
    if (!st)
        st = read_features(c, f, r);
    if (!st)
        st = read_labels(c, f, r);
    if (!st)
        c->state->rows++;
    return st;
}

/* ---- the file ---- */

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
    csv_state *s = ps_new(csv_state);
    csv_reading c = {.normaliser = normaliser, .state = s};
    if (normaliser->scale == 0)
        normaliser->scale = 1;
    if (o->labels == PS_LABELS_CLASSES && o->n_class_names)
        c.names = ps_class_names_new(o->class_names, o->n_class_names);
    ps_status st =
        ps_csv_file_visit(o, &(ps_csv_visitor){.begin = begin_cb, .row = row_cb, .user = &c});
    ps_class_names_free(&c.names);
    ps_free(&c.values);
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
    .survey = ps_csv_survey,
};
