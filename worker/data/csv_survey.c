/* Happy path: the first label is a word; it and those of all further rows are collected. A row is
 * looked at whole, so that what is wrong is found where it stands, and not called a class. */
#include "worker/data/csv.h"

#include "worker/data/csv_file.h"
#include "worker/data/csv_number.h"
#include "worker/data/survey.h"

typedef struct surveying {
    ps_survey_wants wants; /* what is still to be found */
    ps_survey *out;
    size_t line; /* of the first label that is a word */
} surveying;

static ps_status check_features(const ps_csv_file *f, const ps_csv_record *r)
{
    double value;
    bool missing;
    ps_status st = PS_OK;
    for (size_t i = 0; i < f->columns.features && !st; i++)
        st = ps_csv_file_feature(f, r, i, &value, &missing);
    return st;
}

static ps_status collect_name(surveying *s, const ps_csv_file *f, const ps_csv_record *r)
{
    size_t column = f->columns.first_label;
    const char *text = r->fields[column].text;
    ps_name_set *names = &s->out->names;
    double number;
    if (ps_csv_missing(text))
        return ps_fail(PS_CORRUPT, "column %zu is %s; %s", column,
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
    return st ? ps_wrap(st, "column %zu", column) : PS_OK;
}

static ps_status row_cb(void *user, const ps_csv_file *f, const ps_csv_record *r)
{
    surveying *s = user;
    ps_status st = check_features(f, r);
    if (!st && s->wants.names)
        st = collect_name(s, f, r);
    return st || s->wants.names ? st : PS_END;
}

ps_status ps_csv_survey(const ps_dataset_options *options, ps_survey_wants wants, ps_survey *out)
{
    surveying s = {.wants = wants, .out = out};
    return ps_csv_file_visit(options, &(ps_csv_visitor){.row = row_cb, .user = &s});
}
