/* The table. */
#include "common/conf/kind_rows.h"

#include "common/conf/train_rows.h"

#define NO   PS_SECTION_REFUSED
#define MAY  PS_SECTION_ALLOWED
#define MUST PS_SECTION_NEEDED

// clang-format off
#define KIND_ROWS(ROW) \
    /*             model_name              data                               */ \
    /*             |     initialize_from   |     data.train  train            */ \
    /*             |     |     model       |     |     data.test   generate   */ \
    /*             |     |     |           |     |     |     |     |     rows */ \
    ROW(train,    {NO,   MAY,  MUST,       MUST, MUST, MAY,  MUST, NO,   NO}, \
        .trains = true) \
    ROW(evaluate, {MUST, NO,   NO,         MUST, NO,   MUST, NO,   NO,   MAY}) \
    ROW(predict,  {MUST, NO,   NO,         MUST, NO,   MUST, NO,   NO,   MAY}, \
        .unlabelled = true, .leaves_files = true) \
    ROW(generate, {MUST, NO,   NO,         NO,   NO,   NO,   NO,   MUST, NO}) \
    ROW(describe, {MUST, NO,   NO,         NO,   NO,   NO,   NO,   NO,   NO}, \
        .leaves_files = true)
// clang-format on

#define NAME(name_, ...) #name_,
#define KIND(name_, ...) {.name = #name_, .sections = __VA_ARGS__},

const char *const ps_kind_names[] = {KIND_ROWS(NAME) NULL};
const ps_kind_row ps_kind_rows[] = {KIND_ROWS(KIND){.name = NULL}};

enum { KINDS = sizeof ps_kind_rows / sizeof *ps_kind_rows - 1 };

void ps_kind_owners(ps_section section, ps_buf *out)
{
    const char *owners[KINDS + 1] = {NULL};
    size_t n = 0;
    for (size_t i = 0; i < KINDS; i++)
        if (ps_kind_rows[i].sections[section] != PS_SECTION_REFUSED)
            owners[n++] = ps_kind_rows[i].name;
    ps_names_list(owners, out);
}
