/* Features: what a sparse autoencoder finds in a layer: how much of it, what is lost of the model's
 * answers with what it gives back, and for each of its most active features the rows in which it is
 * largest: with what is in them where the job shows it, else by their numbers. All of it are bytes
 * that others have left. */
#include "client/report/heat.h"
#include "client/report/html.h"
#include "client/report/section_rows.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { FEATURES = 16, ITEMS = 6, AROUND = 6 };

static ps_numbers array_of(const ps_explain_view *v, const char *name)
{
    return ps_numbers_whole(v, ps_array_of(v, "sae", name));
}

static bool present(const ps_report *r)
{
    return r->explanation && *ps_array_of(r->explanation, "sae", "explained_variance");
}

static double number_of(const ps_explain_view *v, const char *name)
{
    ps_numbers n = array_of(v, name);
    return n.n ? ps_number_at(&n, 0) : NAN;
}

static void put_share(ps_buf *out, const char *label, double share)
{
    if (isfinite(share))
        ps_html(out, "<dt>%s</dt><dd>%.1f %%</dd>\n", label, 100 * share);
}

static void put_facts(ps_buf *out, const ps_explain_view *v)
{
    double active = number_of(v, "l0");
    ps_buf_puts(out, "<dl class=\"facts\">\n");
    put_share(out, "Variance explained", number_of(v, "explained_variance"));
    put_share(out, "Loss recovered", number_of(v, "recovered"));
    if (isfinite(active))
        ps_html(out, "<dt>Active features a row</dt><dd>%.1f</dd>\n", active);
    put_share(out, "Features active in no row", number_of(v, "dead_share"));
    ps_buf_puts(out, "</dl>\n");
}

/* A few tokens up to the one at which it is largest, which is the last of them. */
static void put_tokens(ps_buf *out, const ps_explain_view *v, ps_numbers tokens, double position)
{
    uint64_t end = position >= 0 && position < (double)tokens.n ? (uint64_t)position + 1 : 0;
    for (uint64_t i = end > AROUND ? end - AROUND : 0; i < end; i++) {
        double token = ps_number_at(&tokens, i);
        if (!(token >= 0 && token <= INT32_MAX))
            continue;
        ps_buf_puts(out, i + 1 == end ? "<b>" : "<span>");
        ps_output_html(out, v, (int64_t)token);
        ps_buf_puts(out, i + 1 == end ? "</b> " : "</span> ");
    }
}

static void put_item(ps_buf *out, const ps_explain_view *v, uint64_t item, double activity,
                     double position)
{
    const ps_explanation *m = v->manifest;
    ps_numbers contents = *m->contents ? ps_numbers_of(v, m->contents, item) : (ps_numbers){NULL};
    uint32_t side = contents.data && !m->language ? ps_image_side(contents.n) : 0;
    char title[48];
    (void)snprintf(title, sizeof title, "row %" PRIu64, m->rows[item].row);
    ps_buf_puts(out, "<figure class=\"map\">");
    if (side)
        ps_heat_image(out, &contents, side, false, title);
    else if (contents.data && m->language)
        put_tokens(out, v, contents, position);
    ps_html(out, "<figcaption><b>%s</b><span>, %.3g", title, activity);
    if (m->language && isfinite(position))
        ps_html(out, ", token %.0f", position);
    ps_buf_puts(out, "</span></figcaption></figure>\n");
}

static void put_feature(ps_buf *out, const ps_explain_view *v, uint64_t k)
{
    ps_numbers feature = array_of(v, "feature"), share = array_of(v, "share"),
               items = ps_numbers_of(v, ps_array_of(v, "sae", "top_item"), k),
               activity = ps_numbers_of(v, ps_array_of(v, "sae", "top_activity"), k),
               position = ps_numbers_of(v, ps_array_of(v, "sae", "top_position"), k);
    if (k >= share.n || activity.n != items.n || position.n != items.n ||
        !isfinite(ps_number_at(&feature, k)) || !isfinite(ps_number_at(&share, k)))
        return;
    uint64_t there = 0;
    ps_html(out, "<h3>Feature %.0f<span class=\"note\">, in %.1f %% of %s</span></h3>\n",
            ps_number_at(&feature, k), 100 * ps_number_at(&share, k),
            v->manifest->language ? "tokens" : "rows");
    ps_buf_puts(out, "<div class=\"maps\">\n");
    for (uint64_t i = 0; i < items.n && i < ITEMS; i++) {
        double item = ps_number_at(&items, i);
        if (!(item >= 0 && item < (double)v->manifest->n_rows) ||
            !isfinite(ps_number_at(&activity, i)))
            continue;
        put_item(out, v, (uint64_t)item, ps_number_at(&activity, i), ps_number_at(&position, i));
        there++;
    }
    if (!there) /* its rows are looked for among the `top` features of each */
        ps_buf_puts(out, "<p class=\"note\">Among the largest of no row.</p>\n");
    ps_buf_puts(out, "</div>\n");
}

static void draw(ps_report *r, ps_buf *out)
{
    const ps_explain_view *v = r->explanation;
    uint64_t n = array_of(v, "feature").n, k = 0;
    put_facts(out, v);
    for (; k < n && k < FEATURES; k++) {
        ps_buf piece = PS_BUF_EMPTY;
        put_feature(&piece, v, k);
        bool fits = ps_room_take(&r->room, &piece, out);
        ps_buf_free(&piece);
        if (!fits) {
            ps_room_left_out(&r->room, "features");
            break;
        }
    }
    ps_html(out,
            "<p class=\"note\">%" PRIu64 " of the %" PRIu64 " most active features, each with the "
            "rows in which it is largest. That rows of a feature look alike does not say that the "
            "model uses it so.</p>\n",
            k, n);
}

const ps_report_section ps_section_features = {
    .id = "features", .title = "Features", .present = present, .draw = draw};
