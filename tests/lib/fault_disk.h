/* fault_disk: a row of the disk's table that hands everything on to the system and breaks where it
 * is told to: at the k-th operation, when so many bytes are written, or by writing little. */
#ifndef PS_TEST_FAULT_DISK_H
#define PS_TEST_FAULT_DISK_H

#include "common/base/disk.h"

#include <stdatomic.h>

typedef struct fault_disk {
    atomic_ulong operations; /* so far; every call but close, list and free_space counts */
    unsigned long fail_at;   /* this operation, from 1, fails with PS_IO; 0: none */
    unsigned long fsync_errors, fsyncs_after_error; /* what was seen */
    unsigned long closed_unsynced; /* files closed with bytes behind their last good fsync */
    bool dirty[1024];              /* by file: it has such */
    uint64_t room;       /* bytes that can be written before PS_NO_SPACE; UINT64_MAX: all */
    uint64_t free_bytes; /* what free_space says; 0: the truth */
    size_t write_most;   /* bytes one write takes; 0: all */
    int broken_file;     /* whose fsync failed; -1: none */
} fault_disk;

ps_disk fault_disk_table(fault_disk *state); /* and clears it */

#endif
