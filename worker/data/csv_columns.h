/* csv_columns: what the columns of a csv file are, told by its first record: the header, if there
 * is one, and where the labels stand. Errors say what is wrong with that record, not where it is.
 */
#ifndef PS_WORKER_DATA_CSV_COLUMNS_H
#define PS_WORKER_DATA_CSV_COLUMNS_H

#include "worker/data/csv_text.h"
#include "worker/data/reader.h"

typedef struct ps_csv_columns {
    size_t n; /* features + n_labels */
    size_t features;
    size_t first_label; /* those from there on; n_labels 0: none */
    size_t n_labels;
} ps_csv_columns;

PS_MUST_CHECK ps_status ps_csv_columns_learn(const ps_dataset_options *options,
                                             const ps_csv_record *first, ps_csv_columns *out);

/* The column of feature i. */
size_t ps_csv_feature(const ps_csv_columns *columns, size_t i);

/* Does the field say that there is no value? It is empty, or ?, NA, N/A, NaN or null in any case.
 */
bool ps_csv_missing(const char *text);

/* A field as messages show it: the first bytes, control characters as '?', in quotes. */
typedef struct ps_csv_shown {
    char text[48];
} ps_csv_shown;
ps_csv_shown ps_csv_show(const char *text);
/* Where the text would be cut if the file's delimiter were another one: "; is ';' the delimiter?
 * …", otherwise "". */
const char *ps_csv_delimiter_hint(const char *text);

#endif
