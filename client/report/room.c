/* Cannot fail. */
#include "client/report/room.h"

#include "common/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

ps_room ps_room_of(size_t limit)
{
    return (ps_room){.limit = limit, .allowed = {SIZE_MAX, SIZE_MAX, SIZE_MAX}};
}

void ps_room_clear(ps_room *room)
{
    for (size_t i = 0; i < room->n_notes; i++)
        ps_free(&room->notes[i]);
    ps_free(&room->notes);
    room->notes = NULL;
    room->n_notes = 0;
    memset(room->used, 0, sizeof room->used);
}

bool ps_room_take_of(ps_room *room, ps_room_class of, ps_buf *piece, ps_buf *out)
{
    bool fits = piece->len <= room->allowed[of] - room->used[of];
    if (fits) {
        room->used[of] += piece->len;
        ps_buf_append(out, piece->data, piece->len);
    }
    ps_buf_clear(piece);
    return fits;
}

bool ps_room_take(ps_room *room, ps_buf *piece, ps_buf *out)
{
    return ps_room_take_of(room, PS_ROOM_FIGURES, piece, out);
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

static size_t less(size_t a, size_t b)
{
    return a < b ? a : b;
}

void ps_room_share_out(ps_room *room, size_t bytes)
{
    enum { NOTES = 4096 }; /* bytes, of what will be said of what is not there */
    size_t others = bytes + NOTES;
    for (size_t i = 0; i < PS_ROOM_CLASSES; i++)
        others -= room->used[i];
    size_t left = room->limit > others ? room->limit - others : 0;
    size_t rows = less(room->used[PS_ROOM_ROWS], left / 8);
    left -= rows;
    for (size_t i = 0; i < PS_ROOM_CLASSES; i++) {
        size_t given = i == PS_ROOM_ROWS ? left : less(room->used[i], left);
        room->allowed[i] = given + (i == PS_ROOM_ROWS ? rows : 0);
        left -= given;
    }
    ps_room_clear(room);
}
