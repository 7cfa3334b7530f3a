#include "common/format/artifact_name.h"

#include <stdio.h>
#include <string.h>

bool ps_artifact_name_ok(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t len = strlen(name);
    return len >= 1 && len <= 64 && name[0] != '.' && strspn(name, allowed) == len;
}

/* A name has no comma, so that no part of the list is one but a whole word. */
bool ps_artifact_name_is_report(const char *name)
{
    static const char reports[] = ", " PS_ARTIFACT_REPORTS ", ";
    char word[80];
    int len = snprintf(word, sizeof word, ", %s, ", name);
    return ps_artifact_name_ok(name) && len > 0 && (size_t)len < sizeof word &&
           strstr(reports, word) != NULL;
}
