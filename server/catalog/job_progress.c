#include "server/catalog/job_progress.h"

#include <stdio.h>

Psd__V1__Progress ps_job_progress_message(const ps_job_record *record, ps_job_lists *lists)
{
    const ps_job_progress *p = &record->progress;
    Psd__V1__Progress out = PSD__V1__PROGRESS__INIT;
    out.epoch = p->epoch;
    out.epochs = p->epochs;
    out.samples = p->samples;
    out.samples_total = p->samples_total;
    out.steps = p->steps;
    out.samples_per_second = p->samples_per_second;
    out.has_loss = p->has_loss;
    out.loss = p->loss;
    out.has_test = p->has_test;
    out.test_loss = p->test_loss;
    out.bytes_in_per_second = p->bytes_in_per_second;
    out.bytes_out_per_second = p->bytes_out_per_second;
    out.staleness_mean = p->staleness_mean;
    out.staleness_max = p->staleness_max;
    out.workers = p->workers;
    out.eta_seconds = p->eta_seconds;
    out.phase = (char *)(uintptr_t)p->phase; /* only read, as is */
    out.tensors = p->tensors;
    out.tensors_total = p->tensors_total;
    out.n_metrics = ps_metric_list_view(&record->metrics, &lists->metrics);
    out.metrics = lists->metrics.list;
    out.n_test_metrics = ps_metric_list_view(&record->test_metrics, &lists->test_metrics);
    out.test_metrics = lists->test_metrics.list;
    return out;
}

void ps_job_progress_read(const Psd__V1__Progress *message, ps_job_record *out)
{
    out->progress = (ps_job_progress){.epoch = message->epoch,
                                      .epochs = message->epochs,
                                      .samples = message->samples,
                                      .samples_total = message->samples_total,
                                      .steps = message->steps,
                                      .samples_per_second = message->samples_per_second,
                                      .has_loss = message->has_loss,
                                      .loss = message->loss,
                                      .has_test = message->has_test,
                                      .test_loss = message->test_loss,
                                      .bytes_in_per_second = message->bytes_in_per_second,
                                      .bytes_out_per_second = message->bytes_out_per_second,
                                      .staleness_mean = message->staleness_mean,
                                      .staleness_max = message->staleness_max,
                                      .workers = message->workers,
                                      .eta_seconds = message->eta_seconds,
                                      .tensors = message->tensors,
                                      .tensors_total = message->tensors_total};
    (void)snprintf(out->progress.phase, sizeof out->progress.phase, "%s", message->phase);
    ps_metric_list_add_messages(&out->metrics, message->metrics, message->n_metrics);
    ps_metric_list_add_messages(&out->test_metrics, message->test_metrics, message->n_test_metrics);
}
