/* Happy path: every key that was written is one of the architecture's, those it needs are there,
 * what follows from others is filled in, and the sizes fit each other. The first rule that does
 * not hold is reported on the line of its key. */
#include "common/conf/model_spec.h"

#include "common/conf/value.h"
#include "common/format/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* In the order of the enums of job_spec.h. */
static const char *const activation_words[] = {"relu", "gelu", "tanh", NULL};
static const char *const loss_words[] = {"cross_entropy", "squared_error", NULL};
/* The worker's table of models: a row there is a word here. */
static const char *const architecture_names[] = {"mlp", "gpt2", "llama", NULL};

/* Whether a key is needed depends on the architecture, so 0 and [] stand for "not said". */
const ps_conf_key ps_spec_model_keys[] = {
    PS_CONF_NAME("architecture", ps_spec_model, architecture, NULL, architecture_names),
    PS_CONF_INTS("layers", ps_spec_model, layers, "[]", 0, 256, 1, 1 << 20),
    PS_CONF_WORD("activation", ps_spec_model, activation, "relu", activation_words),
    PS_CONF_WORD("loss", ps_spec_model, loss, "cross_entropy", loss_words),
    PS_CONF_TEXTS("classes", ps_spec_model, classes, "[]", 0, 4096, 1, 255),
    PS_CONF_INT("vocab_size", ps_spec_model, vocab_size, "0", 0, 1 << 24),
    PS_CONF_INT("context_length", ps_spec_model, context_length, "0", 0, 1 << 20),
    PS_CONF_INT("hidden_size", ps_spec_model, hidden_size, "0", 0, 1 << 17),
    PS_CONF_INT("num_layers", ps_spec_model, num_layers, "0", 0, 1024),
    PS_CONF_INT("num_heads", ps_spec_model, num_heads, "0", 0, 1024),
    PS_CONF_INT("num_kv_heads", ps_spec_model, num_kv_heads, "0", 0, 1024),
    PS_CONF_INT("intermediate_size", ps_spec_model, intermediate_size, "0", 0, 1 << 20),
    PS_CONF_REAL("rope_theta", ps_spec_model, rope_theta, "10000", 1, 1e9),
    PS_CONF_REAL("norm_epsilon", ps_spec_model, norm_epsilon, "1e-5", 1e-12, 0.1),
    PS_CONF_BOOL("tie_embeddings", ps_spec_model, tie_embeddings, "false"),
    PS_CONF_REAL("dropout", ps_spec_model, dropout, "0", 0, 0.9),
    PS_CONF_TEXT("tokenizer", ps_spec_model, tokenizer, "", 0, 32),
    PS_CONF_END,
};

enum { MLP = 1, GPT2 = 2, LLAMA = 4 };

/* Which architectures have a key; architecture itself is in no list. Everything that is done for
 * each key goes by this table. */
static const struct {
    const char *key;
    unsigned owners;
    bool needed;
    size_t offset;  /* of the integer, when it is needed */
    unsigned fixed; /* architectures in which it has one value only, and is not written */
    bool training; /* matters while a model is trained alone: a job on a stored one may change it */
} owners[] = {
    {"layers", MLP},
    {"activation", MLP},
    {"loss", MLP},
    {"classes", MLP},
    {"vocab_size", GPT2 | LLAMA, true, offsetof(ps_spec_model, vocab_size)},
    {"context_length", GPT2 | LLAMA, true, offsetof(ps_spec_model, context_length)},
    {"hidden_size", GPT2 | LLAMA, true, offsetof(ps_spec_model, hidden_size)},
    {"num_layers", GPT2 | LLAMA, true, offsetof(ps_spec_model, num_layers)},
    {"num_heads", GPT2 | LLAMA, true, offsetof(ps_spec_model, num_heads)},
    {"num_kv_heads", LLAMA},
    {"intermediate_size", GPT2 | LLAMA},
    {"rope_theta", LLAMA},
    {"norm_epsilon", GPT2 | LLAMA},
    {"tie_embeddings", GPT2 | LLAMA, .fixed = GPT2},
    {"dropout", GPT2 | LLAMA, .training = true},
    {"tokenizer", GPT2 | LLAMA},
};

enum { N_OWNERS = sizeof owners / sizeof *owners };

/* The architecture's bit. */
static unsigned bit_of(const ps_spec_model *model)
{
    unsigned i = 0;
    while (strcmp(model->architecture, architecture_names[i]) != 0)
        i++; /* a word of the table: the schema has seen to that */
    return 1u << i;
}

typedef struct section {
    ps_spec_model *model;
    const ps_conf_doc *doc;
    const char *prefix;
    unsigned architecture; /* one of the bits above */
} section;

typedef struct path {
    char text[64];
} path;

static path path_of(const section *s, const char *key)
{
    path p;
    (void)snprintf(p.text, sizeof p.text, "%s%s", s->prefix, key);
    return p;
}

static bool written(const section *s, const char *key)
{
    return ps_conf_has(s->doc, path_of(s, key).text);
}

static ps_status check_keys(const section *s)
{
    const ps_spec_model *m = s->model;
    for (size_t i = 0; i < N_OWNERS; i++) {
        bool has = owners[i].owners & s->architecture, said = written(s, owners[i].key);
        path p = path_of(s, owners[i].key);
        if (said && !has)
            return ps_conf_fail(s->doc, p.text, "not for architecture %s", m->architecture);
        if (!has || !owners[i].needed)
            continue;
        int64_t value = 0;
        memcpy(&value, (const char *)m + owners[i].offset, sizeof value);
        if (!said)
            return ps_conf_fail(s->doc, p.text, "missing; architecture %s needs it",
                                m->architecture);
        if (value == 0)
            return ps_conf_fail(s->doc, p.text, "0 is out of range, allowed from 1");
    }
    return PS_OK;
}

/* A name for each output, and each another one. */
static ps_status check_classes(const section *s)
{
    const ps_spec_model *m = s->model;
    path key = path_of(s, "classes");
    int64_t last = m->layers[m->n_layers - 1];
    if (!m->n_classes)
        return PS_OK;
    if (m->loss != PS_SPEC_CROSS_ENTROPY)
        return ps_conf_fail(s->doc, key.text, "only with loss cross_entropy");
    if ((int64_t)m->n_classes != last)
        return ps_conf_fail(s->doc, key.text,
                            "%zu names, but the last of layers is %" PRId64
                            "; they must be the same",
                            m->n_classes, last);
    for (size_t i = 1; i < m->n_classes; i++)
        for (size_t k = 0; k < i; k++)
            if (!strcmp(m->classes[i], m->classes[k]))
                return ps_conf_fail(s->doc, key.text, "%s is there twice",
                                    ps_conf_quote(m->classes[i]).text);
    return PS_OK;
}

static ps_status check_mlp(const section *s)
{
    const ps_spec_model *m = s->model;
    const char *key = "layers";
    if (!written(s, key))
        return ps_conf_fail(s->doc, path_of(s, key).text,
                            "missing; a list of integers is required here");
    if (m->n_layers < 2)
        return ps_conf_fail(s->doc, path_of(s, key).text, "%zu entries, allowed 2 to 256",
                            m->n_layers);
    int64_t last = m->layers[m->n_layers - 1];
    if (m->loss == PS_SPEC_CROSS_ENTROPY && last < 2)
        return ps_conf_fail(s->doc, path_of(s, key).text,
                            "the last layer is the number of classes and must be at least 2 "
                            "with loss cross_entropy, not %" PRId64,
                            last);
    return check_classes(s);
}

static ps_status settle_heads(const section *s)
{
    ps_spec_model *m = s->model;
    if (!m->num_kv_heads)
        m->num_kv_heads = m->num_heads;
    if (m->hidden_size % m->num_heads)
        return ps_conf_fail(s->doc, path_of(s, "hidden_size").text,
                            "%" PRId64 " is not a multiple of num_heads, %" PRId64, m->hidden_size,
                            m->num_heads);
    if (m->num_heads % m->num_kv_heads)
        return ps_conf_fail(s->doc, path_of(s, "num_kv_heads").text,
                            "%" PRId64 " does not divide num_heads, %" PRId64, m->num_kv_heads,
                            m->num_heads);
    if (s->architecture == LLAMA && m->hidden_size / m->num_heads % 2)
        return ps_conf_fail(s->doc, path_of(s, "hidden_size").text,
                            "a head has %" PRId64 " numbers (hidden_size / num_heads); RoPE needs "
                            "an even number",
                            m->hidden_size / m->num_heads);
    return PS_OK;
}

static ps_status check_tokenizer(const section *s)
{
    const ps_spec_model *m = s->model;
    bool bytes = !strcmp(m->tokenizer, "bytes");
    if (*m->tokenizer && !bytes && strcmp(m->tokenizer, "gpt2") != 0)
        return ps_conf_fail(s->doc, path_of(s, "tokenizer").text,
                            "%s is not known; allowed: bytes, gpt2, or \"\" for none",
                            ps_conf_quote(m->tokenizer).text);
    if (bytes && m->vocab_size < 256)
        return ps_conf_fail(s->doc, path_of(s, "vocab_size").text,
                            "%" PRId64 " is less than the 256 of tokenizer bytes", m->vocab_size);
    return PS_OK;
}

static ps_status settle_language(const section *s)
{
    ps_spec_model *m = s->model;
    bool gpt2 = s->architecture == GPT2;
    if (!m->intermediate_size && !gpt2)
        return ps_conf_fail(s->doc, path_of(s, "intermediate_size").text,
                            "missing; architecture llama needs it, from 1");
    if (!m->intermediate_size)
        m->intermediate_size = 4 * m->hidden_size;
    if (gpt2 && written(s, "tie_embeddings") && !m->tie_embeddings)
        return ps_conf_fail(s->doc, path_of(s, "tie_embeddings").text,
                            "false is not for architecture gpt2, whose head is the embedding");
    m->tie_embeddings |= gpt2;
    ps_status st = settle_heads(s);
    return st ? st : check_tokenizer(s);
}

ps_status ps_spec_model_settle(ps_spec_model *model, const ps_conf_doc *doc, const char *prefix)
{
    section s = {.model = model, .doc = doc, .prefix = prefix, .architecture = bit_of(model)};
    ps_status st = check_keys(&s);
    if (st)
        return st;
    return s.architecture == MLP ? check_mlp(&s) : settle_language(&s);
}

bool ps_spec_model_is_language(const ps_spec_model *model)
{
    return strcmp(model->architecture, "mlp") != 0;
}

/* ---- a section on its own ---- */

static const ps_conf_schema model_schema = {.keys = ps_spec_model_keys,
                                            .size = sizeof(ps_spec_model)};

ps_status ps_spec_model_parse(ps_slice yaml, const char *origin, ps_spec_model **out)
{
    void *data = NULL;
    ps_conf_doc *doc = NULL;
    ps_status st = ps_conf_load(&model_schema, yaml, origin, &doc, &data);
    if (st)
        return st;
    ps_spec_model *model = data;
    st = ps_spec_model_settle(model, doc, "");
    ps_conf_doc_free(&doc);
    if (st)
        ps_spec_model_free(&model);
    else
        *out = model;
    return st;
}

void ps_spec_model_free(ps_spec_model **model)
{
    ps_conf_free(&model_schema, *model);
    *model = NULL;
}

static const ps_conf_key *find_key(const char *name)
{
    const ps_conf_key *key = ps_spec_model_keys;
    while (strcmp(key->name, name) != 0)
        key++; /* a row of owners is one of them */
    return key;
}

static void put_list(const int64_t *values, size_t n, ps_buf *out)
{
    for (size_t i = 0; i < n; i++)
        ps_buf_printf(out, "%s%" PRId64, i ? ", " : "[", values[i]);
    ps_buf_puts(out, n ? "]" : "[]");
}

static void put_texts(char *const *texts, size_t n, ps_buf *out)
{
    ps_json_writer json = ps_json_writer_to(out);
    ps_json_array(&json);
    for (size_t i = 0; i < n; i++)
        ps_json_string(&json, texts[i]);
    ps_json_array_end(&json);
}

static size_t count_at(const ps_spec_model *m, const ps_conf_key *key)
{
    return *(const size_t *)(const void *)((const char *)m + key->count_offset);
}

/* The key's value as a file has it; numbers in the shortest form that reads back the same. */
static void put_value(const ps_spec_model *m, const ps_conf_key *key, ps_buf *out)
{
    const void *at = (const char *)m + key->offset;
    ps_json_writer json = ps_json_writer_to(out);
    switch (key->type) {
    case PS_CONF_TYPE_BOOL:
        ps_buf_puts(out, *(const bool *)at ? "true" : "false");
        break;
    case PS_CONF_TYPE_INT:
        ps_buf_printf(out, "%" PRId64, *(const int64_t *)at);
        break;
    case PS_CONF_TYPE_REAL:
        ps_json_double(&json, *(const double *)at);
        break;
    case PS_CONF_TYPE_WORD:
        ps_buf_puts(out, key->words[*(const unsigned *)at]);
        break;
    case PS_CONF_TYPE_INTS:
        put_list(*(int64_t *const *)at, count_at(m, key), out);
        break;
    case PS_CONF_TYPE_TEXTS:
        put_texts(*(char *const *const *)at, count_at(m, key), out);
        break;
    default:
        ps_json_string(&json, *(char *const *)at);
    }
}

void ps_spec_model_format(const ps_spec_model *model, ps_buf *out)
{
    unsigned architecture = bit_of(model);
    ps_buf_printf(out, "{architecture: %s", model->architecture);
    for (size_t i = 0; i < N_OWNERS; i++) {
        const ps_conf_key *key = find_key(owners[i].key);
        bool left_out = key->type == PS_CONF_TYPE_TEXTS && !count_at(model, key);
        if (left_out || !(owners[i].owners & ~owners[i].fixed & architecture))
            continue;
        ps_buf_printf(out, ", %s: ", key->name);
        put_value(model, key, out);
    }
    ps_buf_putc(out, '}');
}

/* ---- a section against the model that the job begins from ---- */

/* "model.rope_theta is 10000 (the default) here and 500000 there", when that is so. */
static void put_difference(const section *s, const ps_spec_model *origin, const ps_conf_key *key,
                           ps_buf *out)
{
    ps_buf mine = PS_BUF_EMPTY, stored = PS_BUF_EMPTY;
    put_value(s->model, key, &mine);
    put_value(origin, key, &stored);
    if (strcmp(ps_buf_cstr(&mine), ps_buf_cstr(&stored)) != 0)
        ps_buf_printf(out, "%s%s is %s%s here and %s there", out->len ? ", " : "",
                      path_of(s, key->name).text, ps_buf_cstr(&mine),
                      written(s, key->name) ? "" : " (not written)", ps_buf_cstr(&stored));
    ps_buf_free(&mine);
    ps_buf_free(&stored);
}

static void put_differences(const section *s, const ps_spec_model *origin, ps_buf *out)
{
    put_difference(s, origin, find_key("architecture"), out);
    for (size_t i = 0; i < N_OWNERS && bit_of(origin) == s->architecture; i++)
        if (owners[i].owners & s->architecture && !owners[i].training)
            put_difference(s, origin, find_key(owners[i].key), out);
}

ps_status ps_spec_model_match(ps_spec_model *model, const ps_spec_model *origin, const char *name,
                              const ps_conf_doc *doc, const char *prefix)
{
    section s = {.model = model, .doc = doc, .prefix = prefix, .architecture = bit_of(model)};
    ps_buf text = PS_BUF_EMPTY;
    ps_status st = PS_OK;
    put_differences(&s, origin, &text);
    if (text.len)
        st = ps_conf_fail(doc, "model",
                          "leave the section out, or write in it what model %s is, which the job "
                          "begins from: %s",
                          name, ps_buf_cstr(&text));
    ps_buf_free(&text);
    return st;
}
