/* Training: how the loss went while the model was trained, through what, and where it rose and by
 * whose pushes; how noisy the gradients were, and how stale. */
#include "client/report/html.h"
#include "client/report/section_rows.h"
#include "client/report/timeline.h"
#include "client/report/training_text.h"
#include "client/show/human.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { SPIKES = 6, PUSHES_TOLD = 3, TENSORS_TOLD = 2, WORKERS_SHOWN = 64 };

static bool present(const ps_report *r)
{
    return r->training != NULL;
}

/* ---- in short ---- */

static void put_tile(ps_buf *out, const char *label, const char *value, const char *unit)
{
    ps_html(out, "<div><dt>%s</dt><dd>%s <small>%s</small></dd></div>\n", label, value, unit);
}

static void put_tiles(ps_buf *out, const ps_training *t)
{
    const ps_loss_file *f = &t->losses;
    ps_buf_puts(out, "<dl class=\"tiles\">\n");
    if (f->n_segments) {
        double last = f->segments[f->n_segments - 1].loss_end;
        put_tile(out, "Loss of the probe rows", ps_human_value(f->segments[0].loss_begin).text,
                 "at first");
        put_tile(out, "In the end", ps_human_value(last).text, "");
    }
    if (t->n_pushes)
        put_tile(out, "Pushes", ps_human_count((double)t->n_pushes).text, "");
    if (isfinite(t->rows_per_update))
        put_tile(out, "An update has", ps_human_count(round(t->rows_per_update)).text, "rows");
    if (isfinite(t->noise_scale))
        put_tile(out, "Noise scale", ps_human_count(round(t->noise_scale)).text, "rows");
    ps_buf_puts(out, "</dl>\n");
}

static void put_noise(ps_buf *out, const ps_training *t)
{
    if (!t->has_noise)
        return;
    ps_buf_puts(out, "<p class=\"note\">");
    if (!isfinite(t->noise_scale))
        ps_html(out,
                "The noise scale cannot be told: of %" PRIu64
                " estimates the gradients' mean is not above their noise.",
                t->estimates);
    else if (isfinite(t->rows_per_update))
        ps_html(out,
                "The noise scale is the batch that has as much noise as gradient, by %" PRIu64
                " estimates. An update had %.2g times as many rows: %s.",
                t->estimates, t->rows_per_update / t->noise_scale,
                t->rows_per_update < t->noise_scale / 2
                    ? "larger batches would have been worth nearly as much as they cost"
                : t->rows_per_update > 2 * t->noise_scale
                    ? "smaller batches would hardly have been worse"
                    : "about what they are worth");
    else
        ps_html(out,
                "The noise scale is the batch that has as much noise as gradient, by %" PRIu64
                " estimates: much smaller ones are worth what they cost, much larger ones are not.",
                t->estimates);
    ps_buf_puts(out, "</p>\n");
}

/* ---- where the loss rose ---- */

static double rise_of(const ps_loss_segment *s)
{
    double rise = s->loss_end - s->loss_begin;
    return isfinite(rise) ? rise : 0;
}

static double rise_at(const void *of, size_t i)
{
    return rise_of(&((const ps_loss_file *)of)->segments[i]);
}

/* What raised the loss of a segment. */
typedef struct raised {
    const ps_training *training;
    size_t segment;
} raised;

static double push_at(const void *of, size_t i)
{
    const raised *r = of;
    const ps_training_push *p = &r->training->pushes[i];
    return p->segment == r->segment ? p->change : 0;
}

static double tensor_at(const void *of, size_t i)
{
    const raised *r = of;
    return r->training->tensors.parts[i].by_segment[r->segment];
}

/* Which of n numbers are largest and above 0, the largest first: at most so many. */
static size_t find_largest(double (*at)(const void *of, size_t i), const void *of, size_t n,
                           size_t most, size_t *out)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        double v = at(of, i);
        if (!(v > 0))
            continue;
        size_t place = found < most ? found++ : most;
        for (; place > 0 && at(of, out[place - 1]) < v; place--)
            if (place < most)
                out[place] = out[place - 1];
        if (place < most)
            out[place] = i;
    }
    return found;
}

/* The pushes of the segment that raised it most, each once. */
static void put_pushes(ps_buf *out, const ps_training *t, size_t segment)
{
    const raised of = {t, segment};
    size_t told[PUSHES_TOLD];
    size_t n = find_largest(push_at, &of, t->n_pushes, PUSHES_TOLD, told);
    for (size_t i = 0; i < n; i++) {
        const ps_training_push *p = &t->pushes[told[i]];
        char *name = ps_training_shard_name(t, p, p->row_begin, p->row_end);
        ps_html(out, "%+.3g push %zu: %s<br>", p->change, p->number, name);
        ps_free(&name);
    }
}

static void put_tensors(ps_buf *out, const ps_training *t, size_t segment)
{
    const raised of = {t, segment};
    size_t told[TENSORS_TOLD];
    size_t n = find_largest(tensor_at, &of, t->tensors.n, TENSORS_TOLD, told);
    for (size_t i = 0; i < n; i++)
        ps_html(out, "%+.3g %s<br>", tensor_at(&of, told[i]), t->tensors.parts[told[i]].name);
}

static void put_spike(ps_buf *out, const ps_timeline *line, size_t i)
{
    const ps_training *t = line->training;
    const ps_loss_segment *s = &t->losses.segments[i];
    char *key = ps_timeline_key(line, i);
    ps_html(out,
            "<tr data-key=\"%s\" data-find=\"rise at update %" PRIu64
            "\"><td class=\"n\" data-v=\"%" PRIu64 "\">%" PRIu64 " to %" PRIu64
            "</td><td class=\"n\" data-v=\"%g\">%+.3g</td><td class=\"n\" data-v=\"%g\">%.4g</td>"
            "<td class=\"wide\"><small>",
            key, s->begin, s->begin, s->begin, s->end, rise_of(s), rise_of(s), s->loss_end,
            s->loss_end);
    put_tensors(out, t, i);
    ps_buf_puts(out, "</small></td>");
    if (t->shared) {
        ps_buf_puts(out, "<td class=\"wide\"><small>");
        put_pushes(out, t, i);
        ps_buf_puts(out, "</small></td>");
    }
    ps_buf_puts(out, "</tr>\n");
    ps_free(&key);
}

static void put_spikes(ps_buf *out, const ps_timeline *line)
{
    const ps_training *t = line->training;
    size_t spikes[SPIKES];
    size_t n = find_largest(rise_at, &t->losses, t->losses.n_segments, SPIKES, spikes);
    ps_buf_puts(out, "<h3>Where the loss rose most</h3>\n");
    if (!n) {
        ps_buf_puts(out, "<p class=\"note\">It rose in no segment.</p>\n");
        return;
    }
    ps_buf_puts(
        out, "<div class=\"scroll\"><table class=\"sort\"><thead><tr><th class=\"n\">Updates</th>"
             "<th class=\"n\">Rise</th><th class=\"n\">Loss after</th><th>Through</th>");
    ps_buf_puts(out, t->shared ? "<th>By</th></tr></thead><tbody>\n" : "</tr></thead><tbody>\n");
    for (size_t i = 0; i < n; i++)
        put_spike(out, line, spikes[i]);
    ps_html(out,
            "</tbody></table></div>\n<p class=\"note\">%s<code>psctl losses %" PRIu64
            " --spike</code> has all pushes of the first%s.</p>\n",
            t->shared ? "A push's change is its share of the segment's. " : "", t->job,
            t->shared ? "" : ", where the record has influence");
}

/* ---- workers ---- */

static void put_workers(ps_buf *out, const ps_training *t)
{
    if (!t->n_workers)
        return;
    ps_buf_puts(
        out, "<h3>Workers</h3>\n<div class=\"scroll\"><table class=\"sort\"><thead><tr><th>Worker"
             "</th><th class=\"n\">Pushes</th><th class=\"n\">Rows a push</th><th "
             "class=\"n\">Staleness</th><th class=\"n\">Largest</th><th class=\"n\">Change of the "
             "loss</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < t->n_workers && i < WORKERS_SHOWN; i++) {
        const ps_training_worker *w = &t->workers[i];
        double pushes = (double)w->pushes;
        ps_html(out,
                "<tr data-find=\"%s\"><td>%s</td><td class=\"n\" data-v=\"%" PRIu64 "\">%" PRIu64
                "</td><td class=\"n\" data-v=\"%g\">%.4g</td><td class=\"n\" data-v=\"%g\">%.3g"
                "</td><td class=\"n\" data-v=\"%" PRIu64 "\">%" PRIu64 "</td>",
                w->name, w->name, w->pushes, w->pushes, w->rows / pushes, w->rows / pushes,
                w->staleness / pushes, w->staleness / pushes, w->staleness_most, w->staleness_most);
        if (t->shared)
            ps_html(out, "<td class=\"n\" data-v=\"%g\">%+.4g</td></tr>\n", w->change, w->change);
        else
            ps_buf_puts(out, "<td class=\"n\"></td></tr>\n");
    }
    ps_buf_puts(out, "</tbody></table></div>\n");
}

/* How many pushes were made from parameters how many updates old. */
static void put_staleness(ps_buf *out, const ps_training *t)
{
    enum { WIDE = 260 };
    uint64_t most = 0;
    size_t last = 0;
    for (size_t i = 0; i <= PS_STALENESS_COUNTED; i++) {
        most = t->staleness[i] > most ? t->staleness[i] : most;
        last = t->staleness[i] ? i : last;
    }
    if (!t->n_pushes)
        return;
    ps_buf_puts(out, "<h3>Staleness</h3>\n");
    if (!last) {
        ps_buf_puts(out,
                    "<p class=\"note\">Each push was made from the parameters that it changed: "
                    "none was stale.</p>\n");
        return;
    }
    ps_buf_puts(out, "<div class=\"scroll\"><table class=\"bars keep\"><tbody>\n");
    for (size_t i = 0; i <= last; i++) {
        double w = WIDE * (double)t->staleness[i] / (double)most;
        ps_html(out,
                "<tr><td class=\"n\">%zu%s</td><td><svg width=\"%d\" height=\"12\" "
                "aria-hidden=\"true\"><rect width=\"%.1f\" height=\"12\" rx=\"2\" "
                "fill=\"%s\"/></svg></td><td class=\"n\">%" PRIu64 "</td><td class=\"n\">%.1f"
                "&#8239;%%</td></tr>\n",
                i, i == PS_STALENESS_COUNTED ? " and more" : "", WIDE, w, "#0072b2",
                t->staleness[i], 100 * (double)t->staleness[i] / (double)t->n_pushes);
    }
    ps_buf_puts(out,
                "</tbody></table></div>\n<p class=\"note\">Pushes by how many updates others had "
                "made since the parameters were taken that they were computed from.</p>\n");
}

/* ---- all ---- */

static void put_figures(ps_report *r, const ps_timeline *line, ps_buf *out)
{
    const ps_training *t = line->training;
    const struct {
        const ps_stack *stack;
        const char *title;
    } figures[] = {{&t->tensors, "Through which tensors the loss changed"},
                   {&t->workers_stack, "By which worker's pushes"},
                   {&t->shards, "By the rows of which task"}};
    ps_buf figure = PS_BUF_EMPTY;
    ps_buf_puts(out, "<div class=\"maps\">\n");
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        if (i && figures[i].stack->all < 2)
            continue; /* one worker, or task, is the loss itself */
        ps_timeline_html(&figure, line, figures[i].stack, figures[i].title);
        if (!ps_room_take(&r->room, &figure, out))
            ps_room_left_out(&r->room, "a figure of the training");
    }
    ps_buf_free(&figure);
    ps_buf_puts(out, "</div>\n");
}

static void put_says(ps_buf *out, const ps_training *t)
{
    const ps_loss_file *f = &t->losses;
    double residual = 0;
    size_t unmet = 0;
    for (size_t i = 0; i < f->n_segments; i++) {
        residual += fabs(ps_loss_segment_residual(&f->segments[i], f->n_units));
        unmet += !f->segments[i].met;
    }
    ps_html(out,
            "<p class=\"note\">Each band is what a part has added up to by then: below the loss at "
            "first what lowered it, above what raised it; the line is the loss. Job %" PRIu64
            ", %zu segments; %.2g of all change is in no band",
            t->job, f->n_segments, residual);
    if (unmet)
        ps_html(out, ", and %zu segments are not within their tolerance", unmet);
    if (t->shared)
        ps_html(out,
                ". By worker and task, sketches missed %.1f&#8239;%% of what moved, which was "
                "shared out by how far each push went",
                100 * t->corrected);
    ps_buf_puts(out, ". What this does not say: what another training would have done without a "
                     "worker or without its rows.</p>\n");
}

static void draw(ps_report *r, ps_buf *out)
{
    const ps_training *t = r->training;
    put_tiles(out, t);
    if (t->losses.n_segments) {
        const ps_timeline line = ps_timeline_of(t);
        put_figures(r, &line, out);
        put_says(out, t);
        put_spikes(out, &line);
    }
    put_workers(out, t);
    put_staleness(out, t);
    put_noise(out, t);
}

static void style(const ps_report *r, ps_buf *out)
{
    (void)r;
    ps_buf_puts(out, ".figure .band{fill-opacity:.85;stroke:var(--page);stroke-width:.7}\n"
                     ".figure .loss{fill:none;stroke:var(--ink);stroke-width:1.8}\n"
                     ".figure .step{fill:var(--ink);fill-opacity:0}\n"
                     ".figure .cell:hover .step,.figure .on .step{fill-opacity:.12}\n");
}

static void data(const ps_report *r, ps_json_writer *w)
{
    ps_json_key(w, "training");
    ps_training_json(w, r->training);
}

const ps_report_section ps_section_training = {.id = "training",
                                               .title = "Training",
                                               .present = present,
                                               .draw = draw,
                                               .style = style,
                                               .data = data};
