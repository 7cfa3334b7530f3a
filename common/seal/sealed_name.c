/* Happy path: a row's folder, and then its form. */
#include "common/seal/sealed_name.h"

#include <ctype.h>
#include <string.h>

enum { HEX = 16 }; /* letters of what makes a name its own (stored_file.h) */

/* name is STEM.HEX with something in STEM; *stem its length. */
static bool has_version(const char *name, size_t len, size_t *stem)
{
    if (len < HEX + 2 || name[len - HEX - 1] != '.' || name[0] == '.')
        return false;
    for (size_t i = len - HEX; i < len; i++)
        if (!isxdigit((unsigned char)name[i]))
            return false;
    *stem = len - HEX - 1;
    return true;
}

static bool put_version(ps_buf *aad, const char *cluster, const char *kind, const char *name,
                        size_t len)
{
    size_t stem;
    if (!has_version(name, len, &stem))
        return false;
    ps_buf_printf(aad, "psd/v1 %s %s %.*s %.*s", cluster, kind, (int)stem, name, HEX,
                  name + stem + 1);
    return true;
}

static bool model(const char *cluster, const char *name, ps_buf *aad)
{
    static const char suffix[] = ".safetensors";
    size_t len = strlen(name), end = sizeof suffix - 1;
    return len > end && !strcmp(name + len - end, suffix) &&
           put_version(aad, cluster, "model", name, len - end);
}

static bool artifact(const char *cluster, const char *name, ps_buf *aad)
{
    return put_version(aad, cluster, "artifact", name, strlen(name));
}

static size_t digits(const char *text)
{
    size_t n = 0;
    while (isdigit((unsigned char)text[n]))
        n++;
    return n;
}

static bool record(const char *cluster, const char *name, ps_buf *aad)
{
    size_t job = digits(name);
    if (!job || name[job])
        return false;
    ps_buf_printf(aad, "psd/v1 %s record %s 0", cluster, name);
    return true;
}

static bool checkpoint(const char *cluster, const char *name, ps_buf *aad)
{
    static const char middle[] = "/checkpoint-";
    size_t job = digits(name), length = sizeof middle - 1;
    if (!job || strncmp(name + job, middle, length) != 0)
        return false;
    const char *number = name + job + length;
    size_t n = digits(number);
    if (!n || (number[n] && strcmp(number + n, ".damaged") != 0))
        return false;
    ps_buf_printf(aad, "psd/v1 %s checkpoint %.*s %.*s", cluster, (int)job, name, (int)n, number);
    return true;
}

ps_sealed_form ps_sealed_name(void *user, const char *path, ps_buf *aad)
{
    static const struct {
        const char *folder;
        bool (*put)(const char *cluster, const char *name, ps_buf *aad);
        ps_sealed_form form;
    } rows[] = {{"models/", model, PS_SEALED_STREAM},
                {"artifacts/", artifact, PS_SEALED_STREAM},
                {"checkpoints/", checkpoint, PS_SEALED_STREAM},
                {"records/", record, PS_SEALED_LOG}};
    const ps_sealed_names *names = user;
    size_t dir = strlen(names->data_dir);
    if (strncmp(path, names->data_dir, dir) != 0 || path[dir] != '/')
        return PS_SEALED_NONE;
    if (!strcmp(path + dir + 1, PS_SEALED_CATALOG)) {
        ps_buf_printf(aad, "psd/v1 %s catalog " PS_SEALED_CATALOG " 0", names->cluster);
        return PS_SEALED_STREAM;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t folder = strlen(rows[i].folder);
        if (!strncmp(path + dir + 1, rows[i].folder, folder))
            return rows[i].put(names->cluster, path + dir + 1 + folder, aad) ? rows[i].form
                                                                             : PS_SEALED_NONE;
    }
    return PS_SEALED_NONE;
}
