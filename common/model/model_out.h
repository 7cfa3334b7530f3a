/* model_out: where a model goes that leaves psd in another form, half of a row of model_format.h;
 * and the stream that takes psd's safetensors file apart for it. Not thread-safe (not asserted: it
 * is its writer's alone). */
#ifndef PS_MODEL_MODEL_OUT_H
#define PS_MODEL_MODEL_OUT_H

#include "common/base/disk.h"
#include "common/conf/job_spec.h"
#include "common/format/safetensors.h"
#include "common/format/token_ids.h"
#include "common/model/lm_layout.h"
#include "common/model/model_forms.h"

/* What the header of psd's file says. Borrowed for the call of `open`. */
typedef struct ps_model_about {
    const ps_spec_model *model;  /* of a language */
    const char *tokenizer;       /* the text of tokenizer.json; NULL: there is none */
    const ps_token_ids *ids;     /* those that came with it, or the one of "<|endoftext|>" */
    const ps_safetensors *file;  /* for the side files in its metadata */
    ps_buf *remarks;             /* for lines, each with its end: what does not go out */
    const ps_lm_tensor *tensors; /* in the order of their data, */
    const ps_model_form *stored; /* and how psd's file has each */
    size_t n;
} ps_model_about;

typedef struct ps_model_out_options {
    const char *path;        /* a folder that is not there yet (hf), a file (gguf) */
    const char *dtype;       /* a word of the row's dtypes */
    const char *activations; /* hf-ct: "int8", "fp8": whoever loads it is to round what goes into
                                products; NULL: not */
    const ps_disk *disk;     /* that its files are written through; NULL: the system's */
    const char *ending;      /* hf: of its files' names (".age"); NULL: none */
    const char *name;        /* of the model: files in a folder that it names (split) begin so */
    uint64_t split; /* bytes of tensors that a file has at most, but for one tensor alone, in
                       a folder of several; 0: all in one */
    bool keep;      /* nobody chose it: what is stored in blocks that the format has stays so */
    bool force;
} ps_model_out_options;

typedef struct ps_model_out ps_model_out;

typedef struct ps_model_out_row {
    const char *const *dtypes; /* the first is the default; NULL-terminated */
    PS_MUST_CHECK ps_status (*open)(const ps_model_out_options *options,
                                    const ps_model_about *about, ps_model_out **out);
    /* The magnitude from which on this tensor's type has no number; INFINITY: it holds whatever
     * float32 holds. Only numbers below it come to `data`. */
    float (*limit)(const ps_model_out *out, size_t tensor);
    /* The next numbers of the tensors, in their order; a call never crosses tensors. */
    PS_MUST_CHECK ps_status (*data)(ps_model_out *out, const float *values, size_t n);
    /* Does this tensor go out in the very bytes that psd has of it? Then they come to `bytes` in
     * place of its numbers, likewise. Both NULL: none does. */
    bool (*as_stored)(const ps_model_out *out, size_t tensor);
    PS_MUST_CHECK ps_status (*bytes)(ps_model_out *out, ps_slice bytes);
    /* Of a tensor whose numbers come to `data`: what they are rounded to; row NULL: to nothing, or
     * they come to `bytes`. */
    ps_form (*form)(const ps_model_out *out, size_t tensor);
    /* What a real of the model section is to whoever reads what was written; NULL: as it was. */
    double (*real)(double v);
    /* What a number of this tensor is to it, likewise. */
    float (*number)(const ps_lm_tensor *tensor, float v);
    /* The row's, where it is as long as it has no name; NULL: nowhere, it goes into a stream. */
    const char *(*unnamed)(const ps_model_out *out);
    /* What of it stands for all when it is read; NULL: it does itself. */
    const char *(*first)(const ps_model_out *out);
    /* All has come, and can be read there. */
    PS_MUST_CHECK ps_status (*seal)(ps_model_out *out);
    /* After seal: it has its name now, whole and on disk. *bytes: of all files. Frees in any case.
     */
    PS_MUST_CHECK ps_status (*finish)(ps_model_out **out, uint64_t *bytes);
    void (*drop)(ps_model_out **out); /* for giving up: nothing is left; NULL is allowed */
} ps_model_out_row;

extern const ps_model_out_row ps_model_out_hf;
extern const ps_model_out_row ps_model_out_gguf;
extern const ps_model_out_row ps_model_out_ct, ps_model_out_gptq, ps_model_out_awq;

/* ---- from psd's file, as it arrives ---- */

typedef struct ps_model_export ps_model_export;
typedef struct ps_model_format ps_model_format;

/* format: of model_format.h, with a row `out`. config: the model section as psd's catalog has it (a
 * file that was imported may lack its own). */
ps_model_export *ps_model_export_new(const ps_model_format *format, const char *config,
                                     const ps_model_out_options *options);
/* The file's next bytes; hostile. PS_FAILED_PRECONDITION: this model has no such form. */
PS_MUST_CHECK ps_status ps_model_export_feed(ps_model_export *stream, ps_slice bytes);
/* As ps_model_in_remarks, of what goes out; from the first bytes of data on. */
const char *ps_model_export_remarks(ps_model_export *stream);
/* The row's `unnamed`; NULL, too, before the first bytes of data. */
const char *ps_model_export_unnamed(const ps_model_export *stream);
/* What of that is to be read, to read all of it. */
const char *ps_model_export_first(const ps_model_export *stream);
/* All of the file has come: the row's `seal`, `form` of tensor i of psd's file, and `real`. */
PS_MUST_CHECK ps_status ps_model_export_seal(ps_model_export *stream);
/* That it writes through: of the options. */
const ps_disk *ps_model_export_disk(const ps_model_export *stream);
ps_form ps_model_export_form(const ps_model_export *stream, size_t i);
double ps_model_export_real(const ps_model_export *stream, double v);
float ps_model_export_number(const ps_model_export *stream, const ps_lm_tensor *tensor, float v);
/* After seal. */
PS_MUST_CHECK ps_status ps_model_export_finish(ps_model_export *stream, uint64_t *bytes);
void ps_model_export_free(ps_model_export **stream); /* drops what is not finished */

#endif
