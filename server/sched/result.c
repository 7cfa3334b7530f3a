#include "server/sched/result.h"

#include <inttypes.h>
#include <math.h>

double ps_result_accuracy(const Psd__V1__EvaluateResult *result)
{
    return result->correct < result->samples ? (double)result->correct / (double)result->samples
                                             : 1;
}

static void put_double(ps_buf *json, const char *key, double v)
{
    if (isfinite(v))
        ps_buf_printf(json, "\"%s\":%.9g,", key, v);
    else
        ps_buf_printf(json, "\"%s\":null,", key);
}

void ps_result_outcome(const ps_job_outcome *o, ps_buf *json)
{
    ps_buf_putc(json, '{');
    if (o->has_test) {
        put_double(json, "test_accuracy", o->test_accuracy);
        put_double(json, "test_loss", o->test_loss);
    }
    ps_buf_printf(json, "\"epochs\":%" PRIu64 ",\"samples\":%" PRIu64 ",\"seconds\":%.3f}",
                  o->epochs, o->samples, o->seconds);
}

/* artifact is a name of ours, plain ASCII */
void ps_result_model_task(const Psd__V1__EvaluateResult *evaluation, double seconds,
                          const char *artifact, ps_buf *json)
{
    ps_buf_putc(json, '{');
    if (evaluation && !artifact) {
        put_double(json, "test_accuracy", ps_result_accuracy(evaluation));
        put_double(json, "test_loss", evaluation->loss);
    }
    if (evaluation)
        ps_buf_printf(json, "\"samples\":%" PRIu64 ",", evaluation->samples);
    if (artifact)
        ps_buf_printf(json, "\"artifact\":\"%s\",", artifact);
    ps_buf_printf(json, "\"seconds\":%.3f}", seconds);
}
