/* trial: what `--check` of a daemon finds: every part is tried, and every fault is kept, a line
 * each. One thread (not asserted: a program begins with one). */
#ifndef PS_CONF_TRIAL_H
#define PS_CONF_TRIAL_H

#include "common/base/buf.h"
#include "common/base/status.h"

typedef struct ps_trial {
    const char *program; /* "psd", before every line */
    ps_buf faults, notes;
} ps_trial; /* zeroes but for program */

/* A fault unless it is PS_OK; what: where it is from, NULL when the message says so. */
void ps_trial_add(ps_trial *trial, const char *what, ps_status st);
void ps_trial_note(ps_trial *trial, const char *format, ...) PS_PRINTF(2, 3);
/* Is it a folder that this process may list and, with `write`, make files in? */
PS_MUST_CHECK ps_status ps_trial_folder(const char *path, bool write);
/* Faults to standard error, or "FILE is fine" to standard output, and the notes; the exit status: 0
 * or 2. Frees what the trial holds. */
int ps_trial_end(ps_trial *trial, const char *file);

#endif
