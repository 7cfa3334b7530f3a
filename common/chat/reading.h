/* reading: a chat template of Jinja read, and never run: what it can write when there are no tools,
 * as lines in the form that the rows of templates are written in (rows.h). A line is what it writes
 * between two places where it depends on the conversation which way it goes, or a text that it sets
 * a variable to. Bytes are hostile; time and memory are linear in them. Any thread. */
#ifndef PS_CHAT_READING_H
#define PS_CHAT_READING_H

#include "common/base/buf.h"
#include "common/base/status.h"

enum { PS_CHAT_TEMPLATE_MAX = 256 << 10, PS_CHAT_LINES_MAX = 64 };

/* Whose messages a line, or another in its place, is always written for; as bits. */
enum { PS_CHAT_OF_USER = 1, PS_CHAT_OF_MODEL = 2, PS_CHAT_OF_SYSTEM = 4, PS_CHAT_OF_ALL = 7 };

typedef struct ps_chat_line {
    ps_buf form; /* "name=" first when it is what a variable is set to */
    unsigned whose;
    bool first, last; /* written under a condition on the first, on the last message */
} ps_chat_line;

typedef struct ps_chat_reading {
    ps_chat_line lines[PS_CHAT_LINES_MAX];
    size_t n;
} ps_chat_reading;

/* PS_INVALID_ARGUMENT: what in it cannot be read. The caller's: ps_chat_reading_free, in any case.
 */
PS_MUST_CHECK ps_status ps_chat_reading_make(ps_slice text, ps_chat_reading *out);
void ps_chat_reading_free(ps_chat_reading *reading);

#endif
