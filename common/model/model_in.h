/* model_in: a model that another tool wrote as the one file that psd stores: safetensors with F32
 * tensors under psd's names, or in the blocks that they came in (model_forms.h), the config as
 * metadata "psd.model", the tokenizer as "tokenizer.json", and what token_ids.h and side_files.h
 * keep. How each format is read, the other half of a row of model_format.h, the way back of
 * model_out.
 *
 * All of the source is hostile. What is checked before the first byte comes out: each tensor of the
 * model is there once with its shape, and nothing unknown is. Bytes come out as they are read, so a
 * model is never held in memory; a number that is not finite ends it. Not thread-safe (not
 * asserted: it is its reader's alone). */
#ifndef PS_MODEL_MODEL_IN_H
#define PS_MODEL_MODEL_IN_H

#include "common/base/buf.h"
#include "common/base/disk.h"
#include "common/conf/job_spec.h"
#include "common/format/token_ids.h"
#include "common/model/lm_layout.h"
#include "common/model/model_forms.h"
#include "common/model/model_look.h"
#include "common/model/side_files.h"

#include <stddef.h>
#include <stdint.h>

/* Names of metadata in psd's model files. */
#define PS_MODEL_META_CONFIG    "psd.model"
#define PS_MODEL_META_TOKENIZER "tokenizer.json"

typedef struct ps_model_in ps_model_in;

/* *out: the path is something that has to become psd's file: a folder, a GGUF file, or a
 * safetensors file with other dtypes than F32; false: it is one of F32, and may go as it is.
 * disk: where its files are (model_files.h). PS_NOT_FOUND: nothing is there; PS_INVALID_ARGUMENT:
 * what it is instead of a model. */
PS_MUST_CHECK ps_status ps_model_in_takes(const ps_disk *disk, const char *path, bool *out);
typedef struct ps_model_in_options {
    const ps_disk *disk;    /* where its files are (model_files.h) */
    bool float32;           /* blocks are decoded */
    bool float_activations; /* what a folder wants rounded before it goes into products is not, with
                               a remark; else that is PS_INVALID_ARGUMENT */
} ps_model_in_options;
/* PS_NOT_FOUND: a file is missing; PS_INVALID_ARGUMENT: what is wrong with which. */
PS_MUST_CHECK ps_status ps_model_in_open(const char *path, const ps_model_in_options *options,
                                         ps_model_in **out);
void ps_model_in_close(ps_model_in **in);
/* Sentences, each a line with its end: what of the source psd does not use, or takes otherwise than
 * one may think. "": none. Valid as long as in. */
const char *ps_model_in_remarks(ps_model_in *in);
/* What was found out about it; valid as long as in. */
const struct ps_model_in_about *ps_model_in_about_of(const ps_model_in *in);
/* Whether the source says which model it is; a safetensors file may have it in its metadata only.
 */
bool ps_model_in_knows_model(const ps_model_in *in);
/* The next bytes of psd's file, at most len; *got is 0 at the end. */
PS_MUST_CHECK ps_status ps_model_in_read(ps_model_in *in, void *out, size_t len, size_t *got);

/* ---- rows ---- */

enum {
    PS_MODEL_IN_PIECE = 64 * 1024, /* numbers; whole blocks of every GGUF type */
    PS_MODEL_IN_BYTES = PS_MODEL_IN_PIECE * 4,
};

/* What a row finds out about a model; model_in frees it, also when the row fails. */
typedef struct ps_model_in_about {
    ps_model_in_options options; /* given */
    const ps_safetensors *plain; /* the row's: tensors and metadata stay as they are, and what
                                  * follows is not used; NULL: a language model */
    ps_spec_model *model;        /* of a language */
    ps_buf tokenizer;            /* the text of tokenizer.json; empty: there is none */
    uint64_t tokenizer_hash;     /* as token files have it; 0: there is none that psd can use */
    ps_token_ids ids;
    ps_side_texts side;
    ps_buf hf_config, gguf; /* what else its config, or its keys, say (hf_kept.h, gguf_kept.h) */
    ps_buf remarks;         /* lines, each with its end */
    ps_lm_tensor *tensors;  /* ps_lm_layout of model */
    ps_form *forms;         /* of each that psd is to have it in; NULL: float32 all of them */
    size_t n;
} ps_model_in_about;

typedef struct ps_model_reader ps_model_reader; /* each row has its own */

typedef struct ps_model_in_row {
    /* Is the path of this form, and has to become psd's file? PS_NOT_FOUND: nothing is there;
     * PS_INVALID_ARGUMENT: it is no model at all, and what instead. */
    PS_MUST_CHECK ps_status (*takes)(const ps_disk *disk, const char *path, bool *out);
    /* What its files say, whatever psd makes of it. */
    PS_MUST_CHECK ps_status (*look)(const char *path, ps_model_look *look);
    /* about comes empty, but for what is given, and goes on living as long as the reader. */
    PS_MUST_CHECK ps_status (*open)(const char *path, ps_model_in_about *about,
                                    ps_model_reader **out);
    /* Numbers first to first + n - 1 of tensor i of about, in psd's order; n at most
     * PS_MODEL_IN_PIECE, first a multiple of it. Tensors come in order, each from its start. */
    PS_MUST_CHECK ps_status (*read)(ps_model_reader *reader, size_t i, uint64_t first, size_t n,
                                    float *out);
    /* Of one that about->forms has in a form: n bytes from byte `at` of it as psd stores it, at
     * most PS_MODEL_IN_BYTES. NULL: there is none. */
    PS_MUST_CHECK ps_status (*bytes)(ps_model_reader *reader, size_t i, uint64_t at, size_t n,
                                     uint8_t *out);
    void (*close)(ps_model_reader **reader); /* NULL is allowed */
} ps_model_in_row;

void ps_model_in_about_free(ps_model_in_about *about); /* what is in it */

extern const ps_model_in_row ps_model_in_hf;
extern const ps_model_in_row ps_model_in_gguf;
/* Safetensors files whose tensors are not all F32. */
extern const ps_model_in_row ps_model_in_plain;

#endif
