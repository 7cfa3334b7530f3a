#include "common/base/host.h"

#include <string.h>

void ps_host_drop_dot(char *host)
{
    size_t len = strlen(host);
    if (len > 1 && host[len - 1] == '.')
        host[len - 1] = 0;
}
