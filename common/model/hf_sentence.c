/* Happy path: a few keys of each file are read; and a file that says something else than the model
 * is made anew, in the words that every version of sentence-transformers reads. */
#include "common/model/hf_sentence.h"

#include "common/base/mem.h"
#include "common/json/json.h"
#include "common/json/json_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MAX_FILE = 1 << 20 };

#define MODULES "modules.json"
#define POOLING "1_Pooling/config.json"
#define LENGTH  "sentence_bert_config.json"
#define WORDS   "tokenizer_config.json"

/* ---- what a file says ---- */

typedef struct said {
    bool mean, cls;
    int64_t length;  /* of a text; 0: nothing */
    char other[128]; /* the first way of pooling, or module, that psd does not have; "" */
} said;

/* Of a file's text into what is wanted of it. */
typedef ps_status (*reader)(ps_slice json, said *out);

static void take_other(said *s, const char *word)
{
    if (!*s->other)
        (void)snprintf(s->other, sizeof s->other, "%s", word);
}

static void take_mode(said *s, const char *word)
{
    if (!strcmp(word, "mean") || !strcmp(word, "mean_tokens"))
        s->mean = true;
    else if (!strcmp(word, "cls") || !strcmp(word, "cls_token"))
        s->cls = true;
    else
        take_other(s, word);
}

/* A word, or a list of them, one behind the other. */
static ps_status take_modes(ps_json_reader *r, said *s)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    bool list = !st && token.kind == PS_JSON_ARRAY;
    if (list)
        st = ps_json_next(r, &token);
    for (; !st && token.kind == PS_JSON_STRING; st = list ? ps_json_next(r, &token) : PS_OK) {
        take_mode(s, (const char *)token.text.data);
        if (!list)
            return PS_OK;
    }
    if (!st && !(list && token.kind == PS_JSON_ARRAY_END))
        st = ps_fail(PS_INVALID_ARGUMENT, "pooling_mode has no value that is known here");
    return st;
}

/* By versions before 6 a flag each. */
static ps_status take_flag(ps_json_reader *r, const char *key, said *s)
{
    static const char before[] = "pooling_mode_";
    char mode[64];
    (void)snprintf(mode, sizeof mode, "%s", key + strlen(before));
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    if (!st && token.kind == PS_JSON_TRUE)
        take_mode(s, mode);
    else if (!st && token.kind != PS_JSON_FALSE && token.kind != PS_JSON_NULL)
        st = ps_fail(PS_INVALID_ARGUMENT, "%s%s is no flag", before, mode);
    return st;
}

static ps_status read_pooling(ps_slice json, said *s)
{
    ps_json_reader r;
    ps_json_token key;
    ps_json_reader_init(&r, json);
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &key);
    while (ps_json_member(&r, &key, &st)) {
        const char *name = (const char *)key.text.data;
        st = !strcmp(name, "pooling_mode")         ? take_modes(&r, s)
             : !strncmp(name, "pooling_mode_", 13) ? take_flag(&r, name, s)
                                                   : ps_json_skip(&r);
    }
    ps_json_reader_free(&r);
    return st;
}

/* What is no whole number that one would count to says that there is no bound. */
static ps_status read_number(ps_slice json, const char *wanted, said *s)
{
    ps_json_reader r;
    ps_json_token key, value;
    ps_json_reader_init(&r, json);
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &key);
    while (ps_json_member(&r, &key, &st)) {
        if (strcmp(wanted, (const char *)key.text.data) != 0) {
            st = ps_json_skip(&r);
            continue;
        }
        st = ps_json_next(&r, &value);
        if (!st && value.kind == PS_JSON_NUMBER)
            s->length = value.is_u64 && value.u64 <= INT32_MAX ? (int64_t)value.u64 : 0;
        else if (!st && value.kind != PS_JSON_NULL)
            st = ps_fail(PS_INVALID_ARGUMENT, "%s is no number", wanted);
    }
    ps_json_reader_free(&r);
    return st;
}

static ps_status read_length(ps_slice json, said *s)
{
    return read_number(json, "max_seq_length", s);
}

static ps_status read_words(ps_slice json, said *s)
{
    return read_number(json, "model_max_length", s);
}

/* Of a module, after its brace. */
static ps_status take_module(ps_json_reader *r, said *s)
{
    char type[64] = "", path[64] = "";
    ps_json_token token;
    ps_status st = PS_OK;
    while (ps_json_member(r, &token, &st)) {
        bool is_type = ps_slice_is(token.text, "type"), is_path = ps_slice_is(token.text, "path");
        st = is_type || is_path ? ps_json_expect(r, PS_JSON_STRING, &token) : ps_json_skip(r);
        const char *text = !st && (is_type || is_path) ? (const char *)token.text.data : "";
        const char *last = strrchr(text, '.');
        if (is_type)
            (void)snprintf(type, sizeof type, "%s", last ? last + 1 : text);
        else if (is_path)
            (void)snprintf(path, sizeof path, "%s", text);
    }
    bool pools = !strcmp(type, "Pooling");
    if (pools && strcmp(path, "1_Pooling") != 0)
        take_other(s, "Pooling of another folder than 1_Pooling");
    else if (!pools && strcmp(type, "Transformer") != 0 && strcmp(type, "Normalize") != 0)
        take_other(s, type);
    return st;
}

static ps_status read_modules(ps_slice json, said *s)
{
    ps_json_reader r;
    ps_json_token token;
    ps_json_reader_init(&r, json);
    ps_status st = ps_json_expect(&r, PS_JSON_ARRAY, &token);
    while (!st && !(st = ps_json_next(&r, &token)) && token.kind == PS_JSON_OBJECT)
        st = take_module(&r, s);
    if (!st && token.kind != PS_JSON_ARRAY_END)
        st = ps_fail(PS_INVALID_ARGUMENT, "it is no list of modules");
    ps_json_reader_free(&r);
    return st;
}

static unsigned pooling_of(const said *s)
{
    return s->cls && !s->mean ? PS_SPEC_POOLING_CLS : PS_SPEC_POOLING_MEAN;
}

static bool pools_otherwise(const said *s)
{
    return *s->other || (s->mean && s->cls);
}

/* As the model's section has it. */
static int64_t length_of(const said *s, const ps_spec_model *m)
{
    return s->length > 2 && s->length < m->context_length ? s->length : 0;
}

/* ---- of a folder ---- */

static ps_status read_file(const ps_disk *disk, const char *folder, const char *name, reader read,
                           said *out)
{
    ps_buf json = PS_BUF_EMPTY;
    char *path = ps_asprintf("%s/%s", folder, name);
    ps_status st = ps_json_file_read(disk, path, MAX_FILE, &json);
    if (!st)
        st = read(ps_buf_slice(&json), out);
    if (st == PS_NOT_FOUND)
        st = PS_OK;
    else if (st)
        st = ps_wrap(st, "%s", path);
    ps_free(&path);
    ps_buf_free(&json);
    return st == PS_CORRUPT ? PS_INVALID_ARGUMENT : st;
}

static ps_status find_pooling(const ps_disk *disk, const char *folder, ps_spec_model *model,
                              ps_buf *remarks)
{
    said modules = {0}, pooling = {0};
    ps_status st = read_file(disk, folder, MODULES, read_modules, &modules);
    if (!st)
        st = read_file(disk, folder, POOLING, read_pooling, &pooling);
    if (st)
        return st;
    if (pooling.mean || pooling.cls)
        model->pooling = pooling_of(&pooling);
    if (*modules.other)
        ps_buf_printf(remarks,
                      "%s/" MODULES " has a module that psd does not, %s: embeddings are without "
                      "it\n",
                      folder, modules.other);
    if (pools_otherwise(&pooling))
        ps_buf_printf(remarks,
                      "%s/" POOLING " pools in a way that psd does not: embeddings are the mean of "
                      "a text's tokens, or its first one\n",
                      folder);
    return PS_OK;
}

ps_status ps_hf_sentence_read(const ps_disk *disk, const char *folder, ps_spec_model *model,
                              ps_buf *remarks)
{
    said length = {0};
    if (!ps_spec_model_is_encoder(model))
        return PS_OK;
    ps_status st = find_pooling(disk, folder, model, remarks);
    if (!st)
        st = read_file(disk, folder, LENGTH, read_length, &length);
    if (!st && !length.length)
        st = read_file(disk, folder, WORDS, read_words, &length);
    if (!st && length.length && !model->max_text_length) /* config.json may say it, too */
        model->max_text_length = length_of(&length, model);
    return st;
}

/* ---- anew ---- */

/* Of a file that came with the model; false: it did not, or cannot be read. */
static bool read_kept(const ps_safetensors *file, const char *name, reader read, said *out)
{
    const char *text = ps_safetensors_metadata(file, name);
    return text && read(ps_slice_str(text), out) == PS_OK;
}

/* Normalize stands there because psctl embed does it, too. */
static void make_modules(const ps_spec_model *m, ps_buf *out)
{
    static const char *const types[] = {"Transformer", "Pooling", "Normalize"};
    (void)m;
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_array(&w);
    for (unsigned i = 0; i < 3; i++) {
        char name[8], path[32] = "", type[64];
        (void)snprintf(name, sizeof name, "%u", i);
        (void)snprintf(type, sizeof type, "sentence_transformers.models.%s", types[i]);
        if (i)
            (void)snprintf(path, sizeof path, "%u_%s", i, types[i]);
        ps_json_object(&w);
        ps_json_put_uint(&w, "idx", i);
        ps_json_put_string(&w, "name", name);
        ps_json_put_string(&w, "path", path);
        ps_json_put_string(&w, "type", type);
        ps_json_object_end(&w);
    }
    ps_json_array_end(&w);
}

static void make_pooling(const ps_spec_model *m, ps_buf *out)
{
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    ps_json_put_int(&w, "word_embedding_dimension", m->hidden_size);
    ps_json_put_bool(&w, "pooling_mode_cls_token", m->pooling == PS_SPEC_POOLING_CLS);
    ps_json_put_bool(&w, "pooling_mode_mean_tokens", m->pooling == PS_SPEC_POOLING_MEAN);
    ps_json_put_bool(&w, "pooling_mode_max_tokens", false);
    ps_json_put_bool(&w, "pooling_mode_mean_sqrt_len_tokens", false);
    ps_json_object_end(&w);
}

static void make_length(const ps_spec_model *m, ps_buf *out)
{
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    ps_json_put_int(&w, "max_seq_length",
                    m->max_text_length ? m->max_text_length : m->context_length);
    ps_json_put_bool(&w, "do_lower_case", false); /* its tokenizer knows */
    ps_json_object_end(&w);
}

static bool same_modules(const ps_spec_model *m, const ps_safetensors *file)
{
    said s = {0};
    (void)m;
    return read_kept(file, MODULES, read_modules, &s) && !*s.other;
}

/* What psd could not do of it has not changed. */
static bool same_pooling(const ps_spec_model *m, const ps_safetensors *file)
{
    said s = {0};
    return read_kept(file, POOLING, read_pooling, &s) &&
           (pools_otherwise(&s) || pooling_of(&s) == m->pooling);
}

static bool same_length(const ps_spec_model *m, const ps_safetensors *file)
{
    said s = {0};
    bool there = read_kept(file, LENGTH, read_length, &s);
    if (there && !s.length)
        (void)read_kept(file, WORDS, read_words, &s);
    return there && length_of(&s, m) == m->max_text_length;
}

static const struct {
    const char *name;
    bool (*same)(const ps_spec_model *m, const ps_safetensors *file);
    void (*make)(const ps_spec_model *m, ps_buf *out);
} made[] = {{MODULES, same_modules, make_modules},
            {POOLING, same_pooling, make_pooling},
            {LENGTH, same_length, make_length}};
enum { MADE = sizeof made / sizeof *made };

/* Without them it pools by the mean, and reads all that the model may. */
static bool has_files(const ps_spec_model *m, const ps_safetensors *file)
{
    bool embeds = !m->choices.num_classes;
    bool any = embeds && (m->pooling != PS_SPEC_POOLING_MEAN || m->max_text_length);
    for (size_t i = 0; i < MADE; i++)
        any |= ps_safetensors_metadata(file, made[i].name) != NULL;
    return any;
}

bool ps_hf_sentence_make(const ps_spec_model *m, const ps_safetensors *file, const char *name,
                         ps_buf *out)
{
    size_t i = 0;
    while (i < MADE && strcmp(made[i].name, name) != 0)
        i++;
    if (i == MADE || !ps_spec_model_is_encoder(m) || !has_files(m, file) || made[i].same(m, file))
        return false;
    ps_buf_clear(out);
    made[i].make(m, out);
    ps_buf_putc(out, '\n');
    return true;
}
