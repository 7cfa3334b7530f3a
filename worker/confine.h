/* confine: psworker gives up what it does not need, by its configuration (common/base/landlock.h).
 */
#ifndef PS_WORKER_CONFINE_H
#define PS_WORKER_CONFINE_H

#include "worker/conf/worker_options.h"

/* Keeps to data_roots, the folders of the files that psworker.yaml names, of temporary files, and
 * the device. Fails with `landlock: require` alone. The only thread of the process (not asserted:
 * it begins with one). */
PS_MUST_CHECK ps_status ps_worker_confine(const ps_worker_options *options);

#endif
