/* Cannot fail itself. */
#include "common/conf/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_FINE = 0, EXIT_FAULTY = 2 };

void ps_trial_add(ps_trial *t, const char *what, ps_status st)
{
    if (st)
        ps_buf_printf(&t->faults, "%s: %s%s%s\n", t->program, what ? what : "", what ? ": " : "",
                      ps_error_message());
}

void ps_trial_note(ps_trial *t, const char *format, ...)
{
    char text[PS_ERROR_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ps_buf_printf(&t->notes, "%s: note: %s\n", t->program, text);
}

ps_status ps_trial_folder(const char *path, bool write)
{
    struct stat about;
    if (stat(path, &about) != 0)
        return ps_fail_errno(errno, "%s", path);
    if (!S_ISDIR(about.st_mode))
        return ps_fail(PS_INVALID_ARGUMENT, "%s is no folder", path);
    if (faccessat(AT_FDCWD, path, R_OK | X_OK | (write ? W_OK : 0), AT_EACCESS) != 0)
        return ps_fail_errno(errno, "%s (of user %lu, mode %04o)", path,
                             (unsigned long)about.st_uid, (unsigned)(about.st_mode & 07777));
    return PS_OK;
}

int ps_trial_end(ps_trial *t, const char *file)
{
    int status = t->faults.len ? EXIT_FAULTY : EXIT_FINE;
    (void)fputs(ps_buf_cstr(&t->faults), stderr);
    (void)fputs(ps_buf_cstr(&t->notes), stderr);
    if (status == EXIT_FINE)
        (void)printf("%s: %s is fine\n", t->program, file);
    ps_buf_free(&t->faults);
    ps_buf_free(&t->notes);
    return status;
}
