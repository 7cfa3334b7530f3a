/* Happy path: sections are drawn first, as what they leave out is said at the top; then head,
 * navigation, sections, data and script in the order of the file. A page that is too large is drawn
 * again with what room.h shares out; where that does not do, without its largest sections.
 *
 * The policy lets nothing be fetched and no script run but the one whose hash it names, so that
 * markup that came through in spite of all would still do nothing. */
#include "client/report/report.h"

#include "client/report/assets.h"
#include "client/report/html.h"
#include "client/show/human.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <string.h>

enum { SECTIONS_MOST = 32 };

typedef struct page {
    ps_report *report;
    bool left_out[SECTIONS_MOST];
    size_t bytes[SECTIONS_MOST]; /* of each, as it was last drawn */
} page;

/* NULL behind the last. */
static const ps_report_section *section_at(size_t i)
{
    return i < SECTIONS_MOST ? ps_report_sections[i] : NULL;
}

static bool is_there(const page *p, size_t i)
{
    return !p->left_out[i] && ps_report_sections[i]->present(p->report);
}

static void put_head(const page *p, ps_buf *out)
{
    const ps_report *r = p->report;
    ps_html(out,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
            "style-src 'unsafe-inline'; script-src 'sha256-%s'; img-src data:; base-uri 'none'; "
            "form-action 'none'\">\n"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
            "<meta name=\"color-scheme\" content=\"light dark\">\n"
            "<meta name=\"referrer\" content=\"no-referrer\">\n"
            "<meta name=\"generator\" content=\"psctl %s\">\n<title>%s</title>\n",
            ps_report_js_sha256, PS_VERSION, r->title);
    ps_buf_puts(out, "<link rel=\"icon\" href=\"data:,\">\n<style>");
    ps_buf_append(out, ps_report_css, ps_report_css_size);
    ps_buf_append(out, ps_figure_css, ps_figure_css_size);
    for (size_t i = 0; section_at(i); i++)
        if (is_there(p, i) && ps_report_sections[i]->style)
            ps_report_sections[i]->style(r, out);
    ps_buf_puts(out, "</style>\n</head>\n");
}

static void put_navigation(const page *p, ps_buf *out)
{
    ps_buf_puts(out, "<body>\n<a class=\"skip-link\" href=\"#main\">To the report</a>\n"
                     "<div class=\"page\">\n<nav aria-label=\"Sections\">\n<ul>\n");
    for (size_t i = 0; section_at(i); i++)
        if (is_there(p, i))
            ps_html(out, "<li><a href=\"#%s\">%s</a></li>\n", ps_report_sections[i]->id,
                    ps_report_sections[i]->title);
    ps_buf_puts(out, "</ul>\n<div class=\"find\" id=\"find\"></div>\n</nav>\n");
}

static void put_lead(const ps_report *r, ps_buf *out)
{
    const ps_graph *g = r->graph;
    if (r->explanation)
        ps_html(out, "<p class=\"lead\">Why it answers as it does: job %" PRIu64 ", %zu %s</p>\n",
                r->explanation->manifest->job, r->explanation->manifest->n_rows,
                *r->explanation->manifest->data ? "rows" : "prompts");
    else if (r->training)
        ps_html(out, "<p class=\"lead\">How it came to be so: the training, job %" PRIu64 "</p>\n",
                r->training->job);
    else if (g && g->n_blocks)
        ps_html(out, "<p class=\"lead\">%s of %u block%s, %s parameters, %s</p>\n", g->architecture,
                g->n_blocks, g->n_blocks > 1 ? "s" : "", ps_human_count((double)g->numbers).text,
                ps_human_bytes((double)g->bytes).text);
    else if (g)
        ps_html(out, "<p class=\"lead\">%s, %s parameters, %s</p>\n", g->architecture,
                ps_human_count((double)g->numbers).text, ps_human_bytes((double)g->bytes).text);
}

static void put_header(const ps_report *r, ps_buf *out)
{
    ps_html(out, "<main id=\"main\">\n<header>\n<h1>%s</h1>\n", r->title);
    put_lead(r, out);
    for (size_t i = 0; i < r->room.n_notes; i++)
        ps_html(out, "<p class=\"left-out\">Left out, for a file of at most %s: %s.</p>\n",
                ps_human_bytes((double)r->room.limit).text, r->room.notes[i]);
    ps_buf_puts(out, "</header>\n");
}

static void put_data(page *p, ps_buf *out)
{
    ps_buf json = PS_BUF_EMPTY;
    ps_json_writer w = ps_json_writer_to(&json);
    ps_json_object(&w);
    ps_json_put_int(&w, "psd_report", 1);
    for (size_t i = 0; section_at(i); i++) {
        size_t before = json.len;
        if (is_there(p, i) && ps_report_sections[i]->data)
            ps_report_sections[i]->data(p->report, &w);
        p->bytes[i] += json.len - before;
    }
    ps_json_object_end(&w);
    ps_html_data(out, "report-data", ps_buf_slice(&json));
    ps_buf_free(&json);
}

static void put_sections(page *p, ps_buf *out)
{
    for (size_t i = 0; section_at(i); i++) {
        const ps_report_section *section = ps_report_sections[i];
        size_t before = out->len;
        if (p->left_out[i])
            ps_room_left_out(&p->report->room, "the section %s", section->title);
        if (!is_there(p, i))
            continue;
        ps_html(
            out,
            "<section id=\"%s\" data-find=\"%s\">\n<details open><summary><h2>%s</h2></summary>\n",
            section->id, section->title, section->title);
        section->draw(p->report, out);
        ps_buf_puts(out, "</details>\n</section>\n");
        p->bytes[i] = out->len - before;
    }
}

static void put_page(page *p, ps_buf *out)
{
    const ps_report *r = p->report;
    ps_buf sections = PS_BUF_EMPTY;
    put_sections(p, &sections);
    put_head(p, out);
    put_navigation(p, out);
    put_header(r, out);
    ps_buf_append(out, sections.data, sections.len);
    ps_html(out, "<footer>Made by psctl %s, %s, by <code>%s</code></footer>\n</main>\n</div>\n",
            PS_VERSION, ps_human_time(r->now_ms).text, r->command);
    put_data(p, out);
    ps_buf_puts(out, "<script>");
    ps_buf_append(out, ps_report_js, ps_report_js_size);
    ps_buf_puts(out, "</script>\n</body>\n</html>\n");
    ps_buf_free(&sections);
}

/* The largest but the card; false: it is all that there is. */
static bool leave_one_out(page *p)
{
    size_t largest = SECTIONS_MOST;
    for (size_t i = 0; section_at(i); i++)
        if (is_there(p, i) && strcmp(ps_report_sections[i]->id, "card") != 0 &&
            (largest == SECTIONS_MOST || p->bytes[i] > p->bytes[largest]))
            largest = i;
    if (largest == SECTIONS_MOST)
        return false;
    p->left_out[largest] = true;
    return true;
}

ps_status ps_report_html(ps_report *r, ps_buf *out)
{
    page p = {.report = r};
    ps_buf whole = PS_BUF_EMPTY;
    put_page(&p, &whole);
    if (whole.len > r->room.limit) {
        ps_room_share_out(&r->room, whole.len);
        ps_buf_clear(&whole);
        put_page(&p, &whole);
    }
    while (whole.len > r->room.limit && leave_one_out(&p)) {
        ps_room_clear(&r->room);
        ps_buf_clear(&whole);
        put_page(&p, &whole);
    }
    ps_status st = PS_OK;
    if (whole.len > r->room.limit)
        st = ps_fail(PS_OUT_OF_RANGE,
                     "a page of at most %s is too small for the card alone, which takes %s with "
                     "what every page has: a larger --budget, or report.budget in the job file",
                     ps_human_bytes((double)r->room.limit).text,
                     ps_human_bytes((double)whole.len).text);
    else
        ps_buf_append(out, whole.data, whole.len);
    ps_buf_free(&whole);
    return st;
}
