/* streams: "-" on the command line of commands that read or write a file's bytes. One thread (not
 * asserted: psctl has no other). */
#ifndef PS_CALL_STREAMS_H
#define PS_CALL_STREAMS_H

#include "client/call/client.h"

/* A usage failure when path means standard output and that is a terminal. */
PS_MUST_CHECK ps_status ps_streams_check_output(ps_client *client, const char *path);
/* Is the output the input, which --force would replace? "-" is standard input: what that comes from
 * has no name here, but may be the output all the same. */
bool ps_streams_same(const char *path, const char *input);
/* After the bytes: what a command has to say goes to standard error when they took the other. */
void ps_streams_report(ps_client *client, const char *path);
/* "-" becomes a path that can be opened; and this, or another descriptor of ours (a shell's <(…)),
 * can be read from anywhere in the file: what comes from a pipe is spooled. Other paths stay. */
PS_MUST_CHECK ps_status ps_streams_input(const char **path);

#endif
