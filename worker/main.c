/* psworker: the worker daemon. Reads its options, builds the daemon, runs it until SIGTERM.
 *
 * Exit status: 0 stopped as asked; 1 could not start, or the device was lost; 2 wrong flags or
 * configuration. */
#include "common/base/log.h"
#include "common/base/process.h"
#include "common/conf/options.h"
#include "worker/check.h"
#include "worker/confine.h"
#include "worker/daemon.h"

#include <stdio.h>

#ifndef PSD_VERSION
#error "PSD_VERSION is set by the build"
#endif

enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE };

static int work(const ps_worker_options *options, int argc, char **argv)
{
    ps_worker_start start = {
        .options = options, .version = PSD_VERSION, .argc = argc, .argv = argv};
    ps_worker_end end = PS_WORKER_SUPERSEDED;
    ps_status st = ps_worker_confine(options);
    if (!st)
        st = ps_log_start();
    while (!st && end == PS_WORKER_SUPERSEDED) {
        ps_worker_daemon *daemon = NULL;
        st = ps_worker_daemon_create(&start, &daemon);
        if (!st)
            end = ps_worker_daemon_run(daemon);
        ps_worker_daemon_free(&daemon);
    }
    if (st)
        ps_log_error("psworker", "%s", ps_error_message());
    return st || end == PS_WORKER_LOST ? EXIT_FAILED : EXIT_OK;
}

int main(int argc, char **argv)
{
    ps_process_begin();
    ps_process_protect();
    ps_worker_options *options = NULL;
    if (ps_worker_options_parse(argc, argv, &options)) {
        ps_conf_options_complain("psworker");
        return EXIT_USAGE;
    }
    int status = EXIT_OK;
    if (options->help)
        (void)fputs(ps_worker_usage, stdout);
    else if (options->version)
        (void)puts("psworker " PSD_VERSION);
    else
        status = options->check ? ps_worker_check(options) : work(options, argc, argv);
    ps_worker_options_free(&options);
    ps_log_flush();
    return status;
}
