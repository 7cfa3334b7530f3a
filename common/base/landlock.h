/* landlock: a daemon gives up, for good, every file that its configuration does not name
 * (landlock(7)). Whoever takes it over by hostile bytes then opens no more than it needs itself,
 * whatever its user may.
 *
 * Rules are collected, enforced once before the first thread begins, and hold for all threads and
 * for the programs that are started later. What was opened before stays open. Best effort: a kernel
 * without landlock, or with less of it, restricts nothing or less, and the log says which version
 * is in force. Builds with sanitizers may read and run everything, for the sake of their reports.
 */
#ifndef PS_BASE_LANDLOCK_H
#define PS_BASE_LANDLOCK_H

#include "common/base/status.h"

/* `landlock:` of the configurations, in the order of their words. */
typedef enum ps_landlock_mode {
    PS_LANDLOCK_AUTO, /* where the kernel has it */
    PS_LANDLOCK_REQUIRE,
    PS_LANDLOCK_OFF,
} ps_landlock_mode;

/* What may be done with what is below a path. */
typedef enum ps_landlock_right {
    PS_LANDLOCK_READ = 1,
    PS_LANDLOCK_WRITE = 2,  /* make, rename and remove files and folders, and read them */
    PS_LANDLOCK_RUN = 4,    /* as a program, and read */
    PS_LANDLOCK_DEVICE = 8, /* read, write and control devices */
} ps_landlock_right;

typedef struct ps_landlock ps_landlock;

ps_landlock *ps_landlock_new(void);
void ps_landlock_free(ps_landlock **landlock);
/* rights: of ps_landlock_right, or-ed. A path that is not there is left out. */
void ps_landlock_allow(ps_landlock *landlock, unsigned rights, const char *path);
/* The folder of a file, and that of what it is a link to, there or not yet: a file that takes its
 * place by a rename may be opened as well. Of a file in / it is the file alone. */
void ps_landlock_allow_beside(ps_landlock *landlock, unsigned rights, const char *file);
/* A folder that may come later (a disk that is mounted): where it is not there, the nearest one
 * above it that is, so that it is found; but not / for what was not said to be /: then it needs a
 * restart.
 */
void ps_landlock_allow_coming(ps_landlock *landlock, unsigned rights, const char *folder);
/* What is needed to run at all: libraries, names of hosts, times, /proc, random numbers. */
void ps_landlock_allow_system(ps_landlock *landlock);
/* To run this program later (a script, too, with what it calls of the system's, and its
 * temporary files). */
void ps_landlock_allow_program(ps_landlock *landlock, const char *path);

/* From here on nothing else. Fails only with PS_LANDLOCK_REQUIRE (PS_FAILED_PRECONDITION). The only
 * thread of the process (not asserted: it begins with one). */
PS_MUST_CHECK ps_status ps_landlock_enforce(ps_landlock *landlock, ps_landlock_mode mode);
/* What came of that, as a line of the log, once there is one (ps_log_start); nothing before it. */
void ps_landlock_log(const char *tag);

/* For a path of a configuration that was read again: after PS_NO_ACCESS that landlock alone is the
 * reason of, PS_FAILED_PRECONDITION and a message that asks for a restart; any other st as it is.
 * Any thread. */
ps_status ps_landlock_explain(ps_status st, const char *path);
ps_status ps_landlock_explain_program(ps_status st, const char *path); /* it was to be started */

/* The version of the kernel's landlock; 0: it has none, or it is switched off. */
int ps_landlock_abi(void);

#endif
