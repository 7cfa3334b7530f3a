/* elsewhere: a path that is not there, as it names something on the net: an address, or a model as
 * hubs have it. psd fetches neither, and says who does. Any thread. */
#ifndef PS_BASE_ELSEWHERE_H
#define PS_BASE_ELSEWHERE_H

#include "common/base/status.h"

/* st, which looking for path has failed with. Where that is PS_NOT_FOUND and path is an address
 * (https://…), or ORG/NAME, no file's name by its ending, and there is no folder ORG, its message
 * says how to come by it. */
ps_status ps_elsewhere(const char *path, ps_status st);

#endif
