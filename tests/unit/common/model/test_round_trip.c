/* Every model section that psd takes goes out as a folder of Hugging Face and as GGUF and comes
 * back as it was, or is refused on its way out in one line. Of each architecture a small model, in
 * each of its variants and in two of them that a section can say at once: in every fifth such two,
 * with PSD_ALL_PAIRS in each. */
#include "common/base/mem.h"
#include "common/format/safetensors.h"
#include "common/model/lm_layout.h"
#include "common/model/model_format.h"
#include "tests/lib/check_main.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef enum ways {
    BOTH,
    HF,   /* llama.cpp has no such model */
    NONE, /* nobody has */
} ways;

typedef struct variant {
    const char *keys; /* that the section says instead, or besides; NULL ends a list */
    ways ways;
} variant;

typedef struct row {
    const char *architecture, *base;
    const variant *own, *more; /* more: or NULL */
} row;

static const variant of_rope[] = {
    {"rope_theta: 500000", BOTH},
    {"rope_theta: 1", BOTH},
    {"rope_type: linear, rope_factor: 2.5", BOTH},
    {"rope_type: linear, rope_factor: 1", BOTH},
    {"rope_type: dynamic, rope_factor: 2", BOTH},
    {"rope_type: yarn, rope_factor: 4", BOTH},
    {"rope_type: yarn, rope_factor: 1", BOTH},
    {"rope_type: yarn, rope_factor: 4, rope_original_context: 16, rope_beta_fast: 8", BOTH},
    {"rope_type: yarn, rope_factor: 4, rope_beta_slow: 2, rope_attention_factor: 1.5", BOTH},
    {"rope_type: yarn, rope_factor: 1, rope_attention_factor: 1.5", BOTH},
    {NULL}};

#define OF_DECODERS                                                                   \
    {"num_kv_heads: 2", BOTH}, {"norm_epsilon: 1e-6", BOTH}, {"num_layers: 1", BOTH}, \
        {"dropout: 0.25", BOTH}, {"vocab_size: 256, tokenizer: bytes", BOTH},         \
    {                                                                                 \
        "context_length: 7", BOTH                                                     \
    }

#define LLAMA3 "rope_type: llama3, rope_factor: 8, rope_original_context: 16"

static const variant of_llama[] = {
    OF_DECODERS,
    {"tie_embeddings: true", BOTH},
    {"head_dim: 16", BOTH},
    {"attention_bias: true", BOTH},
    {"mlp_bias: true", BOTH},
    {LLAMA3, BOTH},
    {"rope_type: llama3, rope_factor: 1", BOTH},
    {LLAMA3 ", rope_low_freq_factor: 2, rope_high_freq_factor: 3", BOTH},
    {NULL}};

static const variant of_qwen2[] = {OF_DECODERS,
                                   {"tie_embeddings: true", BOTH},
                                   {"head_dim: 16", HF},
                                   {LLAMA3, HF},
                                   {"sliding_window: 8", HF},
                                   {"sliding_window: 64", BOTH},
                                   {"sliding_window: 128, full_attention_first: 2", BOTH},
                                   {"sliding_window: 8, full_attention_first: 1", HF},
                                   {"sliding_window: 8, full_attention_first: 3", BOTH},
                                   {"full_attention_first: 2", BOTH},
                                   {NULL}};

static const variant of_qwen3[] = {OF_DECODERS,
                                   {"tie_embeddings: true", BOTH},
                                   {"head_dim: 16", BOTH},
                                   {LLAMA3, HF},
                                   {"attention_bias: true", HF},
                                   {"sliding_window: 8", HF},
                                   {"sliding_window: 64", BOTH},
                                   {"sliding_window: 8, full_attention_first: 2", HF},
                                   {"sliding_window: 8, full_attention_first: 7", BOTH},
                                   {NULL}};

static const variant of_mistral[] = {
    OF_DECODERS,    {"tie_embeddings: true", BOTH}, {"head_dim: 16", BOTH},
    {LLAMA3, BOTH}, {"sliding_window: 8", HF},      {"sliding_window: 64", BOTH},
    {NULL}};

static const variant of_gemma2[] = {
    OF_DECODERS,
    {"tie_embeddings: false", HF},
    {"head_dim: 16", BOTH},
    {LLAMA3, HF},
    {"sliding_window: 0, full_attention_every: 0", HF},
    {"sliding_window: 0", HF},
    {"full_attention_every: 0", HF},
    {"full_attention_every: 1", HF},
    {"full_attention_every: 3", HF},
    {"sliding_window: 64", BOTH},
    {"sliding_window: 128, num_layers: 1", BOTH},
    {"num_layers: 1, full_attention_every: 5", BOTH},
    {"attention_softcap: 0", HF},
    {"logit_softcap: 0", HF},
    {"attention_softcap: 0.5, logit_softcap: 1.5", BOTH},
    {"query_pre_attn_scalar: 24", HF},
    {"query_pre_attn_scalar: 8", BOTH},
    {"num_layers: 46", BOTH}, /* as wide as its heads */
    {"num_layers: 46, head_dim: 16", HF},
    {"num_layers: 46, head_dim: 16, query_pre_attn_scalar: 8", BOTH},
    {NULL}};

static const variant of_gemma3[] = {
    OF_DECODERS,
    {"tie_embeddings: false", HF},
    {"head_dim: 16", BOTH},
    {LLAMA3, HF},
    {"sliding_window: 0, full_attention_every: 0", BOTH},
    {"sliding_window: 0", BOTH},
    {"full_attention_every: 0", BOTH},
    {"full_attention_every: 1", BOTH},
    {"full_attention_every: 3", BOTH},
    {"num_layers: 1, full_attention_every: 5", BOTH},
    {"sliding_window: 64", BOTH},
    {"rope_local_theta: 500", BOTH},
    {"rope_local_theta: 1000000", BOTH},
    {"logit_softcap: 1.5", BOTH},
    {"query_pre_attn_scalar: 24", HF},
    {"query_pre_attn_scalar: 8", BOTH},
    {"num_layers: 62, head_dim: 16", HF},
    {"num_layers: 62, head_dim: 16, query_pre_attn_scalar: 8", BOTH},
    {NULL}};

static const variant of_gpt2[] = {{"norm_epsilon: 1e-6", BOTH},
                                  {"num_layers: 1", BOTH},
                                  {"context_length: 7", BOTH},
                                  {"intermediate_size: 24", BOTH},
                                  {"vocab_size: 256, tokenizer: bytes", BOTH},
                                  {"tie_embeddings: false", BOTH},
                                  {"head_dim: 16", NONE},
                                  {"hidden_act: gelu", HF},
                                  {"hidden_act: relu", HF},
                                  {"hidden_act: silu", HF},
                                  {"hidden_act: gelu_tanh", BOTH},
                                  {"dropout: 0.25", BOTH},
                                  {"embedding_dropout: 0.5", BOTH},
                                  {"attention_dropout: 0.5", BOTH},
                                  {"embedding_dropout: 0", BOTH},
                                  {"dropout: 0.5, attention_dropout: 0", BOTH},
                                  {NULL}};

static const variant of_gpt_neox[] = {{"norm_epsilon: 1e-6", BOTH},
                                      {"num_layers: 1", BOTH},
                                      {"context_length: 7", BOTH},
                                      {"intermediate_size: 24", BOTH},
                                      {"vocab_size: 256, tokenizer: bytes", BOTH},
                                      {"tie_embeddings: true", HF},
                                      {"head_dim: 16", NONE},
                                      {"rope_share: 0.25", BOTH},
                                      {"rope_share: 0.5", BOTH},
                                      {"rope_share: 0.75", BOTH},
                                      {"attention_bias: false", HF},
                                      {"parallel_residual: false", BOTH},
                                      {"hidden_act: gelu_tanh", HF},
                                      {"hidden_act: relu", HF},
                                      {"hidden_act: silu", HF},
                                      {"hidden_act: gelu", BOTH},
                                      {"dropout: 0.25", BOTH},
                                      {"attention_dropout: 0.5", BOTH},
                                      {LLAMA3, HF},
                                      {NULL}};

static const variant of_bert[] = {{"norm_epsilon: 1e-6", BOTH},
                                  {"num_layers: 1", BOTH},
                                  {"intermediate_size: 24", BOTH},
                                  {"type_vocab_size: 1", BOTH},
                                  {"hidden_act: gelu_tanh", HF},
                                  {"hidden_act: relu", HF},
                                  {"hidden_act: silu", HF},
                                  {"dropout: 0.25", BOTH},
                                  {"attention_dropout: 0.5", BOTH},
                                  {"classifier_dropout: 0.5, num_classes: 2", BOTH},
                                  {"num_classes: 3", BOTH},
                                  {"pooler: false", BOTH},
                                  {"pooling: cls", BOTH},
                                  {"max_text_length: 8", BOTH},
                                  {NULL}};

#define SIZES "vocab_size: 9, context_length: 64, hidden_size: 32, num_layers: 3, num_heads: 4"
#define INNER SIZES ", intermediate_size: 8"

static const row rows[] = {
    {"llama", INNER, of_llama, of_rope},
    {"qwen2", INNER, of_qwen2, of_rope},
    {"qwen3", INNER, of_qwen3, of_rope},
    {"mistral", INNER, of_mistral, of_rope},
    {"gemma2",
     INNER ", sliding_window: 8, full_attention_every: 2, attention_softcap: 50, logit_softcap: 30",
     of_gemma2, of_rope},
    {"gemma3", INNER ", sliding_window: 8, full_attention_every: 2", of_gemma3, of_rope},
    {"gpt2", SIZES, of_gpt2, NULL},
    {"gpt_neox", SIZES, of_gpt_neox, of_rope},
    {"bert", SIZES, of_bert, NULL},
};
enum { ROWS = sizeof rows / sizeof *rows };

/* ---- sections ---- */

enum { MOST_KEYS = 32 };

typedef struct section {
    char keys[MOST_KEYS][64];
    size_t n;
} section;

static void say(section *s, const char *key)
{
    size_t name = strcspn(key, ":") + 1, i = 0;
    while (i < s->n && strncmp(s->keys[i], key, name) != 0)
        i++;
    ck_assert_uint_lt(i, MOST_KEYS);
    (void)snprintf(s->keys[i], sizeof s->keys[i], "%.*s", (int)strcspn(key, ","), key);
    s->n += i == s->n;
}

static void say_all(section *s, const char *keys)
{
    for (const char *at = keys; at; at = strchr(at, ',')) {
        at += strspn(at, ", ");
        say(s, at);
    }
}

/* *out NULL: a section cannot say that. */
static void parse(const row *r, const char *one, const char *other, ps_spec_model **out)
{
    section s = {.n = 0};
    ps_buf text = PS_BUF_EMPTY;
    say_all(&s, r->base);
    say_all(&s, one);
    if (other)
        say_all(&s, other);
    ps_buf_printf(&text, "{architecture: %s", r->architecture);
    for (size_t i = 0; i < s.n; i++)
        ps_buf_printf(&text, ", %s", s.keys[i]);
    ps_buf_putc(&text, '}');
    *out = NULL;
    ps_status st = ps_spec_model_parse(ps_buf_slice(&text), "section", out);
    ck_assert_msg(st == PS_OK || other, "%s: %s", ps_buf_cstr(&text), ps_error_message());
    ps_buf_free(&text);
}

static ps_buf text_of(const ps_spec_model *m)
{
    ps_buf out = PS_BUF_EMPTY;
    ps_spec_model_format(m, &out);
    return out;
}

/* What a GGUF file says of it: llama.cpp trains nothing, has no windows that hide nothing but
 * gemma's, no scaling that begins behind the context, and mistral as a llama. */
static ps_spec_model *as_gguf(const ps_spec_model *m)
{
    ps_spec_model *out = NULL;
    ps_buf text = text_of(m);
    ck_ok(ps_spec_model_parse(ps_buf_slice(&text), "section", &out));
    out->dropout = 0;
    out->choices.embedding_dropout = out->choices.attention_dropout = -1;
    out->choices.classifier_dropout = -1;
    unsigned type = out->rope.type;
    bool nothing = out->rope.factor == 1 && (type == PS_ROPE_LINEAR || type == PS_ROPE_LLAMA3);
    if (nothing || type == PS_ROPE_DYNAMIC)
        out->rope = (ps_rope_spec){.theta = out->rope.theta,
                                   .low_freq_factor = 1,
                                   .high_freq_factor = 4,
                                   .beta_fast = 32,
                                   .beta_slow = 1,
                                   .share = out->rope.share,
                                   .local_theta = out->rope.local_theta};
    if (strncmp(m->architecture, "gemma", 5) != 0)
        out->choices.sliding_window = out->choices.full_attention_first = 0;
    if (!strcmp(m->architecture, "mistral")) {
        ps_free(&out->architecture);
        out->architecture = ps_strdup("llama");
    }
    ps_buf_free(&text);
    return out;
}

/* ---- files ---- */

static ps_status append(void *state, const void *data, size_t len)
{
    ps_buf_append(state, data, len);
    return PS_OK;
}

static ps_buf file_of(const ps_spec_model *m)
{
    ps_buf out = PS_BUF_EMPTY;
    ps_lm_tensor *layout = NULL;
    ps_safetensors_writer *writer = NULL;
    size_t n = 0;
    ps_lm_layout(m, &layout, &n);
    ps_safetensors_tensor *tensors = ps_alloc_array(n, sizeof *tensors);
    uint64_t numbers = 0;
    for (size_t i = 0; i < n; i++) {
        tensors[i] = (ps_safetensors_tensor){
            .name = layout[i].name, .dtype = PS_SAFETENSORS_F32, .n_dims = layout[i].n_dims};
        memcpy(tensors[i].shape, layout[i].shape, sizeof layout[i].shape);
        numbers += ps_lm_numbers(&layout[i]);
    }
    ck_ok(ps_safetensors_writer_new(tensors, n, NULL, 0, (ps_safetensors_sink){append, &out},
                                    &writer));
    float *values = ps_alloc_array((size_t)numbers, sizeof *values);
    for (uint64_t i = 0; i < numbers; i++)
        values[i] = (float)(i % 1021) / 1024;
    ck_ok(ps_safetensors_writer_data(writer, values, (size_t)numbers * sizeof *values));
    ck_ok(ps_safetensors_writer_finish(&writer));
    ps_free(&values);
    ps_free(&tensors);
    ps_free(&layout);
    return out;
}

static bool goes_out(const ps_spec_model *m, const char *format, const char *path)
{
    ps_buf file = file_of(m), config = text_of(m);
    uint64_t bytes = 0;
    ps_model_export *export =
        ps_model_export_new(ps_model_format_find(format), ps_buf_cstr(&config),
                            &(ps_model_out_options){.path = path, .dtype = "f16", .force = true});
    ps_status st = ps_model_export_feed(export, ps_buf_slice(&file));
    if (!st) {
        ck_ok(ps_model_export_seal(export));
        ck_ok(ps_model_export_finish(export, &bytes));
    } else {
        const char *line = ps_error_message();
        ck_assert_msg(st == PS_FAILED_PRECONDITION && !strchr(line, '\n') &&
                          strstr(line, "; --format "),
                      "%s %s: %s", ps_buf_cstr(&config), format, line);
    }
    ps_model_export_free(&export);
    ps_buf_free(&file);
    ps_buf_free(&config);
    return st == PS_OK;
}

static void comes_back(const ps_spec_model *m, const ps_spec_model *as, const char *path)
{
    ps_model_in *in = NULL;
    ps_safetensors *header = NULL;
    uint8_t piece[4096];
    size_t got = 0;
    ps_buf was = text_of(m), want = text_of(as), back = PS_BUF_EMPTY;
    ck_assert_msg(ps_model_in_open(path, &(ps_model_in_options){0}, &in) == PS_OK, "%s: %s",
                  ps_buf_cstr(&was), ps_error_message());
    do {
        ck_ok(ps_model_in_read(in, piece, sizeof piece, &got));
        ps_buf_append(&back, piece, got);
    } while (got);
    ps_model_in_close(&in);
    ck_ok(ps_safetensors_parse(ps_buf_slice(&back), back.len, &header));
    const char *is = ps_safetensors_metadata(header, PS_MODEL_META_CONFIG);
    ck_assert_msg(!strcmp(is, ps_buf_cstr(&want)), "%s\nwent out, and came back from %s as\n%s",
                  ps_buf_cstr(&was), path, is);
    ps_safetensors_free(&header);
    ps_buf_free(&was);
    ps_buf_free(&want);
    ps_buf_free(&back);
}

static void remove_folder(const char *path)
{
    DIR *all = opendir(path);
    for (struct dirent *e; (e = readdir(all));) {
        char *file = ps_asprintf("%s/%s", path, e->d_name);
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && unlink(file) != 0)
            remove_folder(file);
        ps_free(&file);
    }
    (void)closedir(all);
    ck_assert_int_eq(rmdir(path), 0);
}

/* Bits of those ways that there were. */
static int go(const ps_spec_model *m, const char *folder)
{
    char *hf = ps_asprintf("%s/hf", folder), *gguf = ps_asprintf("%s/gguf", folder);
    int went = 0;
    if (goes_out(m, "hf", hf)) {
        comes_back(m, m, hf);
        remove_folder(hf);
        went |= 1;
    }
    if (goes_out(m, "gguf", gguf)) {
        ps_spec_model *as = as_gguf(m);
        comes_back(m, as, gguf);
        ck_assert_int_eq(unlink(gguf), 0);
        ps_spec_model_free(&as);
        went |= 2;
    }
    ps_free(&hf);
    ps_free(&gguf);
    return went;
}

static const variant *variant_of(const row *r, size_t i)
{
    size_t own = 0;
    while (r->own[own].keys)
        own++;
    return i < own ? &r->own[i] : r->more && r->more[i - own].keys ? &r->more[i - own] : NULL;
}

START_TEST(what_goes_out_comes_back_as_it_was)
{
    static const int went[] = {[BOTH] = 3, [HF] = 1, [NONE] = 0};
    const row *r = &rows[_i];
    const variant *one, *other;
    char folder[] = "/tmp/psd-test.XXXXXX";
    size_t pairs = 0;
    bool all = getenv("PSD_ALL_PAIRS") != NULL;
    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (size_t i = 0; (one = variant_of(r, i)); i++) {
        ps_spec_model *m = NULL;
        parse(r, one->keys, NULL, &m);
        int is = go(m, folder);
        ck_assert_msg(is == went[one->ways], "%s %s: %d", r->architecture, one->keys, is);
        ps_spec_model_free(&m);
        for (size_t k = 0; k < i && (other = variant_of(r, k)); k++) {
            if (!all && (i + 2 * k) % 5)
                continue;
            parse(r, one->keys, other->keys, &m);
            if (!m)
                continue;
            if (m->num_layers <= 3) /* more is more of the same */
                (void)go(m, folder);
            ps_spec_model_free(&m);
            pairs++;
        }
    }
    ck_assert_uint_gt(pairs, 10);
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &what_goes_out_comes_back_as_it_was, .timeout_s = 120, .repeat = ROWS}, {0}};

int main(void)
{
    return ps_check_main("common/model/round_trip", tests);
}
