/* Cannot fail: what is not said anywhere is no limit. */
#include "common/base/limits.h"

#include "common/base/cgroup.h"
#include "common/base/log.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

/* Plenty for psd; some systems have a billion, and what walks over all of them would take long. */
#define FILES_MOST (1u << 20)

static char root[PATH_MAX];

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- processors ---- */

static unsigned affinity(unsigned machine)
{
    for (size_t n = 1024; n <= 1u << 20; n *= 2) {
        cpu_set_t *set = CPU_ALLOC(n);
        int rc = sched_getaffinity(0, CPU_ALLOC_SIZE(n), set);
        unsigned count = rc == 0 ? (unsigned)CPU_COUNT_S(CPU_ALLOC_SIZE(n), set) : 0;
        CPU_FREE(set);
        if (count)
            return count;
    }
    return machine;
}

/* user: unsigned; the least number of whole cores that cover each quota */
static void look_at_quota(void *user, const char *folder, int version)
{
    unsigned *cores = user;
    uint64_t quota, period;
    char line[600];
    if (version == 2) { /* "150000 100000", or "max 100000" */
        (void)snprintf(line, sizeof line, "%s/cpu.max", folder);
        FILE *file = fopen(line, "re");
        bool said = file && fscanf(file, "%lu %lu", &quota, &period) == 2;
        if (file)
            (void)fclose(file);
        if (!said)
            return;
    } else if (!ps_cgroup_number(folder, "cpu.cfs_quota_us", "", &quota) ||
               !ps_cgroup_number(folder, "cpu.cfs_period_us", "", &period) || quota > INT64_MAX) {
        return; /* -1: no quota */
    }
    if (period && quota)
        *cores = (unsigned)least(*cores, (quota + period - 1) / period);
}

/* ---- memory ---- */

typedef struct memory {
    uint64_t most, left;
} memory;

static void look_at_memory(void *user, const char *folder, int version)
{
    static const struct {
        const char *limits[2], *now, *stat;
    } names[] = {{{"memory.limit_in_bytes"}, "memory.usage_in_bytes", "total_inactive_file "},
                 {{"memory.max", "memory.high"}, "memory.current", "inactive_file "}};
    memory *m = user;
    uint64_t limit = UINT64_MAX, n, now, cache = 0;
    for (int i = 0; i < 2 && names[version - 1].limits[i]; i++)
        if (ps_cgroup_number(folder, names[version - 1].limits[i], "", &n))
            limit = least(limit, n);
    m->most = least(m->most, limit);
    if (limit == UINT64_MAX || !ps_cgroup_number(folder, names[version - 1].now, "", &now))
        return;
    /* what was read of files and not used lately makes room by itself */
    (void)ps_cgroup_number(folder, "memory.stat", names[version - 1].stat, &cache);
    now -= least(cache, now);
    m->left = least(m->left, now < limit ? limit - now : 0);
}

static memory read_memory(uint64_t machine, uint64_t left)
{
    memory m = {.most = machine, .left = left};
    struct rlimit space;
    if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY)
        m.most = least(m.most, space.rlim_cur);
    ps_cgroup_each(root, "memory", look_at_memory, &m);
    return m;
}

static bool meminfo(const char *key, uint64_t *out)
{
    char proc[PATH_MAX + 8];
    (void)snprintf(proc, sizeof proc, "%s/proc", root);
    if (!ps_cgroup_number(proc, "meminfo", key, out))
        return false;
    *out *= 1024;
    return true;
}

/* What was read of files, by the group of all groups; false: none says it. */
static bool file_cache(uint64_t *out)
{
    static const struct {
        const char *folder, *active, *inactive;
    } places[] = {{"/sys/fs/cgroup", "active_file ", "inactive_file "},
                  {"/sys/fs/cgroup/memory", "total_active_file ", "total_inactive_file "}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char folder[PATH_MAX + 32];
        uint64_t active, inactive;
        (void)snprintf(folder, sizeof folder, "%s%s", root, places[i].folder);
        if (ps_cgroup_number(folder, "memory.stat", places[i].active, &active) &&
            ps_cgroup_number(folder, "memory.stat", places[i].inactive, &inactive)) {
            *out = active + inactive;
            return true;
        }
    }
    return false;
}

/* ProcSubset=pid and some containers hide /proc/meminfo. sysinfo(2) knows what is free, and not
 * what could be made free; where nobody says that, the whole machine is the bound: better than to
 * refuse what would fit. */
static void machine_memory(uint64_t *total, uint64_t *available)
{
    struct sysinfo s = {0};
    uint64_t cache = 0;
    (void)sysinfo(&s);
    if (!meminfo("MemTotal:", total))
        *total = (uint64_t)s.totalram * s.mem_unit;
    if (meminfo("MemAvailable:", available))
        return;
    *available = file_cache(&cache)
                     ? least(*total, (uint64_t)(s.freeram + s.bufferram) * s.mem_unit + cache)
                     : *total;
}

uint64_t ps_limits_memory_left(void)
{
    uint64_t total, available;
    machine_memory(&total, &available);
    return read_memory(UINT64_MAX, available).left;
}

/* ---- all of it ---- */

void ps_limits_read(ps_limits *out)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t available;
    *out = (ps_limits){.machine_cores = online > 0 ? (unsigned)online : 1};
    machine_memory(&out->machine_memory, &available);
    out->cores = affinity(out->machine_cores);
    ps_cgroup_each(root, "cpu", look_at_quota, &out->cores);
    out->memory = read_memory(out->machine_memory, UINT64_MAX).most;
}

static unsigned cores;

static void count_cores(void)
{
    ps_limits limits;
    ps_limits_read(&limits);
    cores = limits.cores;
}

unsigned ps_cores(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, count_cores);
    return cores;
}

unsigned ps_limits_raise_files(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return 1024;
    rlim_t most = files.rlim_max < FILES_MOST ? files.rlim_max : FILES_MOST;
    if (files.rlim_cur < most) {
        struct rlimit raised = {.rlim_cur = most, .rlim_max = files.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            files.rlim_cur = most;
    }
    return (unsigned)least(files.rlim_cur, FILES_MOST);
}

void ps_limits_log(const char *tag, unsigned files)
{
    ps_limits l;
    ps_limits_read(&l);
    ps_log_notice(tag, "may use cores=%u/%u memory=%.1f/%.1fGiB files=%u", l.cores, l.machine_cores,
                  (double)l.memory / (double)(1 << 30),
                  (double)l.machine_memory / (double)(1 << 30), files);
}

void ps_limits_set_root(const char *path)
{
    (void)snprintf(root, sizeof root, "%s", path);
}
