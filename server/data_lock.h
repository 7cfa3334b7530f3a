/* data_lock: a data_dir has one psd. The kernel lets go of the lock when the process ends, however
 * it ends: nothing is left behind that a restart would have to remove.
 */
#ifndef PS_SERVER_DATA_LOCK_H
#define PS_SERVER_DATA_LOCK_H

#include "common/base/status.h"

/* Locks data_dir by a file in it. PS_FAILED_PRECONDITION: another psd has it (its process number is
 * in the message); PS_NO_ACCESS, PS_IO, ...: the file cannot be made. */
PS_MUST_CHECK ps_status ps_data_lock_take(const char *data_dir, int *out);
/* Does another psd have it? Changes nothing. */
bool ps_data_lock_is_taken(const char *data_dir);
void ps_data_lock_release(int *lock); /* -1: none */

#endif
