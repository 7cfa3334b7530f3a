/* row_list: rows of an explanation, as a person names them: "3,7,10:20", by their numbers in the
 * data; the end of a range is not in it. Pure. One thread (not asserted: psctl has no other). */
#ifndef PS_CALL_ROW_LIST_H
#define PS_CALL_ROW_LIST_H

#include "common/explain/manifest.h"

typedef struct ps_row_list {
    uint64_t *places; /* of the manifest's rows, each once, in the order in which they were named */
    size_t n;
} ps_row_list;

/* PS_INVALID_ARGUMENT: it is no list, or the job has explained none of those that a part of it
 * names, and which it has. */
PS_MUST_CHECK ps_status ps_row_list_parse(const char *text, const ps_explanation *manifest,
                                          ps_row_list *out);
void ps_row_list_free(ps_row_list *list);

#endif
