/* job_rig: a short job, line by line so that a test can say where, and what becomes of a job file.
 */
#ifndef PS_TEST_JOB_RIG_H
#define PS_TEST_JOB_RIG_H

#include "common/conf/job_spec.h"
#include "tests/lib/check_main.h"

#include <string.h>

#define TRAIN                                         \
    "kind: train\n"                                   \
    "name: a-job\n"                                   \
    "model: {architecture: mlp, layers: [4, 3]}\n"    \
    "data:\n"                                         \
    "  format: idx\n"                                 \
    "  train: {features: /d/x.gz, labels: /d/y.gz}\n" \
    "train:\n"                                        \
    "  epochs: 2\n"                                   \
    "  optimizer: {name: sgd, learning_rate: 0.1}\n"

static inline ps_job_spec *parse(const char *yaml)
{
    ps_job_spec *spec = NULL;
    ck_ok(ps_job_spec_parse(ps_slice_str(yaml), "job.yaml", &spec));
    return spec;
}

/* message begins a line of what is said. */
static inline void refuses(const char *yaml, const char *message)
{
    ps_job_spec *spec = NULL;
    ck_assert_int_eq(ps_job_spec_parse(ps_slice_str(yaml), "job.yaml", &spec), PS_INVALID_ARGUMENT);
    ck_assert_ptr_null(spec);
    const char *said = ps_error_message(), *at = strstr(said, message);
    ck_assert_msg(at && (at == said || at[-1] == '\n'), "%s", said);
}

#endif
