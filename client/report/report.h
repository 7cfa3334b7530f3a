/* report: a model, and what was found out about it, as one file of HTML that asks nobody for
 * anything: figures and tables are in it as they are, its one script is let run by its hash, and
 * whatever names, labels and tokens hold stays text. Pure. One thread (not asserted: psctl has no
 * other). */
#ifndef PS_REPORT_REPORT_H
#define PS_REPORT_REPORT_H

#include "client/report/measured.h"
#include "client/report/room.h"
#include "client/report/training.h"
#include "client/show/explain_view.h"
#include "common/json/json.h"
#include "psd/v1/models.pb-c.h"

/* What a report is of. What is NULL is not known, and the sections that need it are not there. */
typedef struct ps_report {
    const char *title;   /* of the page: the model's name */
    const char *command; /* that makes the report again */
    const Psd__V1__Model *model;
    const ps_graph *graph;
    const ps_fold *fold; /* of the graph, to be drawn */
    const ps_quantity *quantity;
    const ps_measured *measured; /* of the graph's tensors; it is coloured by that at first */
    const ps_explain_view *explanation; /* of a job of kind explain; its rows and strongest do not
                                           count here */
    const ps_training *training;        /* of the model, where it was recorded */
    Psd__V1__Model *const *models;      /* all that are stored, among which its parents are */
    size_t n_models;
    const char *job_file; /* YAML of the job that explains */
    int64_t now_ms;
    ps_room room;
} ps_report;

/* A section is a file, section_ID.c, and a row in sections.c. */
typedef struct ps_report_section {
    const char *id, *title;
    bool (*present)(const ps_report *report);
    /* Its HTML, without the heading. What does not fit the room it leaves out, and says so there.
     */
    void (*draw)(ps_report *report, ps_buf *out);
    /* Rules for the page's style sheet; NULL: none. */
    void (*style)(const ps_report *report, ps_buf *out);
    /* Members of the object that the page's script reads; NULL: none. */
    void (*data)(const ps_report *report, ps_json_writer *w);
} ps_report_section;

extern const ps_report_section
    *const ps_report_sections[]; /* in the order of the page, to a NULL */

/* The whole document, appended to out: of no more bytes than the room has, whatever must be left
 * out for that, which it says, and room.notes after the call. PS_OUT_OF_RANGE: they are too few for
 * the card. */
PS_MUST_CHECK ps_status ps_report_html(ps_report *report, ps_buf *out);

/* A figure of a section as a file, <svg>; which: from 1. PS_INVALID_ARGUMENT says which sections of
 * this report have figures, and how many. */
PS_MUST_CHECK ps_status ps_report_svg(ps_report *report, const char *section, unsigned which,
                                      ps_buf *out);

#endif
