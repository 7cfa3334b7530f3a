/* Happy path: the section is drawn, and one figure cut out of it. No text of a section holds
 * markup, so that <svg is where one begins and </svg> where it ends. */
#include "client/report/assets.h"
#include "client/report/report.h"

#include <string.h>

static const ps_report_section *section_of(const char *id)
{
    for (size_t i = 0; ps_report_sections[i]; i++)
        if (!strcmp(ps_report_sections[i]->id, id))
            return ps_report_sections[i];
    return NULL;
}

/* The figure from `at` on; NULL: there is no more. *end: behind it. */
static const char *next_figure(const char *at, const char **end)
{
    const char *begin = strstr(at, "<svg class=\"figure\"");
    const char *other = strstr(at, "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"figure\"");
    begin = !begin || (other && other < begin) ? other : begin;
    const char *close = begin ? strstr(begin, "</svg>") : NULL;
    *end = close ? close + strlen("</svg>") : NULL;
    return close ? begin : NULL;
}

static unsigned count(ps_report *r, const ps_report_section *section)
{
    ps_buf html = PS_BUF_EMPTY;
    unsigned n = 0;
    const char *end;
    if (section->present(r))
        section->draw(r, &html);
    for (const char *at = ps_buf_cstr(&html); next_figure(at, &end); at = end)
        n++;
    ps_buf_free(&html);
    return n;
}

static ps_status none(ps_report *r, const char *section, unsigned which)
{
    ps_buf list = PS_BUF_EMPTY;
    for (size_t i = 0; ps_report_sections[i]; i++) {
        unsigned n = count(r, ps_report_sections[i]);
        if (n)
            ps_buf_printf(&list, "%s%s (%u)", list.len ? ", " : "", ps_report_sections[i]->id, n);
    }
    ps_status st = ps_fail(PS_INVALID_ARGUMENT, "this report has no figure %s:%u; there are %s",
                           section, which, list.len ? ps_buf_cstr(&list) : "none");
    ps_buf_free(&list);
    return st;
}

static void put_alone(const ps_report *r, const ps_report_section *section, const char *begin,
                      const char *end, ps_buf *out)
{
    const char *inside = strchr(begin, '>') + 1;
    const char *rest = begin + strlen("<svg");
    ps_buf_puts(out, "<svg");
    if (!strncmp(rest, " class", strlen(" class")))
        ps_buf_puts(out, " xmlns=\"http://www.w3.org/2000/svg\"");
    ps_buf_append(out, rest, (size_t)(inside - rest));
    ps_buf_puts(out, "<style>");
    ps_buf_append(out, ps_figure_css, ps_figure_css_size);
    if (section->style)
        section->style(r, out);
    ps_buf_puts(out, "</style><rect class=\"page\" width=\"100%\" height=\"100%\"/>");
    ps_buf_append(out, inside, (size_t)(end - inside));
    ps_buf_putc(out, '\n');
}

ps_status ps_report_svg(ps_report *r, const char *id, unsigned which, ps_buf *out)
{
    const ps_report_section *section = section_of(id);
    ps_buf html = PS_BUF_EMPTY;
    const char *begin = NULL, *end = NULL;
    if (section && section->present(r))
        section->draw(r, &html);
    const char *at = ps_buf_cstr(&html);
    for (unsigned i = 0; i < which && at; i++) {
        begin = next_figure(at, &end);
        at = end;
    }
    if (begin && which)
        put_alone(r, section, begin, end, out);
    ps_buf_free(&html);
    return begin && which ? PS_OK : none(r, id, which);
}
