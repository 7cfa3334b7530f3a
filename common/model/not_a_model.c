/* Files of models and beside models here; archives and other encodings are those of foreign.c. */
#include "common/model/not_a_model.h"

#include "common/format/text_look.h"

#include <string.h>

typedef struct row {
    size_t len;
    const char *bytes, *what;
} row;

#define MARK(bytes_, what_)                                           \
    {                                                                 \
        .len = sizeof(bytes_) - 1, .bytes = (bytes_), .what = (what_) \
    }
#define JSON  "JSON, of which a model's folder has several; give the folder"
#define PAGE  "a web page, as servers send it for a file that one may not have; fetch it anew"
#define AGE   "encrypted by age; --identity FILE opens it"
#define ARMOR "encrypted by age, in armor; age -d opens it"
#define OLD   "a GGML file of before GGUF; convert the model anew"

static const row rows[] = {
    MARK("\x80\2", PS_PICKLE),
    MARK("\x80\3", PS_PICKLE),
    MARK("\x80\4", PS_PICKLE),
    MARK("\x80\5", PS_PICKLE),
    MARK("{", JSON),
    MARK("\xef\xbb\xbf{", JSON),
    MARK("<!DOCTYPE", PAGE),
    MARK("<!doctype", PAGE),
    MARK("<html", PAGE),
    MARK("\x89HDF", "HDF5, as Keras writes it; save the model as safetensors"),
    MARK("age-encryption.org/", AGE),
    MARK("-----BEGIN AGE ENCRYPTED", ARMOR),
    MARK("ggjt", OLD),
    MARK("tjgg", OLD),
    MARK("lmgg", OLD),
};

/* A zip archive, as torch.save writes it: its first entry is NAME/data.pkl (APPNOTE 4.3.7: the name
 * is at 30, its length at 26). One that is called as checkpoints are counts as one, too. */
static bool is_zipped_pickle(const char *path, ps_slice first)
{
    static const char *const endings[] = {".pt", ".pth", ".bin", ".ckpt"};
    static const char pickle[] = "/data.pkl";
    const size_t len = sizeof pickle - 1, from = strlen(path);
    if (first.len < 30 || memcmp(first.data, "PK\3\4", 4) != 0)
        return false;
    const size_t end = 30 + (first.data[26] | (size_t)first.data[27] << 8);
    if (end >= 30 + len && end <= first.len && !memcmp(first.data + end - len, pickle, len))
        return true;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t n = strlen(endings[i]);
        if (from > n && !strcmp(path + from - n, endings[i]))
            return true;
    }
    return false;
}

/* A header's length has zeros in its eight bytes, for it is no longer than
 * PS_SAFETENSORS_MAX_HEADER; text has none. */
static bool is_text(ps_slice first)
{
    for (size_t i = 0; i < first.len; i++) {
        uint8_t c = first.data[i];
        if (c == 0x7f || (c < 0x20 && !memchr("\t\n\r\f", c, 4)))
            return false;
    }
    ps_text_look look = {0};
    ps_text_look_feed(&look, first); /* which may end within a letter */
    return !look.foreign;
}

ps_status ps_not_a_model(const char *path, ps_slice first)
{
    if (!first.len)
        return ps_fail(PS_INVALID_ARGUMENT, "%s is empty", path);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (first.len >= rows[i].len && !memcmp(first.data, rows[i].bytes, rows[i].len))
            return ps_fail(PS_INVALID_ARGUMENT, "%s is %s", path, rows[i].what);
    if (is_zipped_pickle(path, first))
        return ps_fail(PS_INVALID_ARGUMENT, "%s is %s", path, PS_PICKLE);
    if (!ps_foreign_is_safetensors(first) && ps_foreign_check(path, first))
        return PS_INVALID_ARGUMENT;
    if (is_text(first))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "%s is text; a model is a safetensors or GGUF file, or "
                       "the folder of one from Hugging Face",
                       path);
    return PS_OK;
}
