/* fault_disk: a row of the disk's table that hands everything on to the system and breaks where it
 * is told to: at an operation (fault.h), when so many bytes are written, or by writing little. */
#ifndef PS_TEST_FAULT_DISK_H
#define PS_TEST_FAULT_DISK_H

#include "common/base/disk.h"
#include "tests/lib/fault.h"

typedef struct fault_disk {
    fault fails; /* operations, with PS_IO: every call but close, list and free_space is one */
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
