/* Happy path: the values of a table's keys are gathered from the JSON (hf_values.c), what must have
 * one certain value is compared with it, and the rest becomes the text of a model section, which is
 * parsed like any other: ranges and rules are checked there. */
#include "common/model/hf_config.h"

#include "common/arch/arch.h"
#include "common/conf/value.h"
#include "common/model/hf_keys.h"
#include "common/model/hf_part.h"
#include "common/model/hf_texts.h"
#include "common/model/hf_values.h"
#include "common/model/hf_words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *value_of(ps_hf_values *v, const ps_arch_hf_key *key)
{
    const char *value = ps_hf_values_get(v, key->key);
    if (value && !strcmp(value, "null"))
        return key->null ? key->null : key->fallback;
    return value ? value : key->fallback;
}

static bool is_of_rope(const char *name)
{
    const ps_hf_rope_key *key = ps_hf_rope_keys;
    while (key->key && strcmp(key->name, name) != 0)
        key++;
    return key->key != NULL;
}

/* Some classes read keys that are not their own: of GPTNeoX a head_dim has a say in what is turned.
 */
static ps_status check_known(ps_hf_values *v, const ps_arch *arch)
{
    for (size_t i = 0; i < v->n; i++) {
        const char *key = v->at[i].key;
        bool known = ps_hf_key_of(arch, key) || ps_hf_config_passes_over(key) || is_of_rope(key);
        if (!known && strcmp(v->at[i].text, "null") != 0)
            return ps_hf_values_unknown(key);
    }
    return PS_OK;
}

/* A key that is there by its other name becomes the one of the table. */
static ps_status take_aliases(ps_hf_values *v, const ps_arch *arch)
{
    ps_status st = PS_OK;
    for (const ps_arch_hf_key *key = arch->hf.keys; !st && key->key; key++)
        if (key->alias && ps_hf_values_get(v, key->alias))
            st = ps_hf_values_keep(v, key->key, ps_hf_values_get(v, key->alias));
    return st;
}

static ps_status write_word(const ps_arch_hf_key *key, const char *value, ps_buf *out)
{
    char word[PS_HF_WORD], known[PS_HF_WORDS];
    const char *every;
    if (key->list && ps_hf_every(value, &every)) {
        ps_buf_printf(out, ", %s: %s", key->name, every);
        return PS_OK;
    }
    if (ps_hf_word(key->words, value, word)) {
        ps_buf_printf(out, ", %s: %s", key->name, word);
        return PS_OK;
    }
    ps_hf_words_known(key->words, known);
    return ps_fail(PS_INVALID_ARGUMENT, "%s: %s is not supported, only %s", key->key, value, known);
}

/* Rates may be 0. Any other 0 is one that transformers computes with, or stops at, and in a model
 * section stands for a key that is not said. */
static ps_status check_zero(const char *key, const char *name, const char *value)
{
    static const char *const rates[] = {"dropout", "embedding_dropout", "attention_dropout",
                                        "classifier_dropout"};
    bool may = !value || !ps_hf_same(value, "0");
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        may |= !strcmp(rates[i], name);
    return may ? PS_OK
               : ps_fail(PS_INVALID_ARGUMENT, "%s: %s is not supported, leave it out", key, value);
}

static ps_status write_keys(ps_hf_values *v, const ps_arch *arch, const ps_arch_hf_key *key,
                            ps_buf *out)
{
    for (; key->key; key++) {
        if (ps_hf_key_of(arch, key->key) != key) /* the architecture has one of its own */
            continue;
        if (!strcmp(key->key, "rope_type") && ps_arch_key_find(arch, key->key))
            continue; /* write_rope */
        const char *value = value_of(v, key);
        ps_status st = key->words && value ? write_word(key, value, out) : PS_OK;
        if (!st && key->name && !key->words)
            st = check_zero(key->key, key->name, ps_hf_values_get(v, key->key));
        if (st)
            return st;
        if (key->name && !key->words && value)
            ps_buf_printf(out, ", %s: %s", key->name, value);
        if (key->only && value && !ps_hf_allows(key->only, value))
            return ps_fail(PS_INVALID_ARGUMENT, "%s: %s is not supported, only%.*s", key->key,
                           value, (int)strlen(key->only) - 1, key->only);
    }
    return PS_OK;
}

/* What the type of scaling takes; other numbers say nothing to it. */
static ps_status write_rope(ps_hf_values *v, ps_buf *out)
{
    const char *type = ps_hf_values_get(v, "rope_type");
    unsigned i = 0;
    while (type && ps_rope_type_names[i] && strcmp(ps_rope_type_names[i], type) != 0)
        i++;
    for (const ps_hf_rope_key *k = ps_hf_rope_keys; !type && k->key; k++)
        if (ps_hf_values_get(v, k->name))
            return ps_fail(PS_INVALID_ARGUMENT, "rope_type is missing, and %s is there", k->key);
    if (!type)
        return PS_OK;
    if (!ps_rope_type_names[i])
        return ps_fail(
            PS_INVALID_ARGUMENT,
            "rope_type: %s is not supported, only default, linear, dynamic, llama3, yarn", type);
    ps_buf_printf(out, ", rope_type: %s", type);
    ps_status st = PS_OK;
    for (const ps_hf_rope_key *k = ps_hf_rope_keys; !st && k->key; k++) {
        const char *value = ps_hf_values_get(v, k->name);
        if (!value || !ps_rope_takes(i, k->name))
            continue;
        st = check_zero(k->key, k->name, value);
        ps_buf_printf(out, ", %s: %s", k->name, value);
    }
    return st;
}

/* Of Qwen: behind max_window_layers all see a window, if use_sliding_window says that any does. */
static ps_status write_windows(ps_hf_values *v, const ps_arch *arch, ps_buf *out)
{
    const char *use = ps_hf_values_get(v, "use_sliding_window");
    const char *window = ps_hf_values_get(v, "sliding_window");
    const char *first = ps_hf_values_get(v, "max_window_layers");
    const char *types = ps_hf_values_get(v, "layer_types");
    bool none = !use || strcmp(use, "true") != 0 || (window && !strcmp(window, "null"));
    bool full = types && !strcmp(types, "full_attention");
    if (!ps_hf_key_in(arch->hf.keys, "max_window_layers") || full || (none && !types))
        return PS_OK;
    first = first ? first : "28"; /* of transformers, as 4096 is */
    window = window ? window : "4096";
    if (types && !strcmp(types, "sliding_attention"))
        first = "0";
    else if (types && !ps_hf_from(types, &first))
        none = true;
    if (none)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "layer_types: these are not supported, only "
                       "full_attention, and behind it, with use_sliding_window, "
                       "sliding_attention");
    ps_buf_printf(out, ", sliding_window: %s, full_attention_first: %s", window, first);
    return check_zero("sliding_window", "sliding_window", window);
}

static ps_status write_section(ps_hf_values *v, const ps_arch *arch, ps_buf *out)
{
    ps_buf_printf(out, "{architecture: %s", arch->name);
    ps_status st = write_keys(v, arch, arch->hf.keys, out);
    if (!st)
        st = write_keys(v, arch, ps_hf_shared_keys, out);
    if (!st && ps_arch_key_find(arch, "rope_type"))
        st = write_rope(v, out);
    if (!st)
        st = write_windows(v, arch, out);
    ps_buf_putc(out, '}');
    return st;
}

/* Older files have a number in the place of layer_types; where these are there, it is not read. */
static ps_status take_pattern(ps_hf_values *v)
{
    const char *number = ps_hf_values_get(v, "sliding_window_pattern");
    if (!number || ps_hf_values_get(v, "layer_types"))
        return PS_OK;
    unsigned long every = strtoul(number, NULL, 10);
    if (number[strspn(number, "0123456789")] || every < 1 || every > 1024)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "sliding_window_pattern: %s is not supported, only 1 to 1024", number);
    char word[PS_HF_VALUE];
    (void)snprintf(word, sizeof word, "every %lu", every);
    return ps_hf_values_keep(v, "layer_types", word);
}

static ps_status check_layers(const ps_hf_values *v, const ps_spec_model *m)
{
    return !v->layers || v->layers == m->num_layers
               ? PS_OK
               : ps_fail(PS_INVALID_ARGUMENT,
                         "layer_types has %lld layers, num_hidden_layers is %lld", v->layers,
                         (long long)m->num_layers);
}

/* A class that does not write the key has heads of one width alone. */
static ps_status check_heads(const ps_arch *arch, const ps_spec_model *m)
{
    bool has_key = false;
    for (const ps_arch_hf_out *key = arch->hf.out; key->key; key++)
        has_key |= !strcmp(key->key, "head_dim");
    return has_key || !ps_spec_model_has_own_heads(m)
               ? PS_OK
               : ps_fail(PS_INVALID_ARGUMENT,
                         "head_dim: %lld is not supported, only hidden_size / "
                         "num_attention_heads",
                         (long long)m->head_dim);
}

static ps_status understand(ps_hf_values *v, const ps_arch *arch, ps_spec_model **out)
{
    ps_buf section = PS_BUF_EMPTY;
    ps_status st = check_known(v, arch);
    if (!st && v->by_layers && !ps_hf_key_in(arch->hf.keys, "rope_local_base_freq"))
        st = ps_fail(PS_INVALID_ARGUMENT,
                     "rope_parameters: full_attention and sliding_attention are not for a %s",
                     ps_arch_model_type(arch));
    if (!st)
        st = take_aliases(v, arch);
    if (!st)
        st = take_pattern(v);
    if (!st)
        st = write_section(v, arch, &section);
    if (!st)
        st = ps_spec_model_parse(ps_buf_slice(&section), "config", out);
    ps_buf_free(&section);
    if (st)
        return st;
    st = check_layers(v, *out);
    if (!st)
        st = check_heads(arch, *out);
    if (st)
        ps_spec_model_free(out);
    return st;
}

/* Of the object that describes it. */
static ps_status parse(ps_slice json, const ps_arch *arch, ps_spec_model **out)
{
    ps_hf_values values = {.n = 0};
    ps_status st = ps_hf_values_read(json, &values);
    return st ? st : understand(&values, arch, out);
}

ps_status ps_hf_config_parse(ps_slice json, ps_spec_model **out)
{
    ps_hf_part part;
    ps_status st = ps_hf_part_find(json, &part);
    if (!st) {
        st = parse(part.json, part.arch, out);
        st = st && part.inner ? ps_wrap(st, "text_config") : st;
    }
    if (!st && part.arch->family == PS_ARCH_ENCODER) {
        st = ps_hf_texts_read(json, *out);
        if (st)
            ps_spec_model_free(out);
    }
    return st == PS_CORRUPT ? PS_INVALID_ARGUMENT : st;
}
