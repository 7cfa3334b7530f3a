/* Happy path of the bar: "job 7 fashion-mlp  epoch 3/10 [####----]  27%  ETA 1m 12s" and below it
 * the numbers. Widths are counted in columns without colours; a field that does not fit is left
 * out, so that no line ever wraps and the bar can be drawn over itself. */
#include "client/follow/progress.h"

#include "client/show/human.h"
#include "client/show/job_view.h"
#include "client/show/metrics.h"
#include "common/base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

enum { BAR_LEAST = 10, BAR_MOST = 40, FIELDS = 8 };

typedef struct field {
    char text[64];
    unsigned rank; /* the higher, the sooner it goes; 0: not there */
} field;

/* The bar itself --------------------------------------------------------------------------------
 */

static void put_bar(ps_buf *out, const ps_style *style, double share, size_t columns)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    size_t steps = style->utf8 ? 8 : 1;
    size_t filled = (size_t)(share * (double)(columns * steps) + 1e-9);
    size_t whole = filled / steps, part = filled % steps, used = whole + (part > 0);
    ps_buf_puts(out, style->utf8 ? "▕" : "[");
    if (style->color)
        ps_buf_puts(out, "\033[36m");
    for (size_t i = 0; i < whole; i++)
        ps_buf_puts(out, style->utf8 ? "█" : "#");
    ps_buf_puts(out, eighths[part]);
    if (style->color)
        ps_buf_puts(out, "\033[0m");
    for (size_t i = used; i < columns; i++)
        ps_buf_putc(out, style->utf8 ? ' ' : '-');
    ps_buf_puts(out, style->utf8 ? "▏" : "]");
}

static void first_line(ps_buf *out, const ps_style *style, const Psd__V1__Job *job, size_t width)
{
    const Psd__V1__Progress *p = job->progress;
    char epoch[PS_JOB_STAGE], right[64], label[160];
    (void)ps_job_stage(p, epoch);
    double share = ps_job_share(job);
    share = share < 0 ? 0 : share;
    snprintf(right, sizeof right, "%3.0f%%  ETA %s", share * 100,
             ps_human_duration(p->eta_seconds).text); /* "-" while it is negative */
    snprintf(label, sizeof label, "job %" PRIu64 " %s", job->id, job->name);
    size_t fixed = strlen(right) + 1;
    size_t with_epoch = fixed + (epoch[0] ? strlen(epoch) + 1 : 0);
    size_t with_label = with_epoch + ps_text_columns(label, strlen(label)) + 2;
    size_t bar = BAR_LEAST + 2;
    if (with_label + bar <= width) {
        ps_put_text(out, style, PS_COLOR_BOLD, label);
        ps_buf_puts(out, "  ");
        fixed = with_label;
    } else if (with_epoch <= width) { /* says more than a bar does */
        fixed = with_epoch;
    } else {
        epoch[0] = '\0';
    }
    if (epoch[0])
        ps_buf_printf(out, "%s ", epoch);
    if (fixed + bar <= width) {
        bar = width - fixed - 2;
        put_bar(out, style, share, bar > BAR_MOST ? BAR_MOST : bar);
        ps_buf_putc(out, ' ');
    }
    ps_put_clean(out, style, right, width);
    ps_buf_putc(out, '\n');
}

/* The numbers -----------------------------------------------------------------------------------
 */

static void set(field *f, unsigned rank, const char *format, ...) PS_PRINTF(3, 4);
static void set(field *f, unsigned rank, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(f->text, sizeof f->text, format, args);
    va_end(args);
    f->rank = rank;
}

/* Of many metrics, the first: a line has room for one. */
static const Psd__V1__Metric *metric_of(const Psd__V1__Progress *p)
{
    return ps_metrics_first((ps_metrics){.list = p->metrics, .n = p->n_metrics});
}

static const Psd__V1__Metric *test_metric_of(const Psd__V1__Progress *p)
{
    return ps_metrics_first((ps_metrics){.list = p->test_metrics, .n = p->n_test_metrics});
}

static size_t numbers(const Psd__V1__Progress *p, const ps_style *style, field f[FIELDS])
{
    size_t n = 0;
    const Psd__V1__Metric *metric = metric_of(p), *test = test_metric_of(p);
    if (p->has_loss)
        set(&f[n++], 1, "loss %s", ps_human_value(p->loss).text);
    if (p->has_loss && metric)
        set(&f[n++], 2, "%s %s", metric->name, ps_human_value(metric->value).text);
    if (p->has_test && test && metric && strcmp(test->name, metric->name) != 0)
        set(&f[n++], 3, "test %s %s", test->name, ps_human_value(test->value).text);
    else if (p->has_test && test)
        set(&f[n++], 3, "test %s", ps_human_value(test->value).text);
    else if (p->has_test)
        set(&f[n++], 3, "test loss %s", ps_human_value(p->test_loss).text);
    set(&f[n++], 4, "%s samples/s", ps_human_count(p->samples_per_second).text);
    set(&f[n++], 5, "%u worker%s", p->workers, p->workers == 1 ? "" : "s");
    if (style->utf8)
        set(&f[n++], 6, "↓ %s/s ↑ %s/s", ps_human_bytes(p->bytes_in_per_second).text,
            ps_human_bytes(p->bytes_out_per_second).text);
    else
        set(&f[n++], 6, "in %s/s out %s/s", ps_human_bytes(p->bytes_in_per_second).text,
            ps_human_bytes(p->bytes_out_per_second).text);
    if (p->steps)
        set(&f[n++], 7, "staleness %.1f (max %" PRIu64 ")", p->staleness_mean, p->staleness_max);
    return n;
}

/* Puts the fields on a line of `width` columns (0: all), the highest ranks go first. */
static void put_fields(ps_buf *out, field *f, size_t n, size_t width, const char *indent)
{
    size_t used = strlen(indent);
    for (size_t i = 0; i < n; i++)
        used += ps_text_columns(f[i].text, strlen(f[i].text)) + 2;
    used -= n ? 2 : 0;
    while (width && used > width) {
        field *worst = NULL;
        for (size_t i = 0; i < n; i++)
            if (f[i].rank && (!worst || f[i].rank > worst->rank))
                worst = &f[i];
        if (!worst)
            return;
        used -= ps_text_columns(worst->text, strlen(worst->text)) + 2;
        worst->rank = 0;
    }
    const char *between = indent;
    for (size_t i = 0; i < n; i++)
        if (f[i].rank) {
            ps_buf_printf(out, "%s%s", between, f[i].text);
            between = "  ";
        }
    ps_buf_putc(out, '\n');
}

/* Queued, cancelling, or not yet planned: a line that says what it waits for. */
static void state_line(ps_buf *out, const ps_style *style, const Psd__V1__Job *job, int64_t now_ms,
                       size_t width)
{
    char text[400];
    int64_t since = job->started_ms ? job->started_ms : job->submitted_ms;
    double seconds = since ? floor(ps_seconds_between(since, now_ms)) : 0;
    snprintf(text, sizeof text, "job %" PRIu64 " %.64s  %s for %s%s%.200s", job->id, job->name,
             ps_job_state_name(job->state), ps_human_duration(seconds).text,
             *job->reason ? ": " : "", job->reason);
    ps_put_clean(out, style, text, width);
    ps_buf_putc(out, '\n');
}

void ps_progress_bar(ps_buf *out, const ps_style *style, const Psd__V1__Job *job, int64_t now_ms,
                     const char *note)
{
    size_t width = style->width > 1 ? style->width - 1 : 79;
    if (!job->progress || job->state != PSD__V1__JOB_STATE__JOB_STATE_RUNNING)
        state_line(out, style, job, now_ms, width);
    else
        first_line(out, style, job, width);
    if (note) {
        ps_buf_puts(out, "  ");
        if (style->color)
            ps_buf_puts(out, "\033[33m");
        ps_put_clean(out, style, note, width > 2 ? width - 2 : 0);
        if (style->color)
            ps_buf_puts(out, "\033[0m");
        ps_buf_putc(out, '\n');
    } else if (job->progress && job->state == PSD__V1__JOB_STATE__JOB_STATE_RUNNING) {
        field f[FIELDS];
        put_fields(out, f, numbers(job->progress, style, f), width, "  ");
    }
}

void ps_progress_line(ps_buf *out, const ps_style *style, const Psd__V1__Job *job, int64_t now_ms)
{
    const Psd__V1__Progress *p = job->progress;
    double share = ps_job_share(job);
    if (!p || job->state != PSD__V1__JOB_STATE__JOB_STATE_RUNNING || share < 0) {
        state_line(out, style, job, now_ms, SIZE_MAX);
        return;
    }
    char stage[PS_JOB_STAGE];
    if (*ps_job_stage(p, stage))
        ps_buf_printf(out, "%s  ", stage);
    ps_buf_printf(out, "%.0f%%  ", share * 100);
    ps_style plain = *style;
    plain.utf8 = false;
    field f[FIELDS];
    size_t n = numbers(p, &plain, f);
    if (p->eta_seconds >= 0)
        set(&f[n++], 9, "ETA %s", ps_human_duration(p->eta_seconds).text);
    put_fields(out, f, n, 0, "");
}

void ps_progress_log(ps_buf *out, const ps_style *style, const Psd__V1__LogEvent *event)
{
    char clock[16] = "--:--:--";
    time_t seconds = (time_t)(event->time_ms / 1000);
    struct tm tm;
    if (localtime_r(&seconds, &tm))
        strftime(clock, sizeof clock, "%H:%M:%S", &tm);
    ps_put_text(out, style, PS_COLOR_DIM, clock);
    ps_buf_putc(out, ' ');
    if (*event->source) {
        ps_put_clean(out, style, event->source, 64);
        ps_buf_puts(out, ": ");
    }
    ps_color color = event->level <= 3   ? PS_COLOR_RED
                     : event->level == 4 ? PS_COLOR_YELLOW
                                         : PS_COLOR_NONE;
    ps_put_text(out, style, color, event->text);
    ps_buf_putc(out, '\n');
}

static void put_outcome(ps_buf *out, const Psd__V1__Progress *p)
{
    const Psd__V1__Metric *metric = p->has_test ? test_metric_of(p) : metric_of(p);
    if (p->has_test && metric)
        ps_buf_printf(out, ": test %s %s, test loss %s", metric->name,
                      ps_human_value(metric->value).text, ps_human_value(p->test_loss).text);
    else if (p->has_test)
        ps_buf_printf(out, ": test loss %s", ps_human_value(p->test_loss).text);
    else if (p->has_loss)
        ps_buf_printf(out, ": loss %s", ps_human_value(p->loss).text);
    if (!p->has_test && p->has_loss && metric)
        ps_buf_printf(out, ", %s %s", metric->name, ps_human_value(metric->value).text);
}

void ps_progress_result(ps_buf *out, const ps_style *style, const Psd__V1__Job *job, int64_t now_ms)
{
    const Psd__V1__Progress *p = job->progress;
    ps_buf_printf(out, "job %" PRIu64 " ", job->id);
    ps_put_clean(out, style, job->name, 64);
    ps_buf_puts(out, job->state == PSD__V1__JOB_STATE__JOB_STATE_DONE ? " is " : " has been ");
    if (job->state == PSD__V1__JOB_STATE__JOB_STATE_FAILED) {
        out->len -= strlen("been ");
        ps_put_text(out, style, PS_COLOR_RED, "failed");
    } else {
        ps_put_text(out, style, ps_job_state_color(job->state), ps_job_state_name(job->state));
    }
    double seconds = ps_job_seconds(job, now_ms);
    if (seconds >= 0)
        ps_buf_printf(out, " after %s", ps_human_duration(seconds).text);
    if (job->state == PSD__V1__JOB_STATE__JOB_STATE_DONE && p)
        put_outcome(out, p);
    ps_buf_putc(out, '\n');
}
