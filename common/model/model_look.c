/* Happy path: types are summed as tensors come; there are few, and beyond the table they count as
 * the last. */
#include "common/model/model_look.h"

#include "common/base/mem.h"
#include "common/model/hf_shards.h"
#include "common/model/model_format.h"
#include "common/model/side_files.h"

#include <stdio.h>
#include <string.h>

enum { TEXT = 200 }; /* bytes of what a file says that are kept */

void ps_model_look_free(ps_model_look *look)
{
    ps_buf_free(&look->architecture);
    ps_buf_free(&look->name);
    ps_buf_free(&look->license);
    ps_buf_free(&look->quantized);
    ps_buf_free(&look->tokenizer);
}

void ps_model_look_say(ps_buf *out, ps_slice text)
{
    if (!out->len)
        ps_buf_append(out, text.data, text.len < TEXT ? text.len : TEXT);
}

void ps_model_look_add(ps_model_look *look, const char *type, uint64_t numbers, uint64_t bytes)
{
    size_t i = 0;
    while (i < look->n_types && strcmp(look->types[i].name, type) != 0)
        i++;
    if (i == PS_MODEL_LOOK_TYPES)
        i--;
    ps_model_look_type *t = &look->types[i];
    if (i == look->n_types) {
        (void)snprintf(t->name, sizeof t->name, "%s", type);
        look->n_types++;
    }
    t->tensors++;
    t->numbers += numbers;
    t->bytes += bytes;
    look->tensors++;
    look->numbers += numbers;
}

static void add_stored(ps_model_look *look, const ps_model_form *t)
{
    char form[PS_FORM_TEXT] = "F32";
    if (t->form.row)
        ps_form_text(t->form, form);
    ps_model_look_add(look, form, ps_model_form_numbers(t), ps_model_form_bytes(t));
}

static void add_as_given(ps_model_look *look, const ps_safetensors_tensor *t)
{
    uint64_t numbers = 1;
    for (uint32_t d = 0; d < t->n_dims; d++)
        if (__builtin_mul_overflow(numbers, t->shape[d], &numbers))
            numbers = 0; /* of no bytes at all */
    ps_model_look_add(look, ps_safetensors_type_of(t), numbers, t->end - t->begin);
}

void ps_model_look_safetensors(ps_model_look *look, const ps_safetensors *file)
{
    ps_model_form *stored = NULL;
    bool psds = ps_safetensors_metadata(file, PS_MODEL_META_FORMS) &&
                ps_model_forms_parse(file, &stored) == PS_OK;
    for (size_t i = 0; i < file->n_tensors; i++)
        if (psds)
            add_stored(look, &stored[i]);
        else
            add_as_given(look, &file->tensors[i]);
    ps_free(&stored);
    ps_buf template = PS_BUF_EMPTY;
    look->chat_template |= ps_side_chat_template(file, &template);
    ps_buf_free(&template);
    look->files++;
    look->bytes += file->data_start + file->data_bytes;
}

ps_status ps_model_look_plain(const char *path, ps_model_look *look)
{
    ps_hf_shards one;
    ps_status st = ps_hf_shards_open_file(look->disk, path, &one);
    if (!st)
        ps_model_look_safetensors(look, one.at[0].header);
    ps_hf_shards_clear(&one);
    return st;
}

ps_status ps_model_look_at(const char *path, ps_model_look *look)
{
    const ps_model_format *format = NULL;
    ps_status st = ps_model_format_of(look->disk, path, &format);
    if (st)
        return st;
    return format ? format->in->look(path, look) : ps_model_look_plain(path, look);
}
