/* numbers: what an explanation holds, by row, and what its outputs are called. Its arrays are bytes
 * of a file that others have left, and may be any. Pure. One thread (not asserted: psctl has no
 * other).
 */
#ifndef PS_REPORT_NUMBERS_H
#define PS_REPORT_NUMBERS_H

#include "client/show/explain_view.h"

/* A row of an array of the explanation: all that has one place on its first axis. */
typedef struct ps_numbers {
    const uint8_t *data; /* float32, at any address */
    uint64_t n;
} ps_numbers;

/* data NULL: there is no such array, or no such row; one of a single side has the row 0. */
ps_numbers ps_numbers_of(const ps_explain_view *view, const char *array, uint64_t row);
/* All of it at once, of whatever sides. */
ps_numbers ps_numbers_whole(const ps_explain_view *view, const char *array);
double ps_number_at(const ps_numbers *numbers, uint64_t i);
double ps_numbers_sum(const ps_numbers *numbers);   /* of those that are finite */
double ps_numbers_limit(const ps_numbers *numbers); /* above; 0: all are 0, or none is finite */
/* Of each row number i, the mean; NaN: a row has it not, or there are none. */
double ps_array_mean(const ps_explain_view *view, const char *array, uint64_t i);

/* The array that a method, the first of that name, calls so: "confusion", "counts"; "": none. */
const char *ps_array_of(const ps_explain_view *view, const char *method, const char *name);
/* Of a row of that array the number that the manifest calls so; NaN: there is none. */
double ps_number_called(const ps_explain_view *view, const char *method, const char *name,
                        const ps_numbers *row, const char *entry);
/* How long it is along its last axis; 0: there is none. */
uint64_t ps_array_last(const ps_explain_view *view, const char *array);
/* How many rows it has. */
uint64_t ps_array_rows(const ps_explain_view *view, const char *array);

/* Output i, escaped: its class, its token, or its number. */
void ps_output_html(ps_buf *out, const ps_explain_view *view, int64_t i);

#endif
