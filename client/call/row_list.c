/* Happy path: part by part, each a number or a range, and of each the rows that there are. */
#include "client/call/row_list.h"

#include "common/base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct range {
    uint64_t begin, end;
} range;

/* "7", "10:20", ":20", "10:"; *rest: behind it and its comma. */
static bool parse_range(const char *text, range *out, const char **rest)
{
    size_t len = strcspn(text, ",");
    char part[48], colon;
    int used = -1;
    if (!len || len >= sizeof part)
        return false;
    memcpy(part, text, len);
    part[len] = '\0';
    *rest = text + len + (text[len] == ',');
    if (text[len] == ',' && !**rest)
        return false;
    *out = (range){0, UINT64_MAX};
    if (strspn(part, "0123456789:") != len || !strcmp(part, ":"))
        return false;
    if (!strchr(part, ':') && sscanf(part, "%" SCNu64 "%n", &out->begin, &used) == 1)
        out->end = out->begin + 1;
    else if (part[0] == ':')
        (void)sscanf(part, ":%" SCNu64 "%n", &out->end, &used);
    else if (sscanf(part, "%" SCNu64 ":%" SCNu64 "%n", &out->begin, &out->end, &used) != 2)
        (void)(sscanf(part, "%" SCNu64 "%c%n", &out->begin, &colon, &used));
    return used == (int)len && out->begin < out->end;
}

static void add(ps_row_list *list, bool *taken, size_t place)
{
    if (taken[place])
        return;
    taken[place] = true;
    list->places[list->n++] = place;
}

static ps_status none_of(const ps_explanation *m, const range *r)
{
    return ps_fail(PS_INVALID_ARGUMENT,
                   "--rows: job %" PRIu64 " has explained no row %" PRIu64
                   "%s; it has %zu, from %" PRIu64 " to %" PRIu64,
                   m->job, r->begin, r->end - r->begin > 1 ? ", nor those behind it" : "",
                   m->n_rows, m->n_rows ? m->rows[0].row : 0,
                   m->n_rows ? m->rows[m->n_rows - 1].row : 0);
}

ps_status ps_row_list_parse(const char *text, const ps_explanation *m, ps_row_list *out)
{
    ps_row_list list = {.places = ps_alloc_array(m->n_rows + 1, sizeof *list.places)};
    bool *taken = ps_alloc_array(m->n_rows + 1, sizeof *taken);
    ps_status st = PS_OK;
    range r = {0};
    const char *at = text;
    do {
        bool any = false;
        if (!parse_range(at, &r, &at))
            st = ps_fail(PS_INVALID_ARGUMENT, "--rows %s: rows are a list such as 3,7,10:20", text);
        for (size_t i = 0; !st && i < m->n_rows; i++)
            if (m->rows[i].row >= r.begin && m->rows[i].row < r.end) {
                add(&list, taken, i);
                any = true;
            }
        if (!st && !any)
            st = none_of(m, &r);
    } while (!st && *at);
    ps_free(&taken);
    if (st)
        ps_row_list_free(&list);
    *out = list;
    return st;
}

void ps_row_list_free(ps_row_list *list)
{
    ps_free(&list->places);
    list->n = 0;
}
