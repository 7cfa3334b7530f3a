/* limits: what this process may have of the machine: processors, memory, open files.
 *
 * Containers, systemd units, batch systems and taskset give a process a part of a machine. Whoever
 * sizes itself by the machine is slow there, or ended by the kernel. Any thread.
 */
#ifndef PS_BASE_LIMITS_H
#define PS_BASE_LIMITS_H

#include <stdint.h>

typedef struct ps_limits {
    unsigned cores, machine_cores;   /* at least 1 */
    uint64_t memory, machine_memory; /* bytes */
} ps_limits;

/* Cores: the least of affinity and of the control groups' quotas, a part of a core counted as one.
 * Memory: the least of the machine's, the control groups' and RLIMIT_AS. Reads files. */
void ps_limits_read(ps_limits *out);
/* The cores of it, read once. */
unsigned ps_cores(void);

/* What may still be taken before the kernel ends somebody for it, or pages out. Linux promises more
 * than it has, so that what is large has to ask first. Without /proc/meminfo (ProcSubset=pid) at
 * most what the machine has. */
uint64_t ps_limits_memory_left(void);

/* Raises the number of open files to what the process may have without asking; that number. */
unsigned ps_limits_raise_files(void);

/* One line in the log: cores and memory, of how much, and files. tag: of the program. */
void ps_limits_log(const char *tag, unsigned files);

/* Test hook: files of proc and sys are read below this folder; "" is the machine's. Not while other
 * threads read. */
void ps_limits_set_root(const char *root);

#endif
