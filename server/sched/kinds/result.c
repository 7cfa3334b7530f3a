#include "server/sched/kinds/result.h"

#include <inttypes.h>
#include <math.h>

static void put_test(ps_buf *json, const char *key, double v)
{
    if (isfinite(v))
        ps_buf_printf(json, "\"test_%s\":%.9g,", key, v);
    else
        ps_buf_printf(json, "\"test_%s\":null,", key);
}

static void put_tests(ps_buf *json, const ps_metric_list *metrics, double loss)
{
    for (size_t i = 0; i < metrics->count; i++)
        put_test(json, metrics->at[i].name, metrics->at[i].value);
    put_test(json, "loss", loss);
}

void ps_result_outcome(const ps_job_outcome *o, ps_buf *json)
{
    ps_buf_putc(json, '{');
    if (o->has_test)
        put_tests(json, &o->test_metrics, o->test_loss);
    ps_buf_printf(json, "\"epochs\":%" PRIu64 ",\"samples\":%" PRIu64 ",\"seconds\":%.3f}",
                  o->epochs, o->samples, o->seconds);
}

/* artifact is a name of ours, plain ASCII */
void ps_result_model_task(const ps_evaluation *evaluation, double seconds, const char *artifact,
                          ps_buf *json)
{
    ps_buf_putc(json, '{');
    if (evaluation && !artifact)
        put_tests(json, &evaluation->metrics, evaluation->loss);
    if (evaluation)
        ps_buf_printf(json, "\"samples\":%" PRIu64 ",", evaluation->samples);
    if (artifact)
        ps_buf_printf(json, "\"artifact\":\"%s\",", artifact);
    ps_buf_printf(json, "\"seconds\":%.3f}", seconds);
}

/* A worker's number, which may be anything. */
static void put_seconds(ps_buf *json, const char *key, double v)
{
    if (isfinite(v))
        ps_buf_printf(json, ",\"%s\":%.6g", key, v);
}

void ps_result_generate(const ps_generation *result, const ps_output *output, size_t prompt_tokens,
                        double seconds, ps_buf *json)
{
    static const char *const ends[] = {[PS_GENERATE_END_UNKNOWN] = "unspecified",
                                       [PS_GENERATE_END_LENGTH] = "length",
                                       [PS_GENERATE_END_STOP] = "stop",
                                       [PS_GENERATE_END_CONTEXT] = "context"};
    ps_buf_puts(json, "{\"tokens\":[");
    for (size_t i = 0; i < output->n; i++)
        ps_buf_printf(json, "%s%" PRIu32, i ? "," : "", output->tokens[i]);
    ps_buf_printf(json, "],\"prompt_tokens\":%zu,\"ended\":\"%s\"", prompt_tokens,
                  ends[result->end]);
    put_seconds(json, "load_seconds", result->load_seconds);
    put_seconds(json, "prompt_seconds", result->prompt_seconds);
    put_seconds(json, "generate_seconds", result->seconds);
    ps_buf_printf(json, ",\"seconds\":%.3f}", seconds);
}
