/* Numbers are added up and tokens collected until it is time for the next report; lines leave at
 * once. Cannot fail. */
#include "worker/task/report.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <stdarg.h>
#include <stdio.h>

void ps_task_report_begin(ps_task_run *run)
{
    PS_REQUIRE(run->env && run->task && run->sink.progress && run->sink.output);
    psd__v1__task_progress__init(&run->pending);
    run->pending.lease_id = run->task->lease_id;
    run->pending.position = run->task->row_begin;
    run->reported_ms = ps_clock_ms(run->env->clock);
    run->quiet_since_ms = run->reported_ms;
    run->quiet_ms = PS_TASK_QUIET_MS;
}

bool ps_task_quiet_long(ps_task_run *run)
{
    ps_one_thread_require(&run->mine);
    uint64_t now = ps_clock_ms(run->env->clock);
    if (now - run->quiet_since_ms < run->quiet_ms)
        return false;
    run->quiet_since_ms = now;
    run->quiet_ms =
        2 * run->quiet_ms < PS_TASK_QUIET_MAX_MS ? 2 * run->quiet_ms : PS_TASK_QUIET_MAX_MS;
    return true;
}

bool ps_task_stopping(const ps_task_run *run)
{
    return atomic_load(run->stop);
}

static void send_numbers(ps_task_run *run)
{
    Psd__V1__TaskProgress *report = ps_new(Psd__V1__TaskProgress);
    *report = run->pending;
    report->n_metric_sums = run->metric_sums.count;
    report->metric_sums = ps_metric_list_messages(&run->metric_sums);
    run->sink.progress(run->sink.user, report);
    run->metric_sums.count = 0;
    uint64_t position = run->pending.position;
    psd__v1__task_progress__init(&run->pending);
    run->pending.lease_id = run->task->lease_id;
    run->pending.position = position;
    run->reported_ms = ps_clock_ms(run->env->clock);
}

void ps_task_report(ps_task_run *run, uint64_t position, const Psd__V1__TaskProgress *numbers)
{
    ps_one_thread_require(&run->mine);
    run->begun = true;
    run->quiet_since_ms = ps_clock_ms(run->env->clock);
    run->pending.position = position;
    run->pending.samples += numbers->samples;
    run->pending.steps += numbers->steps;
    run->pending.rows_total = numbers->rows_total;
    run->pending.loss_sum += numbers->loss_sum;
    ps_metric_list_add_messages(&run->metric_sums, numbers->metric_sums, numbers->n_metric_sums);
    if (run->quiet_since_ms - run->reported_ms >= PS_TASK_REPORT_MS)
        send_numbers(run);
}

void ps_task_log(ps_task_run *run, int level, const char *format, ...)
{
    ps_one_thread_require(&run->mine);
    char text[PS_ERROR_MAX];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    Psd__V1__LogEvent *log = ps_new(Psd__V1__LogEvent);
    psd__v1__log_event__init(log);
    log->time_ms = ps_clock_wall_ms(run->env->clock);
    log->level = level;
    log->source = ps_strdup(*run->env->conf->name ? run->env->conf->name : "worker");
    log->text = ps_strdup(text);
    Psd__V1__TaskProgress *progress = ps_new(Psd__V1__TaskProgress);
    psd__v1__task_progress__init(progress);
    progress->lease_id = run->task->lease_id;
    progress->position = run->pending.position;
    progress->log = log;
    run->sink.progress(run->sink.user, progress);
}

static void send_tokens(ps_task_run *run)
{
    if (!run->generated)
        return;
    Psd__V1__TaskOutput *output = ps_new(Psd__V1__TaskOutput);
    psd__v1__task_output__init(output);
    output->lease_id = run->task->lease_id;
    output->output = run->generated;
    run->sink.output(run->sink.user, output);
    run->generated = NULL;
    run->generated_capacity = 0;
    run->generated_ms = ps_clock_ms(run->env->clock);
}

void ps_task_generated(ps_task_run *run, uint64_t index, int32_t token)
{
    ps_one_thread_require(&run->mine);
    PS_REQUIRE(token >= 0);
    run->begun = true;
    if (!run->generated) {
        run->generated = ps_new(Psd__V1__Output);
        psd__v1__output__init(run->generated);
        run->generated->first = index;
    }
    Psd__V1__Output *out = run->generated;
    if (out->n_tokens == run->generated_capacity) {
        run->generated_capacity = run->generated_capacity ? 2 * run->generated_capacity : 16;
        out->tokens = ps_realloc(out->tokens, run->generated_capacity * sizeof *out->tokens);
    }
    out->tokens[out->n_tokens++] = (uint32_t)token;
    if (!run->generated_ms || ps_clock_ms(run->env->clock) - run->generated_ms >= PS_TASK_OUTPUT_MS)
        send_tokens(run);
}

void ps_task_report_end(ps_task_run *run, bool always)
{
    ps_one_thread_require(&run->mine);
    if (always || run->pending.samples)
        send_numbers(run);
    send_tokens(run);
}
