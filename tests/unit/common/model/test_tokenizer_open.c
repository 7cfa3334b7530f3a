/* Tokenizers of GGUF files and SentencePiece models against the ids of llama.cpp and sentencepiece
 * (golden/vocabs): whole and in pieces, with special tokens around, and as the tokenizer.json that
 * they become. PSD_GGML_VOCABS, the folder with llama.cpp's ggml-vocab-*.gguf, has their own inputs
 * and outputs checked, too. */
#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/model/tokenizer_open.h"
#include "common/tokenizer/token_lists.h"
#include "tests/lib/check_main.h"
#include "tests/lib/conf_example.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GOLDEN "tests/golden/vocabs/"

static void encode(const ps_tokenizer *t, ps_slice text, size_t piece, ps_ids *out)
{
    ps_encoder *e = ps_encoder_new(t, true);
    out->n = 0;
    for (size_t at = 0; at < text.len; at += piece)
        ck_ok(ps_encoder_feed(
            e, ps_slice_of(text.data + at, text.len - at < piece ? text.len - at : piece), out));
    ck_ok(ps_encoder_finish(e, out));
    ps_encoder_free(&e);
}

/* want: "1 2 3", up to another character. */
static void same(const ps_ids *got, const char *want, const char *name, ps_slice text)
{
    size_t i = 0;
    for (char *end = NULL;; i++, want = end) {
        unsigned long id = strtoul(want, &end, 10);
        if (end == want)
            break;
        ck_assert_msg(i < got->n && got->at[i] == id, "%s: '%.*s': id %zu is not %lu", name,
                      (int)text.len, text.data, i, id);
    }
    ck_assert_msg(i == got->n, "%s: '%.*s': %zu ids, expected %zu", name, (int)text.len, text.data,
                  got->n, i);
}

/* ---- golden files ---- */

static ps_tokenizer *open_golden(const char *name)
{
    ps_tokenizer *t = NULL;
    char *path = ps_asprintf("%s/" GOLDEN "%s", getenv("PSD_SOURCE_ROOT"), name);
    ps_status st = ps_model_tokenizer_open(NULL, path, &t);
    ck_assert_msg(st == PS_OK, "%s: %s", name, ps_error_message());
    ps_free(&path);
    return t;
}

/* What its tokenizer.json says. */
static ps_tokenizer *again(const ps_tokenizer *t)
{
    ps_buf json = PS_BUF_EMPTY;
    ps_tokenizer *out = NULL;
    ps_tokenizer_to_json(t, &json);
    ck_ok(ps_tokenizer_from_json(ps_buf_slice(&json), &out));
    ck_assert_uint_eq(ps_tokenizer_hash(out), ps_tokenizer_hash(t));
    ck_assert_str_eq(ps_tokenizer_name(out), ps_tokenizer_name(t));
    ps_buf_free(&json);
    return out;
}

static void check_line(const ps_tokenizer *t, const ps_tokenizer *json, const char *line,
                       const char *name)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_ids ids = PS_IDS_EMPTY, around = PS_IDS_EMPTY;
    for (unsigned byte = 0; sscanf(line, "%2x", &byte) == 1 && *line != ' '; line += 2)
        ps_buf_putc(&text, (char)byte);
    ps_slice bytes = ps_buf_slice(&text);
    encode(t, bytes, 1, &ids);
    same(&ids, line, name, bytes);
    encode(json, bytes, 1 << 20, &ids);
    same(&ids, line, name, bytes);
    ps_tokenizer_join(t, &ids, NULL, &around, NULL);
    same(&around, strchr(line, '|') + 1, name, bytes);
    ps_ids_free(&ids);
    ps_ids_free(&around);
    ps_buf_free(&text);
}

static const char *const golden[] = {
    "qwen2.gguf",     "starcoder.gguf", "falcon.gguf",   "deepseek-llm.gguf",
    "llama-bpe.gguf", "gpt-2.gguf",     "gemma-4.gguf",  "llama-spm.gguf",
    "bert-bge.gguf",  "bpe.model",      "unigram.model",
};
enum { GOLDENS = sizeof golden / sizeof *golden };

START_TEST(ids_are_those_of_the_independent_programs)
{
    ps_tokenizer *t = open_golden(golden[_i]), *json = again(t);
    char path[128];
    (void)snprintf(path, sizeof path, GOLDEN "%.*s.cases",
                   (int)(strrchr(golden[_i], '.') - golden[_i]), golden[_i]);
    ps_buf cases = ps_test_source_file(path);
    char *lines = ps_strdup(ps_buf_cstr(&cases));
    size_t n = 0;
    for (char *line = strtok(lines, "\n"); line; line = strtok(NULL, "\n"), n++)
        check_line(t, json, line, golden[_i]);
    ck_assert_uint_ge(n, 50);
    ps_free(&lines);
    ps_buf_free(&cases);
    ps_tokenizer_free(&t);
    ps_tokenizer_free(&json);
}
END_TEST

/* What GGUF has words for goes out and comes in again as it was. */
START_TEST(lists_of_a_tokenizer_make_it_again)
{
    ps_tokenizer *t = open_golden(golden[_i]), *back = NULL;
    ps_token_listing l;
    uint32_t n = ps_tokenizer_vocab_size(t);
    ps_status st = ps_tokenizer_list(t, n + 2, &l);
    ck_assert_msg(st == PS_OK, "%s: %s", golden[_i], ps_error_message());
    ck_assert_uint_eq(l.lists.n_tokens, n + 2);
    ck_assert_int_eq(l.lists.kinds[n + 1], PS_LISTED_UNUSED);
    ck_assert(!memcmp(l.lists.texts[n].data, "[PAD", 4));
    l.lists.n_tokens = n;
    ck_ok(ps_tokenizer_from_lists(&l.lists, &back));
    ck_assert_uint_eq(ps_tokenizer_hash(back), ps_tokenizer_hash(t));
    ps_token_listing_free(&l);
    ps_tokenizer_free(&back);
    ps_tokenizer_free(&t);
}
END_TEST

static ps_tokenizer *from_text(const char *pre, const char *rest)
{
    ps_tokenizer *t = NULL;
    char *json = ps_asprintf("{\"pre_tokenizer\":%s,\"model\":{\"type\":\"BPE\",\"vocab\":"
                             "{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"],%s}}",
                             pre, rest);
    ck_ok(ps_tokenizer_from_json(ps_slice_str(json), &t));
    ps_free(&json);
    return t;
}

START_TEST(what_has_no_word_in_gguf_is_named)
{
    static const struct {
        const char *pre, *rest, *why;
    } rows[] = {
        {"{\"type\":\"Whitespace\"}", "\"unk_token\":\"a\"",
         "the step Whitespace of its pre_tokenizer"},
        {"null", "\"end_of_word_suffix\":\"</w>\"", "end_of_word_suffix"},
        {"{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Whitespace\"},"
         "{\"type\":\"ByteLevel\"}]}",
         "\"unk_token\":\"a\"", "its pre_tokenizer"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ps_token_listing l;
        ps_tokenizer *t = from_text(rows[i].pre, rows[i].rest);
        ck_assert_int_eq(ps_tokenizer_list(t, 3, &l), PS_INVALID_ARGUMENT);
        ck_assert_msg(strstr(ps_error_message(), rows[i].why) != NULL, "%s", ps_error_message());
        ps_token_listing_free(&l);
        ps_tokenizer_free(&t);
    }
}
END_TEST

/* ---- steps ---- */

#define REPLACE(what, with) "{\"type\":\"Replace\",\"pattern\":{" what "},\"content\":\"" with "\"}"
#define BLOCK               "\xe2\x96\x81"
#define BLOCKS              REPLACE("\"String\":\" \"", BLOCK)
#define PREPEND             "{\"type\":\"Prepend\",\"prepend\":\"" BLOCK "\"}"
#define JOIN                REPLACE("\"Regex\":\" {2,}\"", BLOCK)
#define STRIP(l, r)         "{\"type\":\"Strip\",\"strip_left\":" l ",\"strip_right\":" r "}"
#define META(how)           "{\"type\":\"Metaspace\",\"prepend_scheme\":\"" how "\"}"
#define SPLIT               "{\"type\":\"Split\",\"pattern\":{\"String\":\" \"},\"behavior\":\"Removed\"}"
#define NORM(steps)         "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[" steps "]},"
#define PRE(steps)          "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[" steps "]},"
#define POST(one)                                                                             \
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[" one "],\"pair\":[" one \
    "],\"special_tokens\":{\"<s>\":{\"id\":\"<s>\",\"ids\":[1],\"tokens\":[\"<s>\"]}}},"
#define BEGIN    "{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}}"
#define SEQUENCE "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}"

/* Of a Unigram: "out", which words of llama.cpp they become, or why none. */
static const struct {
    const char *steps, *why;
    bool prefix, strip;
    const char *remark;
} step_cases[] = {
    /* nothing would be wrong in llama.cpp */
    {NORM(PREPEND "," BLOCKS), NULL, true, false, NULL},
    {NORM(BLOCKS), NULL, false, false, NULL},
    {NORM(BLOCKS) PRE(SPLIT), NULL, false, false, NULL},
    {NORM(JOIN "," STRIP("true", "true")), "the step Strip of its normalizer", 0, 0, NULL},
    {NORM(STRIP("true", "true") "," JOIN "," PREPEND "," BLOCKS), NULL, true, true,
     "no other white space"},
    {NORM(JOIN) PRE(META("always")), NULL, true, true, "the spaces at the ends"},
    {PRE("{\"type\":\"WhitespaceSplit\"}," META("always")), NULL, true, true,
     "no other white space"},
    {PRE(META("always")), NULL, true, false, "begins with a space"},
    {PRE(META("first")), NULL, true, false, "follows an added token"},
    {PRE(META("never")), NULL, false, false, NULL},
    /* all these were taken for one of those before */
    {"", "no step of its normalizer or pre_tokenizer", 0, 0, NULL},
    {PRE(SPLIT), "the step Split of its pre_tokenizer", 0, 0, NULL},
    {PRE(SPLIT "," META("always")), "the step Split of its pre_tokenizer", 0, 0, NULL},
    {NORM(PREPEND), "no step of its normalizer or pre_tokenizer", 0, 0, NULL},
    {NORM(STRIP("true", "true") "," BLOCKS), "which removes spaces at the ends", 0, 0, NULL},
    {NORM(PREPEND "," STRIP("true", "true") "," BLOCKS), "the step Strip of its normalizer", 0, 0,
     NULL},
    {NORM(BLOCKS "," JOIN), "the step Replace of its normalizer", 0, 0, NULL},
    {NORM(REPLACE("\"Regex\":\" {2,}\"", "") "," BLOCKS), "the step Replace of its normalizer", 0,
     0, NULL},
    {NORM(PREPEND "," PREPEND "," BLOCKS), "the step Prepend of its normalizer", 0, 0, NULL},
    {NORM(BLOCKS) PRE("{\"type\":\"WhitespaceSplit\"}"), "the step WhitespaceSplit", 0, 0, NULL},
    {PRE("{\"type\":\"WhitespaceSplit\"}," META("first")), "the step WhitespaceSplit", 0, 0, NULL},
    {PRE(META("always") "," META("always")), "the step Metaspace", 0, 0, NULL},
    {"\"normalizer\":{\"type\":\"NFC\"}," PRE(META("always")), "the step NFC", 0, 0, NULL},
    /* what stands around a text */
    {NORM(BLOCKS) POST(BEGIN "," SEQUENCE), NULL, false, false, NULL},
    {NORM(BLOCKS) POST(BEGIN "," BEGIN "," SEQUENCE), "post_processor", 0, 0, NULL},
    {NORM(BLOCKS) POST(SEQUENCE "," BEGIN "," SEQUENCE), "post_processor", 0, 0, NULL},
    {NORM(BLOCKS) POST(BEGIN), "post_processor", 0, 0, NULL},
};
enum { STEP_CASES = sizeof step_cases / sizeof *step_cases };

START_TEST(steps_that_would_be_lost_are_named)
{
    const char *remark = step_cases[_i].remark, *why = step_cases[_i].why;
    char *json = ps_asprintf("{%s\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":"
                             "[[\"<unk>\",0],[\"<s>\",0],[\"a\",-1],[\"" BLOCK "\",-2],[\"" BLOCK
                             "a\",-2.5]]}}",
                             step_cases[_i].steps);
    ps_tokenizer *t = NULL;
    ps_token_listing l;
    ck_ok(ps_tokenizer_from_json(ps_slice_str(json), &t));
    ps_status st = ps_tokenizer_list(t, 5, &l);
    ck_assert_msg((st == PS_OK) == !why, "%s: %s", json, st ? ps_error_message() : "no failure");
    if (why)
        ck_assert_msg(strstr(ps_error_message(), why) != NULL, "%s", ps_error_message());
    ck_assert(why || l.lists.prefix_space == step_cases[_i].prefix);
    ck_assert(why || l.lists.strip_spaces == step_cases[_i].strip);
    ps_buf_putc(&l.remarks, '\0');
    if (remark)
        ck_assert_msg(strstr((const char *)l.remarks.data, remark) != NULL, "%s", l.remarks.data);
    ps_token_listing_free(&l);
    ps_tokenizer_free(&t);
    ps_free(&json);
}
END_TEST

/* A token of a word's inside that begins as one of its start, and one that goes over a space. */
START_TEST(tokens_that_would_be_others_are_named)
{
    static const struct {
        const char *json, *why;
    } rows[] = {
        {"{\"normalizer\":{\"type\":\"BertNormalizer\"},\"pre_tokenizer\":{\"type\":"
         "\"BertPreTokenizer\"}," POST(
             BEGIN "," SEQUENCE "," BEGIN) "\"model\":{\"type\":"
                                           "\"WordPiece\",\"unk_token\":\"<s>\",\"vocab\":{\"a\":0,"
                                           "\"<s>\":1,\"##" BLOCK "a\":2}}}",
         "token 2"},
        {"{\"normalizer\":{\"type\":\"BertNormalizer\"},\"pre_tokenizer\":{\"type\":"
         "\"BertPreTokenizer\"},\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"a\","
         "\"vocab\":{\"a\":0}}}",
         "puts two tokens around a text"},
        {"{" PRE(META("always")) "\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":"
                                 "[[\"a\",0],[\"a" BLOCK "a\",-1]]}}",
         "keeps token 1 out of texts"},
        {"{" NORM(BLOCKS) "\"model\":{\"type\":\"BPE\",\"ignore_merges\":true,\"vocab\":"
                          "{\"a\":0,\"aa\":1},\"merges\":[\"a a\"]}}",
         "its ignore_merges"},
        {"{" NORM(BLOCKS) "\"model\":{\"type\":\"BPE\",\"unk_token\":\"a\",\"vocab\":"
                          "{\"a\":0,\"aa\":1},\"merges\":[\"a a\"]}}",
         "its fuse_unk"},
        {"{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"model\":{"
         "\"type\":\"BPE\",\"ignore_merges\":true,\"vocab\":{\"a\":0},\"merges\":[]}}",
         "ignore_merges true, with such a pre_tokenizer"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ps_tokenizer *t = NULL;
        ps_token_listing l;
        ps_status st = ps_tokenizer_from_json(ps_slice_str(rows[i].json), &t);
        ck_assert_msg(st == PS_OK, "%s: %s", rows[i].json, ps_error_message());
        ck_assert_int_eq(ps_tokenizer_list(t, 3, &l), PS_INVALID_ARGUMENT);
        ck_assert_msg(strstr(ps_error_message(), rows[i].why) != NULL, "%s", ps_error_message());
        ps_token_listing_free(&l);
        ps_tokenizer_free(&t);
    }
}
END_TEST

/* 4096 bytes, made of two halves of 2048. */
START_TEST(a_long_token_of_scores_has_its_merges)
{
    enum { HALF = 2048 };
    char *text = ps_alloc(2 * HALF);
    memset(text, 'a', 2 * HALF);
    const ps_slice texts[] = {ps_slice_str("<unk>"), ps_slice_of(text, HALF),
                              ps_slice_of(text, 2 * HALF)};
    const ps_listed_kind kinds[] = {PS_LISTED_UNKNOWN, PS_LISTED_NORMAL, PS_LISTED_NORMAL};
    const float scores[] = {0, -1, -2};
    ps_token_lists l;
    ps_tokenizer *t = NULL;
    ck_ok(ps_token_lists_defaults("llama", "", &l));
    l.texts = texts;
    l.kinds = kinds;
    l.scores = scores;
    l.n_tokens = 3;
    ck_ok(ps_tokenizer_from_lists(&l, &t));
    ck_assert_uint_eq(ps_tokenizer_merges(t), 1);
    ps_tokenizer_free(&t);
    ps_free(&text);
}
END_TEST

/* ---- llama.cpp's own tests ---- */

static char *read_text(const char *path)
{
    ps_buf bytes = PS_BUF_EMPTY;
    ck_ok(ps_disk_read_file(&ps_disk_system, path, 1 << 20, &bytes));
    char *text = ps_strdup(ps_buf_cstr(&bytes));
    ps_buf_free(&bytes);
    return text;
}

static void check_vocab(const char *path)
{
    static const char between[] = "\n__ggml_vocab_test__\n";
    ps_tokenizer *t = NULL;
    ps_ids ids = PS_IDS_EMPTY;
    ps_status st = ps_model_tokenizer_open(NULL, path, &t);
    ck_assert_msg(st == PS_OK, "%s: %s", path, ps_error_message());
    char *in = ps_asprintf("%s.inp", path), *out = ps_asprintf("%s.out", path);
    char *texts = read_text(in), *wanted = read_text(out), *want = wanted;
    for (char *text = texts, *next = NULL; text && *want; text = next) {
        next = strstr(text, between);
        size_t len = next ? (size_t)(next - text) : strlen(text);
        next = next ? next + sizeof between - 1 : NULL;
        char *end = want + strcspn(want, "\n");
        bool more = *end == '\n';
        *end = '\0';
        encode(t, ps_slice_of(text, len), 1 << 20, &ids);
        same(&ids, want, path, ps_slice_of(text, len));
        want = end + more;
    }
    ps_free(&in);
    ps_free(&out);
    ps_free(&texts);
    ps_free(&wanted);
    ps_ids_free(&ids);
    ps_tokenizer_free(&t);
}

START_TEST(inputs_of_llama_cpp_give_its_outputs)
{
    const char *folder = getenv("PSD_GGML_VOCABS");
    DIR *dir = folder ? opendir(folder) : NULL;
    if (!dir)
        return;
    size_t n = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        if (!ps_text_ends(e->d_name, ".gguf.inp"))
            continue;
        char *path = ps_asprintf("%s/%.*s", folder, (int)strlen(e->d_name) - 4, e->d_name);
        check_vocab(path);
        ps_free(&path);
        n++;
    }
    (void)closedir(dir);
    ck_assert_uint_ge(n, 10);
}
END_TEST

/* ---- what is refused ---- */

static void refuse(const ps_token_lists *l, const char *why)
{
    ps_tokenizer *t = NULL;
    ck_assert_int_eq(ps_tokenizer_from_lists(l, &t), PS_INVALID_ARGUMENT);
    ck_assert_msg(strstr(ps_error_message(), why) != NULL, "%s", ps_error_message());
    ck_assert_ptr_null(t);
}

START_TEST(what_is_not_known_is_named)
{
    const ps_slice texts[] = {ps_slice_str("<unk>"), ps_slice_str("a"), ps_slice_str("a")};
    const ps_slice bad[] = {ps_slice_str("<unk>"), ps_slice_str("\xff")};
    const ps_listed_kind kinds[] = {PS_LISTED_UNKNOWN, PS_LISTED_NORMAL, PS_LISTED_NORMAL};
    const float scores[] = {0, -1, -2}, nothing[] = {0, -1, (float)strtod("nan", NULL)};
    ps_token_lists l;
    ck_assert_int_eq(ps_token_lists_defaults("rwkv", "", &l), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(),
                     "model 'rwkv' is not supported; psd knows gpt2, llama, gemma4, t5 and bert");
    ck_ok(ps_token_lists_defaults("gpt2", "kimi-k2", &l));
    l.texts = texts;
    l.kinds = kinds;
    refuse(&l, "pre 'kimi-k2' is not supported");
    ck_ok(ps_token_lists_defaults("llama", "", &l));
    l.texts = texts;
    l.kinds = kinds;
    l.n_tokens = 2;
    refuse(&l, "no scores");
    l.scores = scores;
    l.n_tokens = 3;
    refuse(&l, "have the same text");
    l.texts = bad;
    l.n_tokens = 2;
    refuse(&l, "not UTF-8");
    ck_ok(ps_token_lists_defaults("t5", "", &l));
    l.texts = bad;
    l.kinds = kinds;
    l.scores = nothing + 1;
    l.n_tokens = 1;
    l.unk_id = 0;
    l.scores = nothing + 2;
    refuse(&l, "its score is no number");
}
END_TEST

/* A file of these bytes, whose name ends so. */
static void refuses(const char *ending, ps_slice bytes, const char *why)
{
    ps_tokenizer *t = NULL;
    char path[64] = "";
    (void)snprintf(path, sizeof path, "/tmp/psd-test-XXXXXX%s", ending);
    int fd = mkstemps(path, (int)strlen(ending));
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes.data, bytes.len), (ssize_t)bytes.len);
    (void)close(fd);
    ck_assert_int_eq(ps_model_tokenizer_open(NULL, path, &t), PS_INVALID_ARGUMENT);
    ck_assert_msg(strstr(ps_error_message(), why) != NULL, "%s", ps_error_message());
    ck_assert_int_eq(strncmp(ps_error_message(), path, strlen(path)), 0);
    (void)unlink(path);
}

START_TEST(other_models_of_sentencepiece_are_refused)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *why;
    } rows[] = {
        {"", 0, "it has no pieces"},
        {"\x0a", 1, "cannot be read"},
        {"\x0a\x05\x0a\x01"
         "a",
         5, "cannot be read"},
        {"\x0a\x03\x0a\x01"
         "a\x12\x02\x18\x03",
         9, "model_type word is not supported"},
        {"\x0a\x03\x0a\x01"
         "a\x12\x02\x18\x04",
         9, "model_type char is not supported"},
        {"\x0a\x03\x0a\x01"
         "a\x12\x03\xc0\x01\x01",
         10, "treat_whitespace_as_suffix"},
        {"\x0a\x03\x0a\x01"
         "a\x1a\x02\x28\x00",
         9, "escape_whitespaces"},
        {"\x0a\x05\x0a\x01"
         "a\x18\x07",
         7, "type 7"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        refuses(".model", ps_slice_of(rows[i].bytes, rows[i].len), rows[i].why);
}
END_TEST

START_TEST(a_vocab_txt_is_told_what_is_wrong_with_it)
{
    refuses("-vocab.txt", ps_slice_str("[CLS]\n[SEP]\na\n"), "-vocab.txt: no line is '[UNK]'");
}
END_TEST

static const ps_check_case tests[] = {
    {&ids_are_those_of_the_independent_programs, .timeout_s = 60, .repeat = GOLDENS},
    {&lists_of_a_tokenizer_make_it_again, .timeout_s = 60, .repeat = GOLDENS},
    {&what_has_no_word_in_gguf_is_named},
    {&steps_that_would_be_lost_are_named, .repeat = STEP_CASES},
    {&tokens_that_would_be_others_are_named},
    {&a_long_token_of_scores_has_its_merges},
    {&inputs_of_llama_cpp_give_its_outputs, .timeout_s = 600},
    {&what_is_not_known_is_named},
    {&other_models_of_sentencepiece_are_refused},
    {&a_vocab_txt_is_told_what_is_wrong_with_it},
    {0},
};

int main(void)
{
    return ps_check_main("model/tokenizer_open", tests);
}
