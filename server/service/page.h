/* page: long lists in pieces, as AIP-158 has it: a request says how many rows it wants at most and
 * with which token the answer before ended; an answer says with which token to go on, or "" at the
 * end. A token is opaque to clients: which row came last, under which filter, and a checksum, in
 * hex. Pure. */
#ifndef PS_SERVICE_PAGE_H
#define PS_SERVICE_PAGE_H

#include "common/base/status.h"

#include <stddef.h>
#include <stdint.h>

enum {
    PS_PAGE_ROWS = 100,      /* when page_size is 0 */
    PS_PAGE_ROWS_MAX = 1000, /* a greater page_size is as good as this one */
    PS_PAGE_BYTES = 1 << 20, /* no further row then, so that every client's message limit holds */
    PS_PAGE_KEY_MAX = 128,   /* bytes of a key and its zero */
};

typedef struct ps_page {
    size_t rows;
    char after[PS_PAGE_KEY_MAX]; /* the last row's key; "": from the beginning */
} ps_page;

/* `list` names the list ("jobs"); filter is what else the request chose rows by. token NULL is "".
 * PS_INVALID_ARGUMENT: a negative page_size, or a token that is not of this list and filter. */
PS_MUST_CHECK ps_status ps_page_read(const char *list, uint32_t filter, int32_t page_size,
                                     const char *token, ps_page *out);
/* The token after the row of that key, which is shorter than PS_PAGE_KEY_MAX; malloc'ed, for a
 * reply. */
char *ps_page_token(const char *list, uint32_t filter, const char *key);

#endif
