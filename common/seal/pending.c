/* A list: a handful of files are being written at a time. */
#include "common/seal/pending.h"

#include "common/base/mem.h"

#include <string.h>

void ps_pending_init(ps_pending_list *list)
{
    ps_list_init(&list->all);
}

void ps_pending_remove(ps_pending **pending)
{
    ps_pending *p = *pending;
    ps_list_remove(&p->link);
    ps_free(&p->temporary);
    ps_free(&p->to);
    ps_secret_free(&p->key);
    ps_free(pending);
}

void ps_pending_clear(ps_pending_list *list)
{
    ps_list_each_safe(node, &list->all)
    {
        ps_pending *p = ps_container(node, ps_pending, link);
        ps_pending_remove(&p);
    }
}

ps_pending *ps_pending_find(const ps_pending_list *list, const char *temporary)
{
    ps_list_each(node, &list->all)
    {
        ps_pending *p = ps_container(node, ps_pending, link);
        if (!strcmp(p->temporary, temporary))
            return p;
    }
    return NULL;
}

void ps_pending_add(ps_pending_list *list, const char *temporary, const char *to, ps_secret **key)
{
    ps_pending *before = ps_pending_find(list, temporary);
    if (before)
        ps_pending_remove(&before);
    ps_pending *p = ps_new(ps_pending);
    *p = (ps_pending){.temporary = ps_strdup(temporary), .to = ps_strdup(to), .key = *key};
    *key = NULL;
    ps_list_append(&list->all, &p->link);
}
