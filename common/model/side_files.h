/* side_files: the small files beside a model that say how it is spoken to. psd reads little of
 * them: they come in, stay as metadata under their names, and go out again as they were. Any
 * thread. */
#ifndef PS_MODEL_SIDE_FILES_H
#define PS_MODEL_SIDE_FILES_H

#include "common/base/buf.h"
#include "common/base/disk.h"
#include "common/format/safetensors.h"

enum { PS_SIDE_FILES = 12, PS_SIDE_FILE_MAX = 4 << 20, PS_SIDE_BINARY_MAX = 16 << 20 };

typedef struct ps_side_file {
    const char *name; /* also of the metadata; maybe in a folder of the folder */
    bool tokenizer;   /* of use only together with tokenizer.json */
    bool binary;      /* bytes that are no text: in base64 here, and in the metadata */
} ps_side_file;

extern const ps_side_file ps_side_files[PS_SIDE_FILES];

typedef struct ps_side_texts {
    ps_buf text[PS_SIDE_FILES]; /* as in the metadata; empty: there is none */
} ps_side_texts;

/* From a folder; disk: NULL is the system's. One that cannot be kept (too large, no UTF-8, no JSON
 * where its name says so) is left out with a line in remarks. */
PS_MUST_CHECK ps_status ps_side_texts_read(const ps_disk *disk, const char *folder,
                                           ps_side_texts *out, ps_buf *remarks);
bool ps_side_can_be_kept(ps_slice text); /* UTF-8 without zeros, not too long */
/* What a model's file has of one, as the file's bytes, into out. false: it has none. */
bool ps_side_bytes(const ps_safetensors *file, const ps_side_file *which, ps_buf *out);
void ps_side_texts_free(ps_side_texts *texts);

/* The chat template of a model's file: that of chat_template.jinja, or the one, or the default one,
 * of tokenizer_config.json. false: there is none. */
bool ps_side_chat_template(const ps_safetensors *file, ps_buf *out);
/* The same of a folder's texts. */
bool ps_side_texts_template(const ps_side_texts *texts, ps_buf *out);
/* Has a folder one? What cannot be read says none. */
bool ps_side_folder_has_template(const ps_disk *disk, const char *folder);
/* The text of a token that tokenizer_config.json names: "bos_token", "eos_token". false: it names
 * none, or there is no such file. */
bool ps_side_token(const ps_safetensors *file, const char *key, ps_buf *out);
bool ps_side_texts_token(const ps_side_texts *texts, const char *key, ps_buf *out);
/* For files that have the template alone: which of the files it becomes. */
#define PS_SIDE_CHAT_TEMPLATE 3
/* And where it is else. */
#define PS_SIDE_TOKENIZER 1

#endif
