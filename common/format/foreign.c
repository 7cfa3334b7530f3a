/* Happy path: no row of the table stands at its place. A mark that begins with another's bytes
 * comes before that. */
#include "common/format/foreign.h"

#include <string.h>

typedef struct row {
    size_t at, len;
    const char *bytes;
    ps_foreign is;
} row;

#define MARK(at_, bytes_, what_, remedy_)                                  \
    {                                                                      \
        .at = (at_), .len = sizeof(bytes_) - 1, .bytes = (bytes_), .is = { \
            .what = (what_),                                               \
            .remedy = (remedy_)                                            \
        }                                                                  \
    }
#define TO_UTF8(from) "convert it (iconv -f " from " -t UTF-8)"

static const row rows[] = {
    MARK(0, "\x1f\x8b", "compressed by gzip", "unpack it (gunzip)"),
    MARK(0,
         "\xfd"
         "7zXZ\0",
         "compressed by xz", "unpack it (unxz), or take gzip"),
    MARK(0, "\x28\xb5\x2f\xfd", "compressed by zstd", "unpack it (unzstd), or take gzip"),
    MARK(0, "\x04\x22\x4d\x18", "compressed by lz4", "unpack it (unlz4), or take gzip"),
    MARK(4, "1AY&SY", "compressed by bzip2", "unpack it (bunzip2), or take gzip"),
    MARK(0, "LZIP\1", "compressed by lzip", "unpack it (lzip -d), or take gzip"),
    MARK(0, "\x1f\x9d", "compressed by compress", "unpack it (gunzip), or take gzip"),
    MARK(0, "7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it (7z x)"),
    MARK(0, "PK\3\4", "a zip archive", "unpack it (unzip)"),
    MARK(0, "PK\5\6", "a zip archive", "unpack it (unzip)"),
    MARK(0, "%PDF-", "a PDF document", "take its text (pdftotext)"),
    MARK(257, "ustar", "a tar archive", "unpack it (tar -xf)"),
    MARK(0, "\xff\xfe\0\0", "text in UTF-32", TO_UTF8("UTF-32")),
    MARK(0, "\0\0\xfe\xff", "text in UTF-32", TO_UTF8("UTF-32")),
    MARK(0, "\xff\xfe", "text in UTF-16", TO_UTF8("UTF-16")),
    MARK(0, "\xfe\xff", "text in UTF-16", TO_UTF8("UTF-16")),
};

static bool stands_in(const row *r, ps_slice first)
{
    return first.len >= r->at + r->len && !memcmp(first.data + r->at, r->bytes, r->len);
}

const ps_foreign *ps_foreign_find(ps_slice first)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (stands_in(&rows[i], first))
            return &rows[i].is;
    return NULL;
}

ps_status ps_foreign_check(const char *path, ps_slice first)
{
    const ps_foreign *f = ps_foreign_find(first);
    return f ? ps_fail(PS_CORRUPT, "%s is %s; %s", path, f->what, f->remedy) : PS_OK;
}
