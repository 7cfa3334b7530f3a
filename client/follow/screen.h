/* screen: a few lines at the bottom of a terminal that are drawn over and over, with other lines
 * scrolling by above them.
 *
 * The screen makes bytes; the caller writes them. The cursor is hidden while lines are shown;
 * ps_screen_end gives it back, and ps_screen_guard makes sure of it when the process dies. One
 * thread (not asserted: psctl has no other). */
#ifndef PS_FOLLOW_SCREEN_H
#define PS_FOLLOW_SCREEN_H

#include "common/base/buf.h"

typedef struct ps_screen {
    ps_buf above;    /* lines to go above, each ended by '\n' */
    size_t shown[4]; /* columns of the lines that are on the screen */
    size_t n_shown;
    bool hidden; /* the cursor */
} ps_screen;

void ps_screen_free(ps_screen *screen);
/* Draws `lines` (each ended by '\n', at most 4, none wider than `width`) in place of those that
 * are there, with what has gathered in `above` before them. width is the terminal's now: lines
 * that were drawn on a wider one have wrapped and are wiped as well. */
void ps_screen_draw(ps_screen *screen, unsigned width, const char *lines, ps_buf *out);
/* Takes the lines away, lets `above` go by, and shows the cursor. */
void ps_screen_end(ps_screen *screen, unsigned width, ps_buf *out);

/* From now on the cursor of this terminal is shown again when the process exits or is killed by a
 * signal that it could catch but did not expect (abort, segmentation fault). */
void ps_screen_guard(int fd);

#endif
