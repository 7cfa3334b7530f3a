/* Happy path: /proc/self/stat (proc(5)), the folder of descriptors, the limit of files. */
#include "server/metrics/process.h"

#include "server/metrics/exposition.h"

#include <dirent.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

typedef struct stat_line {
    unsigned long long threads, start_ticks, virtual_bytes, resident_pages;
} stat_line;

/* The fields behind the name, which may hold blanks and brackets: 20 threads, 22 start, 23 virtual
 * memory, 24 resident memory. */
static bool read_stat(stat_line *s)
{
    char text[1024];
    FILE *file = fopen("/proc/self/stat", "re");
    if (!file)
        return false;
    size_t n = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[n] = 0;
    const char *fields = strrchr(text, ')');
    return fields &&
           sscanf(fields + 1,
                  " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
                  "%*d %llu %*d %llu %llu %llu",
                  &s->threads, &s->start_ticks, &s->virtual_bytes, &s->resident_pages) == 4;
}

static double seconds_of(const struct timeval *t)
{
    return (double)t->tv_sec + (double)t->tv_usec * 1e-6;
}

/* The system counts from its start, in ticks. */
static double started_at(unsigned long long ticks)
{
    struct timespec wall, since;
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_BOOTTIME, &since);
    double booted =
        (double)(wall.tv_sec - since.tv_sec) + (double)(wall.tv_nsec - since.tv_nsec) * 1e-9;
    return booted + (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static double count_files(void)
{
    DIR *folder = opendir("/proc/self/fd");
    if (!folder)
        return NAN;
    double count = -1; /* the folder itself */
    for (const struct dirent *entry; (entry = readdir(folder));)
        count += entry->d_name[0] != '.';
    (void)closedir(folder);
    return count;
}

static double most_files(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (double)limit.rlim_cur : NAN;
}

static double processor_seconds(void)
{
    struct rusage used;
    return getrusage(RUSAGE_SELF, &used) == 0
               ? seconds_of(&used.ru_utime) + seconds_of(&used.ru_stime)
               : NAN;
}

static void memory_and_threads(ps_buf *out)
{
    stat_line s;
    if (!read_stat(&s))
        return;
    const ps_metric_row rows[] = {
        {"process_virtual_memory_bytes", "gauge", "Virtual memory.", (double)s.virtual_bytes},
        {"process_resident_memory_bytes", "gauge", "Resident memory.",
         (double)s.resident_pages * (double)sysconf(_SC_PAGESIZE)},
        {"process_threads", "gauge", "Threads.", (double)s.threads},
        {"process_start_time_seconds", "gauge", "When psd started, seconds since 1970.",
         started_at(s.start_ticks)},
        {0},
    };
    ps_metric_put(out, rows);
}

void ps_metric_process(ps_buf *out)
{
    const ps_metric_row rows[] = {
        {"process_cpu_seconds_total", "counter", "Processor time, user and system.",
         processor_seconds()},
        {"process_open_fds", "gauge", "Open file descriptors.", count_files()},
        {"process_max_fds", "gauge", "File descriptors it may open.", most_files()},
        {0},
    };
    ps_metric_put(out, rows);
    memory_and_threads(out);
}
