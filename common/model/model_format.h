/* model_format: the forms that a model has outside psd, one row each: what it is called, how it is
 * told and read (model_in.h), how it is written (model_out.h). psctl import asks which of them a
 * path is, psctl export has them as words. A new format is its files and a row in model_format.c.
 * Constant. Any thread. */
#ifndef PS_MODEL_MODEL_FORMAT_H
#define PS_MODEL_MODEL_FORMAT_H

#include "common/model/model_in.h"
#include "common/model/model_out.h"

/* The first is the one that models leave in when nobody says otherwise. */
#define PS_MODEL_FORMATS(X)       \
    X(safetensors, "safetensors") \
    X(hf, "hf")                   \
    X(gguf, "gguf")               \
    X(ct, "hf-ct")                \
    X(gptq, "hf-gptq")            \
    X(awq, "hf-awq")              \
    X(imatrix, "imatrix")

struct ps_model_format {
    const char *name;
    const char *is;              /* in words, of one that is read: "a model in GGUF" */
    const char *ending;          /* of the path that is made of a model's name */
    bool folder;                 /* it is one, and no file */
    bool sums;                   /* no model, but of what its job has summed when it calibrated
                                    (common/compress/imatrix.h); neither in nor out */
    const ps_model_in_row *in;   /* NULL: another row reads it */
    const ps_model_out_row *out; /* NULL: psd's own file, as it is */
};

/* Each to a NULL. */
extern const ps_model_format *const ps_model_formats[];
extern const char *const ps_model_format_names[];

/* A word of ps_model_format_names; NULL: the first. */
const ps_model_format *ps_model_format_find(const char *name);
/* What the path is, whose files are on the disk (model_files.h). *out NULL: psd's own file, which
 * may go as it is. PS_NOT_FOUND: nothing is there; PS_INVALID_ARGUMENT: what it is instead of a
 * model. */
PS_MUST_CHECK ps_status ps_model_format_of(const ps_disk *disk, const char *path,
                                           const ps_model_format **out);
/* The row's own word for a dtype, its default for NULL; NULL: it has none of that name. */
const char *ps_model_format_dtype(const ps_model_format *format, const char *wanted);

#endif
