/* Happy path: /proc/self/stat (proc(5)), the folder of descriptors, the limit of files. */
#include "server/metrics/process.h"

#include "server/metrics/exposition.h"

#include <dirent.h>
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

static bool count_files(double *count)
{
    DIR *folder = opendir("/proc/self/fd");
    if (!folder)
        return false;
    *count = -1; /* the folder itself */
    for (const struct dirent *entry; (entry = readdir(folder));)
        *count += entry->d_name[0] != '.';
    (void)closedir(folder);
    return true;
}

static void memory_and_threads(ps_buf *out)
{
    stat_line s;
    if (!read_stat(&s))
        return;
    ps_metric_gauge(out, "process_virtual_memory_bytes", "Virtual memory.",
                    (double)s.virtual_bytes);
    ps_metric_gauge(out, "process_resident_memory_bytes", "Resident memory.",
                    (double)s.resident_pages * (double)sysconf(_SC_PAGESIZE));
    ps_metric_gauge(out, "process_threads", "Threads.", (double)s.threads);
    ps_metric_gauge(out, "process_start_time_seconds", "When psd started, seconds since 1970.",
                    started_at(s.start_ticks));
}

static void files(ps_buf *out)
{
    double open_files;
    struct rlimit limit;
    if (count_files(&open_files))
        ps_metric_gauge(out, "process_open_fds", "Open file descriptors.", open_files);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        ps_metric_gauge(out, "process_max_fds", "File descriptors it may open.",
                        (double)limit.rlim_cur);
}

void ps_metric_process(ps_buf *out)
{
    struct rusage used;
    if (getrusage(RUSAGE_SELF, &used) == 0)
        ps_metric_counter(out, "process_cpu_seconds_total", "Processor time, user and system.",
                          seconds_of(&used.ru_utime) + seconds_of(&used.ru_stime));
    memory_and_threads(out);
    files(out);
}
