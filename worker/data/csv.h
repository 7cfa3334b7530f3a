/* csv: records of numbers (csv_text.h), as data.csv of the job file says; plain or .gz. Features
 * are kept as the model takes them: normalised, then float32. */
#ifndef PS_WORKER_DATA_CSV_H
#define PS_WORKER_DATA_CSV_H

#include "worker/data/survey.h"

extern const ps_reader ps_reader_csv;

/* Its hook `survey`. */
PS_MUST_CHECK ps_status ps_csv_survey(const ps_dataset_options *options, ps_survey_wants wants,
                                      ps_survey *out);

#endif
