/* result: what a task has come to, into the message that says it. All is copied. */
#ifndef PS_TASK_RESULT_H
#define PS_TASK_RESULT_H

#include "psd/v1/workers.pb-c.h"

void ps_result_metric(Psd__V1__TaskResult *result, const char *name, double value);
/* A JSON object, of at most 64 KiB; replaces the one before. */
void ps_result_report(Psd__V1__TaskResult *result, const char *json);
/* The name of a file that the task has left with psd. */
void ps_result_artifact(Psd__V1__TaskResult *result, const char *name);

#endif
