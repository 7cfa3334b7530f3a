/* A row for each kind: the classes, the flags and the roles' texts. */
#include "common/tokenizer/beside_settings.h"

#include "common/conf/value.h"

#include <stddef.h>
#include <string.h>

enum { MAX_FLAGS = 4 };

typedef struct row {
    const char *file;
    const char *const *classes; /* each also with Fast behind it; NULL at the end */
    struct {
        const char *key;
        size_t at; /* an int of ps_beside */
    } flags[MAX_FLAGS];
    const char *roles[PS_ROLES];
    ps_status (*check)(const ps_part *config); /* NULL: nothing more is looked at */
} row;

static const char *const of_pieces[] = {"LlamaTokenizer",
                                        "CodeLlamaTokenizer",
                                        "GemmaTokenizer",
                                        "T5Tokenizer",
                                        "PreTrainedTokenizer",
                                        "TokenizersBackend",
                                        NULL};

/* BertTokenizer by other names. */
static const char *const of_words[] = {"BertTokenizer",
                                       "ConvBertTokenizer",
                                       "DPRContextEncoderTokenizer",
                                       "DPRQuestionEncoderTokenizer",
                                       "DistilBertTokenizer",
                                       "ElectraTokenizer",
                                       "LayoutLMTokenizer",
                                       "LxmertTokenizer",
                                       "MobileBertTokenizer",
                                       "RealmTokenizer",
                                       "RetriBertTokenizer",
                                       "SqueezeBertTokenizer",
                                       NULL};

/* ---- of words: what programs do in different ways ---- */

static bool is_empty_list(ps_slice value)
{
    ps_json_reader r;
    ps_json_token token;
    ps_json_reader_init(&r, value);
    bool is = !ps_json_next(&r, &token) && token.kind == PS_JSON_ARRAY &&
              !ps_json_next(&r, &token) && token.kind == PS_JSON_ARRAY_END;
    ps_json_reader_free(&r);
    return is;
}

static ps_status check_words(const ps_part *config)
{
    bool basic = true, split = false;
    ps_slice never;
    ps_status st = ps_part_bool(config, "do_basic_tokenize", &basic);
    if (!st)
        st = ps_part_bool(config, "split_special_tokens", &split);
    if (!st && !basic)
        st = ps_part_fail(config, "do_basic_tokenize false is not supported");
    if (!st && split)
        st = ps_part_fail(config, "split_special_tokens true is not supported");
    if (!st && ps_part_find(config, "never_split", &never) && !is_empty_list(never))
        st = ps_part_fail(config, "never_split is not supported");
    return st;
}

/* ---- the rows ---- */

static const row rows[] = {
    [PS_BESIDE_PIECES] = {.file = "a SentencePiece model",
                          .classes = of_pieces,
                          .flags = {{"add_bos_token", offsetof(ps_beside, add_bos)},
                                    {"add_eos_token", offsetof(ps_beside, add_eos)},
                                    {"add_prefix_space", offsetof(ps_beside, prefix_space)},
                                    {"legacy", offsetof(ps_beside, legacy)}}},
    [PS_BESIDE_WORDS] = {.file = "a vocab.txt",
                         .classes = of_words,
                         .flags = {{"do_lower_case", offsetof(ps_beside, lower_case)},
                                   {"strip_accents", offsetof(ps_beside, strip_accents)},
                                   {"tokenize_chinese_chars", offsetof(ps_beside, chinese_chars)}},
                         .roles = {[PS_ROLE_UNK] = "[UNK]",
                                   [PS_ROLE_SEP] = "[SEP]",
                                   [PS_ROLE_PAD] = "[PAD]",
                                   [PS_ROLE_CLS] = "[CLS]",
                                   [PS_ROLE_MASK] = "[MASK]"},
                         .check = check_words},
};

const char *ps_beside_default(ps_beside_kind kind, ps_beside_role role)
{
    return rows[kind].roles[role];
}

static bool is_class(ps_slice name, const char *class)
{
    static const char fast[] = "Fast";
    size_t len = strlen(class), more = sizeof fast - 1;
    if (name.len == len + more && !memcmp(name.data + len, fast, more))
        name.len = len;
    return ps_slice_is(name, class);
}

/* Of others the file is not all: ids are moved, texts changed, other tokens put around them. */
static ps_status check_class(const row *kind, const ps_part *config)
{
    ps_buf name = PS_BUF_EMPTY;
    ps_status st = ps_part_text(config, "tokenizer_class", &name);
    bool is = !name.len;
    for (size_t i = 0; !is && kind->classes[i]; i++)
        is = is_class(ps_buf_slice(&name), kind->classes[i]);
    if (!st && !is)
        st = ps_fail(PS_INVALID_ARGUMENT,
                     "%s: tokenizer_class %s: psd makes no such tokenizer of %s; save_pretrained "
                     "of transformers writes the tokenizer.json that it wants",
                     config->path, ps_conf_quote(ps_buf_cstr(&name)).text, kind->file);
    ps_buf_free(&name);
    return st;
}

static ps_status read_flag(const ps_part *config, const char *key, int *to)
{
    bool yes = false;
    ps_slice value;
    if (!ps_part_find(config, key, &value))
        return PS_OK;
    ps_status st = ps_part_bool(config, key, &yes);
    *to = yes;
    return st;
}

ps_status ps_beside_settings(ps_beside_kind kind, const ps_part *config, ps_beside *to)
{
    const row *of = &rows[kind];
    ps_status st = check_class(of, config);
    for (size_t i = 0; !st && i < MAX_FLAGS && of->flags[i].key; i++)
        st = read_flag(config, of->flags[i].key, (int *)((char *)to + of->flags[i].at));
    return st || !of->check ? st : of->check(config);
}
