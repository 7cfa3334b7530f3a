/* csv_number: the numbers of a csv file: [+-] digits [. digits] [e [+-] digits], with digits on at
 * least one side of the point; nothing that a C library or a locale adds. Any thread. */
#ifndef PS_WORKER_DATA_CSV_NUMBER_H
#define PS_WORKER_DATA_CSV_NUMBER_H

#include <stdbool.h>

/* The double that is nearest (ties to even); beyond the largest an infinity. text ends with a zero.
 * false: it is no number, and *out is left alone. */
bool ps_csv_number(const char *text, double *out);

#endif
