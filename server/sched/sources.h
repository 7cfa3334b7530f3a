/* sources: which files of data workers have read for a job, as text that is kept with it: a line
 * each,
 *
 *     SHA256 BYTES WORKER PATH
 *
 * "-" for a digest that nobody has computed. So the same file that two workers have is two lines,
 * and one that has changed meanwhile, too. It is what workers say: psd does not see the data. Not
 * thread-safe (not asserted: plain data of whoever has it). */
#ifndef PS_SCHED_SOURCES_H
#define PS_SCHED_SOURCES_H

#include "common/base/slice.h"
#include "common/security/digest.h"
#include "server/sched/task_result.h"

#include <stdbool.h>

enum { PS_SOURCES_MOST = 64 << 10 };

/* Adds to *text, which may be NULL, what a result says (ps_task_result_check) that is new. True:
 * something was. Beyond PS_SOURCES_MOST bytes nothing is added any more, and a line "..." says so.
 */
bool ps_sources_add(char **text, const char *worker, const ps_task_result *result);

typedef struct ps_source {
    char sha256[PS_DIGEST_TEXT]; /* "": not computed */
    uint64_t bytes;
    ps_slice worker, path;
    bool more; /* instead of all that: there were too many */
} ps_source;

/* The next line of what is left of the text; false: there is none, or it is damaged. */
bool ps_sources_next(ps_slice *left, ps_source *out);

#endif
