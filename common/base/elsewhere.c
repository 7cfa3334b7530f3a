#include "common/base/elsewhere.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

/* Letters of a part of a name on a hub. */
static size_t part_of(const char *at)
{
    return strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
}

/* ORG/NAME at the beginning of `at`: the letters of each; false: it is none. */
static bool is_repository(const char *at, size_t *org, size_t *name)
{
    *org = part_of(at);
    if (!*org || at[*org] != '/' || strchr("._-", *at))
        return false;
    *name = part_of(at + *org + 1);
    return *name > 0 && !strchr("._-", at[*org + 1]);
}

/* What of an address is ORG/NAME of the hub whose address it is; NULL: another's. */
static const char *on_hub(const char *path)
{
    static const char *const hubs[] = {"hf://", "https://huggingface.co/", "https://hf.co/",
                                       "huggingface.co/", "hf.co/"};
    size_t org, name;
    for (size_t i = 0; i < sizeof hubs / sizeof *hubs; i++) {
        const char *at = path + strlen(hubs[i]);
        if (strncmp(path, hubs[i], strlen(hubs[i])) != 0 || !is_repository(at, &org, &name))
            continue;
        bool model = strncmp(at, "datasets/", 9) != 0 && strncmp(at, "spaces/", 7) != 0;
        return model ? at : NULL;
    }
    return NULL;
}

/* As of a file: "texts.jsonl". What is behind the last point of a model's name is a number
 * ("Phi-3.5") or more than letters and digits ("v1.5-GGUF"). */
static bool has_ending(const char *name)
{
    const char *end = strrchr(name, '.');
    return end && isalpha((unsigned char)end[1]) && !strpbrk(end, "-_");
}

/* ORG/NAME and no more, where nothing says that it is meant as a path. */
static bool is_name(const char *path)
{
    char folder[256];
    size_t org, name;
    if (!is_repository(path, &org, &name) || path[org + 1 + name] || org >= sizeof folder ||
        has_ending(path + org + 1))
        return false;
    memcpy(folder, path, org);
    folder[org] = '\0';
    return access(folder, F_OK) != 0;
}

ps_status ps_elsewhere(const char *path, ps_status st)
{
    const char *at = on_hub(path);
    size_t org, name;
    bool named = !at && is_name(path);
    if (st != PS_NOT_FOUND)
        return st;
    if (named)
        at = path;
    if (at && is_repository(at, &org, &name))
        return ps_fail(st,
                       "%s%s psd fetches no models; run hf download %.*s --local-dir %.*s, and "
                       "give that folder",
                       named ? ps_error_message() : path, named ? ";" : ":", (int)(org + 1 + name),
                       at, (int)name, at + org + 1);
    if (strstr(path, "://"))
        return ps_fail(st, "%s: psd fetches nothing; download it (curl -LO), and give the file",
                       path);
    return st;
}
