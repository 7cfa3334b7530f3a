/* The tables, and lists of names as a person writes them. */
#include "common/conf/train_rows.h"

#include <string.h>

#define NAME(name_, ...)               #name_,
#define OPTIMIZER(name_, traits_, ...) {.name = #name_, traits_, .keys = {__VA_ARGS__}},
#define MODE(name_, ...)               {.name = #name_, __VA_ARGS__},

const char *const ps_optimizer_names[] = {PS_OPTIMIZER_ROWS(NAME) NULL};
const char *const ps_mode_names[] = {PS_MODE_ROWS(NAME) NULL};

static const ps_optimizer_row optimizers[] = {PS_OPTIMIZER_ROWS(OPTIMIZER)};
static const ps_mode_row modes[] = {PS_MODE_ROWS(MODE)};

const ps_optimizer_row *ps_optimizer_row_find(const char *name)
{
    for (size_t i = 0; i < PS_OPTIMIZERS; i++)
        if (!strcmp(optimizers[i].name, name))
            return &optimizers[i];
    return NULL;
}

const ps_mode_row *ps_mode_row_find(const char *name)
{
    for (size_t i = 0; i < PS_MODES; i++)
        if (!strcmp(modes[i].name, name))
            return &modes[i];
    return NULL;
}

bool ps_optimizer_row_has(const ps_optimizer_row *row, const char *key)
{
    for (const ps_optimizer_key *k = row->keys; k->name; k++)
        if (!strcmp(k->name, key))
            return true;
    return false;
}

void ps_names_list(const char *const *names, ps_buf *out)
{
    for (size_t i = 0; names[i]; i++) {
        if (i)
            ps_buf_puts(out, names[i + 1] ? ", " : " and ");
        ps_buf_puts(out, names[i]);
    }
}

ps_status ps_names_unknown(const char *what, const char *name, const char *const *names)
{
    ps_buf list = PS_BUF_EMPTY;
    ps_names_list(names, &list);
    ps_status st = ps_fail(PS_INVALID_ARGUMENT, "%s: there is no %s; there are %.*s", what, name,
                           (int)list.len, (const char *)list.data);
    ps_buf_free(&list);
    return st;
}

void ps_optimizer_owners(const char *key, ps_buf *out)
{
    const char *owners[PS_OPTIMIZERS + 1] = {NULL};
    size_t n = 0;
    for (size_t i = 0; i < PS_OPTIMIZERS; i++)
        if (ps_optimizer_row_has(&optimizers[i], key))
            owners[n++] = optimizers[i].name;
    ps_names_list(owners, out);
}

void ps_optimizer_squaring(ps_buf *out)
{
    const char *names[PS_OPTIMIZERS + 1] = {NULL};
    size_t n = 0;
    for (size_t i = 0; i < PS_OPTIMIZERS; i++)
        if (optimizers[i].squares)
            names[n++] = optimizers[i].name;
    ps_names_list(names, out);
}
