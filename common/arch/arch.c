/* The table, and what is asked of it. */
#include "common/arch/arch.h"

#include <stdio.h>
#include <string.h>

#define ROW(name) &ps_arch_##name,
const ps_arch *const ps_archs[] = {PS_ARCHS(ROW) NULL};
#undef ROW

#define NAME(name) #name,
const char *const ps_arch_names[] = {PS_ARCHS(NAME) NULL};
#undef NAME

const ps_arch *ps_arch_find(const char *name)
{
    for (size_t i = 0; ps_archs[i]; i++)
        if (!strcmp(ps_archs[i]->name, name))
            return ps_archs[i];
    return NULL;
}

const char *ps_arch_model_type(const ps_arch *arch)
{
    return arch->hf.model_type ? arch->hf.model_type : arch->name;
}

const ps_arch *ps_arch_find_hf(const char *model_type)
{
    for (size_t i = 0; ps_archs[i]; i++)
        if (ps_arch_reads_tokens(ps_archs[i]) &&
            !strcmp(ps_arch_model_type(ps_archs[i]), model_type))
            return ps_archs[i];
    return NULL;
}

const char *ps_arch_gguf_name(const ps_arch *arch)
{
    return arch->gguf_name ? arch->gguf_name : arch->name;
}

const ps_arch *ps_arch_find_gguf(const char *name)
{
    for (size_t i = 0; ps_archs[i]; i++)
        if (!strcmp(ps_arch_gguf_name(ps_archs[i]), name))
            return ps_archs[i];
    return NULL;
}

const ps_arch_key *ps_arch_key_find(const ps_arch *arch, const char *name)
{
    for (const ps_arch_key *key = arch->keys; key->name; key++)
        if (!strcmp(key->name, name))
            return key;
    return NULL;
}

const char *ps_arch_weight(const ps_arch *arch, ps_arch_part part)
{
    for (size_t i = 0; i < arch->n_tensors; i++)
        if (arch->tensors[i].part == part)
            return arch->tensors[i].name; /* a bias comes behind it */
    return NULL;
}

bool ps_arch_has(const ps_arch *arch, ps_arch_part part)
{
    return ps_arch_weight(arch, part) != NULL;
}

ps_arch_place ps_arch_place_of(ps_arch_part part)
{
    return part < PS_PART_NORM_ATTENTION ? PS_PLACE_BEFORE
           : part < PS_PART_NORM         ? PS_PLACE_BLOCK
                                         : PS_PLACE_AFTER;
}

bool ps_arch_is_norm(ps_arch_part part)
{
    switch (part) {
    case PS_PART_NORM_EMBEDDING:
    case PS_PART_NORM_ATTENTION:
    case PS_PART_NORM_Q:
    case PS_PART_NORM_K:
    case PS_PART_NORM_AFTER_ATTENTION:
    case PS_PART_NORM_ADDED_ATTENTION:
    case PS_PART_NORM_MLP:
    case PS_PART_NORM_AFTER_MLP:
    case PS_PART_NORM_ADDED_MLP:
    case PS_PART_NORM:
        return true;
    default:
        return false;
    }
}

bool ps_arch_is_added(const ps_arch *arch, const char *name)
{
    bool is = false;
    for (size_t i = 0; i < arch->n_tensors; i++) {
        const ps_arch_tensor *row = &arch->tensors[i];
        is |= (row->part == PS_PART_POOLER || row->part == PS_PART_CLASSES) &&
              !strcmp(row->name, name);
    }
    return is;
}

const char *const ps_arch_act_names[] = {"default", "gelu_tanh", "gelu", "relu", "silu", NULL};

ps_arch_act ps_arch_act_of(const ps_arch *arch, const ps_arch_choices *choices)
{
    return choices->hidden_act == PS_ACT_OWN ? arch->traits.act : (ps_arch_act)choices->hidden_act;
}

bool ps_arch_slides(const ps_arch_choices *choices, int64_t layer)
{
    int64_t every = choices->full_attention_every;
    bool sees_all = layer < choices->full_attention_first || (every && (layer + 1) % every == 0);
    return choices->sliding_window && !sees_all;
}

bool ps_arch_has_option(const ps_arch_choices *choices, ps_arch_option option)
{
    switch (option) {
    case PS_OPTION_ATTENTION_BIAS:
        return choices->attention_bias;
    case PS_OPTION_MLP_BIAS:
        return choices->mlp_bias;
    case PS_OPTION_POOLER:
        return choices->pooler;
    case PS_OPTION_CLASSES:
        return choices->num_classes > 0;
    default:
        return true;
    }
}

bool ps_arch_reads_tokens(const ps_arch *arch)
{
    return arch->family == PS_ARCH_LANGUAGE || arch->family == PS_ARCH_ENCODER;
}

const char *ps_arch_option_key(ps_arch_option option)
{
    static const char *const keys[PS_OPTIONS] = {
        [PS_OPTION_NONE] = NULL,
        [PS_OPTION_ATTENTION_BIAS] = "attention_bias",
        [PS_OPTION_MLP_BIAS] = "mlp_bias",
        [PS_OPTION_POOLER] = "pooler",
        [PS_OPTION_CLASSES] = "num_classes",
    };
    return keys[option];
}

static void add(ps_arch_list *list, const char *name)
{
    size_t at = strlen(list->text);
    (void)snprintf(list->text + at, sizeof list->text - at, "%s%s", at ? ", " : "", name);
}

ps_arch_list ps_arch_list_all(void)
{
    ps_arch_list list = {""};
    for (size_t i = 0; ps_archs[i]; i++)
        add(&list, ps_archs[i]->name);
    return list;
}

ps_arch_list ps_arch_list_language(void)
{
    ps_arch_list list = {""};
    for (size_t i = 0; ps_archs[i]; i++)
        if (ps_archs[i]->family == PS_ARCH_LANGUAGE)
            add(&list, ps_archs[i]->name);
    return list;
}

ps_arch_list ps_arch_list_model_types(void)
{
    ps_arch_list list = {""};
    for (size_t i = 0; ps_archs[i]; i++)
        if (ps_arch_reads_tokens(ps_archs[i]))
            add(&list, ps_arch_model_type(ps_archs[i]));
    return list;
}

ps_arch_list ps_arch_list_tokens(void)
{
    ps_arch_list list = {""};
    for (size_t i = 0; ps_archs[i]; i++)
        if (ps_arch_reads_tokens(ps_archs[i]))
            add(&list, ps_archs[i]->name);
    return list;
}
