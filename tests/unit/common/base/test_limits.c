/* limits: folders of proc and sys as containers, units and batch systems have them. */
#include "common/base/limits.h"

#include "tests/lib/check_main.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define MIB      (UINT64_C(1) << 20)
#define MACHINE  (UINT64_C(8192) * MIB)
#define NOTHING  UINT64_MAX
#define V2_MOUNT "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"

static char root[64];

static void put(const char *path, const char *text)
{
    char command[512], full[256];
    (void)snprintf(full, sizeof full, "%s/%s", root, path);
    (void)snprintf(command, sizeof command, "mkdir -p \"$(dirname '%s')\"", full);
    ck_assert_int_eq(system(command), 0);
    FILE *file = fopen(full, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static void begin(void)
{
    strcpy(root, "/tmp/psd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    put("proc/meminfo", "MemTotal: 8388608 kB\nMemFree: 9 kB\nMemAvailable: 4194304 kB\n");
    ps_limits_set_root(root);
}

static void end(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -r %s", root);
    ck_assert_int_eq(system(command), 0);
}

typedef struct scene {
    const char *cgroup, *mounts;
    const char *files[6][2];
    uint64_t memory, left; /* MiB; left 0: what the machine has */
    unsigned cores;        /* 0: by affinity alone */
} scene;

static const scene scenes[] = {
    /* nobody says anything */
    {.cgroup = "", .mounts = "", .memory = 8192},
    /* a container of version 2 sees its own group as the top */
    {.cgroup = "0::/\n",
     .mounts = V2_MOUNT,
     .files = {{"sys/fs/cgroup/memory.max", "536870912\n"},
               {"sys/fs/cgroup/memory.current", "20971520\n"},
               {"sys/fs/cgroup/cpu.max", "50000 100000\n"}},
     .memory = 512,
     .left = 492,
     .cores = 1},
    /* a unit in a slice: the slice's limit holds, too; what files left in memory makes room */
    {.cgroup = "1:name=systemd:/\n0::/a.slice/psd.service\n",
     .mounts = V2_MOUNT,
     .files = {{"sys/fs/cgroup/a.slice/psd.service/memory.max", "max\n"},
               {"sys/fs/cgroup/a.slice/psd.service/memory.high", "1073741824\n"},
               {"sys/fs/cgroup/a.slice/memory.max", "314572800\n"},
               {"sys/fs/cgroup/a.slice/memory.current", "209715200\n"},
               {"sys/fs/cgroup/a.slice/memory.stat", "anon 1\ninactive_file 104857600\n"},
               {"sys/fs/cgroup/a.slice/cpu.max", "max 100000\n"}},
     .memory = 300,
     .left = 200},
    /* MemoryHigh= alone */
    {.cgroup = "0::/psd.service\n",
     .mounts = V2_MOUNT,
     .files = {{"sys/fs/cgroup/psd.service/memory.max", "max\n"},
               {"sys/fs/cgroup/psd.service/memory.high", "1073741824\n"}},
     .memory = 1024},
    /* version 1, without a namespace: the path is the machine's, the mount shows a part of it */
    {.cgroup = "4:memory:/docker/7/x\n3:cpu,cpuacct:/docker/7/x\n",
     .mounts =
         "34 31 0:30 /docker/7 /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
         "35 31 0:31 /docker/7 /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n",
     .files = {{"sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n"},
               {"sys/fs/cgroup/memory/memory.usage_in_bytes", "270532608\n"},
               {"sys/fs/cgroup/memory/x/memory.limit_in_bytes", "9223372036854771712\n"},
               {"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "100000\n"},
               {"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"},
               {"sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "-1\n"}},
     .memory = 256,
     .left = NOTHING,
     .cores = 1},
    /* a path that this process does not see; no mountinfo: the usual places */
    {.cgroup = "0::/../other\n",
     .mounts = "",
     .files = {{"sys/fs/cgroup/memory.max", "134217728\n"}},
     .memory = 128},
    /* version 1 without limits */
    {.cgroup = "4:memory:/\n3:cpu:/\n",
     .mounts = "34 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
     .files = {{"sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"},
               {"sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"},
               {"sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"}},
     .memory = 8192},
};

START_TEST(limits_are_the_least_of_all_that_hold)
{
    const scene *s = &scenes[_i];
    cpu_set_t mine;
    ps_limits limits;
    begin();
    put("proc/self/cgroup", s->cgroup);
    put("proc/self/mountinfo", s->mounts);
    for (size_t i = 0; i < sizeof s->files / sizeof *s->files && s->files[i][0]; i++)
        put(s->files[i][0], s->files[i][1]);
    ps_limits_read(&limits);
    ck_assert_uint_eq(limits.machine_memory, MACHINE);
    ck_assert_uint_eq(limits.memory, s->memory * MIB);
    ck_assert_uint_eq(ps_limits_memory_left(), s->left == NOTHING ? 0
                                               : s->left          ? s->left * MIB
                                                                  : MACHINE / 2);
    ck_assert_int_eq(sched_getaffinity(0, sizeof mine, &mine), 0);
    ck_assert_uint_eq(limits.cores, s->cores ? s->cores : (unsigned)CPU_COUNT(&mine));
    ck_assert_uint_ge(limits.machine_cores, limits.cores);
    end();
}
END_TEST

static uint64_t free_now(void)
{
    struct sysinfo s;
    ck_assert_int_eq(sysinfo(&s), 0);
    return (uint64_t)(s.freeram + s.bufferram) * s.mem_unit;
}

/* As a unit with ProcSubset=pid sees the machine. */
START_TEST(without_meminfo_the_kernel_is_asked)
{
    struct sysinfo s;
    ps_limits limits;
    char meminfo[128];
    begin();
    (void)snprintf(meminfo, sizeof meminfo, "%s/proc/meminfo", root);
    ck_assert_int_eq(unlink(meminfo), 0);
    put("proc/self/cgroup", "0::/psd.service\n");
    put("proc/self/mountinfo", V2_MOUNT);
    ck_assert_int_eq(sysinfo(&s), 0);
    uint64_t total = (uint64_t)s.totalram * s.mem_unit;
    ps_limits_read(&limits);
    ck_assert_uint_eq(limits.machine_memory, total);
    ck_assert_uint_eq(limits.memory, total);
    ck_assert_uint_eq(ps_limits_memory_left(), total); /* what files take is not known */
    put("sys/fs/cgroup/memory.stat", "anon 7\ninactive_file 1048576\nactive_file 2097152\n");
    uint64_t before = free_now(), left = ps_limits_memory_left(), after = free_now();
    uint64_t lower = before < after ? before : after, upper = before < after ? after : before;
    ck_assert_uint_le(left, upper + 3 * MIB + 256 * MIB); /* others work on this machine */
    ck_assert_uint_ge(left + 256 * MIB, lower + 3 * MIB);
    put("sys/fs/cgroup/memory.stat", "inactive_file 1099511627776\nactive_file 1\n");
    ck_assert_uint_eq(ps_limits_memory_left(), total);
    put("sys/fs/cgroup/psd.service/memory.max", "5242880\n"); /* the group's comes first */
    put("sys/fs/cgroup/psd.service/memory.current", "1048576\n");
    ck_assert_uint_eq(ps_limits_memory_left(), 4 * MIB);
    ps_limits_read(&limits);
    ck_assert_uint_eq(limits.memory, 5 * MIB);
    end();
}
END_TEST

START_TEST(cores_are_those_it_may_run_on)
{
    cpu_set_t mine, one;
    ck_assert_int_eq(sched_getaffinity(0, sizeof mine, &mine), 0);
    int first = 0;
    while (!CPU_ISSET(first, &mine))
        first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    ck_assert_uint_eq(ps_cores(), 1);
}
END_TEST

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they need terabytes of it \
                                                                     */
START_TEST(a_limit_of_the_address_space_is_one_of_memory)
{
    ps_limits limits;
    struct rlimit before, space;
    begin();
    ck_assert_int_eq(getrlimit(RLIMIT_AS, &before), 0);
    space = (struct rlimit){.rlim_cur = 4096 * MIB, .rlim_max = before.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &space), 0);
    ps_limits_read(&limits);
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &before), 0);
    ck_assert_uint_eq(limits.memory, 4096 * MIB);
    end();
}
END_TEST
#endif

START_TEST(files_may_be_open_up_to_the_hard_limit)
{
    struct rlimit files;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    files = (struct rlimit){.rlim_cur = 64, .rlim_max = files.rlim_max < 300 ? 64 : 300};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
    ck_assert_uint_eq(ps_limits_raise_files(), files.rlim_max);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    ck_assert_uint_eq(files.rlim_cur, files.rlim_max);
}
END_TEST

static const ps_check_case tests[] = {
    {&limits_are_the_least_of_all_that_hold, .repeat = sizeof scenes / sizeof *scenes},
    {&without_meminfo_the_kernel_is_asked},
    {&cores_are_those_it_may_run_on},
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    {&a_limit_of_the_address_space_is_one_of_memory},
#endif
    {&files_may_be_open_up_to_the_hard_limit},
    {0},
};

int main(void)
{
    return ps_check_main("common/base/limits", tests);
}
