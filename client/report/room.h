/* room: how many bytes a report may have, and what was left out of it for their sake, so that the
 * file can say so. It is drawn once with room for all; where that is too much, again with so much
 * for each class of pieces that the rest, which is always there, has its own.
 * Pure. One thread (not asserted: psctl has no other). */
#ifndef PS_REPORT_ROOM_H
#define PS_REPORT_ROOM_H

#include "common/base/buf.h"

enum { PS_ROOM_DEFAULT = 5 << 20, PS_ROOM_MOST = 20 << 20, PS_ROOM_LEAST = 32 << 10 };

/* In the order in which they get what there is, but for an eighth that rows have for themselves. */
typedef enum ps_room_class {
    PS_ROOM_FIGURES, /* and rows of tables */
    PS_ROOM_HEADS,   /* where each head looks */
    PS_ROOM_ROWS,    /* examples */
    PS_ROOM_CLASSES,
} ps_room_class;

typedef struct ps_room {
    size_t limit; /* of the file */
    size_t used[PS_ROOM_CLASSES], allowed[PS_ROOM_CLASSES];
    char **notes; /* what was left out, a sentence each */
    size_t n_notes;
} ps_room;

/* Everything is let in. */
ps_room ps_room_of(size_t limit);
void ps_room_clear(ps_room *room);

/* Moves the piece to out, and counts it; false, and the piece is dropped: there is no room. It is
 * empty then. */
bool ps_room_take_of(ps_room *room, ps_room_class of, ps_buf *piece, ps_buf *out);
bool ps_room_take(ps_room *room, ps_buf *piece, ps_buf *out); /* a figure */
/* "24 of 272 rows of the table of tensors". */
void ps_room_left_out(ps_room *room, const char *format, ...) PS_PRINTF(2, 3);

/* After all was drawn, and the file had so many bytes: what each class is allowed, and the notes
 * and counts of that drawing are forgotten. */
void ps_room_share_out(ps_room *room, size_t bytes);

#endif
