/* audit_file: the file of an audit log: lines of a chain (audit_chain.h) go to its end, one
 * write(2) each, and it makes room for a new one when it is full.
 *
 * A full FILE is renamed to FILE.N, N the number of its last line in 12 digits, and FILE begins
 * anew with the next line: one rename, so that whatever ends the process leaves all lines, in files
 * whose names are in order. Where FILE has no line yet, the chain goes on from the newest of those
 * beside it.
 *
 * With the lock of its owner (audit.c), but for what says otherwise (not asserted: it does not know
 * the lock). Errors are errno's, so that nobody's message is lost. */
#ifndef PS_GUARD_AUDIT_FILE_H
#define PS_GUARD_AUDIT_FILE_H

#include "common/base/buf.h"
#include "common/base/status.h"
#include "common/security/audit_chain.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct ps_audit_file ps_audit_file;

/* Opens or creates it, 0600. most: bytes of a file; 0: any number. A pipe or a terminal is no file
 * that gets full. */
PS_MUST_CHECK ps_status ps_audit_file_open(const char *path, uint64_t most, ps_audit_file **out);
void ps_audit_file_close(ps_audit_file **file);

/* The last line that is whole. */
const ps_audit_head *ps_audit_file_head(const ps_audit_file *file);

/* A whole line, its newline at its end. 0: it is there, and the head; else errno: ENOSPC is also
 * one that did not fit whole (what did is ended by the next), EAGAIN a pipe that nobody reads. */
PS_MUST_CHECK int ps_audit_file_append(ps_audit_file *file, const ps_buf *line);

/* Would these bytes be too many for it? */
bool ps_audit_file_is_full(const ps_audit_file *file, size_t bytes);
/* The file that is full gets its other name. False: it stays as it is, which the log says, and is
 * not full until it has grown some more. */
bool ps_audit_file_turn(ps_audit_file *file);
/* Somebody else has moved it away: its name is opened again. On failure the old one stays. */
PS_MUST_CHECK ps_status ps_audit_file_reopen(ps_audit_file *file);

/* A descriptor of its own of what was appended last, for ps_audit_file_sync; -1: none. */
int ps_audit_file_again(const ps_audit_file *file);
/* Without the lock: it is on the disk, if it is of one; closes it. errno. */
PS_MUST_CHECK int ps_audit_file_sync(int again);

/* Without the lock, and any thread: of the full ones of this path beyond `keep` the oldest go; 0:
 * none does. */
void ps_audit_file_tidy(const char *path, unsigned keep);

#endif
