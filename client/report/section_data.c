/* Data: all that the page shows, for programs. */
#include "client/report/html.h"
#include "client/report/section_rows.h"

static bool present(const ps_report *r)
{
    return true;
}

static void draw(ps_report *r, ps_buf *out)
{
    ps_html(out,
            "<p>What this page shows is in it as JSON, in the element "
            "<code>#report-data</code>; psctl(1) says what its members are.</p>\n"
            "<p class=\"with-js\"><a href=\"#data\" id=\"save\" role=\"button\" "
            "data-name=\"%s.json\">Save it as %s.json</a></p>\n",
            r->title, r->title);
}

const ps_report_section ps_section_data = {
    .id = "data", .title = "Data", .present = present, .draw = draw};
