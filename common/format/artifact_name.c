#include "common/format/artifact_name.h"

#include <string.h>

bool ps_artifact_name_ok(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t len = strlen(name);
    return len >= 1 && len <= 64 && name[0] != '.' && strspn(name, allowed) == len;
}
