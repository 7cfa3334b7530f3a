/* csv: lines of numbers with one separator, as data.csv of the job file says; plain or .gz. Lines
 * end in \n or \r\n; empty lines are passed over, and so is a byte order mark; blanks around a
 * number do not matter. */
#ifndef PS_WORKER_DATA_CSV_H
#define PS_WORKER_DATA_CSV_H

#include "worker/data/reader.h"

extern const ps_reader ps_reader_csv;

#endif
