/* Cannot fail. */
#include "client/report/room.h"

#include "common/base/mem.h"

#include <stdarg.h>
#include <stdio.h>

ps_room ps_room_of(size_t limit)
{
    return (ps_room){.limit = limit};
}

void ps_room_clear(ps_room *room)
{
    for (size_t i = 0; i < room->n_notes; i++)
        ps_free(&room->notes[i]);
    ps_free(&room->notes);
    *room = (ps_room){.limit = room->limit};
}

bool ps_room_take(ps_room *room, ps_buf *piece, ps_buf *out)
{
    bool fits = piece->len <= room->limit - room->used;
    if (fits) {
        room->used += piece->len;
        ps_buf_append(out, piece->data, piece->len);
    }
    ps_buf_clear(piece);
    return fits;
}

void ps_room_left_out(ps_room *room, const char *format, ...)
{
    char note[160];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(note, sizeof note, format, args);
    va_end(args);
    room->notes = ps_realloc(room->notes, (room->n_notes + 1) * sizeof *room->notes);
    room->notes[room->n_notes++] = ps_strdup(note);
}
