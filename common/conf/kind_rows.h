/* kind_rows: the table of kinds of jobs: which sections of the job file each needs, takes or
 * refuses, and what a kind means for whoever does not run its jobs. The schema, the checks and the
 * texts of errors of common/conf are made from it. What is done for a job of a kind is a row of the
 * same name of psd (server/sched/kinds) and of psworker (worker/tasks). A new kind is a line in
 * kind_rows.c. Read-only; any thread.
 */
#ifndef PS_CONF_KIND_ROWS_H
#define PS_CONF_KIND_ROWS_H

#include "common/base/buf.h"

#include <stdbool.h>

/* Of the job file, as far as it is a matter of the kind whether they are there. */
typedef enum ps_section {
    PS_SECTION_MODEL_NAME,
    PS_SECTION_INITIALIZE_FROM,
    PS_SECTION_MODEL,
    PS_SECTION_DATA,
    PS_SECTION_DATA_TRAIN,
    PS_SECTION_DATA_TEST,
    PS_SECTION_TRAIN,
    PS_SECTION_DISTIL,
    PS_SECTION_RECORD,
    PS_SECTION_REPORT,
    PS_SECTION_GENERATE,
    PS_SECTION_EMBED,
    PS_SECTION_ROWS,
    PS_SECTION_COMPARE,
    PS_SECTION_COMPRESS,
    PS_SECTION_EXPLAIN,
    PS_SECTIONS,
} ps_section;

typedef enum ps_section_use {
    PS_SECTION_REFUSED,
    PS_SECTION_ALLOWED,
    PS_SECTION_NEEDED,
} ps_section_use;

typedef struct ps_kind_row {
    const char *name;
    ps_section_use sections[PS_SECTIONS];
    bool trains;     /* makes a model of the job's name, and takes from the data what that lacks */
    bool unlabelled; /* of its data only what goes into the model is read */
    bool labels_too; /* labels are read where there are some */
    bool leaves_files; /* its tasks leave artifacts with psd */
    bool coders;       /* models that give back what they take are for it, too, */
    bool lenses;       /* and lenses are, */
    bool images;       /* and networks of convolutions are, */
    bool encoders;     /* and models of texts */
} ps_kind_row;

/* In the order of the table; ended by a row without a name. */
extern const ps_kind_row ps_kind_rows[];
extern const char *const ps_kind_names[]; /* the same; ended by NULL */

/* "train, evaluate and predict": the kinds that take the section. */
void ps_kind_owners(ps_section section, ps_buf *out);

#endif
