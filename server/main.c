/* psd: the parameter server daemon. Reads its options, builds the daemon, runs it until SIGTERM.
 *
 * Exit status: 0 stopped as asked; 1 could not start or run on; 2 wrong flags or configuration. */
#include "common/base/landlock.h"
#include "common/base/log.h"
#include "common/base/process.h"
#include "common/conf/options.h"
#include "server/check.h"
#include "server/confine.h"
#include "server/daemon.h"
#include "server/options.h"

#include <stdio.h>

#ifndef PSD_VERSION
#error "PSD_VERSION is set by the build"
#endif

enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE };

static int serve(const ps_server_options *options)
{
    ps_daemon *daemon = NULL;
    ps_status st = ps_server_confine(options);
    if (!st)
        st = ps_log_start();
    if (!st)
        ps_landlock_log("psd");
    if (!st)
        st = ps_daemon_create(options, PSD_VERSION, &daemon);
    if (st) {
        ps_log_error("psd", "%s", ps_error_message());
        return EXIT_FAILED;
    }
    st = ps_daemon_run(daemon);
    if (st)
        ps_log_error("psd", "%s", ps_error_message());
    ps_daemon_free(&daemon);
    return st ? EXIT_FAILED : EXIT_OK;
}

int main(int argc, char **argv)
{
    ps_process_begin();
    ps_process_protect();
    ps_server_options *options = NULL;
    if (ps_server_options_parse(argc, argv, &options)) {
        ps_conf_options_complain("psd");
        return EXIT_USAGE;
    }
    int status = EXIT_OK;
    if (options->help)
        (void)fputs(ps_server_usage, stdout);
    else if (options->version)
        (void)puts("psd " PSD_VERSION);
    else
        status = options->check ? ps_server_check(options) : serve(options);
    ps_server_options_free(&options);
    ps_log_flush();
    return status;
}
