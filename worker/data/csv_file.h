/* csv_file: the records of a csv file as the rows of a data set: which of their fields are features
 * and which labels, and what numbers stand there. For csv.c, which keeps them, and csv_survey.c,
 * which looks at them once. Errors name file, line and column. */
#ifndef PS_WORKER_DATA_CSV_FILE_H
#define PS_WORKER_DATA_CSV_FILE_H

#include "worker/data/csv_columns.h"

#define PS_CSV_LABEL_MISSING "a row needs its label"

typedef struct ps_csv_file {
    const ps_dataset_options *options;
    ps_csv_text *text;
    ps_csv_columns columns;
    size_t first;  /* line of the first record */
    char **header; /* [columns.n], what that calls them; NULL: nothing */
    size_t rows;   /* before the one at hand */
} ps_csv_file;

/* Once the columns are known, for each row, and (NULL: not) behind the last one, where errors name
 * the file alone. PS_END of a row: that is enough. */
typedef struct ps_csv_visitor {
    ps_status (*begin)(void *user, const ps_csv_file *file);
    ps_status (*row)(void *user, const ps_csv_file *file, const ps_csv_record *record);
    ps_status (*end)(void *user, const ps_csv_file *file);
    void *user;
} ps_csv_visitor;

PS_MUST_CHECK ps_status ps_csv_file_visit(const ps_dataset_options *options,
                                          const ps_csv_visitor *visitor);

/* The column as messages name it: "column 2", or "column 2 ('age')" where a header does. */
typedef struct ps_csv_column_name {
    char text[80];
} ps_csv_column_name;
ps_csv_column_name ps_csv_file_column(const ps_csv_file *file, size_t column);

/* Of feature i, finite. *missing: it is not there, and *out is what stands for it (0 where that is
 * a mean which is not known yet). */
PS_MUST_CHECK ps_status ps_csv_file_feature(const ps_csv_file *file, const ps_csv_record *record,
                                            size_t i, double *out, bool *missing);
/* Of a label's column, finite. */
PS_MUST_CHECK ps_status ps_csv_file_label(const ps_csv_file *file, const ps_csv_record *record,
                                          size_t column, double *out);
/* "; ...", when it is likely why the record's text is wrong; otherwise "". */
const char *ps_csv_file_hint(const ps_csv_file *file, const ps_csv_record *record,
                             const char *text);

#endif
