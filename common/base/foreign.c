/* Happy path: no row of the table stands at its place. A mark that begins with another's bytes
 * comes before that. */
#include "common/base/foreign.h"

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
#define OFFICE        "an office document"
#define AS_TEXT       "save it as csv or as plain text"
#define AS_CSV        "write its numbers as csv, or its text as plain text"
#define AS_LINES                                                                                \
    "write its texts as JSON Lines (pandas: read_parquet(FILE).to_json(OUT, orient='records', " \
    "lines=True)), its numbers as csv"
#define AS_TOKENS "it is read as it is, as data of format tokens"
#define NUMBERS   "its numbers are wanted, as idx or csv"

static const row rows[] = {
    MARK(0, "\x1f\x8b", "compressed by gzip", "unpack it (gunzip)"),
    MARK(0,
         "\xfd"
         "7zXZ\0",
         "compressed by xz", "unpack it (unxz), or take gzip"),
    MARK(0, "\x28\xb5\x2f\xfd", "compressed by zstd", "unpack it (unzstd), or take gzip"),
    MARK(0, "\x04\x22\x4d\x18", "compressed by lz4", "unpack it (unlz4), or take gzip"),
    MARK(0, "\x50\x2a\x4d\x18", "compressed by zstd", "unpack it (unzstd), or take gzip"),
    MARK(0, "\x02\x21\x4c\x18", "compressed by lz4", "unpack it (unlz4), or take gzip"),
    MARK(4, "1AY&SY", "compressed by bzip2", "unpack it (bunzip2), or take gzip"),
    MARK(4, "\x17rE8P\x90", "compressed by bzip2", "unpack it (bunzip2), or take gzip"),
    MARK(0, "\x5d\0\0", "compressed by lzma", "unpack it (unlzma), or take gzip"),
    MARK(0, "\xff\6\0\0sNaPpY", "compressed by snappy", "unpack it, or take gzip"),
    MARK(0, "LZIP\1", "compressed by lzip", "unpack it (lzip -d), or take gzip"),
    MARK(0, "\x1f\x9d", "compressed by compress", "unpack it (gunzip), or take gzip"),
    MARK(0, "7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it (7z x)"),
    MARK(0, "Rar!\x1a\7", "a rar archive", "unpack it (unrar)"),
    MARK(30, "[Content_Types].xml", OFFICE, AS_TEXT),
    MARK(30, "mimetypeapplication/vnd.oasis.", OFFICE, AS_TEXT),
    MARK(0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OFFICE, AS_TEXT),
    MARK(0, "{\\rtf", OFFICE, AS_TEXT),
    MARK(0, "PK\3\4", "a zip archive", "unpack it (unzip)"),
    MARK(0, "PK\5\6", "a zip archive", "unpack it (unzip)"),
    MARK(0, "%PDF-", "a PDF document", "take its text (pdftotext)"),
    MARK(257, "ustar", "a tar archive", "unpack it (tar -xf)"),
    MARK(0, "\x93NUMPY", "an array of NumPy",
         "save it as csv (numpy.savetxt), or images as idx (psctl-job(5), model.image)"),
    MARK(0, "PAR1\x15", "a Parquet file", AS_LINES),
    MARK(0, "ARROW1\0\0", "an Arrow file", AS_CSV),
    MARK(0, "\x89HDF\r\n", "an HDF5 file", AS_CSV),
    MARK(0, "SQLite format 3\0", "a database of SQLite", AS_CSV),
    MARK(0, "GGUF\2\0\0\0", "a model (GGUF)", "psctl import reads it"),
    MARK(0, "GGUF\3\0\0\0", "a model (GGUF)", "psctl import reads it"),
    MARK(0, "PSDTOKEN\1\0\0\0", "a token file", AS_TOKENS),
    MARK(0, "PSDTOKEN\2\0\0\0", "a token file", AS_TOKENS),
    MARK(0, "\x89PNG\r\n", "a picture (PNG)", NUMBERS),
    MARK(0, "\xff\xd8\xff", "a picture (JPEG)", NUMBERS),
    MARK(0, "GIF87a", "a picture (GIF)", NUMBERS),
    MARK(0, "GIF89a", "a picture (GIF)", NUMBERS),
    MARK(0,
         "\x7f"
         "ELF",
         "a program (ELF)", "give the file that was meant"),
    MARK(0, "version https://git-lfs.", "a pointer of Git LFS, not the file",
         "fetch that (git lfs pull)"),
    MARK(0, "\xff\xfe\0\0", "text in UTF-32", TO_UTF8("UTF-32")),
    MARK(0, "\0\0\xfe\xff", "text in UTF-32", TO_UTF8("UTF-32")),
    MARK(0, "\xff\xfe", "text in UTF-16", TO_UTF8("UTF-16")),
    MARK(0, "\xfe\xff", "text in UTF-16", TO_UTF8("UTF-16")),
};

static const ps_foreign safetensors = {"weights in safetensors", "psctl import reads them"};

static bool stands_in(const row *r, ps_slice first)
{
    return first.len >= r->at + r->len && !memcmp(first.data + r->at, r->bytes, r->len);
}

bool ps_foreign_is_safetensors(ps_slice first)
{
    static const uint8_t zeros[4];
    return first.len >= 10 && !memcmp(first.data + 4, zeros, sizeof zeros) &&
           !memcmp(first.data + 8, "{\"", 2);
}

const ps_foreign *ps_foreign_find(ps_slice first)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (stands_in(&rows[i], first))
            return &rows[i].is;
    return ps_foreign_is_safetensors(first) ? &safetensors : NULL;
}

ps_status ps_foreign_check(const char *path, ps_slice first)
{
    const ps_foreign *f = ps_foreign_find(first);
    return f ? ps_fail(PS_CORRUPT, "%s is %s; %s", path, f->what, f->remedy) : PS_OK;
}
