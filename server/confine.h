/* confine: psd gives up what it does not need, by its configuration (common/base/landlock.h). */
#ifndef PS_SERVER_CONFINE_H
#define PS_SERVER_CONFINE_H

#include "server/options.h"

/* Makes data_dir, where it is not there, and keeps to it, the folders of the files that psd.yaml
 * names, and the programs. Fails when data_dir cannot be made, and with `landlock: require`. The
 * only thread of the process (not asserted: it begins with one). */
PS_MUST_CHECK ps_status ps_server_confine(const ps_server_options *options);

#endif
