/* Happy path: a folder has both files; the configuration is read as beside a model, and each tensor
 * is one half of an adapter. Which products there are to stand beside, only the model says. */
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/model/hf_shards.h"
#include "common/model/model_files.h"
#include "common/model/peft.h"
#include "common/model/peft_config.h"

#include <string.h>

static bool is_half(const char *name)
{
    return !strncmp(name, "base_model.model.", 17) &&
           (ps_text_ends(name, ".lora_A.weight") || ps_text_ends(name, ".lora_B.weight"));
}

static char *in_folder(const char *folder, const char *name)
{
    return ps_asprintf("%s/%s", folder, name);
}

static bool has(const ps_disk *disk, const char *folder, const char *name)
{
    char *path = in_folder(folder, name);
    bool there = ps_model_file_there(disk, path);
    ps_free(&path);
    return there;
}

/* ---- is it one? ---- */

static bool named(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');
    return !strcmp(slash ? slash + 1 : path, name);
}

/* Whatever else is wrong with the file, who reads it says so. */
static bool has_halves(const ps_disk *disk, const char *path)
{
    ps_hf_shards one;
    bool some = false;
    if (!ps_hf_shards_open_file(disk, path, &one))
        for (size_t i = 0; !some && i < one.at[0].header->n_tensors; i++)
            some = is_half(one.at[0].header->tensors[i].name);
    ps_hf_shards_clear(&one);
    return some;
}

ps_status ps_peft_find(const ps_disk *disk, const char *path, char **folder)
{
    bool is_folder = false, is = false;
    *folder = NULL;
    ps_status st = ps_model_file_kind(disk, path, &is_folder);
    if (st)
        return st;
    if (is_folder)
        is = !has(disk, path, "config.json") &&
             (has(disk, path, PS_PEFT_CONFIG) || has(disk, path, PS_PEFT_FILE));
    else
        is = named(path, PS_PEFT_CONFIG) ||
             (ps_text_ends(path, ".safetensors") && has_halves(disk, path));
    const char *slash = strrchr(path, '/');
    if (is && (is_folder || !slash))
        *folder = ps_strdup(is_folder ? path : ".");
    else if (is)
        *folder = ps_asprintf("%.*s", (int)(slash - path + (slash == path)), path);
    return PS_OK;
}

/* ---- what it says ---- */

void ps_peft_about_free(ps_peft_about *about)
{
    ps_buf_free(&about->base);
    ps_buf_free(&about->targets);
}

static void put_config(const ps_peft_config *c, ps_peft_about *out)
{
    out->rank = c->rank;
    out->alpha = c->alpha;
    out->ranks = c->ranks.n > 0;
    out->alphas = c->alphas.n > 0;
    out->rslora = c->rslora;
    ps_buf_append(&out->base, c->base.data, c->base.len);
    ps_buf_append(&out->targets, c->pattern.data, c->pattern.len);
    for (size_t i = 0; i < c->targets.n; i++)
        ps_buf_printf(&out->targets, "%s%s", i ? ", " : "", c->targets.at[i].name);
}

static ps_status read_config(const ps_disk *disk, const char *folder, ps_peft_about *out)
{
    ps_peft_config config;
    ps_buf json = PS_BUF_EMPTY;
    char *path = in_folder(folder, PS_PEFT_CONFIG);
    ps_status st =
        ps_disk_read_file(disk ? disk : &ps_disk_system, path, PS_PEFT_CONFIG_MAX, &json);
    ps_free(&path);
    if (!st) {
        st = ps_peft_config_read(ps_buf_slice(&json), &config);
        put_config(&config, out);
        ps_peft_config_free(&config);
        st = st ? ps_wrap(st, "%s", folder) : PS_OK;
    }
    ps_buf_free(&json);
    return st;
}

static ps_status add_tensor(const ps_safetensors_tensor *t, const char *path, ps_peft_about *out)
{
    uint64_t numbers = 1;
    for (uint32_t d = 0; d < t->n_dims; d++)
        numbers *= t->shape[d];
    out->numbers += numbers;
    out->bytes += t->end - t->begin;
    out->adapters += ps_text_ends(t->name, ".lora_B.weight");
    if (is_half(t->name))
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT,
                   "%s: tensor %s is no half of an adapter (LoRA); merge it in PEFT "
                   "(merge_and_unload), and import the folder that save_pretrained writes",
                   path, t->name);
}

static ps_status read_tensors(const ps_disk *disk, const char *folder, ps_peft_about *out)
{
    ps_hf_shards one;
    char *path = in_folder(folder, PS_PEFT_FILE);
    ps_status st = ps_hf_shards_open_file(disk, path, &one);
    for (size_t i = 0; !st && i < one.at[0].header->n_tensors; i++)
        st = add_tensor(&one.at[0].header->tensors[i], path, out);
    ps_hf_shards_clear(&one);
    ps_free(&path);
    return st;
}

ps_status ps_peft_look(const ps_disk *disk, const char *folder, ps_peft_about *out)
{
    *out = (ps_peft_about){0};
    ps_status st = PS_OK;
    if (!has(disk, folder, PS_PEFT_CONFIG))
        st =
            ps_fail(PS_NOT_FOUND,
                    "%s has no " PS_PEFT_CONFIG ", which PEFT writes beside " PS_PEFT_FILE, folder);
    if (!st)
        st = read_config(disk, folder, out);
    if (!st && !has(disk, folder, PS_PEFT_FILE))
        st = ps_fail(PS_NOT_FOUND,
                     "%s has no " PS_PEFT_FILE
                     "; of an adapter_model.bin PEFT makes it (save_pretrained)",
                     folder);
    return st ? st : read_tensors(disk, folder, out);
}
