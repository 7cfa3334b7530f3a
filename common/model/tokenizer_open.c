/* Happy path: a file that begins as GGUF does is opened with all its parts, and its keys say the
 * tokenizer; all others are the tokenizer's own. */
#include "common/model/tokenizer_open.h"

#include "common/base/foreign.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/format/text_look.h"
#include "common/model/gguf_model.h"
#include "common/model/gguf_parts.h"
#include "common/model/model_files.h"
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

/* NULL: its first bytes do not say that it is another kind of file. */
static const char *what_it_is(const ps_disk *disk, const char *path)
{
    uint8_t first[PS_FOREIGN_BYTES];
    ps_text_look look = {0};
    int fd = -1;
    uint64_t size = 0;
    if (ps_model_input_open(disk, path, &fd, &size))
        return NULL;
    const ps_slice bytes = ps_slice_of(first, size < sizeof first ? (size_t)size : sizeof first);
    ps_status st = ps_model_file_read(disk, fd, path, 0, first, bytes.len);
    ps_model_file_close(disk, fd);
    size_t at = 0;
    while (at < bytes.len && memchr(" \t\r\n\xef\xbb\xbf", first[at], 7))
        at++;
    if (st || at == bytes.len || first[at] == '{') /* JSON, whose reader knows better */
        return NULL;
    const ps_foreign *foreign = ps_foreign_find(bytes);
    ps_text_look_feed(&look, bytes);
    return foreign                      ? foreign->what
           : look.zeros || look.foreign ? "no text"
                                        : "text, and no tokenizer.json";
}

/* A tokenizer.json that lies beside the path; NULL: there is none. */
static char *beside(const ps_disk *disk, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *file = ps_asprintf("%.*stokenizer.json", slash ? (int)(slash - path + 1) : 0, path);
    if (!ps_model_file_there(disk, file))
        ps_free(&file);
    return file;
}

/* What the file is, where it is none that a tokenizer is read from, and which was meant. */
static ps_status not_one(const ps_disk *disk, const char *path, ps_status st)
{
    ps_error error;
    ps_error_save(&error, st);
    const char *what = what_it_is(disk, path);
    char *other = beside(disk, path);
    st = ps_error_raise(&error);
    if (what)
        st = ps_fail(PS_INVALID_ARGUMENT,
                     "%s is %s; a tokenizer is read from a tokenizer.json, a vocab.txt, a .model "
                     "of SentencePiece, a GGUF file, or a folder with one",
                     path, what);
    if (other)
        st = ps_fail(st, "%s; %s lies beside it", ps_error_message(), other);
    ps_free(&other);
    return st;
}

/* Of a file whose name says what it is, its reader says what is wrong with it. */
static ps_status open_own(const ps_disk *disk, const char *source, ps_tokenizer **out)
{
    bool folder = false;
    ps_status st = ps_tokenizer_open(disk, source, out);
    bool named = ps_text_ends(source, "tokenizer.json") || ps_text_ends(source, "vocab.txt") ||
                 ps_text_ends(source, ".model");
    if ((st != PS_INVALID_ARGUMENT && st != PS_CORRUPT) || named)
        return st;
    ps_error error;
    ps_error_save(&error, st);
    if (ps_model_file_kind(disk, source, &folder) || folder)
        return ps_error_raise(&error);
    return not_one(disk, source, ps_error_raise(&error));
}

ps_status ps_model_tokenizer_open(const ps_disk *disk, const char *source, ps_tokenizer **out)
{
    bool gguf = false;
    ps_status st =
        strcmp(source, "bytes") != 0 ? ps_model_in_gguf.takes(disk, source, &gguf) : PS_OK;
    if (st)
        return st;
    return gguf ? open_gguf(disk, source, out) : open_own(disk, source, out);
}
