/* Happy path: the format's row opens the files, the shape is checked against what was asked, and
 * rows are read through it and normalised. */
#include "worker/data/reader.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/data/activations.h"
#include "worker/data/csv.h"
#include "worker/data/idx.h"
#include "worker/data/survey.h"
#include "worker/data/texts.h"
#include "worker/data/tokens.h"

#include <inttypes.h>
#include <string.h>

struct ps_dataset {
    const ps_reader *reader;
    void *state;
    ps_dataset_shape shape;
    ps_label_kind labels;
    bool apart;
    ps_normaliser normaliser;
};

static const ps_reader *const readers[] = {&ps_reader_idx, &ps_reader_csv, &ps_reader_tokens,
                                           &ps_reader_activations};

const ps_reader *ps_reader_find(const char *name)
{
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++)
        if (!strcmp(readers[i]->name, name))
            return readers[i];
    return NULL;
}

ps_status ps_dataset_check_features(const ps_dataset_options *o, size_t features)
{
    bool fits = !o->features || (uint64_t)o->features == features; /* tokens are cut to fit */
    if (fits && (!o->numbers.n || o->numbers.n == features))
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT, "%zu numbers a row, but the model takes %" PRId64, features,
                   o->features ? o->features : (int64_t)o->numbers.n);
}

static ps_status check_shape(const ps_dataset_options *o, const ps_dataset_shape *shape)
{
    const char *path = *o->files->features ? o->files->features : o->files->tokens;
    if (shape->rows == 0)
        return ps_fail(PS_INVALID_ARGUMENT, "%s: no rows", path);
    ps_status st = ps_dataset_check_features(o, shape->features);
    return st ? ps_wrap(st, "%s", path) : PS_OK;
}

/* *o with its defaults. */
static ps_status find_reader(ps_dataset_options *o, const ps_reader **out)
{
    *out = o->texts ? &ps_reader_texts : ps_reader_find(o->data->format);
    if (!*out)
        return ps_fail(PS_INVALID_ARGUMENT, "data.format '%s' is not known", o->data->format);
    if (!o->max_bytes)
        o->max_bytes = UINT64_C(16) << 30;
    return PS_OK;
}

ps_status ps_dataset_survey(const ps_dataset_options *options, ps_survey_wants wants,
                            ps_survey *out)
{
    ps_dataset_options o = *options;
    const ps_reader *reader = NULL;
    *out = (ps_survey){0};
    ps_status st = find_reader(&o, &reader);
    return st || !reader->survey ? st : reader->survey(&o, wants, out);
}

void ps_survey_free(ps_survey *survey)
{
    ps_name_set_free(&survey->names);
    ps_moments_free(&survey->moments);
}

ps_status ps_dataset_open(const ps_dataset_options *options, ps_dataset **out)
{
    ps_dataset_options o = *options;
    const ps_reader *reader = NULL;
    ps_status st = find_reader(&o, &reader);
    if (st)
        return st;
    ps_dataset_shape shape = {0};
    void *state = NULL;
    const ps_spec_normalise *n = &o.data->normalise;
    ps_normaliser normaliser = {.scale = n->scale,
                                .mean = n->mean,
                                .std = n->std,
                                .means = o.numbers.mean,
                                .stds = o.numbers.n ? o.numbers.std : NULL};
    st = reader->open(&o, &normaliser, &shape, &state);
    if (st)
        return st;
    st = check_shape(&o, &shape);
    if (st) {
        reader->close(state);
        return st;
    }
    ps_dataset *ds = ps_new(ps_dataset);
    ds->reader = reader;
    ds->state = state;
    ds->shape = shape;
    ds->labels = o.labels;
    ds->apart = reader->starts && o.data->documents == PS_SPEC_APART;
    ds->normaliser = normaliser;
    *out = ds;
    return PS_OK;
}

void ps_dataset_close(ps_dataset **dataset)
{
    if (!*dataset)
        return;
    (*dataset)->reader->close((*dataset)->state);
    ps_free(dataset);
}

size_t ps_dataset_rows(const ps_dataset *dataset)
{
    return dataset->shape.rows;
}

size_t ps_dataset_features(const ps_dataset *dataset)
{
    return dataset->shape.features;
}

ps_label_kind ps_dataset_labels(const ps_dataset *dataset)
{
    return dataset->labels;
}

size_t ps_dataset_targets(const ps_dataset *dataset)
{
    return dataset->shape.targets;
}

int64_t ps_dataset_classes(const ps_dataset *dataset)
{
    return dataset->shape.classes;
}

bool ps_dataset_has_tokens(const ps_dataset *dataset)
{
    return dataset->reader->tokens != NULL;
}

size_t ps_dataset_label_bytes(const ps_dataset *dataset)
{
    switch (dataset->labels) {
    case PS_LABELS_CLASSES:
        return sizeof(int32_t);
    case PS_LABELS_REALS:
        return dataset->shape.targets * sizeof(float);
    case PS_LABELS_NEXT:
        return dataset->shape.features * sizeof(int32_t);
    case PS_LABELS_NONE:
        break;
    }
    return 0;
}

bool ps_dataset_is_apart(const ps_dataset *dataset)
{
    return dataset->apart;
}

static ps_status check_row(const ps_dataset *ds, uint64_t row)
{
    if (row < ds->shape.rows)
        return PS_OK;
    return ps_fail(PS_OUT_OF_RANGE, "row %" PRIu64 " of a data set of %zu rows", row,
                   ds->shape.rows);
}

ps_status ps_dataset_read_starts(const ps_dataset *dataset, const uint64_t *rows, size_t n,
                                 int32_t *starts)
{
    PS_REQUIRE(dataset->apart && (rows || !n));
    ps_status st = PS_OK;
    for (size_t i = 0; i < n && !st; i++, starts += dataset->shape.features) {
        st = check_row(dataset, rows[i]);
        if (!st)
            st = dataset->reader->starts(dataset->state, (size_t)rows[i], starts);
    }
    return st;
}

/* Features of one row, normalised, or its tokens; 4 bytes each. */
static ps_status read_row(const ps_dataset *ds, size_t row, void *features, void *label)
{
    PS_REQUIRE(row < ds->shape.rows);
    if (ds->reader->tokens)
        return ds->reader->tokens(ds->state, row, features, label);
    ds->reader->row(ds->state, &ds->normaliser, row, features, label);
    return PS_OK;
}

ps_status ps_dataset_read(const ps_dataset *dataset, const uint64_t *rows, size_t n, void *features,
                          void *labels)
{
    PS_REQUIRE(rows || !n);
    size_t label_bytes = ps_dataset_label_bytes(dataset);
    char *x = features, *label = label_bytes ? labels : NULL;
    ps_status st = PS_OK;
    for (size_t i = 0; i < n && !st; i++) {
        st = check_row(dataset, rows[i]);
        if (!st)
            st = read_row(dataset, (size_t)rows[i], x, label);
        x += dataset->shape.features * sizeof(float);
        if (label)
            label += label_bytes;
    }
    return st;
}
