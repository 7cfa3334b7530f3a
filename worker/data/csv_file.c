/* Happy path: the first record says how many columns there are and which are labels; every further
 * one has as many. What is wrong with a record gets its line here. */
#include "worker/data/csv_file.h"

#include "common/base/mem.h"
#include "worker/data/csv_number.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool has_numbers(const ps_csv_record *r)
{
    double ignored;
    for (size_t i = 0; i < r->n; i++)
        if (ps_csv_number(r->fields[i].text, &ignored))
            return true;
    return false;
}

const char *ps_csv_file_hint(const ps_csv_file *f, const ps_csv_record *r, const char *text)
{
    const char *delimiter = ps_csv_delimiter_hint(text);
    if (*delimiter)
        return delimiter;
    return r->line == f->first && !f->options->data->csv.header && !has_numbers(r)
               ? "; if the first line names the columns: data.csv.header: true (--header)"
               : "";
}

ps_csv_column_name ps_csv_file_column(const ps_csv_file *f, size_t column)
{
    ps_csv_column_name name;
    if (f->header)
        (void)snprintf(name.text, sizeof name.text, "column %zu (%s)", column,
                       ps_csv_show(f->header[column]).text);
    else
        (void)snprintf(name.text, sizeof name.text, "column %zu", column);
    return name;
}

static ps_status read_number(const ps_csv_file *f, const ps_csv_record *r, size_t column,
                             const char *missing, double *out)
{
    const char *text = r->fields[column].text;
    if (ps_csv_missing(text))
        return ps_fail(PS_CORRUPT, "%s is %s; %s", ps_csv_file_column(f, column).text,
                       *text ? ps_csv_show(text).text : "empty", missing);
    if (!ps_csv_number(text, out))
        return ps_fail(PS_CORRUPT, "%s: %s is not a number%s", ps_csv_file_column(f, column).text,
                       ps_csv_show(text).text, ps_csv_file_hint(f, r, text));
    if (!isfinite(*out))
        return ps_fail(PS_CORRUPT, "%s: %s is too large for a number",
                       ps_csv_file_column(f, column).text, ps_csv_show(text).text);
    return PS_OK;
}

ps_status ps_csv_file_feature(const ps_csv_file *f, const ps_csv_record *r, size_t i, double *out,
                              bool *missing)
{
    const ps_dataset_options *o = f->options;
    size_t column = ps_csv_feature(&f->columns, i);
    *missing = o->missing != PS_SPEC_MISSING_ERROR && ps_csv_missing(r->fields[column].text);
    *out = *missing && o->missing == PS_SPEC_MISSING_MEAN && o->numbers.n ? o->numbers.mean[i] : 0;
    return *missing ? PS_OK
                    : read_number(f, r, column,
                                  "data.csv.missing (error, zero or mean) says what becomes of a "
                                  "feature that is missing",
                                  out);
}

ps_status ps_csv_file_label(const ps_csv_file *f, const ps_csv_record *r, size_t column,
                            double *out)
{
    return read_number(f, r, column, PS_CSV_LABEL_MISSING, out);
}

static ps_status visit_row(ps_csv_file *f, const ps_csv_visitor *v, const ps_csv_record *r)
{
    if (r->n != f->columns.n)
        return ps_fail(PS_CORRUPT, "%zu column%s, but the first line has %zu", r->n,
                       r->n == 1 ? "" : "s", f->columns.n);
    ps_status st = v->row(v->user, f, r);
    f->rows++;
    return st;
}

static void keep_header(ps_csv_file *f, const ps_csv_record *r)
{
    f->header = ps_alloc_array(r->n, sizeof *f->header);
    for (size_t i = 0; i < r->n; i++)
        f->header[i] = ps_strdup(r->fields[i].text);
}

static void drop_header(ps_csv_file *f)
{
    for (size_t i = 0; f->header && i < f->columns.n; i++)
        ps_free(&f->header[i]);
    ps_free(&f->header);
}

static ps_status visit_first(ps_csv_file *f, const ps_csv_visitor *v, const ps_csv_record *r)
{
    f->first = r->line;
    ps_status st = ps_csv_columns_learn(f->options, r, &f->columns);
    if (st)
        return st;
    if (f->options->data->csv.header)
        keep_header(f, r);
    st = v->begin(v->user, f);
    return st || f->options->data->csv.header ? st : visit_row(f, v, r);
}

static ps_status visit_all(ps_csv_file *f, const ps_csv_visitor *v)
{
    ps_csv_record r;
    ps_status st = ps_csv_text_next(f->text, &r);
    for (bool first = true; !st; first = false) {
        st = first ? visit_first(f, v, &r) : visit_row(f, v, &r);
        if (st)
            return st == PS_END ? st : ps_csv_text_at(f->text, r.line, st);
        st = ps_csv_text_next(f->text, &r);
    }
    return st;
}

ps_status ps_csv_file_visit(const ps_dataset_options *options, const ps_csv_visitor *visitor)
{
    const char *delimiter = options->data->csv.delimiter;
    ps_csv_file f = {.options = options};
    ps_status st = ps_csv_text_open(options->files->features,
                                    strcmp(delimiter, "tab") ? delimiter[0] : '\t', &f.text);
    if (st)
        return st;
    st = visit_all(&f, visitor);
    ps_csv_text_close(&f.text);
    if (st == PS_END)
        st = visitor->end ? visitor->end(visitor->user, &f) : PS_OK;
    drop_header(&f);
    return st;
}
