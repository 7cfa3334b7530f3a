/* pending: keys of sealed files that have not got their names yet, by the names that they have
 * until then. Private to this folder; under the lock
 * of sealed_disk (not asserted: a list does not know whose it is; sealed_disk_keys.c does). */
#ifndef PS_SEAL_PENDING_H
#define PS_SEAL_PENDING_H

#include "common/base/list.h"
#include "common/security/secret.h"

typedef struct ps_pending {
    ps_list link;
    char *temporary, *to;
    ps_secret *key;
} ps_pending;

typedef struct ps_pending_list {
    ps_list all;
} ps_pending_list;

void ps_pending_init(ps_pending_list *list);
void ps_pending_clear(ps_pending_list *list);
/* Takes the key over; one of that temporary name is replaced. */
void ps_pending_add(ps_pending_list *list, const char *temporary, const char *to, ps_secret **key);
ps_pending *ps_pending_find(const ps_pending_list *list, const char *temporary); /* NULL: none */
void ps_pending_remove(ps_pending **pending);

#endif
