/* The row gguf of model_in: files that llama.cpp's own writer made (tests/golden/gguf) mean what
 * that writer's package says they mean, and damaged ones are refused or read, and nothing worse. */
#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/format/safetensors.h"
#include "common/model/gguf_keys.h"
#include "common/model/gguf_model.h"
#include "common/model/gguf_parse.h"
#include "common/model/gguf_texts.h"
#include "common/model/gguf_types.h"
#include "common/model/model_in.h"
#include "common/tokenizer/tokenizer.h"
#include "tests/lib/check_main.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static char *path_of(const char *name)
{
    return ps_asprintf("%s/tests/%s", getenv("PSD_SOURCE_ROOT"), name);
}

static ps_buf bytes_of(const char *name)
{
    ps_buf out = PS_BUF_EMPTY;
    char *path = path_of(name);
    ck_assert_msg(ps_disk_read_file(&ps_disk_system, path, 1 << 20, &out) == PS_OK, "%s",
                  ps_error_message());
    ps_free(&path);
    return out;
}

static ps_status convert(const char *path, ps_buf *out)
{
    ps_model_in *in = NULL;
    uint8_t piece[4099];
    size_t got = 0;
    ps_status st = ps_model_in_open(path, &(ps_model_in_options){.float32 = true}, &in);
    if (st) {
        ck_assert_ptr_null(in);
        return st;
    }
    ck_assert_str_eq(ps_model_in_remarks(in), "");
    do {
        st = ps_model_in_read(in, piece, sizeof piece, &got);
        if (!st)
            ps_buf_append(out, piece, got);
    } while (!st && got);
    ps_model_in_close(&in);
    return st;
}

static ps_safetensors *header_of(const ps_buf *file)
{
    ps_safetensors *out = NULL;
    ps_status st = ps_safetensors_parse(ps_buf_slice(file), file->len, &out);
    ck_assert_msg(st == PS_OK, "%s", ps_error_message());
    return out;
}

static void same_tensors(const ps_buf *got_file, const ps_buf *want_file)
{
    ps_safetensors *got = header_of(got_file), *want = header_of(want_file);
    ck_assert_uint_eq(got->n_tensors, want->n_tensors);
    for (size_t i = 0; i < want->n_tensors; i++) {
        const ps_safetensors_tensor *w = &want->tensors[i];
        const ps_safetensors_tensor *g = ps_safetensors_find(got, w->name);
        ck_assert_msg(g != NULL, "%s", w->name);
        ck_assert_msg(g->n_dims == w->n_dims && g->end - g->begin == w->end - w->begin &&
                          !memcmp(g->shape, w->shape, w->n_dims * sizeof *w->shape),
                      "%s", w->name);
        ck_assert_msg(!memcmp(got_file->data + got->data_start + g->begin,
                              want_file->data + want->data_start + w->begin, w->end - w->begin),
                      "%s", w->name);
    }
    ps_safetensors_free(&got);
    ps_safetensors_free(&want);
}

/* 256 bytes, "ab", "abab", " ab", and "<|endoftext|>" is 259: see make_gguf.py. */
static void check_gpt2(const ps_tokenizer *t)
{
    static const uint32_t want[] = {257, 'a', 258, 259, 'x', 0xff};
    ps_ids ids = PS_IDS_EMPTY;
    ck_ok(ps_tokenizer_encode(t, ps_slice_str("ababa ab<|endoftext|>x\xff"), true, &ids));
    ck_assert_uint_eq(ids.n, sizeof want / sizeof *want);
    ck_assert(!memcmp(ids.at, want, sizeof want));
    ck_assert_int_eq(ps_tokenizer_kind(t, 259), PS_TOKEN_SPECIAL);
    ck_assert_int_eq(ps_tokenizer_kind(t, 260), PS_TOKEN_ADDED);
    ck_assert_uint_eq(ps_tokenizer_vocab_size(t), 261);
    ps_ids_free(&ids);
}

/* "a" is 5, "##b" 6, "ab" 7, "!" 8, and [UNK] 1. */
static void check_wordpiece(const ps_tokenizer *t)
{
    static const uint32_t want[] = {7, 7, 6, 8, 1, 3};
    ps_ids ids = PS_IDS_EMPTY;
    ck_ok(ps_tokenizer_encode(t, ps_slice_str("AB abb!x[SEP]"), true, &ids));
    ck_assert_uint_eq(ids.n, sizeof want / sizeof *want);
    ck_assert(!memcmp(ids.at, want, sizeof want));
    ck_assert_int_eq(ps_tokenizer_kind(t, 2), PS_TOKEN_SPECIAL);
    ps_ids_free(&ids);
}

static void check_tokenizer(const ps_buf *file, void (*check)(const ps_tokenizer *t))
{
    ps_safetensors *header = header_of(file);
    ps_tokenizer *t = NULL;
    const char *json = ps_safetensors_metadata(header, PS_MODEL_META_TOKENIZER);
    ck_assert_ptr_nonnull(json);
    ck_ok(ps_tokenizer_from_json(ps_slice_str(json), &t));
    check(t);
    ps_tokenizer_free(&t);
    ps_safetensors_free(&header);
}

START_TEST(files_of_another_writer_mean_what_it_says)
{
    static const char *const configs[] = {
        "{architecture: gpt2, vocab_size: 262, context_length: 4, hidden_size: 32, num_layers: 1, "
        "num_heads: 2, intermediate_size: 64, norm_epsilon: 1e-05, ",
        "{architecture: llama, vocab_size: 262, context_length: 4, hidden_size: 32, num_layers: 1, "
        "num_heads: 2, num_kv_heads: 1, intermediate_size: 64, rope_theta: 500000, "
        "norm_epsilon: 1e-06, tie_embeddings: false, ",
        "{architecture: qwen2, vocab_size: 262, context_length: 4, hidden_size: 32, num_layers: 1, "
        "num_heads: 2, num_kv_heads: 1, intermediate_size: 64, rope_theta: 500000, "
        "norm_epsilon: 1e-06, tie_embeddings: false, ",
        "{architecture: bert, vocab_size: 262, context_length: 4, hidden_size: 32, num_layers: 1, "
        "num_heads: 2, intermediate_size: 64, norm_epsilon: 1e-12, dropout: 0, pooler: false, "
        "pooling: cls, "};
    static const char *const names[] = {"gpt2", "llama", "qwen2", "bert"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char golden[64];
        (void)snprintf(golden, sizeof golden, "golden/gguf/%s.gguf", names[i]);
        char *path = path_of(golden);
        (void)snprintf(golden, sizeof golden, "golden/gguf/%s.safetensors", names[i]);
        ps_buf got = PS_BUF_EMPTY, want = bytes_of(golden);
        ck_assert_msg(convert(path, &got) == PS_OK, "%s", ps_error_message());
        same_tensors(&got, &want);
        bool words = !strcmp(names[i], "bert");
        check_tokenizer(&got, words ? check_wordpiece : check_gpt2);
        ps_safetensors *header = header_of(&got);
        const char *config = ps_safetensors_metadata(header, PS_MODEL_META_CONFIG);
        ck_assert_msg(!strncmp(config, configs[i], strlen(configs[i])), "%s", config);
        ck_assert_ptr_nonnull(
            strstr(config, words ? "tokenizer: \"wordpiece\"" : "tokenizer: \"gpt2\""));
        ps_safetensors_free(&header);
        ps_buf_free(&got);
        ps_buf_free(&want);
        ps_free(&path);
    }
}
END_TEST

/* The bytes as a file: what comes of it. */
static ps_status convert_bytes(ps_slice bytes, ps_buf *out)
{
    char path[64];
    int fd = memfd_create("gguf", MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes.data, bytes.len), (ssize_t)bytes.len);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ps_model_in *in = NULL;
    uint8_t piece[4099];
    size_t got = 0;
    ps_status st = ps_model_in_open(path, &(ps_model_in_options){.float32 = true}, &in);
    if (st) /* each refusal names its file */
        ck_assert_msg(!strncmp(ps_error_message(), path, strlen(path)), "%s", ps_error_message());
    while (!st) {
        st = ps_model_in_read(in, piece, sizeof piece, &got);
        if (st || !got)
            break;
        ps_buf_append(out, piece, got);
    }
    ps_model_in_close(&in);
    close(fd);
    return st;
}

static const char *const seeds[] = {"fuzz/corpus/gguf/gpt2", "fuzz/corpus/gguf/llama-values",
                                    "fuzz/corpus/gguf/gpt2-words", "fuzz/corpus/gguf/bert-classes"};
enum { SEEDS = sizeof seeds / sizeof *seeds };

START_TEST(a_file_that_is_cut_is_refused)
{
    ps_buf file = bytes_of(seeds[_i]), out = PS_BUF_EMPTY;
    ps_gguf *g = NULL;
    uint64_t end = 0;
    ck_ok(ps_gguf_parse(ps_buf_slice(&file), file.len, &g));
    for (size_t i = 0; i < g->n_tensors; i++)
        end = g->tensors[i].end > end ? g->tensors[i].end : end;
    ps_gguf_free(&g);
    ck_ok(convert_bytes(ps_buf_slice(&file), &out));
    ps_buf_clear(&out);
    for (size_t n = 0; n < end; n++) {
        ps_status st = convert_bytes(ps_slice_of(file.data, n), &out);
        ck_assert_msg(st == PS_INVALID_ARGUMENT, "cut at byte %zu: %s", n, ps_status_name(st));
    }
    ck_assert_uint_eq(out.len, 0);
    ps_buf_free(&out);
    ps_buf_free(&file);
}
END_TEST

/* Steps that have nothing in common with a byte: every place in a byte comes up in each structure.
 */
START_TEST(a_flipped_bit_does_no_harm)
{
    ps_buf file = bytes_of(seeds[_i]), out = PS_BUF_EMPTY;
    size_t refused = 0, read = 0;
    for (size_t bit = 0; bit < file.len * 8; bit += _i ? 23 : 5) {
        file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ps_status st = convert_bytes(ps_buf_slice(&file), &out);
        file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_msg(st == PS_OK || st == PS_INVALID_ARGUMENT, "bit %zu: %s", bit,
                      ps_status_name(st));
        if (!st) { /* a whole file of psd */
            ps_safetensors *header = header_of(&out);
            ps_safetensors_free(&header);
        }
        read += !st;
        refused += st != PS_OK;
        ps_buf_clear(&out);
    }
    ck_assert(read > 0 && refused > 0);
    ps_buf_free(&out);
    ps_buf_free(&file);
}
END_TEST

START_TEST(other_files_are_not_taken)
{
    bool taken = true;
    char *path = path_of("golden/gguf/gpt2.safetensors");
    ck_ok(ps_model_in_takes(NULL, path, &taken));
    ck_assert(!taken); /* F32: as it is */
    ps_free(&path);
    path = path_of("golden/gpt2.safetensors");
    ps_model_in *in = NULL;
    ck_assert_int_eq(ps_model_in_open(path, &(ps_model_in_options){.float32 = true}, &in),
                     PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "tensor labels is I32; allowed: F32, F16"));
    ps_free(&path);
    path = path_of("golden/gguf/gpt2.gguf");
    ck_ok(ps_model_in_takes(NULL, path, &taken));
    ck_assert(taken);
    ps_free(&path);
    ck_assert_int_eq(ps_model_in_takes(NULL, "/nowhere", &taken), PS_NOT_FOUND);
}
END_TEST

/* ---- keys of a model of texts ---- */

typedef struct texts {
    const char *want; /* in the section, or in the message of its refusal */
    bool refused, no_pooler;
    int causal;            /* -1: there is no such key; true is 1 */
    unsigned types;        /* 0: likewise */
    unsigned pooling;      /* likewise */
    unsigned rows;         /* of the layer that tells classes apart; 0: it is not there */
    unsigned length;       /* likewise */
    const char *labels[4]; /* to a NULL; none: likewise */
} texts;

static void put_keys(const texts *t, ps_gguf_keys *k)
{
    static const char *const sizes[] = {".context_length", ".embedding_length", ".block_count",
                                        ".feed_forward_length", ".attention.head_count"};
    static const int64_t numbers[] = {16, 8, 1, 24, 2};
    uint64_t n = 0;
    ps_gguf_key_text(k, "general.architecture", "bert");
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        ps_gguf_key_u32(k, sizes[i], numbers[i]);
    ps_gguf_key_float(k, ".attention.layer_norm_epsilon", 1e-12);
    if (t->causal >= 0)
        ps_gguf_key_bool(k, ".attention.causal", t->causal);
    if (t->types)
        ps_gguf_key_u32(k, "tokenizer.ggml.token_type_count", t->types);
    if (t->pooling)
        ps_gguf_key_u32(k, ".pooling_type", t->pooling);
    if (t->length)
        ps_gguf_key_u32(k, PS_GGUF_KEY_TEXT_LENGTH, t->length);
    while (t->labels[n])
        n++;
    if (n)
        ps_gguf_key_array(k, ".classifier.output_labels", PS_GGUF_STRING, n);
    for (uint64_t i = 0; i < n; i++)
        ps_gguf_put_text(k->out, ps_slice_str(t->labels[i]));
}

static void put_header(const texts *t, ps_buf *out)
{
    ps_gguf_keys keys = {.out = out, .architecture = "bert"};
    size_t at = ps_gguf_begin(out, 1 + !t->no_pooler + (t->rows > 0));
    put_keys(t, &keys);
    ps_gguf_end(out, at, &keys);
    ps_gguf_put_tensor(out, "token_embd.weight", 2, (const uint64_t[]){8, 9}, 0, 0);
    if (!t->no_pooler)
        ps_gguf_put_tensor(out, "cls.weight", 2, (const uint64_t[]){8, 8}, 0, 288);
    if (t->rows)
        ps_gguf_put_tensor(out, "cls.output.weight", 2, (const uint64_t[]){8, t->rows}, 0,
                           t->no_pooler ? 288 : 544);
    ps_gguf_pad(out);
}

/* Names are llama.cpp's; what they say there is in its convert_hf_to_gguf.py. */
static const texts of_texts[] = {
    {"num_heads: 2, intermediate_size: 24, norm_epsilon: 1e-12, dropout: 0, tokenizer", .types = 2},
    {"type_vocab_size: 1, pooler: false, tokenizer", .types = 1, .no_pooler = true},
    {"dropout: 0, pooling: cls, max_text_length: 7, tokenizer", .types = 2, .pooling = 2,
     .length = 7},
    {"dropout: 0, tokenizer", .types = 2, .pooling = 1,
     .labels = {"no", "yes"}}, /* it has no such layer */
    {"num_classes: 3, tokenizer", .types = 2, .rows = 3,
     .labels = {"LABEL_0", "LABEL_1", "LABEL_2"}},
    {"classes: [\"no\",\"LABEL_1\"]", .types = 2, .rows = 2, .labels = {"no", "LABEL_1"}},
    {"num_classes: 2, tokenizer", .types = 2, .rows = 2},
    {"key bert.attention.causal is missing", true, .causal = -1, .types = 2},
    {"key bert.attention.causal: true is not supported, only false", true, .causal = 1, .types = 2},
    {"key tokenizer.ggml.token_type_count is missing", true},
    {"type_vocab_size", true, .types = 3},
    {"key bert.pooling_type: 5 is not known", true, .types = 2, .pooling = 5},
    {"one class is none to tell apart", true, .types = 2, .rows = 1, .labels = {"LABEL_0"}},
    {"cls.output.weight has 2 rows; another number is", true, .types = 2, .rows = 2,
     .labels = {"a", "b", "c"}},
    {"cls.output.weight has 4097 rows; at most 4096", true, .types = 2, .rows = 4097},
    {"cls.weight, the pooler before it, is missing", true, .types = 2, .rows = 2,
     .no_pooler = true},
    {"class 1 has no name of 1 to 255 bytes", true, .types = 2, .rows = 2, .labels = {"a", ""}},
    {"class 0 has no name of 1 to 255 bytes", true, .types = 2, .rows = 2, .labels = {"\xff", "a"}},
    {"'a'", true, .types = 2, .rows = 2, .labels = {"a", "a"}},
    {"max_text_length", true, .types = 2, .length = 17}, /* context_length is 16 */
};

START_TEST(keys_of_texts)
{
    const texts *t = &of_texts[_i];
    ps_buf header = PS_BUF_EMPTY, section = PS_BUF_EMPTY;
    ps_gguf *file = NULL;
    ps_spec_model *model = NULL;
    put_header(t, &header);
    ck_ok(ps_gguf_parse(ps_buf_slice(&header), 1 << 20, &file));
    ps_status st = ps_gguf_model(file, &model);
    ck_assert_msg(st == (t->refused ? PS_INVALID_ARGUMENT : PS_OK), "%s", ps_error_message());
    if (!st)
        ps_spec_model_format(model, &section);
    const char *says = st ? ps_error_message() : ps_buf_cstr(&section);
    ck_assert_msg(strstr(says, t->want) != NULL, "%s", says);
    if (!st)
        ps_spec_model_free(&model);
    ps_gguf_free(&file);
    ps_buf_free(&header);
    ps_buf_free(&section);
}
END_TEST

/* Of how they are pooled, what psd does not do is said. */
START_TEST(the_last_token_is_a_remark)
{
    for (unsigned pooling = 1; pooling <= 4; pooling++) {
        ps_buf header = PS_BUF_EMPTY, remarks = PS_BUF_EMPTY;
        ps_gguf *file = NULL;
        ps_spec_model *model = NULL;
        put_header(&(texts){.types = 2, .pooling = pooling}, &header);
        ck_ok(ps_gguf_parse(ps_buf_slice(&header), 1 << 20, &file));
        ck_ok(ps_gguf_model(file, &model));
        ps_gguf_texts_remark(file, model, &remarks);
        ck_assert_int_eq(remarks.len > 0, pooling == 3);
        ps_spec_model_free(&model);
        ps_gguf_free(&file);
        ps_buf_free(&header);
        ps_buf_free(&remarks);
    }
}
END_TEST

static const ps_check_case tests[] = {
    {&files_of_another_writer_mean_what_it_says},
    {&a_file_that_is_cut_is_refused, 60, SEEDS},
    {&a_flipped_bit_does_no_harm, 60, SEEDS},
    {&other_files_are_not_taken},
    {&keys_of_texts, .repeat = sizeof of_texts / sizeof *of_texts},
    {&the_last_token_is_a_remark},
    {0}};

int main(void)
{
    return ps_check_main("common/model/gguf_read", tests);
}
