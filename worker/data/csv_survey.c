/* Happy path: the numbers of each row are added to their columns' moments, and its label, if the
 * first one is a word, to the names. A row is looked at whole, so that what is wrong is found where
 * it stands, and not called a class. */
#include "worker/data/csv.h"

#include "common/base/mem.h"
#include "worker/data/csv_file.h"
#include "worker/data/csv_number.h"
#include "worker/data/survey.h"

typedef struct surveying {
    ps_survey_wants wants; /* what is still to be found */
    ps_survey *out;
    size_t line; /* of the first label that is a word */
    size_t rows;
    double *values; /* [features] of a row */
    bool *missing;
} surveying;

static ps_status begin_cb(void *user, const ps_csv_file *f)
{
    surveying *s = user;
    s->values = ps_alloc_array(f->columns.features, sizeof *s->values);
    s->missing = ps_alloc_array(f->columns.features, sizeof *s->missing);
    ps_status st = s->wants.moments || f->options->numbers.n
                       ? ps_dataset_check_features(f->options, f->columns.features)
                       : PS_OK;
    if (st)
        return st;
    if (s->wants.moments)
        ps_moments_init(&s->out->moments, f->columns.features);
    return PS_OK;
}

static void clear(surveying *s)
{
    ps_free(&s->values);
    ps_free(&s->missing);
}

static ps_status read_features(surveying *s, const ps_csv_file *f, const ps_csv_record *r)
{
    ps_status st = PS_OK;
    for (size_t i = 0; i < f->columns.features && !st; i++)
        st = ps_csv_file_feature(f, r, i, &s->values[i], &s->missing[i]);
    if (st || !s->wants.moments)
        return st;
    bool left_out = f->options->missing == PS_SPEC_MISSING_MEAN;
    ps_moments_add(&s->out->moments, s->values, left_out ? s->missing : NULL);
    return PS_OK;
}

static ps_status collect_name(surveying *s, const ps_csv_file *f, const ps_csv_record *r)
{
    size_t column = f->columns.first_label;
    const char *text = r->fields[column].text;
    ps_name_set *names = &s->out->names;
    double number;
    if (ps_csv_missing(text))
        return ps_fail(PS_CORRUPT, "%s is %s; %s", ps_csv_file_column(f, column).text,
                       *text ? ps_csv_show(text).text : "empty", PS_CSV_LABEL_MISSING);
    if (ps_csv_number(text, &number)) {
        s->wants.names = false;
        return names->n ? ps_fail(PS_CORRUPT,
                                  "label %s is a number, that of line %zu a name; where names look "
                                  "like numbers, model.classes lists them all",
                                  ps_csv_show(text).text, s->line)
                        : PS_OK;
    }
    if (!names->n)
        s->line = r->line;
    ps_status st = ps_name_set_add(names, text);
    return st ? ps_wrap(st, "%s", ps_csv_file_column(f, column).text) : PS_OK;
}

static ps_status row_cb(void *user, const ps_csv_file *f, const ps_csv_record *r)
{
    surveying *s = user;
    ps_status st = read_features(s, f, r);
    s->rows++;
    if (!st && s->wants.names)
        st = collect_name(s, f, r);
    return st || s->wants.names || s->wants.moments ? st : PS_END;
}

static ps_status end_cb(void *user, const ps_csv_file *f)
{
    surveying *s = user;
    const char *path = f->options->files->features;
    size_t bad = 0;
    if (!s->wants.moments)
        return PS_OK;
    if (s->rows == 0)
        return ps_fail(PS_INVALID_ARGUMENT, "%s: no rows", path);
    ps_status st = ps_moments_finish(&s->out->moments, &bad);
    size_t column = ps_csv_feature(&f->columns, bad);
    return st ? ps_wrap(st, "%s: %s", path, ps_csv_file_column(f, column).text) : PS_OK;
}

ps_status ps_csv_survey(const ps_dataset_options *options, ps_survey_wants wants, ps_survey *out)
{
    surveying s = {.wants = wants, .out = out};
    const ps_csv_visitor visitor = {.begin = begin_cb, .row = row_cb, .end = end_cb, .user = &s};
    ps_status st = ps_csv_file_visit(options, &visitor);
    clear(&s);
    return st;
}
