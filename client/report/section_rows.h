/* section_rows: the rows of the table of sections, each in section_NAME.c. Private to this folder.
 */
#ifndef PS_REPORT_SECTION_ROWS_H
#define PS_REPORT_SECTION_ROWS_H

#include "client/report/report.h"

extern const ps_report_section ps_section_card, ps_section_graph, ps_section_weights,
    ps_section_behaviour, ps_section_examples, ps_section_lens, ps_section_attention,
    ps_section_parts, ps_section_quality, ps_section_difference, ps_section_lineage,
    ps_section_representation, ps_section_training, ps_section_influence, ps_section_data,
    ps_section_features;

#endif
