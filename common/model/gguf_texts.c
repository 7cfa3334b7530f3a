/* Happy path: each key is found and says what it may; tensors say the rest, whether there is a
 * pooler, and how many classes. */
#include "common/model/gguf_texts.h"

#include "common/arch/arch.h"
#include "common/base/utf8.h"
#include "common/json/json.h"
#include "common/model/gguf_types.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define KEY_TYPES "tokenizer.ggml.token_type_count"

static const char causal[] = ".attention.causal", pooling[] = ".pooling_type",
                  labels[] = ".classifier.output_labels";

/* llama.cpp's numbers; none is of each token, and rank of a text's classes. */
enum { POOL_NONE, POOL_MEAN, POOL_CLS, POOL_LAST, POOL_RANK };

/* A class has a name of so many bytes at most (common/conf). */
enum { MOST_CLASSES = 4096, MOST_NAME = 255 };

static bool is_encoder(const ps_arch *arch)
{
    return arch->family == PS_ARCH_ENCODER;
}

bool ps_gguf_texts_has(const ps_arch *arch, ps_slice key)
{
    return is_encoder(arch) &&
           (ps_slice_is(key, causal) || ps_slice_is(key, pooling) || ps_slice_is(key, labels));
}

static const ps_gguf_key *find(const ps_gguf *file, const ps_arch *arch, const char *key)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%s%s", ps_arch_gguf_name(arch), key);
    return ps_gguf_find_key(file, name);
}

/* ---- out of a file ---- */

/* Without the key llama.cpp lets a token see those before it alone. */
static ps_status check_causal(const ps_gguf *file, const ps_arch *arch)
{
    bool is = true;
    const ps_gguf_key *key = find(file, arch, causal);
    if (!key)
        return ps_fail(PS_INVALID_ARGUMENT, "key %s%s is missing", ps_arch_gguf_name(arch), causal);
    ps_status st = ps_gguf_get_bool(key, &is);
    if (!st && is)
        st = ps_fail(PS_INVALID_ARGUMENT, "key %.*s: true is not supported, only false",
                     PS_GGUF_NAME(key->name));
    return st;
}

static ps_status read_types(const ps_gguf *file, ps_buf *out)
{
    uint64_t n = 0;
    const ps_gguf_key *key = ps_gguf_find_key(file, KEY_TYPES);
    ps_status st = key ? ps_gguf_get_uint(key, &n)
                       : ps_fail(PS_INVALID_ARGUMENT, "key " KEY_TYPES " is missing");
    if (!st)
        ps_buf_printf(out, ", type_vocab_size: %" PRIu64, n);
    return st;
}

static ps_status read_pooling(const ps_gguf *file, const ps_arch *arch, ps_buf *out)
{
    uint64_t n = POOL_NONE;
    const ps_gguf_key *key = find(file, arch, pooling);
    ps_status st = key ? ps_gguf_get_uint(key, &n) : PS_OK;
    if (!st && n > POOL_RANK)
        st = ps_fail(PS_INVALID_ARGUMENT, "key %.*s: %" PRIu64 " is not known; allowed: 0 to 4",
                     PS_GGUF_NAME(key->name), n);
    if (!st && n == POOL_CLS)
        ps_buf_puts(out, ", pooling: cls");
    return st;
}

static ps_status read_length(const ps_gguf *file, ps_buf *out)
{
    uint64_t n = 0;
    const ps_gguf_key *key = ps_gguf_find_key(file, PS_GGUF_KEY_TEXT_LENGTH);
    ps_status st = key ? ps_gguf_get_uint(key, &n) : PS_OK;
    if (!st && key)
        ps_buf_printf(out, ", max_text_length: %" PRIu64, n);
    return st;
}

/* Nothing is named that has the usual names. */
static ps_status put_names(const ps_gguf_key *key, ps_buf *out)
{
    ps_cursor c;
    bool own = false;
    char usual[32];
    size_t before = out->len;
    ps_status st = ps_gguf_get_array(key, PS_GGUF_STRING, &c);
    if (st)
        return st;
    ps_json_writer w = ps_json_writer_to(out);
    ps_buf_puts(out, ", classes: ");
    ps_json_array(&w);
    for (uint64_t i = 0; i < key->n; i++) {
        ps_slice name = ps_gguf_next_text(&c);
        if (!name.len || name.len > MOST_NAME || memchr(name.data, 0, name.len) ||
            !ps_utf8_is(name))
            return ps_fail(PS_INVALID_ARGUMENT,
                           "key %.*s: class %" PRIu64 " has no name of 1 to %d bytes of UTF-8",
                           PS_GGUF_NAME(key->name), i, MOST_NAME);
        (void)snprintf(usual, sizeof usual, "LABEL_%" PRIu64, i);
        own |= !ps_slice_is(name, usual);
        ps_json_string_n(&w, name);
    }
    ps_json_array_end(&w);
    if (!own)
        out->len = before;
    return PS_OK;
}

static ps_status read_classes(const ps_gguf *file, const ps_arch *arch, ps_buf *out)
{
    const ps_gguf_tensor *layer = ps_gguf_find_tensor(file, "cls.output.weight");
    const ps_gguf_key *names = find(file, arch, labels);
    bool pooler = ps_gguf_find_tensor(file, "cls.weight") != NULL;
    if (!pooler)
        ps_buf_puts(out, ", pooler: false");
    if (!layer)
        return PS_OK; /* names of classes that it does not tell apart say nothing */
    if (!pooler)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "tensor cls.output.weight tells classes apart, and cls.weight, the pooler "
                       "before it, is missing (some converters leave it out): import the folder "
                       "that the file was made of");
    uint64_t n = layer->sides[1];
    if (n > MOST_CLASSES || (names && (names->type != PS_GGUF_ARRAY || names->n != n)))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "tensor cls.output.weight has %" PRIu64 " rows; %s of %s%s", n,
                       n > MOST_CLASSES ? "at most 4096 are known," : "another number is",
                       ps_arch_gguf_name(arch), labels);
    ps_buf_printf(out, ", num_classes: %" PRIu64, n);
    return names ? put_names(names, out) : PS_OK;
}

ps_status ps_gguf_texts_read(const ps_gguf *file, const ps_arch *arch, ps_buf *out)
{
    if (!is_encoder(arch))
        return PS_OK;
    ps_status st = check_causal(file, arch);
    if (!st)
        st = read_types(file, out);
    if (!st)
        st = read_pooling(file, arch, out);
    if (!st)
        st = read_length(file, out);
    return st ? st : read_classes(file, arch, out);
}

void ps_gguf_texts_remark(const ps_gguf *file, const ps_spec_model *model, ps_buf *remarks)
{
    uint64_t n = POOL_NONE;
    const ps_arch *arch = ps_arch_find(model->architecture);
    const ps_gguf_key *key = is_encoder(arch) ? find(file, arch, pooling) : NULL;
    if (key && !ps_gguf_get_uint(key, &n) && n == POOL_LAST)
        ps_buf_printf(remarks,
                      "key %.*s pools in a way that psd does not: embeddings are the mean of a "
                      "text's tokens, or its first one\n",
                      PS_GGUF_NAME(key->name));
}

/* ---- into a file ---- */

static void put_labels(ps_gguf_keys *k, const ps_spec_model *m)
{
    char usual[32];
    ps_gguf_key_array(k, labels, PS_GGUF_STRING, (uint64_t)m->choices.num_classes);
    for (int64_t i = 0; i < m->choices.num_classes; i++) {
        (void)snprintf(usual, sizeof usual, "LABEL_%" PRId64, i);
        ps_gguf_put_text(k->out, ps_slice_str(m->n_classes ? m->classes[i] : usual));
    }
}

/* How a text is embedded of a model with classes, too: who reads the file may ask for either. */
void ps_gguf_texts_write(ps_gguf_keys *k, const ps_spec_model *m)
{
    if (!ps_spec_model_is_encoder(m))
        return;
    ps_gguf_key_bool(k, causal, false);
    ps_gguf_key_u32(k, pooling, m->pooling == PS_SPEC_POOLING_CLS ? POOL_CLS : POOL_MEAN);
    ps_gguf_key_u32(k, KEY_TYPES, m->choices.type_vocab_size);
    if (m->max_text_length)
        ps_gguf_key_u32(k, PS_GGUF_KEY_TEXT_LENGTH, m->max_text_length);
    if (m->choices.num_classes)
        put_labels(k, m);
}
