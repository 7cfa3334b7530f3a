/* Happy path: the files are opened as their own format says, there is room for all rows, and batch
 * by batch they are made and kept with their labels. Fails as the files do, as what makes them
 * does, without room, and on a number that is none. */
#include "worker/data/activations.h"

#include "common/base/limits.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/data/survey.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

typedef struct activations {
    float *values; /* [rows, columns] */
    char *labels;  /* [rows, label_bytes]; NULL: none */
    size_t rows, columns, label_bytes;
} activations;

/* ---- opening ---- */

typedef struct making {
    const ps_dataset_options *options;
    const ps_dataset_source *source;
    ps_dataset *files;
    size_t file_rows, each; /* rows of the files, and what each becomes */
    activations *out;
    bool made;         /* the values are there: a survey's */
    uint64_t *numbers; /* [batch] */
    void *inputs;      /* [batch, features]: what comes along with labels */
} making;

static void close_activations(void *state)
{
    activations *a = state;
    ps_free(&a->values);
    ps_free(&a->labels);
    ps_free(&a);
}

static size_t label_bytes(const making *m)
{
    bool next = ps_dataset_labels(m->files) == PS_LABELS_NEXT;
    if (m->options->labels == PS_LABELS_NONE)
        return 0;
    return next ? sizeof(int32_t) : ps_dataset_label_bytes(m->files);
}

void ps_activations_kept_free(ps_activations_kept *kept)
{
    ps_free(&kept->values);
    *kept = (ps_activations_kept){0};
}

/* What is kept of other files, or of these when they had other rows, is nobody's any more. */
static void take_kept(making *m)
{
    ps_activations_kept *kept = m->source->kept;
    activations *a = m->out;
    if (!kept)
        return;
    m->made = kept->values && kept->files == m->options->files && kept->rows == a->rows &&
              kept->columns == a->columns;
    if (m->made) {
        a->values = kept->values;
        kept->values = NULL;
    }
    ps_activations_kept_free(kept);
}

static void keep(activations *a, const ps_dataset_options *o)
{
    if (!o->source->kept)
        return;
    ps_activations_kept_free(o->source->kept);
    *o->source->kept = (ps_activations_kept){
        .files = o->files, .values = a->values, .rows = a->rows, .columns = a->columns};
    a->values = NULL;
}

/* Said before anything is made. */
static ps_status take_room(making *m)
{
    activations *a = m->out;
    uint64_t available = ps_limits_memory_left(), most = m->options->max_bytes, bytes;
    uint64_t values = m->made ? 0 : a->columns * sizeof(float), row = values + a->label_bytes;
    most = available < most ? available : most;
    if (__builtin_mul_overflow((uint64_t)a->rows, row, &bytes) || bytes > most)
        return ps_fail(PS_RESOURCE_EXHAUSTED,
                       "activations of %zu rows, %zu numbers each, take more than the %" PRIu64
                       " bytes that there are for them; lower data.activations.rows",
                       a->rows, a->columns, most);
    if (!m->made)
        a->values = ps_try_alloc_raw(a->rows * values + 1);
    m->numbers = ps_try_alloc_raw(m->source->batch * sizeof *m->numbers);
    m->inputs = ps_try_alloc_raw(m->source->batch * ps_dataset_features(m->files) * sizeof(float));
    if (a->label_bytes)
        a->labels = ps_try_alloc_raw(a->rows * a->label_bytes);
    if (a->values && m->numbers && m->inputs && (a->labels || !a->label_bytes))
        return PS_OK;
    return ps_fail(PS_NO_MEMORY, "no memory for activations of %zu rows", a->rows);
}

static ps_status check_labels(const making *m, uint64_t first, size_t n)
{
    const int32_t *labels = (const int32_t *)(const void *)m->out->labels + first * m->each;
    int64_t classes = m->options->classes;
    bool next = m->out->labels && ps_dataset_labels(m->files) == PS_LABELS_NEXT;
    for (size_t i = 0; next && classes && i < n * m->each; i++)
        if (labels[i] >= classes)
            return ps_fail(PS_INVALID_ARGUMENT,
                           "%s: token %" PRId32 " is the label of the one before it, but "
                           "model.layers ends with %" PRId64,
                           m->source->rows.files->tokens, labels[i], classes);
    return PS_OK;
}

static ps_status take_labels(const making *m, uint64_t first, size_t n)
{
    activations *a = m->out;
    if (!a->label_bytes)
        return PS_OK;
    PS_REQUIRE((first + n) * m->each <= a->rows);
    for (size_t i = 0; i < n; i++)
        m->numbers[i] = first + i;
    ps_status st = ps_dataset_read(m->files, m->numbers, n, m->inputs,
                                   a->labels + first * m->each * a->label_bytes);
    return st ? st : check_labels(m, first, n);
}

static ps_status check_values(const making *m, uint64_t first, size_t n)
{
    const float *values = m->out->values + first * m->each * m->out->columns;
    size_t row = m->each * m->out->columns;
    for (size_t i = 0; i < n * row; i++)
        if (!isfinite(values[i]))
            return ps_fail(PS_OUT_OF_RANGE,
                           "what the model makes of row %" PRIu64 " of %s is NaN or infinite",
                           first + i / row,
                           *m->options->files->features ? m->options->files->features
                                                        : m->options->files->tokens);
    return PS_OK;
}

static ps_status make_all(const making *m)
{
    ps_status st = PS_OK;
    for (size_t at = 0; !st && at < m->file_rows; at += m->source->batch) {
        size_t left = m->file_rows - at, n = left < m->source->batch ? left : m->source->batch;
        if (!m->made)
            st = m->source->make(m->source->user, m->files, at, n,
                                 m->out->values + at * m->each * m->out->columns);
        if (!st && !m->made)
            st = check_values(m, at, n);
        if (!st)
            st = take_labels(m, at, n);
    }
    return st;
}

static ps_status fill(making *m, ps_dataset_shape *shape)
{
    activations *a = m->out;
    uint64_t most = m->source->most;
    m->file_rows = ps_dataset_rows(m->files);
    if (most && most < m->file_rows)
        m->file_rows = (size_t)most;
    m->each = ps_dataset_has_tokens(m->files) ? ps_dataset_features(m->files) : 1;
    a->columns = m->source->columns;
    a->label_bytes = label_bytes(m);
    if (__builtin_mul_overflow(m->file_rows, m->each, &a->rows))
        return ps_fail(PS_RESOURCE_EXHAUSTED, "more rows than can be counted");
    *shape = (ps_dataset_shape){.rows = a->rows,
                                .features = a->columns,
                                .targets = ps_dataset_targets(m->files),
                                .classes = ps_dataset_classes(m->files)};
    ps_status st = ps_dataset_check_features(m->options, a->columns);
    if (!st)
        take_kept(m);
    if (!st)
        st = take_room(m);
    return st ? st : make_all(m);
}

static ps_status open_activations(const ps_dataset_options *o, ps_normaliser *normaliser,
                                  ps_dataset_shape *shape, void **state)
{
    PS_REQUIRE(o->source && o->source->batch && o->source->columns);
    making m = {.options = o, .source = o->source};
    ps_status st = ps_dataset_open(&o->source->rows, &m.files);
    if (st)
        return st;
    m.out = ps_new(activations);
    st = fill(&m, shape);
    ps_dataset_close(&m.files);
    ps_free(&m.numbers);
    ps_free(&m.inputs);
    if (st) {
        close_activations(m.out);
        return st;
    }
    normaliser->scale = normaliser->std = 1; /* what the job says is of the files */
    normaliser->mean = 0;
    *state = m.out;
    return PS_OK;
}

/* ---- rows ---- */

static void row(const void *state, const ps_normaliser *normaliser, size_t number, float *features,
                void *label)
{
    enum { PIECE = 256 };
    const activations *a = state;
    PS_REQUIRE(number < a->rows);
    const float *values = a->values + number * a->columns;
    double piece[PIECE];
    for (size_t at = 0; at < a->columns; at += PIECE) {
        size_t left = a->columns - at, n = left < PIECE ? left : PIECE;
        for (size_t i = 0; i < n; i++)
            piece[i] = (double)values[at + i];
        (void)ps_normaliser_apply(normaliser, piece, at, n, features + at); /* they are finite */
    }
    if (label && a->labels)
        memcpy(label, a->labels + number * a->label_bytes, a->label_bytes);
}

/* ---- survey ---- */

static ps_status add_moments(const activations *a, ps_moments *out)
{
    size_t bad = 0;
    double *values = ps_alloc_array(a->columns, sizeof *values);
    ps_moments_init(out, a->columns);
    for (size_t i = 0; i < a->rows; i++) {
        for (size_t k = 0; k < a->columns; k++)
            values[k] = (double)a->values[i * a->columns + k];
        ps_moments_add(out, values, NULL);
    }
    ps_free(&values);
    ps_status st = a->rows ? ps_moments_finish(out, &bad)
                           : ps_fail(PS_INVALID_ARGUMENT, "no rows to take moments of");
    return st && a->rows ? ps_wrap(st, "number %zu of each row", bad) : st;
}

static ps_status survey(const ps_dataset_options *o, ps_survey_wants wants, ps_survey *out)
{
    ps_dataset_options unlabelled = *o;
    ps_dataset_source source = *o->source;
    ps_normaliser normaliser = {0};
    ps_dataset_shape shape;
    void *state;
    ps_status st = wants.names
                       ? ps_dataset_survey(&source.rows, (ps_survey_wants){.names = true}, out)
                       : PS_OK;
    if (st || !wants.moments)
        return st;
    unlabelled.labels = source.rows.labels = PS_LABELS_NONE; /* their names may not be known yet */
    unlabelled.source = &source;
    st = open_activations(&unlabelled, &normaliser, &shape, &state);
    if (st)
        return st;
    st = add_moments(state, &out->moments);
    if (!st)
        keep(state, o);
    close_activations(state);
    return st;
}

const ps_reader ps_reader_activations = {
    .name = "activations",
    .open = open_activations,
    .close = close_activations,
    .row = row,
    .survey = survey,
};
