/* Numbers are added up and tokens collected until it is time for the next report; lines leave at
 * once. Cannot fail. */
#include "worker/task_says.h"

#include "common/base/mem.h"

#include <stdarg.h>
#include <stdio.h>

bool ps_task_stopping(const ps_task_run *run)
{
    return atomic_load(run->stop);
}

void ps_task_report_now(ps_task_run *run)
{
    Psd__V1__TaskProgress *report = ps_new(Psd__V1__TaskProgress);
    *report = run->pending;
    report->n_metric_sums = run->metric_sums.count;
    report->metric_sums = ps_metric_list_messages(&run->metric_sums);
    ps_runner_progress(run->runner, report);
    run->metric_sums.count = 0;
    uint64_t position = run->pending.position;
    psd__v1__task_progress__init(&run->pending);
    run->pending.lease_id = run->task->lease_id;
    run->pending.position = position;
    run->reported_ms = ps_clock_ms(run->env->clock);
}

void ps_task_report(ps_task_run *run, uint64_t position, const Psd__V1__TaskProgress *numbers)
{
    run->begun = true;
    run->pending.position = position;
    run->pending.samples += numbers->samples;
    run->pending.steps += numbers->steps;
    run->pending.rows_total = numbers->rows_total;
    run->pending.loss_sum += numbers->loss_sum;
    ps_metric_list_add_messages(&run->metric_sums, numbers->metric_sums, numbers->n_metric_sums);
    if (ps_clock_ms(run->env->clock) - run->reported_ms >= PS_TASK_REPORT_MS)
        ps_task_report_now(run);
}

void ps_task_log(ps_task_run *run, int level, const char *format, ...)
{
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
    ps_runner_progress(run->runner, progress);
}

void ps_task_say_now(ps_task_run *run)
{
    if (!run->said)
        return;
    Psd__V1__TaskOutput *output = ps_new(Psd__V1__TaskOutput);
    psd__v1__task_output__init(output);
    output->lease_id = run->task->lease_id;
    output->output = run->said;
    ps_runner_output(run->runner, output);
    run->said = NULL;
    run->said_capacity = 0;
    run->said_ms = ps_clock_ms(run->env->clock);
}

void ps_task_say(ps_task_run *run, uint64_t index, int32_t token)
{
    run->begun = true;
    if (!run->said) {
        run->said = ps_new(Psd__V1__Output);
        psd__v1__output__init(run->said);
        run->said->first = index;
    }
    Psd__V1__Output *said = run->said;
    if (said->n_tokens == run->said_capacity) {
        run->said_capacity = run->said_capacity ? 2 * run->said_capacity : 16;
        said->tokens = ps_realloc(said->tokens, run->said_capacity * sizeof *said->tokens);
    }
    said->tokens[said->n_tokens++] = (uint32_t)token;
    if (!run->said_ms || ps_clock_ms(run->env->clock) - run->said_ms >= PS_TASK_OUTPUT_MS)
        ps_task_say_now(run);
}
