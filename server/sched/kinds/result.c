#include "server/sched/kinds/result.h"

#include "common/json/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

bool ps_result_evaluation(const ps_task_result *result, ps_evaluation *out)
{
    ps_task_result_metrics(result, &out->metrics);
    return ps_task_result_count(result, "samples", &out->samples) && out->samples > 0 &&
           ps_task_result_number(result, "loss", &out->loss);
}

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

void ps_result_evaluated(const ps_evaluation *evaluation, double seconds, ps_buf *json)
{
    ps_buf_putc(json, '{');
    put_tests(json, &evaluation->metrics, evaluation->loss);
    ps_buf_printf(json, "\"samples\":%" PRIu64 ",\"seconds\":%.3f}", evaluation->samples, seconds);
}

/* A worker's number, which may be anything. */
static void put_seconds(ps_buf *json, const char *key, const ps_task_result *result,
                        const char *name)
{
    double seconds = NAN;
    if (ps_task_result_number(result, name, &seconds) && isfinite(seconds))
        ps_buf_printf(json, ",\"%s\":%.6g", key, seconds);
}

void ps_result_generated(const ps_task_result *result, const ps_output *output,
                         size_t prompt_tokens, double seconds, ps_buf *json)
{
    static const char *const ends[] = {"length", "stop", "context", NULL};
    const char *end = ps_task_result_word(result, "ended", ends);
    ps_buf_puts(json, "{\"tokens\":[");
    for (size_t i = 0; i < output->n; i++)
        ps_buf_printf(json, "%s%" PRIu32, i ? "," : "", output->tokens[i]);
    ps_buf_printf(json, "],\"prompt_tokens\":%zu,\"ended\":\"%s\"", prompt_tokens,
                  end ? end : "unspecified");
    put_seconds(json, "load_seconds", result, "load_seconds");
    put_seconds(json, "prompt_seconds", result, "prompt_seconds");
    put_seconds(json, "generate_seconds", result, "seconds");
    ps_buf_printf(json, ",\"seconds\":%.3f}", seconds);
}

static void put_artifacts(ps_json_writer *w, const ps_task_result *result)
{
    if (result->n_artifacts == 1) {
        ps_json_put_string(w, "artifact", result->artifacts[0]);
        return;
    }
    ps_json_key(w, "artifacts");
    ps_json_array(w);
    for (size_t i = 0; i < result->n_artifacts; i++)
        ps_json_string(w, result->artifacts[i]);
    ps_json_array_end(w);
}

static void put_numbers(ps_json_writer *w, const ps_task_result *result)
{
    ps_json_key(w, "metrics");
    ps_json_object(w);
    for (size_t i = 0; i < result->n_numbers; i++)
        ps_json_put_double(w, result->numbers[i].name, result->numbers[i].value);
    ps_json_object_end(w);
}

void ps_result_said(const ps_task_result *result, double seconds, ps_buf *json)
{
    char text[32];
    ps_json_writer w = ps_json_writer_to(json);
    ps_json_object(&w);
    if (result->n_numbers)
        put_numbers(&w, result);
    if (result->report && *result->report)
        ps_json_put_raw(&w, "report", result->report);
    if (result->n_artifacts)
        put_artifacts(&w, result);
    (void)snprintf(text, sizeof text, "%.3f", seconds);
    ps_json_put_raw(&w, "seconds", text);
    ps_json_object_end(&w);
}
