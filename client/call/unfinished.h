/* unfinished: a file or folder that is removed when Ctrl-C ends psctl while it works by itself, as
 * it checks, hashes and signs what has come. Calls to psd see to that themselves
 * (ps_client_stream).
 *
 * SIGINT, SIGTERM and SIGHUP wait with a thread of their own from begin to end: it removes what is
 * there and ends the process by the signal. One at a time, of the main thread (not asserted: psctl
 * has no other that could). */
#ifndef PS_CALL_UNFINISHED_H
#define PS_CALL_UNFINISHED_H

typedef struct ps_unfinished ps_unfinished;

/* path: copied; it need not be there. Whoever takes the signals himself meanwhile, as a loop does,
 * has them, and after him they end the process as always. */
ps_unfinished *ps_unfinished_begin(const char *path);
/* It is somebody's now, or gone. NULL is nothing. */
void ps_unfinished_end(ps_unfinished **unfinished);

/* The file, or the folder with all that is in it; what fails stays. */
void ps_unfinished_remove(const char *path);

#endif
