/* Happy path: go up over the lines that are there, clear down to the end of the screen, write. With
 * one write a frame there is no flicker. Escape sequences are those of ECMA-48 that every terminal
 * has: CUU (A), ED (J), DECTCEM (?25). */
#include "client/follow/screen.h"

#include "common/base/text.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int guarded_fd = -1;

static void show_cursor(void)
{
    static const char text[] = "\033[?25h";
    if (guarded_fd >= 0 && write(guarded_fd, text, sizeof text - 1) < 0)
        guarded_fd = -1; /* the terminal has gone */
}

static void die_cb(int number)
{
    show_cursor();
    (void)raise(number); /* the handler is reset: this time it counts */
}

void ps_screen_guard(int fd)
{
    static const int fatal[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    if (guarded_fd < 0)
        (void)atexit(show_cursor);
    guarded_fd = fd;
    struct sigaction action = {.sa_handler = die_cb, .sa_flags = (int)SA_RESETHAND};
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        (void)sigaction(fatal[i], &action, NULL);
}

void ps_screen_free(ps_screen *screen)
{
    ps_buf_free(&screen->above);
    *screen = (ps_screen){0};
}

/* Columns of one line, escape sequences not counted. */
static size_t columns_of(const char *line, size_t len)
{
    size_t columns = 0;
    for (size_t at = 0; at < len;) {
        const char *escape = memchr(line + at, '\033', len - at);
        size_t plain = escape ? (size_t)(escape - line) - at : len - at;
        columns += ps_text_columns(line + at, plain);
        at += plain;
        while (at < len && line[at++] != 'm')
            ;
    }
    return columns;
}

static void wipe(ps_screen *screen, unsigned width, ps_buf *out)
{
    size_t rows = 0;
    for (size_t i = 0; i < screen->n_shown; i++)
        rows += screen->shown[i] && width ? (screen->shown[i] + width - 1) / width : 1;
    if (rows)
        ps_buf_printf(out, "\033[%zuA\r\033[J", rows);
    screen->n_shown = 0;
}

void ps_screen_draw(ps_screen *screen, unsigned width, const char *lines, ps_buf *out)
{
    if (!screen->hidden)
        ps_buf_puts(out, "\033[?25l");
    screen->hidden = true;
    wipe(screen, width, out);
    ps_buf_append(out, screen->above.data, screen->above.len);
    ps_buf_clear(&screen->above);
    ps_buf_puts(out, lines);
    for (const char *end; (end = strchr(lines, '\n')); lines = end + 1)
        if (screen->n_shown < sizeof screen->shown / sizeof *screen->shown)
            screen->shown[screen->n_shown++] = columns_of(lines, (size_t)(end - lines));
}

void ps_screen_end(ps_screen *screen, unsigned width, ps_buf *out)
{
    wipe(screen, width, out);
    ps_buf_append(out, screen->above.data, screen->above.len);
    ps_buf_clear(&screen->above);
    if (screen->hidden)
        ps_buf_puts(out, "\033[?25h");
    screen->hidden = false;
}
