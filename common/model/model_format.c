/* The table. A path is shown to the rows from the last to the first: that of psd's own file says
 * what a file is that is none of them. */
#include "common/model/model_format.h"

#include <string.h>

static const ps_model_format safetensors = {.name = "safetensors",
                                            .is = "weights in safetensors",
                                            .ending = ".safetensors",
                                            .in = &ps_model_in_plain};
static const ps_model_format hf = {.name = "hf",
                                   .is = "the folder of a model of Hugging Face",
                                   .ending = "",
                                   .folder = true,
                                   .in = &ps_model_in_hf,
                                   .out = &ps_model_out_hf};
static const ps_model_format gguf = {.name = "gguf",
                                     .is = "a model in GGUF",
                                     .ending = ".gguf",
                                     .in = &ps_model_in_gguf,
                                     .out = &ps_model_out_gguf};

/* Folders as hf, with matrices as packed codes. */
static const ps_model_format ct = {
    .name = "hf-ct", .ending = "", .folder = true, .out = &ps_model_out_ct};
static const ps_model_format gptq = {
    .name = "hf-gptq", .ending = "", .folder = true, .out = &ps_model_out_gptq};
static const ps_model_format awq = {
    .name = "hf-awq", .ending = "", .folder = true, .out = &ps_model_out_awq};

static const ps_model_format imatrix = {.name = "imatrix", .ending = ".imatrix.gguf", .sums = true};

#define ROW(row, word) &row,
const ps_model_format *const ps_model_formats[] = {PS_MODEL_FORMATS(ROW) NULL};
#undef ROW

#define NAME(row, word) word,
const char *const ps_model_format_names[] = {PS_MODEL_FORMATS(NAME) NULL};
#undef NAME

const ps_model_format *ps_model_format_find(const char *name)
{
    size_t i = 0;
    while (name && strcmp(ps_model_formats[i]->name, name) != 0)
        i++;
    return ps_model_formats[i];
}

ps_status ps_model_format_of(const ps_disk *disk, const char *path, const ps_model_format **out)
{
    size_t n = 0;
    while (ps_model_formats[n])
        n++;
    *out = NULL;
    while (n-- > 0) {
        bool takes = false;
        if (!ps_model_formats[n]->in)
            continue;
        ps_status st = ps_model_formats[n]->in->takes(disk, path, &takes);
        if (st)
            return st;
        if (takes) {
            *out = ps_model_formats[n];
            return PS_OK;
        }
    }
    return PS_OK;
}

const char *ps_model_format_dtype(const ps_model_format *format, const char *wanted)
{
    const char *const *dtype = format->out->dtypes;
    while (wanted && *dtype && strcmp(*dtype, wanted) != 0)
        dtype++;
    return *dtype;
}
