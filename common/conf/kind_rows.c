/* The table. */
#include "common/conf/kind_rows.h"

#include "common/conf/train_rows.h"

#define MUST(section) [PS_SECTION_##section] = PS_SECTION_NEEDED,
#define MAY(section)  [PS_SECTION_##section] = PS_SECTION_ALLOWED,

/* A section that a row does not name is refused. */
// clang-format off
#define KIND_ROWS(ROW) \
    ROW(train, {MUST(DATA) MUST(DATA_TRAIN) MAY(DATA_TEST) MUST(MODEL) MAY(INITIALIZE_FROM) MUST(TRAIN) \
           MAY(DISTIL) MAY(RECORD) MAY(REPORT)}, \
        .trains = true, .coders = true, .lenses = true, .images = true, .encoders = true) \
    ROW(evaluate, {MUST(MODEL_NAME) MUST(DATA) MUST(DATA_TEST) MAY(ROWS)}, \
        .coders = true, .lenses = true, .images = true, .encoders = true) \
    ROW(predict, {MUST(MODEL_NAME) MUST(DATA) MUST(DATA_TEST) MAY(ROWS)}, \
        .unlabelled = true, .leaves_files = true, .coders = true, .images = true, .encoders = true) \
    ROW(generate, {MUST(MODEL_NAME) MUST(GENERATE)}) \
    ROW(embed, {MUST(MODEL_NAME) MUST(EMBED)}, \
        .leaves_files = true, .encoders = true) \
    ROW(compare, {MUST(MODEL_NAME) MUST(DATA) MUST(DATA_TEST) MAY(ROWS) MUST(COMPARE)}, \
        .images = true) \
    ROW(describe, {MUST(MODEL_NAME)}, \
        .leaves_files = true, .coders = true, .lenses = true, .images = true, .encoders = true) \
    ROW(compress, {MUST(MODEL_NAME) MAY(DATA) MAY(DATA_TRAIN) MAY(DATA_TEST) MAY(TRAIN) \
              MAY(DISTIL) MUST(COMPRESS)}, \
        .leaves_files = true) \
    ROW(explain, {MUST(MODEL_NAME) MAY(DATA) MAY(DATA_TRAIN) MAY(DATA_TEST) MUST(EXPLAIN) \
             MAY(REPORT)}, \
        .labels_too = true, .leaves_files = true, .images = true)
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
