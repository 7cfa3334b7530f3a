/* unfinished: a file or folder that is removed when Ctrl-C ends psctl while it works by itself, as
 * it checks, hashes and signs what has come. While it calls psd the call is ended first
 * (endings.h).
 *
 *     begin ─▶ hold ─▶ (it is made) ─▶ go_on ─▶ work ─▶ hold ─▶ (it gets its name) ─▶ go_on ─▶ end
 *
 * SIGINT, SIGTERM and SIGHUP wait with a thread of their own from begin to end: it removes what is
 * there and ends the process by the signal, but not while it is held. One at a time, of the main
 * thread (not asserted: psctl has no other that could). */
#ifndef PS_CALL_UNFINISHED_H
#define PS_CALL_UNFINISHED_H

typedef struct ps_unfinished ps_unfinished;

/* path: copied; it need not be there. NULL: nothing is unfinished yet. Whoever takes the signals
 * himself meanwhile gives them back, as ps_endings_watch_end does. */
ps_unfinished *ps_unfinished_begin(const char *path);
/* From here to go_on nothing is removed; does not return when that has begun, and the process ends.
 * NULL is nothing, here and below. */
void ps_unfinished_hold(ps_unfinished *unfinished);
/* path: as in begin, of what is unfinished from here on. */
void ps_unfinished_go_on(ps_unfinished *unfinished, const char *path);
/* It is somebody's now, or gone. */
void ps_unfinished_end(ps_unfinished **unfinished);

/* The file, or the folder with all that is in it; what fails stays. */
void ps_unfinished_remove(const char *path);

#endif
