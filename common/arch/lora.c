/* Cannot fail, but for a name that is too long. */
#include "common/arch/lora.h"

#include "common/base/text.h"

#include <stdio.h>
#include <string.h>

static const char weight[] = ".weight";

static const struct {
    const char *word;
    ps_arch_part parts[2]; /* PS_PARTS: none */
} words[] = {
    {"q", {PS_PART_Q, PS_PART_QKV}},    {"k", {PS_PART_K, PS_PART_QKV}},
    {"v", {PS_PART_V, PS_PART_QKV}},    {"o", {PS_PART_O, PS_PARTS}},
    {"gate", {PS_PART_GATE, PS_PARTS}}, {"up", {PS_PART_UP, PS_PARTS}},
    {"down", {PS_PART_DOWN, PS_PARTS}},
};

static bool is_product(const ps_lm_tensor *t)
{
    bool norm = t->part == PS_PART_NORM_ATTENTION || t->part == PS_PART_NORM_MLP;
    return ps_arch_place_of(t->part) == PS_PLACE_BLOCK && !norm && !t->bias && t->n_dims == 2;
}

size_t ps_lora_module(const char *name)
{
    size_t n = strlen(name), end = sizeof weight - 1;
    return n > end && !strcmp(name + n - end, weight) ? n - end : n;
}

bool ps_lora_means(const ps_lm_tensor *tensor, const char *target)
{
    if (!is_product(tensor))
        return false;
    if (!strcmp(target, "all-linear"))
        return true;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(words[i].word, target))
            return tensor->part == words[i].parts[0] || tensor->part == words[i].parts[1];
    size_t n = ps_lora_module(tensor->name), len = strlen(target);
    if (strchr(target, '*'))
        return ps_text_fits(target, tensor->name, n);
    bool end = len <= n && !strncmp(tensor->name + n - len, target, len);
    return end && (len == n || tensor->name[n - len - 1] == '.');
}

bool ps_lora_adapts(const ps_lm_tensor *tensor, const char *const *targets, size_t n)
{
    bool some = false;
    for (size_t i = 0; !some && i < n; i++)
        some = ps_lora_means(tensor, targets[i]);
    return some;
}

bool ps_lora_name(const char *name, ps_lora_half half, char out[PS_LM_NAME])
{
    int len = snprintf(out, PS_LM_NAME, "%.*s.lora_%c%s", (int)ps_lora_module(name), name,
                       half == PS_LORA_A ? 'A' : 'B', weight);
    return len > 0 && len < PS_LM_NAME;
}

uint64_t ps_lora_inputs(const ps_lm_tensor *tensor)
{
    return tensor->shape[tensor->change == PS_LM_TRANSPOSE ? 0 : 1];
}

uint64_t ps_lora_outputs(const ps_lm_tensor *tensor)
{
    return tensor->shape[tensor->change == PS_LM_TRANSPOSE ? 1 : 0];
}
