/* compress_line: what a worker says of a tensor, which is a line of JSON, read. Bytes of a peer:
 * any may come. Pure; any thread. */
#ifndef PS_SCHED_KINDS_COMPRESS_LINE_H
#define PS_SCHED_KINDS_COMPRESS_LINE_H

#include <stdbool.h>
#include <stddef.h>

/* The value of a member that is a number, or a list of exactly n of them; finite. false: it has no
 * such member, or the line is no object. A line that is NULL has none. */
bool ps_compress_line_number(const char *line, const char *key, double *out);
/* Of the member `part`, which is an object. */
bool ps_compress_line_part_number(const char *line, const char *part, const char *key, double *out);
/* Its member that is a text; of up to room - 1 bytes. */
bool ps_compress_line_part_text(const char *line, const char *part, const char *key, char *out,
                                size_t room);
bool ps_compress_line_numbers(const char *line, const char *key, double *out, size_t n);

#endif
