/* Updates that no segment covers are a gap in the line. What is not finite is passed over. Cannot
 * fail. */
#include "client/report/timeline.h"

#include "client/report/axis.h"
#include "client/report/html.h"
#include "client/report/palette.h"
#include "client/show/human.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <math.h>

enum { LEFT = 46, TOP = 20, WIDE = 356, HIGH = 180, RIGHT = 14, LEGEND = 17, PARTS_TOLD = 4 };

ps_timeline ps_timeline_of(const ps_training *training)
{
    ps_timeline t = {.training = training};
    size_t segments = training->losses.n_segments;
    size_t each = (segments + PS_TIMELINE_STEPS - 1) / PS_TIMELINE_STEPS;
    for (size_t first = 0; first < segments; first += each)
        t.steps[t.n++] =
            (ps_timeline_step){first, first + each < segments ? first + each : segments};
    return t;
}

static const ps_loss_segment *first_of(const ps_timeline *t, size_t step)
{
    return &t->training->losses.segments[t->steps[step].first];
}

static const ps_loss_segment *last_of(const ps_timeline *t, size_t step)
{
    return &t->training->losses.segments[t->steps[step].end - 1];
}

char *ps_timeline_key(const ps_timeline *t, size_t segment)
{
    size_t step = 0;
    while (step + 1 < t->n && t->steps[step].end <= segment)
        step++;
    return ps_asprintf("updates-%" PRIu64, first_of(t, step)->begin);
}

/* ---- numbers ---- */

static double number_or_0(double v)
{
    return isfinite(v) ? v : 0;
}

static double change_in(const ps_timeline *t, const ps_stack_part *part, size_t step)
{
    double sum = 0;
    for (size_t i = t->steps[step].first; i < t->steps[step].end; i++)
        sum += number_or_0(part->by_segment[i]);
    return sum;
}

/* What a part has come to behind each step; [n + 1], from 0. */
typedef struct drawing {
    const ps_timeline *timeline;
    const ps_stack *stack;
    double sums[PS_STACK_PARTS][PS_TIMELINE_STEPS + 1];
    size_t parts;
    double start;
    ps_axis across, up;
} drawing;

static void add_up(drawing *d)
{
    for (size_t k = 0; k < d->parts; k++)
        for (size_t i = 0; i < d->timeline->n; i++)
            d->sums[k][i + 1] = d->sums[k][i] + change_in(d->timeline, &d->stack->parts[k], i);
}

/* Below the start or above it; of a part that has come to nothing yet, where it will be. */
static double side_of(const drawing *d, size_t k, size_t i)
{
    double sum = d->sums[k][i] != 0 ? d->sums[k][i] : d->stack->parts[k].change;
    return sum < 0 ? -1 : 1;
}

/* Where the band of part k begins and ends behind step i - 1, on its side of the start. */
static void band_of(const drawing *d, size_t k, size_t i, double *inner, double *outer)
{
    double side = side_of(d, k, i);
    *inner = 0;
    for (size_t j = 0; j < k; j++)
        if (d->sums[j][i] * side > 0)
            *inner += d->sums[j][i];
    *outer = *inner + d->sums[k][i];
}

static void find_axes(drawing *d)
{
    const ps_timeline *t = d->timeline;
    double least = d->start, most = d->start;
    for (size_t i = 0; i < t->n; i++) {
        double a = number_or_0(first_of(t, i)->loss_begin),
               b = number_or_0(last_of(t, i)->loss_end);
        least = fmin(least, fmin(a, b));
        most = fmax(most, fmax(a, b));
    }
    for (size_t i = 1; i <= t->n; i++)
        for (size_t k = 0; k < d->parts; k++) {
            double inner, outer;
            band_of(d, k, i, &inner, &outer);
            least = fmin(least, d->start + outer);
            most = fmax(most, d->start + outer);
        }
    d->up = ps_axis_of(least, most);
    d->across = ps_axis_of((double)first_of(t, 0)->begin, (double)last_of(t, t->n - 1)->end);
    /* an axis that goes on where nothing is would be half empty */
    d->across.least = (double)first_of(t, 0)->begin;
    d->across.most = fmax((double)last_of(t, t->n - 1)->end, d->across.least + 1);
}

static double x_of(const drawing *d, uint64_t version)
{
    double place = ps_axis_place(&d->across, (double)version);
    return LEFT + WIDE * fmin(fmax(place, 0), 1);
}

static double y_of(const drawing *d, double loss)
{
    double place = ps_axis_place(&d->up, number_or_0(loss));
    return TOP + HIGH * (1 - fmin(fmax(place, 0), 1));
}

/* ---- the figure ---- */

static void put_axes(ps_buf *out, const drawing *d)
{
    for (int i = 0; i <= d->up.steps; i++) {
        double y = y_of(d, ps_axis_mark(&d->up, i));
        ps_html(out,
                "<path class=\"even\" d=\"M%d %.1fh%d\"/><text class=\"what\" text-anchor=\"end\" "
                "x=\"%d\" y=\"%.1f\">%s</text>\n",
                LEFT, y, WIDE, LEFT - 6, y + 4, ps_axis_text(&d->up, ps_axis_mark(&d->up, i)).text);
    }
    double first = ceil(d->across.least / d->across.step - 1e-9) * d->across.step;
    for (int i = 0; i <= 11 && first + i * d->across.step <= d->across.most; i++) {
        double at = first + i * d->across.step;
        ps_html(out, "<text class=\"what\" text-anchor=\"middle\" x=\"%.1f\" y=\"%d\">%s</text>\n",
                LEFT + WIDE * ps_axis_place(&d->across, at), TOP + HIGH + 16,
                ps_axis_text(&d->across, at).text);
    }
    ps_html(out,
            "<path class=\"axis\" d=\"M%d %dV%dH%d\"/><text class=\"what\" x=\"2\" y=\"11\">loss"
            "</text><text class=\"what\" text-anchor=\"middle\" x=\"%d\" y=\"%d\">updates</text>\n",
            LEFT, TOP, TOP + HIGH, LEFT + WIDE, LEFT + WIDE / 2, TOP + HIGH + 32);
}

static void put_edge(ps_buf *out, const drawing *d, size_t k, size_t from, size_t to, bool outer)
{
    const ps_timeline *t = d->timeline;
    for (size_t n = from; n <= to; n++) {
        size_t i = outer ? n : from + to - n;
        double near, far;
        band_of(d, k, i, &near, &far);
        ps_html(out, "%s%.1f %.1f", n > from || !outer ? "L" : "M",
                x_of(d, i ? last_of(t, i - 1)->end : first_of(t, 0)->begin),
                y_of(d, d->start + (outer ? far : near)));
    }
}

/* Where a part goes over to the other side, its band ends and another begins. */
static void put_bands(ps_buf *out, const drawing *d)
{
    for (size_t k = 0; k < d->parts; k++) {
        ps_html(out, "<path class=\"band\" fill=\"%s\" d=\"",
                ps_rgb_hex(ps_palette_category(k)).text);
        for (size_t from = 0, to; from <= d->timeline->n; from = to + 1) {
            for (to = from; to < d->timeline->n; to++)
                if (side_of(d, k, to + 1) != side_of(d, k, from))
                    break;
            put_edge(out, d, k, from, to, true);
            put_edge(out, d, k, from, to, false);
            ps_buf_putc(out, 'Z');
        }
        ps_buf_puts(out, "\"/>\n");
    }
}

static void put_line(ps_buf *out, const drawing *d)
{
    const ps_timeline *t = d->timeline;
    ps_buf_puts(out, "<path class=\"loss\" d=\"");
    for (size_t i = 0; i < t->n; i++) {
        const ps_loss_segment *from = first_of(t, i), *to = last_of(t, i);
        if (!i || last_of(t, i - 1)->end != from->begin)
            ps_html(out, "M%.1f %.1f", x_of(d, from->begin), y_of(d, from->loss_begin));
        ps_html(out, "L%.1f %.1f", x_of(d, to->end), y_of(d, to->loss_end));
    }
    ps_buf_puts(out, "\"/>\n");
}

/* The parts that moved most in the step. */
static void put_parts(ps_buf *out, const drawing *d, size_t step)
{
    bool told[PS_STACK_PARTS] = {false};
    for (size_t n = 0; n < PARTS_TOLD && n < d->parts; n++) {
        size_t best = PS_STACK_PARTS;
        double most = -1;
        for (size_t k = 0; k < d->parts; k++) {
            double size = fabs(change_in(d->timeline, &d->stack->parts[k], step));
            if (!told[k] && size > most) {
                best = k;
                most = size;
            }
        }
        told[best] = true;
        ps_html(out, "\n%+.4g %s", change_in(d->timeline, &d->stack->parts[best], step),
                d->stack->parts[best].name);
    }
}

static void put_step(ps_buf *out, const drawing *d, size_t i)
{
    const ps_timeline *t = d->timeline;
    const ps_loss_segment *from = first_of(t, i), *to = last_of(t, i);
    double x = x_of(d, from->begin), end = x_of(d, to->end);
    char *key = ps_timeline_key(t, t->steps[i].first);
    ps_html(out,
            "<g class=\"cell\" data-cell=\"0,%zu\" data-key=\"%s\"><title>updates %" PRIu64
            " to %" PRIu64 "\nloss %.4g → %.4g (%+.3g)",
            i, key, from->begin, to->end, from->loss_begin, to->loss_end,
            to->loss_end - from->loss_begin);
    put_parts(out, d, i);
    ps_html(out,
            "</title><rect class=\"step\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"/></g>\n",
            x, TOP, fmax(end - x, 0.5), HIGH);
    ps_free(&key);
}

static void put_legend(ps_buf *out, const drawing *d)
{
    int y = TOP + HIGH + 54;
    for (size_t k = 0; k < d->parts; k++, y += LEGEND) {
        const ps_stack_part *part = &d->stack->parts[k];
        ps_html(out,
                "<rect x=\"%d\" y=\"%d\" width=\"11\" height=\"11\" rx=\"2\" fill=\"%s\"/><text "
                "class=\"what\" text-anchor=\"end\" x=\"%d\" y=\"%d\">%+.3g</text><text "
                "class=\"what\" x=\"%d\" y=\"%d\">%s</text>\n",
                LEFT, y - 10, ps_rgb_hex(ps_palette_category(k)).text, LEFT + 70, y, part->change,
                LEFT + 80, y, part->name);
    }
    if (d->parts)
        ps_html(out,
                "<path class=\"loss\" d=\"M%d %dh12\"/><text class=\"what\" text-anchor=\"end\" "
                "x=\"%d\" y=\"%d\">%+.3g</text><text class=\"what\" x=\"%d\" y=\"%d\">the loss"
                "</text>\n",
                LEFT, y - 4, LEFT + 70, y,
                last_of(d->timeline, d->timeline->n - 1)->loss_end - d->start, LEFT + 80, y);
}

static void put_table(ps_buf *out, const drawing *d)
{
    const ps_timeline *t = d->timeline;
    ps_buf_puts(out, "<details class=\"more\"><summary>The same in numbers</summary><div "
                     "class=\"scroll\"><table class=\"sort\"><thead><tr><th class=\"n\">Updates to"
                     "</th><th class=\"n\">Loss</th><th class=\"n\">Change</th>");
    for (size_t k = 0; k < d->parts; k++)
        ps_html(out, "<th class=\"n\">%s</th>", d->stack->parts[k].name);
    ps_buf_puts(out, "</tr></thead><tbody>\n");
    for (size_t i = 0; i < t->n; i++) {
        const ps_loss_segment *to = last_of(t, i);
        double change = to->loss_end - first_of(t, i)->loss_begin;
        char *key = ps_timeline_key(t, t->steps[i].first);
        ps_html(out,
                "<tr data-key=\"%s\"><td class=\"n\" data-v=\"%" PRIu64 "\">%" PRIu64
                "</td><td class=\"n\" data-v=\"%g\">%.4g</td><td class=\"n\" data-v=\"%g\">%+.3g"
                "</td>",
                key, to->end, to->end, to->loss_end, to->loss_end, change, change);
        for (size_t k = 0; k < d->parts; k++) {
            double v = change_in(t, &d->stack->parts[k], i);
            ps_html(out, "<td class=\"n\" data-v=\"%g\">%+.3g</td>", v, v);
        }
        ps_buf_puts(out, "</tr>\n");
        ps_free(&key);
    }
    ps_buf_puts(out, "</tbody></table></div></details>\n");
}

void ps_timeline_html(ps_buf *out, const ps_timeline *timeline, const ps_stack *stack,
                      const char *title)
{
    if (!timeline->n || (stack && !stack->n))
        return;
    drawing *d = ps_alloc(sizeof *d);
    *d = (drawing){.timeline = timeline,
                   .stack = stack,
                   .parts = stack ? stack->n : 0,
                   .start = number_or_0(first_of(timeline, 0)->loss_begin)};
    add_up(d);
    find_axes(d);
    int width = LEFT + WIDE + RIGHT;
    int height = TOP + HIGH + 40 + (d->parts ? 14 + ((int)d->parts + 1) * LEGEND : 0);
    ps_html(out,
            "<figure class=\"map keep\"><h3>%s</h3><svg class=\"figure\" viewBox=\"0 0 %d %d\" "
            "width=\"%d\" height=\"%d\" role=\"group\"><title>%s</title><desc>Across: updates; "
            "upwards: the loss of the probe rows. The table behind it has the numbers.</desc>\n",
            title, width, height, width, height, title);
    put_axes(out, d);
    put_bands(out, d);
    put_line(out, d);
    for (size_t i = 0; i < timeline->n; i++)
        put_step(out, d, i);
    put_legend(out, d);
    ps_buf_puts(out, "</svg>");
    put_table(out, d);
    ps_buf_puts(out, "</figure>\n");
    ps_free(&d);
}
