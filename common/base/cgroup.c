/* Happy path: a line of proc/self/cgroup says where in the tree the process is, one of mountinfo
 * (proc_pid_mountinfo(5)) where the tree is mounted, and which part of it. Where mountinfo knows
 * nothing, as in some sandboxes, the usual places are looked at. */
#include "common/base/cgroup.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { LINE_MAX_BYTES = 2 * PATH_MAX };

typedef struct search {
    const char *root, *controller;
    ps_cgroup_look look;
    void *user;
    int version;
    char path[PATH_MAX]; /* of the process in this tree; "" is its top */
} search;

/* From the process's group up to the mount's own folder. */
static void climb(const search *s, const char *mount, const char *below)
{
    char folder[2 * PATH_MAX + 64];
    size_t top = (size_t)snprintf(folder, sizeof folder, "%s%s", s->root, mount);
    if (top + strlen(below) >= sizeof folder)
        return;
    strcpy(folder + top, below);
    for (;;) {
        s->look(s->user, folder, s->version);
        if (!folder[top])
            return;
        char *slash = strrchr(folder + top, '/');
        folder[slash ? (size_t)(slash - folder) : top] = 0;
    }
}

/* Is `word` one of a list with commas? */
static bool lists(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = list; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, word, len) == 0 && (at[len] == ',' || !at[len]))
            return true;
    }
    return false;
}

/* `36 35 0:29 /docker/7 /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu`: is it of this tree? */
static void look_at_mount(const search *s, char *line)
{
    char part[PATH_MAX], mount[PATH_MAX], type[32], options[512];
    char *kind = strstr(line, " - ");
    if (!kind || sscanf(line, "%*s %*s %*s %4095s %4095s", part, mount) != 2 ||
        sscanf(kind, " - %31s %*s %511s", type, options) != 2)
        return;
    bool mine = s->version == 2 ? strcmp(type, "cgroup2") == 0
                                : strcmp(type, "cgroup") == 0 && lists(options, s->controller);
    if (!mine)
        return;
    size_t len = strcmp(part, "/") == 0 ? 0 : strlen(part);
    bool inside = strncmp(s->path, part, len) == 0 && (s->path[len] == '/' || !s->path[len]);
    climb(s, mount, inside ? s->path + len : "");
}

static void look_at_mounts(const search *s)
{
    char line[LINE_MAX_BYTES], usual[64] = "/sys/fs/cgroup";
    (void)snprintf(line, sizeof line, "%s/proc/self/mountinfo", s->root);
    FILE *file = fopen(line, "re");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        look_at_mount(s, line);
    }
    if (file)
        (void)fclose(file);
    if (s->version == 1)
        (void)snprintf(usual, sizeof usual, "/sys/fs/cgroup/%s", s->controller);
    climb(s, usual, s->path);
}

/* `4:memory,hugetlb:/docker/7` is a tree of version 1, `0::/user.slice` the one of version 2. */
static void look_at_tree(search *s, char *line)
{
    char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;
    if (!path)
        return;
    *path++ = 0;
    list++;
    s->version = *list ? 1 : 2;
    if (*list && !lists(list, s->controller))
        return;
    /* "/../x" is outside of what this process sees */
    bool seen = path[0] == '/' && path[1] && strncmp(path, "/..", 3) != 0;
    (void)snprintf(s->path, sizeof s->path, "%s", seen ? path : "");
    look_at_mounts(s);
}

void ps_cgroup_each(const char *root, const char *controller, ps_cgroup_look look, void *user)
{
    search s = {.root = root, .controller = controller, .look = look, .user = user};
    char line[LINE_MAX_BYTES];
    (void)snprintf(line, sizeof line, "%s/proc/self/cgroup", root);
    FILE *file = fopen(line, "re");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        look_at_tree(&s, line);
    }
    if (file)
        (void)fclose(file);
}

bool ps_cgroup_number(const char *folder, const char *name, const char *key, uint64_t *out)
{
    char line[LINE_MAX_BYTES + 128];
    bool found = false;
    (void)snprintf(line, sizeof line, "%s/%s", folder, name);
    FILE *file = fopen(line, "re");
    while (file && !found && fgets(line, sizeof line, file))
        found = strncmp(line, key, strlen(key)) == 0 &&
                sscanf(line + strlen(key), "%" SCNu64, out) == 1;
    if (file)
        (void)fclose(file);
    return found;
}
