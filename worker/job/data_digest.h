/* data_digest: which file of data a worker has read: SHA-256 of its bytes as they are on the disk
 * (sha256sum says the same). A file is read for it once as long as it stays what it is: by path,
 * device, number, size and times. Any thread. */
#ifndef PS_JOB_DATA_DIGEST_H
#define PS_JOB_DATA_DIGEST_H

#include "common/security/digest.h"

#include <stdint.h>

/* Larger files are not read for their digest alone. */
#define PS_DATA_DIGEST_MAX ((uint64_t)1 << 30)

/* *out is "" for a file that is larger than that, and after a failure. Fails as ps_regular_open and
 * _read. */
PS_MUST_CHECK ps_status ps_data_digest(const char *path, char out[PS_DIGEST_TEXT]);

#endif
