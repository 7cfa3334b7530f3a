/* Happy path: the labels' place is found in the header, or by number or keyword, and there is at
 * least one column left. The header decides: a name that stands there is meant, also when it looks
 * like a number or a keyword. */
#include "worker/data/csv_columns.h"

#include "common/base/buf.h"
#include "worker/data/csv_number.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

ps_csv_shown ps_csv_show(const char *text)
{
    enum { MOST = 40 };
    ps_csv_shown s = {"'"};
    size_t n = 1;
    for (; *text && n <= MOST; text++)
        s.text[n++] = (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text;
    (void)snprintf(s.text + n, sizeof s.text - n, "%s'", *text ? "..." : "");
    return s;
}

const char *ps_csv_delimiter_hint(const char *text)
{
    static const struct {
        char delimiter;
        const char *hint;
    } hints[] = {
        {'\t', "; is a tab the delimiter? data.csv.delimiter (--delimiter) says which: tab"},
        {';', "; is ';' the delimiter? data.csv.delimiter (--delimiter) says which"},
        {'|', "; is '|' the delimiter? data.csv.delimiter (--delimiter) says which"},
        {',', "; is ',' the delimiter (data.csv.delimiter, --delimiter)? a decimal point is '.'"},
        {' ', "; is a blank the delimiter? data.csv.delimiter (--delimiter) says which"},
    };
    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
        if (strchr(text, hints[i].delimiter))
            return hints[i].hint;
    return "";
}

size_t ps_csv_feature(const ps_csv_columns *c, size_t i)
{
    return i < c->first_label ? i : i + c->n_labels;
}

bool ps_csv_missing(const char *text)
{
    static const char *const words[] = {"", "?", "NA", "N/A", "NaN", "null"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcasecmp(text, words[i]))
            return true;
    return false;
}

/* ---- the header ---- */

static ps_status no_such_name(const ps_csv_record *header, const char *name)
{
    enum { MOST = 8 };
    ps_buf names = PS_BUF_EMPTY;
    for (size_t i = 0; i < header->n && i < MOST; i++)
        ps_buf_printf(&names, "%s%s", i ? ", " : "", ps_csv_show(header->fields[i].text).text);
    ps_status st = ps_fail(
        PS_INVALID_ARGUMENT, "no column %s (data.csv.label_column) in the header, which has %s%s",
        ps_csv_show(name).text, ps_buf_cstr(&names), header->n > MOST ? " and more" : "");
    ps_buf_free(&names);
    return st;
}

/* How often the name stands in the header, and where first. */
static size_t count_name(const ps_csv_record *header, const char *name, size_t *first)
{
    size_t n = 0;
    for (size_t i = header->n; i-- > 0;) {
        if (strcmp(header->fields[i].text, name) != 0)
            continue;
        *first = i;
        n++;
    }
    return n;
}

static bool is_class(const ps_dataset_options *o, const char *text)
{
    for (size_t i = 0; i < o->n_class_names; i++)
        if (!strcmp(o->class_names[i], text))
            return true;
    return false;
}

/* Nothing but numbers and names of classes: what a header never is, unless its names are such. */
static bool looks_like_data(const ps_dataset_options *o, const ps_csv_record *r)
{
    size_t values = 0;
    double ignored;
    for (size_t i = 0; i < r->n; i++) {
        const char *text = r->fields[i].text;
        bool value = ps_csv_number(text, &ignored) || is_class(o, text);
        if (!value && !ps_csv_missing(text))
            return false;
        values += value;
    }
    return values > 0;
}

/* "0,1,2,3", as programs write that have no names: of a file without labels no name says that it
 * is the header, and few rows of data look like that. */
static bool counts_up(const ps_csv_record *r)
{
    enum { LEAST = 4 };
    char number[24];
    for (size_t i = 0; i < r->n; i++) {
        (void)snprintf(number, sizeof number, "%zu", i);
        if (strcmp(r->fields[i].text, number) != 0)
            return false;
    }
    return r->n >= LEAST;
}

static ps_status no_header(bool labels)
{
    return ps_fail(PS_INVALID_ARGUMENT,
                   "nothing but values in the header; where there is none, say so: "
                   "data.csv.header: false (no --header)%s",
                   labels ? "; where its names are numbers, give the label's: "
                            "label_column: {name: N}"
                          : "");
}

/* ---- the labels ---- */

static ps_status no_room(const ps_csv_record *first, const ps_csv_columns *c)
{
    const char *hint = first->n == 1 ? ps_csv_delimiter_hint(first->fields[0].text) : "";
    if (c->n_labels >= c->n)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "%zu column%s; %zu for labels and at least 1 for features are needed%s",
                       c->n, c->n == 1 ? "" : "s", c->n_labels, hint);
    return ps_fail(PS_INVALID_ARGUMENT,
                   "%zu columns, numbered from 0; labels from column %zu to %zu do not fit", c->n,
                   c->first_label, c->first_label + c->n_labels - 1);
}

/* The name to look for in the header; "": none. */
static const char *name_of(const ps_spec_csv *csv)
{
    const ps_spec_label_column *l = &csv->label_column;
    return !csv->header || l->index >= 0 ? "" : *l->name ? l->name : l->any;
}

/* named: the header has the name, at c->first_label. */
static ps_status place_labels(const ps_spec_csv *csv, const ps_csv_record *first, bool named,
                              ps_csv_columns *c)
{
    const ps_spec_label_column *l = &csv->label_column;
    if (!named && l->index >= 0)
        c->first_label = (size_t)l->index;
    else if (!named && *l->name)
        return no_such_name(first, l->name);
    else if (!named && !strcmp(l->any, "last"))
        c->first_label = c->n - (c->n < c->n_labels ? c->n : c->n_labels);
    else if (!named && !strcmp(l->any, "first"))
        c->first_label = 0;
    else if (!named && strspn(l->any, "0123456789") == strlen(l->any))
        c->first_label = strtoull(l->any, NULL, 10); /* the largest when it is larger */
    else if (!named)
        return no_such_name(first, l->any);
    bool fits = c->n_labels < c->n && c->first_label <= c->n - c->n_labels;
    return fits ? PS_OK : no_room(first, c);
}

/* Without labels the file may still have their columns. */
static bool has_labels(const ps_dataset_options *o, size_t columns)
{
    return o->labels != PS_LABELS_NONE ||
           (o->features && columns == (size_t)o->features + (size_t)o->data->csv.targets);
}

ps_status ps_csv_columns_learn(const ps_dataset_options *o, const ps_csv_record *first,
                               ps_csv_columns *out)
{
    const ps_spec_csv *csv = &o->data->csv;
    ps_csv_columns c = {.n = first->n};
    bool labels = has_labels(o, first->n);
    const char *name = labels ? name_of(csv) : "";
    size_t named = *name ? count_name(first, name, &c.first_label) : 0;
    if (named > 1)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "column %s (data.csv.label_column) is %zu times in the header",
                       ps_csv_show(name).text, named);
    if (csv->header && !named && looks_like_data(o, first) && (labels || !counts_up(first)))
        return no_header(labels);
    if (labels)
        c.n_labels = o->labels == PS_LABELS_CLASSES ? 1 : (size_t)csv->targets;
    ps_status st = labels ? place_labels(csv, first, named, &c) : PS_OK;
    c.features = c.n - c.n_labels;
    *out = c;
    return st;
}
