/* sealing_known: files of which a pass has seen that they are as they should be, so that the next
 * one need not read their keys: 8 bytes a name. One thread at a time (not asserted: sealing.c's,
 * which has a lock). */
#ifndef PS_SERVER_SEALING_KNOWN_H
#define PS_SERVER_SEALING_KNOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ps_sealing_known {
    uint64_t *names; /* of SHA-256; sorted, once settled */
    size_t n, room;
} ps_sealing_known;

void ps_sealing_known_add(ps_sealing_known *known, const char *path);
/* All are added: from here on it can be asked. */
void ps_sealing_known_settle(ps_sealing_known *known);
bool ps_sealing_known_has(const ps_sealing_known *known, const char *path);
void ps_sealing_known_clear(ps_sealing_known *known);

#endif
