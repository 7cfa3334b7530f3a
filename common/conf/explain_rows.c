/* The table. */
#include "common/conf/explain_rows.h"

#include "common/conf/train_rows.h"

#include <string.h>

#define NAME(name_, ...) #name_,
#define METHOD(name_, section_, traits_, passes_, ...) \
    {.name = #name_,                                   \
     .section = PS_EXPLAIN_SECTION_##section_,         \
     .traits = (traits_),                              \
     .passes = (passes_),                              \
     .keys = {__VA_ARGS__}},

const char *const ps_explain_names[] = {PS_EXPLAIN_ROWS(NAME) NULL};
const char *const ps_explain_section_names[] = {PS_EXPLAIN_SECTIONS(NAME) NULL};

static const ps_explain_row rows[] = {PS_EXPLAIN_ROWS(METHOD)};

enum { ROWS = sizeof rows / sizeof *rows };

const ps_explain_row *ps_explain_row_at(size_t i)
{
    return i < ROWS ? &rows[i] : NULL;
}

const ps_explain_row *ps_explain_row_find(const char *name)
{
    for (size_t i = 0; i < ROWS; i++)
        if (!strcmp(rows[i].name, name))
            return &rows[i];
    return NULL;
}

bool ps_explain_row_has(const ps_explain_row *row, const char *key)
{
    for (const ps_explain_key *k = row->keys; k->name; k++)
        if (!strcmp(k->name, key))
            return true;
    return false;
}

void ps_explain_owners(const char *key, ps_buf *out)
{
    const char *owners[ROWS + 1] = {NULL};
    size_t n = 0;
    for (size_t i = 0; i < ROWS; i++)
        if (ps_explain_row_has(&rows[i], key))
            owners[n++] = rows[i].name;
    ps_names_list(owners, out);
}
