#include "worker/task/result.h"

#include "common/base/mem.h"

void ps_result_metric(Psd__V1__TaskResult *result, const char *name, double value)
{
    Psd__V1__Metric *metric = ps_new(Psd__V1__Metric);
    psd__v1__metric__init(metric);
    metric->name = ps_strdup(name);
    metric->value = value;
    result->metrics =
        ps_realloc(result->metrics, (result->n_metrics + 1) * sizeof *result->metrics);
    result->metrics[result->n_metrics++] = metric;
}

void ps_result_report(Psd__V1__TaskResult *result, const char *json)
{
    if (result->report && *result->report)
        ps_free(&result->report);
    result->report = ps_strdup(json);
}

void ps_result_artifact(Psd__V1__TaskResult *result, const char *name)
{
    result->artifacts =
        ps_realloc(result->artifacts, (result->n_artifacts + 1) * sizeof *result->artifacts);
    result->artifacts[result->n_artifacts++] = ps_strdup(name);
}
