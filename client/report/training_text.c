/* What is not known is not there. Cannot fail. */
#include "client/report/training_text.h"

#include "client/show/human.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { LINE = 64, BAR = 20, WORKERS_SHOWN = 16, SEGMENTS_MOST = 4096 };

/* ---- for people ---- */

/* One cell a step of the line, as high as the loss behind its last segment. */
static void put_line(ps_buf *out, const ps_style *style, const ps_loss_file *f)
{
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const plain[] = {"_", ".", ",", "-", "=", "+", "*", "#"};
    size_t cells = f->n_segments < LINE ? f->n_segments : LINE;
    if (style->width && cells + 8 > style->width)
        cells = style->width > 16 ? style->width - 8 : 8;
    cells = cells < f->n_segments ? cells : f->n_segments;
    double least = INFINITY, most = -INFINITY;
    for (size_t i = 0; i < f->n_segments; i++) {
        least = fmin(least, f->segments[i].loss_end);
        most = fmax(most, f->segments[i].loss_end);
    }
    ps_buf_puts(out, "loss  ");
    for (size_t i = 0; i < cells; i++) {
        double v = f->segments[(i + 1) * f->n_segments / cells - 1].loss_end;
        int place = most > least ? (int)(7.999 * (v - least) / (most - least)) : 0;
        ps_put_text(out, style, PS_COLOR_CYAN, (style->utf8 ? blocks : plain)[place]);
    }
    ps_buf_putc(out, '\n');
}

static void put_stack(ps_buf *out, const ps_style *style, const ps_stack *s, const char *what)
{
    const char *const headers[] = {what, ">CHANGE", "", NULL};
    double most = 0;
    for (size_t k = 0; k < s->n; k++)
        most = fmax(most, fabs(s->parts[k].change));
    if (s->all < 2 && strcmp(what, "TENSOR") != 0)
        return;
    ps_table *t = ps_table_new(headers);
    for (size_t k = 0; k < s->n; k++) {
        double v = s->parts[k].change;
        char bar[3 * BAR + 1] = "";
        int n = most > 0 ? (int)lround(BAR * fabs(v) / most) : 0;
        for (int i = 0; i < n && i < BAR; i++)
            strcat(bar, style->utf8 ? "█" : v < 0 ? "-" : "+");
        ps_table_text(t, s->parts[k].name);
        ps_table_printf(t, "%+.4g", v);
        ps_table_color(t, v < 0 ? PS_COLOR_GREEN : PS_COLOR_RED, bar);
    }
    ps_buf_putc(out, '\n');
    ps_table_render(t, style, out);
    ps_table_free(&t);
}

static void put_workers(ps_buf *out, const ps_style *style, const ps_training *training)
{
    static const char *const headers[] = {"WORKER", ">PUSHES", ">STALENESS", ">LARGEST", NULL};
    if (!training->n_workers)
        return;
    ps_table *t = ps_table_new(headers);
    for (size_t i = 0; i < training->n_workers && i < WORKERS_SHOWN; i++) {
        const ps_training_worker *w = &training->workers[i];
        ps_table_text(t, w->name);
        ps_table_printf(t, "%" PRIu64, w->pushes);
        ps_table_printf(t, "%.3g", w->staleness / (double)w->pushes);
        ps_table_printf(t, "%" PRIu64, w->staleness_most);
    }
    ps_buf_putc(out, '\n');
    ps_table_render(t, style, out);
    ps_table_free(&t);
    if (training->n_workers > WORKERS_SHOWN)
        ps_buf_printf(out, "and %zu more\n", training->n_workers - WORKERS_SHOWN);
}

void ps_training_text(ps_buf *out, const ps_style *style, const ps_training *t)
{
    const ps_loss_file *f = &t->losses;
    if (f->n_segments) {
        const ps_loss_segment *a = &f->segments[0], *b = &f->segments[f->n_segments - 1];
        ps_buf_printf(out,
                      "updates %" PRIu64 " to %" PRIu64
                      ": the loss of the probe rows went from %.6f to %.6f (%+.6f)\n",
                      a->begin, b->end, a->loss_begin, b->loss_end, b->loss_end - a->loss_begin);
        put_line(out, style, f);
        put_stack(out, style, &t->tensors, "TENSOR");
        put_stack(out, style, &t->workers_stack, "WORKER");
        put_stack(out, style, &t->shards, "TASK");
    }
    put_workers(out, style, t);
    if (isfinite(t->noise_scale))
        ps_buf_printf(out, "\nnoise scale %s rows, by %" PRIu64 " estimates",
                      ps_human_count(round(t->noise_scale)).text, t->estimates);
    if (isfinite(t->noise_scale) && isfinite(t->rows_per_update))
        ps_buf_printf(out, "; an update has %s", ps_human_count(round(t->rows_per_update)).text);
    ps_buf_printf(out,
                  "\nmore: psctl report %" PRIu64 " -o report.html; psctl losses %" PRIu64 "\n",
                  t->job, t->job);
}

/* ---- for programs ---- */

static void put_parts(ps_json_writer *w, const char *key, const ps_stack *s, size_t segments)
{
    ps_json_key(w, key);
    ps_json_array(w);
    for (size_t k = 0; k < s->n; k++) {
        ps_json_object(w);
        ps_json_put_string(w, "name", s->parts[k].name);
        ps_json_put_double(w, "change", s->parts[k].change);
        ps_json_key(w, "by_segment");
        ps_json_array(w);
        for (size_t i = 0; i < segments; i++)
            ps_json_float(w, (float)s->parts[k].by_segment[i]);
        ps_json_array_end(w);
        ps_json_object_end(w);
    }
    ps_json_array_end(w);
}

void ps_training_json(ps_json_writer *w, const ps_training *t)
{
    size_t segments = t->losses.n_segments < SEGMENTS_MOST ? t->losses.n_segments : SEGMENTS_MOST;
    ps_json_object(w);
    ps_json_put_uint(w, "job", t->job);
    ps_json_key(w, "segments");
    ps_json_array(w);
    for (size_t i = 0; i < segments; i++) {
        const ps_loss_segment *s = &t->losses.segments[i];
        ps_json_object(w);
        ps_json_put_uint(w, "begin", s->begin);
        ps_json_put_uint(w, "end", s->end);
        ps_json_put_double(w, "loss_begin", s->loss_begin);
        ps_json_put_double(w, "loss_end", s->loss_end);
        ps_json_object_end(w);
    }
    ps_json_array_end(w);
    put_parts(w, "tensors", &t->tensors, segments);
    put_parts(w, "workers", &t->workers_stack, segments);
    put_parts(w, "shards", &t->shards, segments);
    if (t->has_noise)
        ps_json_put_double(w, "noise_scale", t->noise_scale);
    ps_json_object_end(w);
}
