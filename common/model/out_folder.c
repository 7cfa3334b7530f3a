/* Happy path: mkdtemp beside the name, files in it, and a rename; in a folder that is there, one of
 * each file that it had and one of each that comes. */
#include "common/model/out_folder.h"

#include "common/base/mem.h"
#include "common/base/target.h"
#include "common/base/whole_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct ps_out_folder {
    char *path, *temporary; /* temporary NULL: it has got its name */
    const char *ending;
    bool there;           /* the folder was */
    char **names, **away; /* that come, and that go */
    size_t n, n_away;
};

static ps_status make(ps_out_folder *f, bool force)
{
    struct stat about;
    f->there = stat(f->path, &about) == 0;
    if (f->there && !force)
        return ps_fail(PS_ALREADY_EXISTS, "%s is there already; --force overwrites its files",
                       f->path);
    if (f->there && !S_ISDIR(about.st_mode))
        return ps_fail(PS_INVALID_ARGUMENT, "%s is no folder", f->path);
    /* beside the name it will have; or in the folder, whose parent need not be ours to write in */
    char *name = ps_asprintf(f->there ? "%s/psd.XXXXXX" : "%s.XXXXXX", f->path);
    if (!mkdtemp(name)) {
        ps_status st = ps_fail_errno(errno, "%s", f->path);
        ps_free(&name);
        return st;
    }
    f->temporary = name;
    mode_t mask = umask(0);
    (void)umask(mask);
    (void)chmod(name, 0777 & ~mask);
    return PS_OK;
}

ps_status ps_out_folder_open(const ps_model_out_options *options, ps_out_folder **out)
{
    ps_out_folder *f = ps_new(ps_out_folder);
    f->ending = options->ending ? options->ending : "";
    char *given = ps_strdup(options->path);
    for (size_t n = strlen(given); n > 1 && given[n - 1] == '/'; n--)
        given[n - 1] = '\0'; /* the temporary one stands beside it, not in it */
    ps_status st = ps_target_follow(given, &f->path);
    ps_free(&given);
    if (!st)
        st = make(f, options->force);
    if (st)
        ps_out_folder_drop(&f);
    else
        *out = f;
    return st;
}

static char *path_of(const ps_out_folder *f, const char *folder, const char *name)
{
    return ps_asprintf("%s/%s%s", folder, name, f->ending);
}

/* Of a name in a folder of the folder, that one, in `folder`; NULL: it is in none. */
static char *inner_of(const char *folder, const char *name)
{
    const char *slash = strchr(name, '/');
    return slash ? ps_asprintf("%s/%.*s", folder, (int)(slash - name), name) : NULL;
}

/* What cannot be made is told when its file is. */
static void make_inner(const char *folder, const char *name)
{
    char *inner = inner_of(folder, name);
    if (inner)
        (void)mkdir(inner, 0777); /* less the umask */
    ps_free(&inner);
}

/* Unless there is something in it. */
static void remove_inner(const char *folder, const char *name)
{
    char *inner = inner_of(folder, name);
    if (inner)
        (void)rmdir(inner);
    ps_free(&inner);
}

static void add_name(char ***names, size_t *n, const char *name)
{
    *names = ps_realloc(*names, (*n + 1) * sizeof **names);
    (*names)[(*n)++] = ps_strdup(name);
}

char *ps_out_folder_file(ps_out_folder *f, const char *name)
{
    make_inner(f->temporary, name);
    add_name(&f->names, &f->n, name);
    return path_of(f, f->temporary, name);
}

const char *ps_out_folder_unnamed(const ps_out_folder *f)
{
    return f->temporary;
}

const char *ps_out_folder_path(const ps_out_folder *f)
{
    return f->path;
}

bool ps_out_folder_had(const ps_out_folder *f, const char *name, const char *ending)
{
    char *path = ps_asprintf("%s/%s%s", f->path, name, ending);
    bool had = f->there && access(path, F_OK) == 0;
    ps_free(&path);
    return had;
}

void ps_out_folder_takes_away(ps_out_folder *f, const char *name)
{
    if (ps_out_folder_had(f, name, f->ending))
        add_name(&f->away, &f->n_away, name);
}

/* STEM-NNNNN-of-NNNNN, and what is left of the name behind it; NULL: it is no part. */
static const char *behind_part(const char *name, const char *stem)
{
    static const char digits[] = "0123456789";
    size_t len = strlen(stem);
    if (strncmp(name, stem, len) != 0 || name[len] != '-' || strspn(name + len + 1, digits) != 5)
        return NULL;
    name += len + 6;
    return !strncmp(name, "-of-", 4) && strspn(name + 4, digits) == 5 ? name + 9 : NULL;
}

void ps_out_folder_takes_parts_away(ps_out_folder *f, const char *stem, const char *end)
{
    char *ends = ps_asprintf("%s%s", end, f->ending);
    DIR *entries = f->there ? opendir(f->path) : NULL;
    for (struct dirent *e; entries && (e = readdir(entries));) {
        const char *behind = behind_part(e->d_name, stem);
        if (!behind || strcmp(behind, ends) != 0)
            continue;
        e->d_name[strlen(e->d_name) - strlen(f->ending)] = '\0';
        add_name(&f->away, &f->n_away, e->d_name);
    }
    if (entries)
        (void)closedir(entries);
    ps_free(&ends);
}

void ps_out_folder_drop(ps_out_folder **folder)
{
    ps_out_folder *f = *folder;
    if (!f)
        return;
    for (size_t i = 0; i < f->n; i++) {
        char *path = f->temporary ? path_of(f, f->temporary, f->names[i]) : NULL;
        if (path)
            (void)unlink(path);
        if (path)
            remove_inner(f->temporary, f->names[i]);
        ps_free(&path);
        ps_free(&f->names[i]);
    }
    if (f->temporary)
        (void)rmdir(f->temporary);
    for (size_t i = 0; i < f->n_away; i++)
        ps_free(&f->away[i]);
    ps_free(&f->away);
    ps_free(&f->names);
    ps_free(&f->temporary);
    ps_free(&f->path);
    ps_free(folder);
}

/* ---- in the place of files that are there ---- */

/* Where the file that was there waits: in no folder of the folder. */
static char *old_of(const ps_out_folder *f, const char *name)
{
    char *old = ps_asprintf("%s/old.%s%s", f->temporary, name, f->ending);
    char *slash = strchr(name, '/') ? strrchr(old, '/') : NULL;
    if (slash)
        *slash = '.';
    return old;
}

/* Whether something of that name is there; *folder: and it is one, which no file replaces. */
static bool stands(const ps_out_folder *f, const char *name, bool *folder)
{
    struct stat about;
    char *path = path_of(f, f->path, name);
    bool there = lstat(path, &about) == 0;
    *folder = there && S_ISDIR(about.st_mode);
    ps_free(&path);
    return there;
}

static ps_status check(const ps_out_folder *f)
{
    bool folder = false;
    for (size_t i = 0; i < f->n; i++)
        if (stands(f, f->names[i], &folder) && folder)
            return ps_fail(PS_INVALID_ARGUMENT, "%s/%s%s is a folder, which no file replaces",
                           f->path, f->names[i], f->ending);
    return PS_OK;
}

static ps_status put_aside(const ps_out_folder *f, const char *name)
{
    bool folder = false;
    if (!stands(f, name, &folder) || folder) /* a file that comes has no folder's name */
        return PS_OK;
    char *from = path_of(f, f->path, name), *to = old_of(f, name);
    ps_status st = ps_whole_file_name(&ps_disk_system, from, to, true);
    ps_free(&from);
    ps_free(&to);
    return st;
}

static ps_status put_in(const ps_out_folder *f, const char *name)
{
    char *from = path_of(f, f->temporary, name), *to = path_of(f, f->path, name);
    make_inner(f->path, name);
    ps_status st = ps_whole_file_name(&ps_disk_system, from, to, true);
    ps_free(&from);
    ps_free(&to);
    return st;
}

/* false: it cannot be. */
static bool bring_back(const ps_out_folder *f, const char *name, bool *had)
{
    char *from = old_of(f, name), *to = path_of(f, f->path, name);
    *had = access(from, F_OK) == 0;
    bool back = !*had || rename(from, to) == 0;
    ps_free(&from);
    ps_free(&to);
    return back;
}

/* After a failure: what was there is there again, in the place of what came. The message stays. */
static ps_status put_back(const ps_out_folder *f, bool all_aside, ps_status st)
{
    bool whole = true, had = false;
    for (size_t i = 0; i < f->n; i++) {
        char *to = path_of(f, f->path, f->names[i]);
        char *made = path_of(f, f->temporary, f->names[i]);
        bool came = all_aside && access(made, F_OK) != 0;
        whole &= bring_back(f, f->names[i], &had);
        if (!had && came && unlink(to) == 0)
            remove_inner(f->path, f->names[i]);
        ps_free(&to);
        ps_free(&made);
    }
    for (size_t i = 0; i < f->n_away; i++)
        whole &= bring_back(f, f->away[i], &had);
    return whole ? st
                 : ps_wrap(st, "the files that were in %s are in %s now, as old.*", f->path,
                           f->temporary);
}

static void forget(const ps_out_folder *f)
{
    for (size_t i = 0; i < f->n + f->n_away; i++) {
        char *old = old_of(f, i < f->n ? f->names[i] : f->away[i - f->n]);
        (void)unlink(old);
        ps_free(&old);
    }
}

/* All that is replaced goes away before the first new one comes, so that the folder never has old
 * ones beside new ones; the first of them, by which others are found, comes last. */
static ps_status replace(const ps_out_folder *f)
{
    ps_status st = check(f);
    if (st)
        return st;
    for (size_t i = 0; !st && i < f->n; i++)
        st = put_aside(f, f->names[i]);
    for (size_t i = 0; !st && i < f->n_away; i++)
        st = put_aside(f, f->away[i]); /* one that comes, too, is aside by now */
    bool all_aside = !st;
    for (size_t i = f->n; !st && i-- > 0;)
        st = put_in(f, f->names[i]);
    if (st)
        return put_back(f, all_aside, st);
    forget(f);
    return PS_OK;
}

ps_status ps_out_folder_finish(ps_out_folder **folder)
{
    ps_out_folder *f = *folder;
    ps_status st =
        f->there ? replace(f) : ps_whole_file_name(&ps_disk_system, f->temporary, f->path, true);
    if (!st && !f->there)
        ps_free(&f->temporary);
    ps_out_folder_drop(folder);
    return st;
}

size_t ps_out_parts(const uint64_t *bytes, size_t n, uint64_t most, size_t *part)
{
    uint64_t used = 0;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (used && (used > most || bytes[i] > most - used)) {
            at++;
            used = 0;
        }
        part[i] = at;
        used += bytes[i];
    }
    return at + 1;
}
