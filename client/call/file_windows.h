/* file_windows: a stored model's file once more, in whatever order its reader wants, a call for
 * each 16 MiB and not for each tensor: the last three such windows are held. One thread (not
 * asserted: psctl has no other). */
#ifndef PS_CALL_FILE_WINDOWS_H
#define PS_CALL_FILE_WINDOWS_H

#include "client/call/client.h"

typedef struct ps_file_windows ps_file_windows;

/* name and version of the model are borrowed; bytes: of its file. */
ps_file_windows *ps_file_windows_new(ps_client *client, const char *name, const char *version,
                                     uint64_t bytes);
void ps_file_windows_free(ps_file_windows **windows); /* NULL is nothing */

/* Bytes [begin, end) to take, in order, in pieces; its failure is returned. windows: as void, as
 * ps_export_original has it. PS_NOT_FOUND: the version has been replaced and is gone.
 * PS_OUT_OF_RANGE: the file ends before. */
PS_MUST_CHECK ps_status ps_file_windows_read(void *windows, uint64_t begin, uint64_t end,
                                             ps_status (*take)(void *to, ps_slice bytes), void *to);

#endif
