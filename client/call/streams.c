/* Happy path of an input: all of it goes into a file without a name, which takes the descriptor's
 * place. Fails as the reading or the spool does. */
#include "client/call/streams.h"

#include "common/base/target.h"
#include "common/base/temporary.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool takes_stdout(const char *path)
{
    return ps_target_descriptor(path) == STDOUT_FILENO;
}

ps_status ps_streams_check_output(ps_client *client, const char *path)
{
    if (takes_stdout(path) && isatty(STDOUT_FILENO))
        return ps_client_usage(client, "standard output is a terminal; give it a pipe or a file, "
                                       "or name a file");
    return PS_OK;
}

bool ps_streams_same(const char *path, const char *input)
{
    return ps_target_same(path, strcmp(input, "-") != 0 ? input : "/dev/stdin");
}

void ps_streams_report(ps_client *client, const char *path)
{
    if (takes_stdout(path) && ps_output_flush(&client->out, STDERR_FILENO) != PS_OK)
        ps_buf_clear(&client->out); /* nobody is left to be told */
}

/* A file that is read from its beginning can be opened a second time as it is. */
static bool is_whole_file(int fd)
{
    struct stat about;
    return fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && lseek(fd, 0, SEEK_CUR) == 0;
}

ps_status ps_streams_input(const char **path)
{
    if (!strcmp(*path, "-"))
        *path = "/dev/stdin";
    int fd = ps_target_descriptor(*path), spool = -1;
    if (fd < 0 || is_whole_file(fd))
        return PS_OK;
    ps_status st = ps_temporary_open(&spool);
    if (st)
        return st;
    st = ps_temporary_copy(fd, spool, *path);
    if (!st && dup2(spool, fd) < 0)
        st = ps_fail_errno(errno, "%s", *path);
    (void)close(spool);
    return st;
}
