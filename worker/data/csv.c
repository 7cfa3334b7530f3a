/* Happy path: the first line says how many columns there are (and their names, with a header), and
 * so which are labels; every further line must have as many numbers. Values are kept as floats in
 * two arrays that grow within the budget. Failures name file, line and column. */
#include "worker/data/csv.h"

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/format/source.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_LINE = 16 << 20, MAX_COLUMNS = 1 << 20, READ_BYTES = 64 * 1024 };

typedef struct csv_state {
    ps_label_kind kind;
    size_t columns, features, n_labels; /* columns = features + n_labels */
    size_t first_label;                 /* column; n_labels 0: none */
    size_t rows, capacity;              /* in rows */
    float *x;                           /* [rows, features] */
    float *y;                           /* [rows, n_labels] */
    int64_t classes;
} csv_state;

/* One file being read. */
typedef struct csv_file {
    const ps_dataset_options *options;
    ps_source *source;
    csv_state *state;
    ps_buf bytes;  /* read, not yet a line */
    size_t at;     /* of bytes: where the next line starts */
    size_t number; /* of the line, from 1 */
    bool ended;
    char delimiter;
} csv_file;

static ps_status at_line(const csv_file *f, ps_status st)
{
    return ps_wrap(st, "%s:%zu", ps_source_path(f->source), f->number);
}

static ps_status fill(csv_file *f)
{
    ps_buf_consume(&f->bytes, f->at);
    f->at = 0;
    if (f->bytes.len > MAX_LINE)
        return ps_fail(PS_CORRUPT, "%s:%zu: a line of more than %d bytes",
                       ps_source_path(f->source), f->number + 1, MAX_LINE);
    ps_buf_reserve(&f->bytes, READ_BYTES + 1);
    size_t got = 0;
    ps_status st = ps_source_read(f->source, f->bytes.data + f->bytes.len, READ_BYTES, &got);
    f->bytes.len += got;
    f->ended = got == 0;
    return st;
}

/* The next line that is not empty, as a text of its own in place; NULL at the end. */
static ps_status next_line(csv_file *f, char **out)
{
    for (;;) {
        char *start = (char *)f->bytes.data + f->at;
        size_t left = f->bytes.len - f->at;
        char *end = left ? memchr(start, '\n', left) : NULL;
        if (!end && !f->ended) {
            ps_status st = fill(f);
            if (st)
                return st;
            continue;
        }
        if (!end && !left) {
            *out = NULL;
            return PS_OK;
        }
        size_t len = end ? (size_t)(end - start) : left; /* fill kept room for the zero */
        f->at += len + (end != NULL);
        f->number++;
        start[len] = '\0';
        if (strlen(start) != len)
            return at_line(f, ps_fail(PS_CORRUPT, "a zero byte; is it text?"));
        if (len && start[len - 1] == '\r')
            start[len - 1] = '\0';
        if (f->number == 1 && !strncmp(start, "\xef\xbb\xbf", 3)) /* a byte order mark */
            start += 3;
        if (!start[strspn(start, " \t")])
            continue;
        *out = start;
        return PS_OK;
    }
}

static size_t count_columns(const csv_file *f, const char *line)
{
    size_t n = 1;
    for (; (line = strchr(line, f->delimiter)); line++)
        n++;
    return n;
}

/* Is the field, blanks and quotes apart, this name? */
static bool is_name(const char *field, size_t len, const char *name)
{
    while (len && (*field == ' ' || *field == '"')) {
        field++;
        len--;
    }
    while (len && (field[len - 1] == ' ' || field[len - 1] == '"'))
        len--;
    return len == strlen(name) && !memcmp(field, name, len);
}

static ps_status find_name(const csv_file *f, const char *line, const char *name, size_t *column)
{
    for (size_t i = 0;; i++) {
        const char *end = strchr(line, f->delimiter);
        size_t len = end ? (size_t)(end - line) : strlen(line);
        if (is_name(line, len, name)) {
            *column = i;
            return PS_OK;
        }
        if (!end)
            return at_line(f,
                           ps_fail(PS_INVALID_ARGUMENT,
                                   "no column '%s' (data.csv.label_column) in the header", name));
        line = end + 1;
    }
}

static ps_status place_labels(csv_file *f, const char *line)
{
    csv_state *s = f->state;
    const ps_spec_csv *csv = &f->options->data->csv;
    const char *where = csv->label_column;
    ps_status st = PS_OK;
    s->n_labels = s->kind == PS_LABELS_CLASSES ? 1 : (size_t)csv->targets;
    if (!strcmp(where, "last"))
        s->first_label = s->columns - (s->columns < s->n_labels ? s->columns : s->n_labels);
    else if (!strcmp(where, "first"))
        s->first_label = 0;
    else if (strspn(where, "0123456789") == strlen(where))
        s->first_label = strtoull(where, NULL, 10);
    else
        st = find_name(f, line, where, &s->first_label);
    if (!st && (s->n_labels >= s->columns || s->first_label > s->columns - s->n_labels))
        st = at_line(f, ps_fail(PS_INVALID_ARGUMENT,
                                "%zu columns; %zu label columns from column %zu on do not fit",
                                s->columns, s->n_labels, s->first_label));
    return st;
}

/* Without labels the file may still have their columns. */
static bool has_labels(const csv_file *f)
{
    const ps_dataset_options *o = f->options;
    if (f->state->kind != PS_LABELS_NONE)
        return true;
    return o->features && f->state->columns == (size_t)o->features + (size_t)o->data->csv.targets;
}

static ps_status learn_columns(csv_file *f, const char *line)
{
    csv_state *s = f->state;
    s->columns = count_columns(f, line);
    if (s->columns > MAX_COLUMNS)
        return at_line(f, ps_fail(PS_CORRUPT, "more than %d columns", MAX_COLUMNS));
    ps_status st = has_labels(f) ? place_labels(f, line) : PS_OK;
    s->features = s->columns - s->n_labels;
    return st;
}

static ps_status grow_array(float **values, size_t used, size_t n)
{
    float *moved = ps_try_alloc_raw((n ? n : 1) * sizeof *moved);
    if (!moved)
        return ps_fail(PS_NO_MEMORY, "no memory for %zu values", n);
    if (used)
        memcpy(moved, *values, used * sizeof *moved);
    ps_free(values);
    *values = moved;
    return PS_OK;
}

static ps_status grow(csv_state *s, uint64_t max_bytes)
{
    if (s->rows < s->capacity)
        return PS_OK;
    size_t next = s->capacity ? s->capacity + s->capacity / 2 : 1024;
    uint64_t row = s->columns * sizeof(float);
    if (next > max_bytes / row)
        next = (size_t)(max_bytes / row);
    if (next <= s->rows)
        return ps_fail(PS_RESOURCE_EXHAUSTED, "more than %" PRIu64 " bytes in memory", max_bytes);
    ps_status st = grow_array(&s->x, s->rows * s->features, next * s->features);
    if (!st)
        st = grow_array(&s->y, s->rows * s->n_labels, next * s->n_labels);
    if (!st)
        s->capacity = next;
    return st;
}

/* What may stand around a number, unless it separates them. */
static const char *blanks(const csv_file *f)
{
    return f->delimiter == ' ' ? "" : f->delimiter == '\t' ? " " : " \t";
}

static ps_status read_number(const csv_file *f, const char *field, size_t column, float *out,
                             const char **after)
{
    field += strspn(field, blanks(f));
    const char *end = field;
    float v = 0;
    if (!isspace((unsigned char)*field)) { /* which strtof would pass over, separators or not */
        char *stop = NULL;
        v = strtof(field, &stop);
        end = stop;
    }
    bool none = end == field;
    end += strspn(end, blanks(f));
    if (none || (*end && *end != f->delimiter) || !isfinite(v)) {
        size_t len = strcspn(field, (char[]){f->delimiter, '\0'});
        return ps_fail(PS_CORRUPT, "column %zu: '%.*s' is not a number", column,
                       (int)(len < 40 ? len : 40), field);
    }
    *out = v;
    *after = *end ? end + 1 : NULL;
    return PS_OK;
}

static ps_status check_class(csv_file *f, float label)
{
    int64_t classes = f->options->classes;
    int64_t most = classes ? classes - 1 : (1 << 24); /* floats are exact so far */
    if (label != floorf(label) || label < 0 || label > (float)most)
        return ps_fail(PS_INVALID_ARGUMENT, "row %zu has label %g, allowed 0 to %" PRId64,
                       f->state->rows, (double)label, most);
    if ((int64_t)label >= f->state->classes)
        f->state->classes = (int64_t)label + 1;
    return PS_OK;
}

static ps_status read_row(csv_file *f, const char *line)
{
    csv_state *s = f->state;
    size_t n = count_columns(f, line);
    if (n != s->columns)
        return ps_fail(PS_CORRUPT, "%zu columns, but the first line has %zu", n, s->columns);
    ps_status st = grow(s, f->options->max_bytes);
    if (st)
        return st;
    float *x = s->x + s->rows * s->features, *y = s->y + s->rows * s->n_labels;
    const char *at = line;
    for (size_t column = 0; column < s->columns; column++) {
        bool label = column - s->first_label < s->n_labels; /* wraps below the first */
        float *to = label ? y++ : x++;
        st = read_number(f, at, column, to, &at);
        if (!st && label && s->kind == PS_LABELS_CLASSES)
            st = check_class(f, *to);
        if (st)
            return st;
    }
    s->rows++;
    return PS_OK;
}

static ps_status read_lines(csv_file *f)
{
    char *line = NULL;
    ps_status st = next_line(f, &line);
    if (st || !line)
        return st;
    st = learn_columns(f, line);
    if (!st && f->options->data->csv.header)
        st = next_line(f, &line);
    while (!st && line) {
        st = read_row(f, line);
        if (st)
            return at_line(f, st);
        st = next_line(f, &line);
    }
    return st;
}

static void csv_close(void *state)
{
    csv_state *s = state;
    ps_free(&s->x);
    ps_free(&s->y);
    ps_free(&s);
}

static ps_status csv_open(const ps_dataset_options *o, ps_dataset_shape *shape, void **state)
{
    const char *delimiter = o->data->csv.delimiter;
    csv_file f = {.options = o, .delimiter = delimiter[0]};
    if (!strcmp(delimiter, "tab"))
        f.delimiter = '\t';
    ps_status st = ps_source_open(o->files->features, &f.source);
    if (st)
        return st;
    csv_state *s = ps_new(csv_state);
    s->kind = o->labels;
    f.state = s;
    ps_buf_reserve(&f.bytes, READ_BYTES + 1);
    st = read_lines(&f);
    ps_buf_free(&f.bytes);
    ps_source_close(&f.source);
    if (st) {
        csv_close(s);
        return st;
    }
    *shape = (ps_dataset_shape){
        .rows = s->rows,
        .features = s->features,
        .targets = s->kind == PS_LABELS_REALS ? s->n_labels : 0,
        .classes = s->classes,
    };
    *state = s;
    return PS_OK;
}

static void csv_row(const void *state, size_t row, float *features, void *label)
{
    const csv_state *s = state;
    memcpy(features, s->x + row * s->features, s->features * sizeof *features);
    if (!label)
        return;
    const float *y = s->y + row * s->n_labels;
    if (s->kind == PS_LABELS_CLASSES)
        *(int32_t *)label = (int32_t)*y;
    else
        memcpy(label, y, s->n_labels * sizeof *y);
}

static float csv_scale(const void *state)
{
    return 1.0f;
}

const ps_reader ps_reader_csv = {
    .name = "csv",
    .open = csv_open,
    .close = csv_close,
    .row = csv_row,
    .scale = csv_scale,
};
