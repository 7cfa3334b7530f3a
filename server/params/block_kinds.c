#include "server/params/block_kinds.h"

#include "server/params/block.h"

#include <string.h>

const ps_block_kind *ps_block_kind_find(const char *name)
{
    static const ps_block_kind *const kinds[] = {&ps_block_words, &ps_block_sum};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}

const char *ps_block_kind_name(const ps_block_kind *kind)
{
    return kind->name;
}
