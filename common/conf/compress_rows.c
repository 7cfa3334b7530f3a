/* The table. */
#include "common/conf/compress_rows.h"

#include <stddef.h>
#include <string.h>

#define NAME(name_, ...)   #name_,
#define METHOD(name_, ...) {.name = #name_, __VA_ARGS__},

const char *const ps_method_names[] = {PS_METHOD_ROWS(NAME) NULL};

static const ps_method_row methods[] = {PS_METHOD_ROWS(METHOD)};

const ps_method_row *ps_method_row_find(const char *name)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (!strcmp(methods[i].name, name))
            return &methods[i];
    return NULL;
}
