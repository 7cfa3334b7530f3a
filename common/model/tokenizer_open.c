/* Happy path: a file that begins as GGUF does is opened with all its parts, and its keys say the
 * tokenizer; all others are the tokenizer's own. */
#include "common/model/tokenizer_open.h"

#include "common/model/gguf_model.h"
#include "common/model/gguf_parts.h"
#include "common/model/model_in.h"

#include <string.h>

static ps_status open_gguf(const ps_disk *disk, const char *path, ps_tokenizer **out)
{
    ps_gguf_parts parts;
    ps_status st = ps_gguf_parts_open(disk, path, &parts);
    if (!st) {
        st = ps_gguf_tokenizer(parts.whole, out);
        if (!st && !*out)
            st = ps_fail(PS_NOT_FOUND, "it has no tokenizer");
        if (st)
            st = ps_wrap(st, "%s", path);
    }
    ps_gguf_parts_clear(&parts);
    return st;
}

ps_status ps_model_tokenizer_open(const ps_disk *disk, const char *source, ps_tokenizer **out)
{
    bool gguf = false;
    ps_status st =
        strcmp(source, "bytes") != 0 ? ps_model_in_gguf.takes(disk, source, &gguf) : PS_OK;
    if (st && st != PS_NOT_FOUND)
        return st;
    return gguf ? open_gguf(disk, source, out) : ps_tokenizer_open(disk, source, out);
}
