/* Happy path: header, bounds, one allocation, one read; labels likewise, then every label is looked
 * at. Values stay as they are in the file and become floats row by row. It fails on a header that
 * cannot be, a file that is shorter or longer than it says, and labels that do not fit. */
#include "worker/data/idx.h"

#include "common/base/bits.h"
#include "common/base/mem.h"
#include "common/format/idx_header.h"
#include "common/format/source.h"
#include "worker/data/survey.h"

#include <inttypes.h>
#include <math.h>

enum { PIECE = 512 };

/* One file in memory. */
typedef struct idx_file {
    char *path;
    ps_idx_type type;
    size_t rows, columns; /* columns: the product of the other dimensions */
    size_t data_start;    /* bytes of the header */
    ps_idx_header header;
    uint8_t *values;
} idx_file;

typedef struct idx_state {
    idx_file features;
    /* features of bytes, by far the most common: each, normalised, where all are in the same way */
    float bytes[UINT8_MAX + 1];
    idx_file labels; /* values NULL: none */
    ps_label_kind kind;
} idx_state;

static uint64_t read_be(const uint8_t *p, size_t bytes)
{
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

static double value_at(const idx_file *f, size_t i)
{
    const uint8_t *p = f->values + i * ps_idx_size_of(f->type);
    switch (f->type) {
    case PS_IDX_U8:
        return *p;
    case PS_IDX_I8:
        return (int8_t)*p;
    case PS_IDX_I16:
        return (int16_t)read_be(p, 2);
    case PS_IDX_I32:
        return (int32_t)read_be(p, 4);
    case PS_IDX_F32:
        return (double)ps_float_of_bits((uint32_t)read_be(p, 4));
    case PS_IDX_F64:
        return ps_double_of_bits(read_be(p, 8));
    }
    return 0;
}

static ps_status read_header(ps_source *source, idx_file *f)
{
    ps_idx_header header;
    ps_status st = ps_idx_header_read(source, &header);
    if (st)
        return st;
    f->type = header.type;
    f->rows = header.dims[0];
    f->columns = header.columns;
    f->data_start = header.bytes;
    f->header = header;
    return PS_OK;
}

/* What the header claims, against the budget and against what the file could hold. */
static ps_status check_size(const ps_source *source, const idx_file *f, uint64_t budget,
                            size_t *bytes)
{
    if (__builtin_mul_overflow(f->rows, f->columns, bytes) ||
        __builtin_mul_overflow(*bytes, ps_idx_size_of(f->type), bytes) ||
        *bytes > SIZE_MAX - f->data_start || *bytes + f->data_start > ps_source_most(source))
        return ps_fail(PS_CORRUPT,
                       "%s: truncated, its header says %zu rows of %zu values from byte %zu on, "
                       "which it cannot hold",
                       f->path, f->rows, f->columns, f->data_start);
    if (*bytes > budget)
        return ps_fail(PS_RESOURCE_EXHAUSTED, "%s: %zu bytes in memory, at most %" PRIu64, f->path,
                       *bytes, budget);
    return PS_OK;
}

static ps_status read_values(ps_source *source, idx_file *f, uint64_t *budget)
{
    size_t bytes = 0;
    ps_status st = read_header(source, f);
    if (!st)
        st = check_size(source, f, *budget, &bytes);
    if (st)
        return st;
    f->values = ps_try_alloc_raw(bytes ? bytes : 1);
    if (!f->values)
        return ps_fail(PS_NO_MEMORY, "%s: no memory for %zu bytes", f->path, bytes);
    *budget -= bytes;
    st = ps_source_read_exactly(source, f->values, bytes);
    return st ? st : ps_source_expect_end(source);
}

static ps_status load(const char *path, uint64_t *budget, idx_file *f)
{
    ps_source *source = NULL;
    ps_status st = ps_source_open(path, &source);
    if (st)
        return st;
    f->path = ps_strdup(path);
    st = ps_source_check_foreign(source);
    if (!st)
        st = read_values(source, f, budget);
    ps_source_close(&source);
    return st;
}

static void drop(idx_file *f)
{
    ps_free(&f->path);
    ps_free(&f->values);
}

/* ---- features ---- */

/* Values first to first + n - 1 of the file as the model takes them. The first that is not finite
 * then, or n. */
static size_t normalised(const idx_file *f, const ps_normaliser *normaliser, size_t first, size_t n,
                         float *out)
{
    double values[PIECE];
    for (size_t done = 0, part; done < n; done += part) {
        size_t column = (first + done) % f->columns;
        part = n - done < PIECE ? n - done : PIECE;
        if (normaliser->stds && part > f->columns - column)
            part = f->columns - column; /* not into the next row */
        for (size_t i = 0; i < part; i++)
            values[i] = value_at(f, first + done + i);
        size_t good = ps_normaliser_apply(normaliser, values, column, part, out + done);
        if (good < part)
            return done + good;
    }
    return n;
}

static ps_status not_finite(const idx_file *f, size_t at)
{
    const char *what = isfinite(value_at(f, at)) ? "beyond float32, normalised" : "not a number";
    return ps_fail(PS_CORRUPT, "%s: byte %zu: row %zu has a value that is %s", f->path,
                   f->data_start + at * ps_idx_size_of(f->type), at / f->columns, what);
}

static ps_status check_finite(const idx_file *f, const ps_normaliser *normaliser)
{
    float ignored[PIECE];
    size_t n = f->rows * f->columns, bad = n;
    for (size_t at = 0, part, good; at < n && bad == n; at += part) {
        part = n - at < PIECE ? n - at : PIECE;
        good = normalised(f, normaliser, at, part, ignored);
        bad = good < part ? at + good : n;
    }
    return bad == n ? PS_OK : not_finite(f, bad);
}

/* Of bytes it is enough to look at the ends. */
static ps_status prepare_bytes(idx_state *s, const ps_normaliser *normaliser)
{
    static const double ends[] = {0, UINT8_MAX};
    double values[UINT8_MAX + 1];
    float ignored;
    bool finite = true;
    for (size_t i = 0; normaliser->stds && i < 2 * s->features.columns; i++)
        finite &= ps_normaliser_apply(normaliser, &ends[i % 2], i / 2, 1, &ignored) == 1;
    for (size_t i = 0; i <= UINT8_MAX; i++)
        values[i] = (double)i;
    if (!normaliser->stds)
        finite = ps_normaliser_apply(normaliser, values, 0, UINT8_MAX + 1, s->bytes) > UINT8_MAX;
    return finite ? PS_OK
                  : ps_fail(PS_INVALID_ARGUMENT, "%s: bytes, normalised, are beyond float32",
                            s->features.path);
}

/* Rows of as many numbers in another order would be read without a word: colours last, as most
 * programs have them, or width before height. */
static ps_status check_image(const ps_image_size *image, const idx_file *f)
{
    const uint32_t *d = f->header.dims;
    bool planes = f->header.n_dims == 4, flat = f->header.n_dims == 3 && image->channels == 1;
    ps_image_size has = {planes ? d[1] : 1, planes ? d[2] : d[1], planes ? d[3] : d[2]};
    bool same =
        has.channels == image->channels && has.height == image->height && has.width == image->width;
    if (!image->channels || (!planes && !flat) || same)
        return PS_OK;
    return ps_fail(
        PS_INVALID_ARGUMENT,
        "%s: rows of %" PRId64 " × %" PRId64 " × %" PRId64 ", but the model takes %" PRId64
        " × %" PRId64 " × %" PRId64 ": channels, height, width",
        f->path, has.channels, has.height, has.width, image->channels, image->height, image->width);
}

static ps_status check_columns(const ps_dataset_options *o, const idx_file *f)
{
    ps_status st = ps_dataset_check_features(o, f->columns);
    return st ? ps_wrap(st, "%s", f->path) : PS_OK;
}

static ps_status prepare_features(const ps_dataset_options *o, idx_state *s,
                                  ps_normaliser *normaliser)
{
    bool bytes = s->features.type == PS_IDX_U8;
    ps_status st = o->numbers.n ? check_columns(o, &s->features) : PS_OK;
    if (st)
        return st;
    if (normaliser->scale == 0)
        normaliser->scale = bytes ? 1.0 / UINT8_MAX : 1;
    return bytes ? prepare_bytes(s, normaliser) : check_finite(&s->features, normaliser);
}

/* ---- labels ---- */

static ps_status check_classes(const idx_file *f, int64_t classes, int64_t *found)
{
    if (f->type == PS_IDX_F32 || f->type == PS_IDX_F64 || f->columns != 1)
        return ps_fail(PS_CORRUPT, "%s: classes must be one integer a row", f->path);
    int64_t largest = -1;
    for (size_t i = 0; i < f->rows; i++) {
        int64_t label = (int64_t)value_at(f, i);
        if (label < 0 || (classes && label >= classes))
            return ps_fail(
                PS_INVALID_ARGUMENT,
                "%s: byte %zu: row %zu has label %" PRId64 ", allowed 0 to %" PRId64 "%s", f->path,
                f->data_start + i * ps_idx_size_of(f->type), i, label,
                classes ? classes - 1 : INT32_MAX, label == classes ? PS_LABELS_FROM_ONE : "");
        largest = label > largest ? label : largest;
    }
    *found = largest + 1;
    return PS_OK;
}

static ps_status check_targets(const idx_file *f, size_t *targets)
{
    for (size_t i = 0; i < f->rows * f->columns; i++)
        if (!isfinite((float)value_at(f, i)))
            return ps_fail(PS_CORRUPT, "%s: byte %zu: row %zu has a value that is not a number",
                           f->path, f->data_start + i * ps_idx_size_of(f->type), i / f->columns);
    *targets = f->columns;
    return PS_OK;
}

static ps_status load_labels(const ps_dataset_options *o, uint64_t *budget, idx_state *s,
                             ps_dataset_shape *shape)
{
    if (o->labels == PS_LABELS_NONE)
        return PS_OK;
    ps_status st = load(o->files->labels, budget, &s->labels);
    if (st)
        return st;
    if (s->labels.rows != s->features.rows)
        return ps_fail(PS_INVALID_ARGUMENT, "%s has %zu rows, but %s has %zu", s->labels.path,
                       s->labels.rows, s->features.path, s->features.rows);
    if (o->labels == PS_LABELS_CLASSES)
        return check_classes(&s->labels, o->classes, &shape->classes);
    return check_targets(&s->labels, &shape->targets);
}

/* ---- survey ---- */

static ps_status add_moments(const idx_file *f, ps_moments *m)
{
    double *values = ps_alloc_array(f->columns, sizeof *values);
    ps_status st = PS_OK;
    ps_moments_init(m, f->columns);
    for (size_t row = 0; row < f->rows && !st; row++) {
        for (size_t i = 0; i < f->columns && !st; i++) {
            values[i] = value_at(f, row * f->columns + i);
            if (!isfinite(values[i]))
                st = not_finite(f, row * f->columns + i);
        }
        if (!st)
            ps_moments_add(m, values, NULL);
    }
    ps_free(&values);
    return st;
}

static ps_status idx_survey(const ps_dataset_options *o, ps_survey_wants wants, ps_survey *out)
{
    idx_file f = {0};
    uint64_t budget = o->max_bytes;
    size_t bad = 0;
    if (!wants.moments)
        return PS_OK;
    ps_status st = load(o->files->features, &budget, &f);
    if (!st)
        st = check_columns(o, &f);
    if (!st && f.rows == 0)
        st = ps_fail(PS_INVALID_ARGUMENT, "%s: no rows", f.path);
    if (!st)
        st = add_moments(&f, &out->moments);
    if (!st) {
        st = ps_moments_finish(&out->moments, &bad);
        st = st ? ps_wrap(st, "%s: number %zu of each row", f.path, bad) : PS_OK;
    }
    drop(&f);
    return st;
}

/* ---- the table's row ---- */

static void idx_close(void *state)
{
    idx_state *s = state;
    drop(&s->features);
    drop(&s->labels);
    ps_free(&s);
}

static ps_status idx_open(const ps_dataset_options *o, ps_normaliser *normaliser,
                          ps_dataset_shape *shape, void **state)
{
    idx_state *s = ps_new(idx_state);
    uint64_t budget = o->max_bytes;
    s->kind = o->labels;
    ps_status st = load(o->files->features, &budget, &s->features);
    if (!st)
        st = check_image(&o->image, &s->features);
    if (!st)
        st = prepare_features(o, s, normaliser);
    if (!st)
        st = load_labels(o, &budget, s, shape);
    if (st) {
        idx_close(s);
        return st;
    }
    shape->rows = s->features.rows;
    shape->features = s->features.columns;
    *state = s;
    return PS_OK;
}

static void idx_row(const void *state, const ps_normaliser *normaliser, size_t row, float *features,
                    void *label)
{
    const idx_state *s = state;
    const idx_file *f = &s->features;
    size_t at = row * f->columns;
    if (f->type != PS_IDX_U8 || normaliser->stds)
        (void)normalised(f, normaliser, at, f->columns, features); /* checked */
    else
        for (size_t i = 0; i < f->columns; i++)
            features[i] = s->bytes[f->values[at + i]];
    if (!label)
        return;
    if (s->kind == PS_LABELS_CLASSES) {
        *(int32_t *)label = (int32_t)value_at(&s->labels, row);
        return;
    }
    for (size_t i = 0; i < s->labels.columns; i++)
        ((float *)label)[i] = (float)value_at(&s->labels, row * s->labels.columns + i);
}

const ps_reader ps_reader_idx = {
    .name = "idx",
    .open = idx_open,
    .close = idx_close,
    .row = idx_row,
    .survey = idx_survey,
};
