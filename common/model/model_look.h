/* model_look: what the files of a model say of it, before anybody asks whether psd can use it: for
 * people who want to know what they have. Each row of model_in looks with the same readers that it
 * reads by, at headers alone, and stops where these stop. All of it is hostile. Any thread. */
#ifndef PS_MODEL_MODEL_LOOK_H
#define PS_MODEL_MODEL_LOOK_H

#include "common/base/buf.h"
#include "common/base/disk.h"
#include "common/base/status.h"
#include "common/format/safetensors.h"

enum { PS_MODEL_LOOK_TYPES = 32 };

typedef struct ps_model_look_type {
    char name[24]; /* as the file calls it, or the form that psd stores it in: "BF16", "Q4_K" */
    uint64_t tensors, numbers, bytes;
} ps_model_look_type;

typedef struct ps_model_look {
    const ps_disk *disk;  /* given (model_files.h) */
    ps_buf architecture;  /* as it is called there; empty: not said, as all others */
    ps_buf name, license; /* as authors say them */
    ps_buf quantized;     /* by which method */
    ps_buf tokenizer;     /* of which kind, or which files it is in */
    bool chat_template;
    uint64_t context, vocabulary; /* tokens; 0: not said */
    uint64_t files, bytes;        /* of weights */
    uint64_t tensors, numbers;    /* in them */
    ps_model_look_type types[PS_MODEL_LOOK_TYPES];
    size_t n_types;
} ps_model_look;

void ps_model_look_free(ps_model_look *look);

/* *look: zeros but for what is given; has, also after a failure, what was seen until then. Fails as
 * the readers do. */
PS_MUST_CHECK ps_status ps_model_look_at(const char *path, ps_model_look *look);

/* The rows. */
PS_MUST_CHECK ps_status ps_model_look_hf(const char *folder, ps_model_look *look);
PS_MUST_CHECK ps_status ps_model_look_gguf(const char *path, ps_model_look *look);
PS_MUST_CHECK ps_status ps_model_look_plain(const char *path, ps_model_look *look);

/* For them: a tensor of the file; the text of a slice, unless there is one. */
void ps_model_look_add(ps_model_look *look, const char *type, uint64_t numbers, uint64_t bytes);
void ps_model_look_say(ps_buf *out, ps_slice text);
/* The tensors of a safetensors file, and what its metadata say where it is one of psd's. */
void ps_model_look_safetensors(ps_model_look *look, const ps_safetensors *file);

#endif
