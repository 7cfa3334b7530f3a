/* Happy path: each rule becomes an open path and a system call, and then the process restricts
 * itself. The C library has no functions for these calls, and Debian 12's header not all of the
 * rights, so both stand here (include/uapi/linux/landlock.h of the kernel).
 *
 * Failure: a right that the kernel does not know is not asked for. Version 1 forbids renames from
 * one folder to another altogether, and is as good as none. */
#include "common/base/landlock.h"

#include "common/base/disk.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ABI_LEAST = 2 };

#define EXECUTE     (UINT64_C(1) << 0)
#define WRITE_FILE  (UINT64_C(1) << 1)
#define READ_FILE   (UINT64_C(1) << 2)
#define READ_DIR    (UINT64_C(1) << 3)
#define REMOVE_DIR  (UINT64_C(1) << 4)
#define REMOVE_FILE (UINT64_C(1) << 5)
#define MAKE_DIR    (UINT64_C(1) << 7)
#define MAKE_REG    (UINT64_C(1) << 8)
#define REFER       (UINT64_C(1) << 13) /* from version 2 on */
#define TRUNCATE    (UINT64_C(1) << 14) /* 3 */
#define IOCTL_DEV   (UINT64_C(1) << 15) /* 5 */

#define OF_FILES (EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV)

typedef struct rule {
    unsigned rights;
    char *path;
} rule;

struct ps_landlock {
    rule *rules;
    size_t n;
};

/* Of the whole process, from its start on. */
static bool in_force;
static char outcome[PS_ERROR_MAX];

/* ---- rules ---- */

ps_landlock *ps_landlock_new(void)
{
    return ps_new(ps_landlock);
}

void ps_landlock_free(ps_landlock **landlock)
{
    ps_landlock *l = *landlock;
    if (!l)
        return;
    for (size_t i = 0; i < l->n; i++)
        ps_free(&l->rules[i].path);
    ps_free(&l->rules);
    ps_free(landlock);
}

void ps_landlock_allow(ps_landlock *l, unsigned rights, const char *path)
{
    for (size_t i = 0; i < l->n; i++) {
        if (strcmp(l->rules[i].path, path) != 0)
            continue;
        l->rules[i].rights |= rights;
        return;
    }
    l->rules = ps_realloc(l->rules, (l->n + 1) * sizeof *l->rules);
    l->rules[l->n++] = (rule){.rights = rights, .path = ps_strdup(path)};
}

/* The whole system is nobody's folder of keys. */
static void allow_folder_of(ps_landlock *l, unsigned rights, const char *file)
{
    char *folder = ps_disk_folder_of(file);
    ps_landlock_allow(l, rights, strcmp(folder, "/") != 0 ? folder : file);
    ps_free(&folder);
}

/* Where the file is, or will be when it is made by this name; NULL: there. */
static char *behind_link(const char *file)
{
    char *real = realpath(file, NULL), to[PATH_MAX];
    ssize_t len = real ? -1 : readlink(file, to, sizeof to - 1);
    if (len <= 0)
        return real;
    to[len] = '\0';
    if (*to == '/')
        return ps_strdup(to);
    char *folder = ps_disk_folder_of(file);
    char *path = ps_asprintf("%s/%s", folder, to);
    ps_free(&folder);
    return path;
}

void ps_landlock_allow_beside(ps_landlock *l, unsigned rights, const char *file)
{
    char *real = behind_link(file);
    allow_folder_of(l, rights, file);
    if (real)
        allow_folder_of(l, rights, real);
    free(real);
}

void ps_landlock_allow_coming(ps_landlock *l, unsigned rights, const char *folder)
{
    char *path = ps_strdup(folder);
    while (access(path, F_OK) != 0 && strcmp(path, "/") != 0 && strcmp(path, ".") != 0) {
        char *above = ps_disk_folder_of(path);
        ps_free(&path);
        path = above;
    }
    if (strcmp(path, "/") != 0 || strcmp(folder, "/") == 0)
        ps_landlock_allow(l, rights, path);
    ps_free(&path);
}

static void allow_each(ps_landlock *l, unsigned rights, const char *const *paths)
{
    for (size_t i = 0; paths[i]; i++)
        ps_landlock_allow(l, rights, paths[i]);
}

static const char *const programs[] = {
    "/usr", "/bin", "/sbin", "/lib", "/lib64", "/opt", "/etc/alternatives", "/nix/store", NULL};

void ps_landlock_allow_system(ps_landlock *l)
{
    /* The resolver's files are links into /run, replaced when the network changes. */
    static const char *const read[] = {
        "/etc", "/proc", "/sys", "/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager",
        NULL};
    static const char *const devices[] = {"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom",
                                          NULL};
    allow_each(l, PS_LANDLOCK_READ, programs);
    allow_each(l, PS_LANDLOCK_READ, read);
    allow_each(l, PS_LANDLOCK_DEVICE, devices);
    if (ps_process_sanitized())
        ps_landlock_allow(l, PS_LANDLOCK_RUN, "/");
}

void ps_landlock_allow_program(ps_landlock *l, const char *path)
{
    const char *given = getenv("TMPDIR");
    allow_each(l, PS_LANDLOCK_RUN, programs);
    ps_landlock_allow_beside(l, PS_LANDLOCK_RUN, path);
    ps_landlock_allow(l, PS_LANDLOCK_DEVICE, "/dev");
    ps_landlock_allow(l, PS_LANDLOCK_WRITE, given && *given ? given : "/tmp");
}

/* ---- enforcing ---- */

int ps_landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return abi > 0 ? (int)abi : 0;
}

static uint64_t known_to(int abi)
{
    uint64_t known = REFER | (REFER - 1);
    if (abi >= 3)
        known |= TRUNCATE;
    if (abi >= 5)
        known |= IOCTL_DEV;
    return known;
}

static uint64_t access_of(unsigned rights)
{
    uint64_t access = READ_FILE | READ_DIR; /* each includes it */
    if (rights & PS_LANDLOCK_WRITE)
        access |= WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER | TRUNCATE;
    if (rights & PS_LANDLOCK_RUN)
        access |= EXECUTE;
    if (rights & PS_LANDLOCK_DEVICE)
        access |= WRITE_FILE | IOCTL_DEV;
    return access;
}

static ps_status add(int ruleset, const rule *r, uint64_t known)
{
    struct stat about;
    int fd = open(r->path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return PS_OK;
    struct landlock_path_beneath_attr one = {.allowed_access = access_of(r->rights) & known,
                                             .parent_fd = fd};
    if (fstat(fd, &about) == 0 && !S_ISDIR(about.st_mode))
        one.allowed_access &= OF_FILES;
    long rc = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &one, 0);
    int error = errno;
    (void)close(fd);
    return rc == 0 ? PS_OK : ps_fail_errno(error, "landlock: %s", r->path);
}

static ps_status restrict_self(const ps_landlock *l, int abi)
{
    const struct landlock_ruleset_attr all = {.handled_access_fs = known_to(abi)};
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
    if (ruleset < 0)
        return ps_fail_errno(errno, "landlock");
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < l->n; i++)
        st = add(ruleset, &l->rules[i], all.handled_access_fs);
    if (!st && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
                syscall(SYS_landlock_restrict_self, ruleset, 0) != 0))
        st = ps_fail_errno(errno, "landlock");
    (void)close(ruleset);
    return st;
}

ps_status ps_landlock_enforce(ps_landlock *l, ps_landlock_mode mode)
{
    if (mode == PS_LANDLOCK_OFF) {
        (void)snprintf(outcome, sizeof outcome, "landlock off, as the configuration says");
        return PS_OK;
    }
    int abi = ps_landlock_abi();
    ps_status st = abi >= ABI_LEAST ? restrict_self(l, abi)
                   : abi ? ps_fail(PS_FAILED_PRECONDITION, "landlock: version %d is too old", abi)
                         : ps_fail(PS_FAILED_PRECONDITION, "landlock: this kernel has none");
    in_force = !st;
    if (!st)
        (void)snprintf(outcome, sizeof outcome, "landlock abi=%d paths=%zu", abi, l->n);
    else if (mode == PS_LANDLOCK_REQUIRE)
        return ps_wrap(PS_FAILED_PRECONDITION, "landlock: require");
    else
        (void)snprintf(outcome, sizeof outcome, "without landlock: %s", ps_error_message());
    return PS_OK;
}

void ps_landlock_log(const char *tag)
{
    if (*outcome)
        ps_log_notice(tag, "%s", outcome);
}

/* access(2) is none of the calls that landlock restricts: it answers as if there were none. */
static ps_status explain(ps_status st, const char *path, int how)
{
    if (st != PS_NO_ACCESS || !in_force || faccessat(AT_FDCWD, path, how, AT_EACCESS) != 0)
        return st;
    return ps_fail(PS_FAILED_PRECONDITION,
                   "%s needs a restart: this process keeps to the folders that its configuration "
                   "named when it started (landlock)",
                   path);
}

ps_status ps_landlock_explain(ps_status st, const char *path)
{
    return explain(st, path, R_OK);
}

ps_status ps_landlock_explain_program(ps_status st, const char *path)
{
    return explain(st, path, X_OK);
}
