/* room: how many bytes a report may have, and what was left out of it for their sake, so that the
 * file can say so. Pure. One thread (not asserted: psctl has no other). */
#ifndef PS_REPORT_ROOM_H
#define PS_REPORT_ROOM_H

#include "common/base/buf.h"

enum { PS_ROOM_DEFAULT = 5 << 20 };

typedef struct ps_room {
    size_t limit, used;
    char **notes; /* what was left out, a sentence each */
    size_t n_notes;
} ps_room;

ps_room ps_room_of(size_t limit);
void ps_room_clear(ps_room *room);

/* Moves the piece to out, and counts it; false, and the piece is dropped: there is no room. It is
 * empty then. */
bool ps_room_take(ps_room *room, ps_buf *piece, ps_buf *out);
/* "24 of 272 rows of the table of tensors". */
void ps_room_left_out(ps_room *room, const char *format, ...) PS_PRINTF(2, 3);

#endif
