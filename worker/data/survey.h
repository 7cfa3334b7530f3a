/* survey: one look at training data before rows are read from them as the model takes them: what a
 * job file leaves to the data. One thread (not asserted: plain data of whoever has it). */
#ifndef PS_WORKER_DATA_SURVEY_H
#define PS_WORKER_DATA_SURVEY_H

#include "worker/data/moments.h"
#include "worker/data/name_set.h"
#include "worker/data/reader.h"

typedef struct ps_survey_wants {
    bool names;   /* options->labels are CLASSES, which may be words */
    bool moments; /* of each feature: of those that are there, when missing is MEAN */
} ps_survey_wants;

typedef struct ps_survey {
    ps_name_set names;  /* of the labels; none: they are numbers, or their format knows no words */
    ps_moments moments; /* finished */
} ps_survey;

/* Labels are words when the first one is: then all are, and a number among them is refused, as a
 * word is where the first is a number. options as for ps_dataset_open. Errors likewise; *out is
 * freed with ps_survey_free in any case. */
PS_MUST_CHECK ps_status ps_dataset_survey(const ps_dataset_options *options, ps_survey_wants wants,
                                          ps_survey *out);
void ps_survey_free(ps_survey *survey);

#endif
