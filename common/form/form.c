/* The table, and rows of blocks by it. Cannot fail but where a name is none. */
#include "common/form/form.h"

#include "common/base/require.h"
#include "common/form/factors.h"
#include "common/form/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROW(name) &ps_form_##name,
const ps_form_row *const ps_form_rows[] = {PS_FORM_ROWS(ROW) NULL};
#undef ROW
#define ROW(name) #name,
const char *const ps_form_names[] = {PS_FORM_ROWS(ROW) NULL};
#undef ROW

#define FACTORS "factors/"

const uint32_t ps_form_groups[] = {256, 128, 64, 32, 0};

const ps_form_row *ps_form_find(const char *name)
{
    for (const ps_form_row *const *row = ps_form_rows; *row; row++)
        if (strcmp((*row)->name, name) == 0)
            return *row;
    return NULL;
}

const ps_form_row *ps_form_of_ggml(uint32_t type)
{
    for (const ps_form_row *const *row = ps_form_rows; *row; row++)
        if ((*row)->ggml >= 0 && (uint32_t)(*row)->ggml == type)
            return *row;
    return NULL;
}

static bool group_parse(const char *text, uint32_t *out)
{
    if (strcmp(text, "row") == 0) {
        *out = 0;
        return true;
    }
    for (const uint32_t *group = ps_form_groups; *group; group++) {
        char name[12];
        (void)snprintf(name, sizeof name, "%u", *group);
        if (strcmp(text, name) == 0) {
            *out = *group;
            return true;
        }
    }
    return false;
}

bool ps_form_parse(const char *text, ps_form *out)
{
    char name[PS_FORM_TEXT];
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    if (len >= sizeof name)
        return false;
    memcpy(name, text, len);
    name[len] = '\0';
    *out = (ps_form){.row = ps_form_find(name)};
    if (!out->row)
        return false;
    out->group = out->row->group;
    return out->row->group ? !slash : slash && group_parse(slash + 1, &out->group);
}

bool ps_form_parse_stored(const char *text, ps_form *out)
{
    size_t len = strlen(FACTORS);
    char *end;
    if (strncmp(text, FACTORS, len) != 0)
        return ps_form_parse(text, out);
    unsigned long rank = strtoul(text + len, &end, 10);
    bool digits = text[len] >= '1' && text[len] <= '9' && *end == '\0';
    if (!digits || rank > INT32_MAX)
        return false;
    *out = ps_form_of_rank((uint32_t)rank);
    return true;
}

const char *ps_form_text(ps_form form, char out[PS_FORM_TEXT])
{
    if (form.rank)
        (void)snprintf(out, PS_FORM_TEXT, FACTORS "%u", form.rank);
    else if (form.row->group)
        (void)snprintf(out, PS_FORM_TEXT, "%s", form.row->name);
    else if (form.group)
        (void)snprintf(out, PS_FORM_TEXT, "%s/%u", form.row->name, form.group);
    else
        (void)snprintf(out, PS_FORM_TEXT, "%s/row", form.row->name);
    return out;
}

uint32_t ps_form_block_numbers(ps_form form, uint64_t columns)
{
    PS_REQUIRE(form.group || columns <= UINT32_MAX);
    return form.group ? form.group : (uint32_t)columns;
}

bool ps_form_divides(ps_form form, uint64_t columns)
{
    if (columns == 0 || columns > UINT32_MAX || form.rank)
        return false;
    uint32_t block = ps_form_block_numbers(form, columns);
    return columns % block == 0 && (form.row->plain || (uint64_t)block * form.row->bits % 8 == 0);
}

size_t ps_form_block_bytes(ps_form form, uint64_t columns)
{
    return form.row->bytes(ps_form_block_numbers(form, columns));
}

uint64_t ps_form_row_bytes(ps_form form, uint64_t columns)
{
    PS_REQUIRE(ps_form_divides(form, columns));
    return columns / ps_form_block_numbers(form, columns) * ps_form_block_bytes(form, columns);
}

void ps_form_decode(ps_form form, const uint8_t *blocks, uint64_t rows, uint64_t columns,
                    float *out)
{
    uint64_t bytes = ps_form_row_bytes(form, columns);
    for (uint64_t r = 0; r < rows; r++)
        form.row->decode(blocks + r * bytes, ps_form_block_numbers(form, columns), columns,
                         out + r * columns);
}

void ps_form_encode(ps_form form, const float *values, const float *importance, uint64_t rows,
                    uint64_t columns, uint8_t *out)
{
    uint64_t bytes = ps_form_row_bytes(form, columns);
    for (uint64_t r = 0; r < rows; r++)
        form.row->encode(values + r * columns, importance, ps_form_block_numbers(form, columns),
                         columns, out + r * bytes);
}

float ps_form_settle(ps_form form, uint8_t *row, uint64_t columns, uint64_t column, double value)
{
    uint32_t block = ps_form_block_numbers(form, columns);
    PS_REQUIRE(form.row->settle && column < columns);
    return form.row->settle(row + column / block * ps_form_block_bytes(form, columns), block,
                            (uint32_t)(column % block), value);
}
