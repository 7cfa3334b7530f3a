/* The row `safetensors` of model_in: one file of any architecture whose numbers are not all
 * float32. Happy path: its header is read, and its numbers become float32; names, shapes and
 * metadata stay. It fails when a tensor is of a dtype that is no float. */
#include "common/base/mem.h"
#include "common/format/numbers.h"
#include "common/model/hf_shards.h"
#include "common/model/model_in.h"

#include <stdio.h>
#include <string.h>

struct ps_model_reader {
    ps_hf_shards shards; /* the one file */
};

static ps_status plain_read(ps_model_reader *r, size_t i, uint64_t first, size_t n, float *out)
{
    return ps_hf_shards_read(&r->shards, 0, &r->shards.at[0].header->tensors[i], first, n, out);
}

static void plain_close(ps_model_reader **reader)
{
    if (!*reader)
        return;
    ps_hf_shards_clear(&(*reader)->shards);
    ps_free(reader);
}

static ps_status check(const char *path, const ps_safetensors *file)
{
    for (size_t i = 0; i < file->n_tensors; i++)
        if (!ps_numbers_known(file->tensors[i].dtype))
            return ps_fail(PS_INVALID_ARGUMENT,
                           "%s: tensor %.100s is %s; allowed: " PS_NUMBERS_ALLOWED, path,
                           file->tensors[i].name, ps_safetensors_type_of(&file->tensors[i]));
    return PS_OK;
}

static ps_status plain_open(const char *path, ps_model_in_about *about, ps_model_reader **out)
{
    ps_model_reader *r = ps_new(ps_model_reader);
    ps_status st = ps_hf_shards_open_file(about->options.disk, path, &r->shards);
    if (!st)
        st = check(path, r->shards.at[0].header);
    if (st) {
        plain_close(&r);
        return st;
    }
    about->plain = r->shards.at[0].header;
    *out = r;
    return PS_OK;
}

/* Part 1 of 4 of a model, by the name that transformers gives it. */
static bool is_one_of_several(const char *path)
{
    unsigned part = 0, parts = 0;
    const char *end = strrchr(path, '/');
    for (end = end ? end : path; (end = strchr(end, '-')); end++)
        if (sscanf(end, "-%5u-of-%5u.safetensors", &part, &parts) == 2)
            return parts > 1;
    return false;
}

static ps_status plain_takes(const ps_disk *disk, const char *path, bool *out)
{
    ps_hf_shards one;
    ps_status st = ps_hf_shards_open_file(disk, path, &one);
    bool all_f32 = true, is_psds = false;
    for (size_t i = 0; !st && i < one.at[0].header->n_tensors; i++)
        all_f32 &= one.at[0].header->tensors[i].dtype == PS_SAFETENSORS_F32;
    if (!st) /* whatever is wrong with it: psd, which takes it as it is, says so */
        is_psds = ps_safetensors_metadata(one.at[0].header, PS_MODEL_META_FORMS) != NULL;
    if (!st && is_one_of_several(path))
        st = ps_fail(PS_INVALID_ARGUMENT,
                     "%s is one of several files of a model; give the folder it is in", path);
    ps_hf_shards_clear(&one);
    *out = !all_f32 && !is_psds;
    return st;
}

const ps_model_in_row ps_model_in_plain = {.takes = plain_takes,
                                           .look = ps_model_look_plain,
                                           .open = plain_open,
                                           .read = plain_read,
                                           .close = plain_close};
