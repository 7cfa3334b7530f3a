#include "common/format/file_chunks.h"

#include <inttypes.h>
#include <string.h>

static ps_status begin(ps_file_chunks *c, const Psd__V1__FileChunk *first, const char *version)
{
    c->begun = true;
    c->total = first->total_bytes;
    if (!version || strcmp(first->version, version) == 0)
        return PS_OK;
    return ps_fail(PS_FAILED_PRECONDITION, "psd sends version '%s' of it, and %s was asked for",
                   first->version, version);
}

ps_status ps_file_chunks_count(ps_file_chunks *c, const Psd__V1__FileChunk *chunk, size_t bytes,
                               const char *version)
{
    ps_status st = c->begun ? PS_OK : begin(c, chunk, version);
    if (!st && bytes > c->total - c->got)
        st = ps_fail(PS_DATA_LOSS, "more than its %" PRIu64 " bytes have come", c->total);
    if (!st)
        c->got += bytes;
    return st;
}

ps_status ps_file_chunks_whole(const ps_file_chunks *c)
{
    if (c->got == c->total)
        return PS_OK;
    return ps_fail(PS_DATA_LOSS, "%" PRIu64 " bytes of %" PRIu64 " have come", c->got, c->total);
}
