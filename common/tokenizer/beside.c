/* Happy path: the flags and the tokens that have a role (bos_token and so on), then the tokens that
 * have an id; one of a role without an id comes last. */
#include "common/tokenizer/beside.h"

#include "common/base/mem.h"
#include "common/conf/value.h"
#include "common/json/json_file.h"

#include <stdlib.h>
#include <string.h>

#define CONFIG  "tokenizer_config.json"
#define SPECIAL "special_tokens_map.json"
#define ADDED   "added_tokens.json"

static const char *const roles[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                    "pad_token", "cls_token", "mask_token"};
enum { ROLES = sizeof roles / sizeof *roles };

typedef struct reading {
    ps_beside *to;
    ps_beside_token of_role[ROLES];
    ps_beside_token *more; /* special tokens without a role */
    size_t n_more;
} reading;

static void clear_token(ps_beside_token *token)
{
    ps_buf_free(&token->text);
}

void ps_beside_clear(ps_beside *b)
{
    for (size_t i = 0; i < b->n; i++)
        clear_token(&b->tokens[i]);
    ps_free(&b->tokens);
    ps_buf_free(&b->bos);
    ps_buf_free(&b->eos);
}

static ps_status add(const ps_part *part, ps_beside_token **list, size_t *n, ps_beside_token *token)
{
    if (*n == PS_TOKENIZER_MAX_ADDED) {
        clear_token(token);
        return ps_fail(PS_INVALID_ARGUMENT, "%s: more than %d tokens", part->path,
                       PS_TOKENIZER_MAX_ADDED);
    }
    if (!*list)
        *list = ps_alloc_array(PS_TOKENIZER_MAX_ADDED, sizeof **list);
    (*list)[(*n)++] = *token;
    return PS_OK;
}

/* ---- a token: a text, or an object with content and rules ---- */

static ps_status read_rules(const ps_part *part, ps_beside_token *out)
{
    const struct {
        const char *key;
        bool *to;
    } rules[] = {{"lstrip", &out->like.lstrip},
                 {"rstrip", &out->like.rstrip},
                 {"single_word", &out->like.single_word},
                 {"special", &out->like.special}};
    ps_status st = ps_part_text(part, "content", &out->text);
    for (size_t i = 0; !st && i < sizeof rules / sizeof *rules; i++)
        st = ps_part_bool(part, rules[i].key, rules[i].to);
    return st;
}

/* special: unless it says otherwise. */
static ps_status read_token(const ps_part *part, bool special, ps_beside_token *out)
{
    ps_json_reader r;
    ps_json_token token;
    *out = (ps_beside_token){.id = UINT64_MAX, .like = {.special = special}};
    ps_json_reader_init(&r, part->json);
    ps_status st = ps_json_next(&r, &token);
    if (!st && token.kind == PS_JSON_STRING)
        ps_buf_append(&out->text, token.text.data, token.text.len);
    else if (!st && token.kind == PS_JSON_OBJECT)
        st = read_rules(part, out);
    ps_json_reader_free(&r);
    if (!st && (!out->text.len || out->text.len > PS_TOKENIZER_MAX_TOKEN))
        st = ps_fail(PS_INVALID_ARGUMENT,
                     "%s: a token is wanted, a text of 1 to %d bytes or an object with such a "
                     "content",
                     part->path, PS_TOKENIZER_MAX_TOKEN);
    if (st)
        clear_token(out);
    return st;
}

/* ---- roles ---- */

static ps_status read_more(const ps_part *file, const char *key, reading *r)
{
    ps_slice list, value;
    ps_json_reader json;
    ps_json_token token;
    if (!ps_part_find(file, key, &list))
        return PS_OK;
    ps_json_reader_init(&json, list);
    ps_status st = ps_json_next(&json, &token);
    bool object = !st && token.kind == PS_JSON_OBJECT; /* of names and texts */
    if (!st && !object && token.kind != PS_JSON_ARRAY)
        st = ps_fail(PS_INVALID_ARGUMENT, "%s: %s must be a list", file->path, key);
    for (long i = 0; !st; i++) {
        ps_beside_token one;
        if (object ? !ps_json_member(&json, &token, &st) : !ps_json_element(&json, &value, &st))
            break;
        if (object)
            st = ps_json_value(&json, &value);
        ps_part below = ps_part_below(file, key, i, value);
        if (!st)
            st = read_token(&below, true, &one);
        if (!st)
            st = add(&below, &r->more, &r->n_more, &one);
    }
    ps_json_reader_free(&json);
    return st;
}

static ps_status read_roles(const ps_part *file, reading *r)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < ROLES; i++) {
        ps_slice value;
        ps_beside_token token;
        if (!ps_part_find(file, roles[i], &value))
            continue;
        ps_part below = ps_part_below(file, roles[i], -1, value);
        st = read_token(&below, true, &token);
        if (st)
            continue;
        token.like.special = true;
        clear_token(&r->of_role[i]);
        r->of_role[i] = token;
    }
    if (!st)
        st = read_more(file, "additional_special_tokens", r);
    return st ? st : read_more(file, "extra_special_tokens", r);
}

static bool same_text(const ps_buf *a, const ps_buf *b)
{
    return a->len == b->len && (!a->len || !memcmp(a->data, b->data, a->len));
}

static bool has_text(const ps_beside_token *at, size_t n, const ps_buf *text)
{
    for (size_t i = 0; i < n; i++)
        if (same_text(&at[i].text, text))
            return true;
    return false;
}

/* ---- tokens with ids ---- */

/* {"32000": {"content": "<tool>", ...}, ...} */
static ps_status read_decoder(const ps_part *file, ps_slice object, ps_beside *to)
{
    ps_part decoder = ps_part_below(file, "added_tokens_decoder", -1, object);
    ps_json_reader json;
    ps_json_token token;
    ps_json_reader_init(&json, object);
    ps_status st = ps_json_expect(&json, PS_JSON_OBJECT, &token);
    while (ps_json_member(&json, &token, &st)) {
        ps_beside_token one;
        ps_slice value;
        char key[24] = "", *end = key;
        if (token.text.len < sizeof key)
            memcpy(key, token.text.data, token.text.len);
        uint64_t id = strtoull(key, &end, 10);
        ps_part below = ps_part_below(&decoder, key, -1, (ps_slice){0});
        st = ps_json_value(&json, &value);
        below.json = value;
        if (!st && (*key < '0' || *key > '9' || *end))
            st = ps_part_fail(&below, "an id is wanted");
        if (!st)
            st = read_token(&below, false, &one);
        if (st)
            break;
        one.id = id;
        st = add(&below, &to->tokens, &to->n, &one);
    }
    ps_json_reader_free(&json);
    return st == PS_CORRUPT ? ps_part_fail(&decoder, "it must be an object") : st;
}

/* {"<tool>": 32000, ...} */
static ps_status read_added(const ps_part *file, reading *r)
{
    ps_json_reader json;
    ps_json_token token;
    ps_json_reader_init(&json, file->json);
    ps_status st = ps_json_expect(&json, PS_JSON_OBJECT, &token);
    while (ps_json_member(&json, &token, &st)) {
        ps_beside_token one = {0};
        ps_buf_append(&one.text, token.text.data, token.text.len);
        one.like.special =
            has_text(r->of_role, ROLES, &one.text) || has_text(r->more, r->n_more, &one.text);
        st = ps_json_next(&json, &token);
        one.id = token.u64;
        if (!st && (token.kind != PS_JSON_NUMBER || !token.is_u64 || !one.text.len ||
                    one.text.len > PS_TOKENIZER_MAX_TOKEN))
            st = ps_part_fail(file, "texts and their ids are wanted");
        if (st)
            clear_token(&one);
        else
            st = add(file, &r->to->tokens, &r->to->n, &one);
    }
    ps_json_reader_free(&json);
    return st == PS_CORRUPT ? ps_part_fail(file, "texts and their ids are wanted") : st;
}

/* ---- the whole ---- */

static ps_status read_flag(const ps_part *file, const char *key, int *to)
{
    bool yes = false;
    ps_slice value;
    if (!ps_part_find(file, key, &value))
        return PS_OK;
    ps_status st = ps_part_bool(file, key, &yes);
    *to = yes;
    return st;
}

/* Of others the tokenizer.model is not all: ids are moved, texts changed, other tokens put around
 * them. */
static ps_status check_class(const ps_part *file)
{
    static const char *const known[] = {"LlamaTokenizer",      "LlamaTokenizerFast",
                                        "CodeLlamaTokenizer",  "CodeLlamaTokenizerFast",
                                        "GemmaTokenizer",      "GemmaTokenizerFast",
                                        "T5Tokenizer",         "T5TokenizerFast",
                                        "PreTrainedTokenizer", "PreTrainedTokenizerFast",
                                        "TokenizersBackend"};
    ps_buf name = PS_BUF_EMPTY;
    ps_status st = ps_part_text(file, "tokenizer_class", &name);
    bool is = !name.len;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        is |= ps_slice_is(ps_buf_slice(&name), known[i]);
    if (!st && !is)
        st = ps_fail(PS_INVALID_ARGUMENT,
                     "%s: tokenizer_class %s: psd makes no such tokenizer of a SentencePiece "
                     "model; save_pretrained of transformers writes the tokenizer.json that it "
                     "wants",
                     file->path, ps_conf_quote(ps_buf_cstr(&name)).text);
    ps_buf_free(&name);
    return st;
}

static ps_status read_config(const ps_part *config, ps_beside *to)
{
    const struct {
        const char *key;
        int *to;
    } flags[] = {{"add_bos_token", &to->add_bos},
                 {"add_eos_token", &to->add_eos},
                 {"add_prefix_space", &to->prefix_space},
                 {"legacy", &to->legacy}};
    ps_status st = check_class(config);
    for (size_t i = 0; !st && i < sizeof flags / sizeof *flags; i++)
        st = read_flag(config, flags[i].key, flags[i].to);
    return st;
}

/* Behind those that have ids. */
static ps_status put_roles(const ps_part *config, reading *r)
{
    ps_beside *to = r->to;
    ps_buf *ends[] = {&to->bos, &to->eos};
    ps_status st = PS_OK;
    for (size_t i = 0; i < 2; i++)
        ps_buf_append(ends[i], r->of_role[i].text.data, r->of_role[i].text.len);
    for (size_t i = 0; !st && i < ROLES + r->n_more; i++) {
        ps_beside_token *token = i < ROLES ? &r->of_role[i] : &r->more[i - ROLES];
        if (!token->text.len || has_text(to->tokens, to->n, &token->text))
            continue;
        ps_beside_token moved = *token;
        *token = (ps_beside_token){0};
        st = add(config, &to->tokens, &to->n, &moved);
    }
    return st;
}

static ps_status check_json(const ps_part *file)
{
    ps_status st = file->json.len ? ps_json_file_check(file->path, file->json) : PS_OK;
    return st == PS_CORRUPT ? PS_INVALID_ARGUMENT : st;
}

ps_status ps_beside_read(ps_slice config, ps_slice special_map, ps_slice added, ps_beside *out)
{
    reading r = {.to = out};
    ps_part root = {0}, of_config = ps_part_below(&root, CONFIG, -1, config);
    ps_part of_map = ps_part_below(&root, SPECIAL, -1, special_map);
    ps_part of_added = ps_part_below(&root, ADDED, -1, added);
    ps_slice decoder = {0};
    *out = (ps_beside){
        .add_bos = PS_UNSAID, .add_eos = PS_UNSAID, .prefix_space = PS_UNSAID, .legacy = PS_UNSAID};
    ps_status st = check_json(&of_config);
    if (!st)
        st = check_json(&of_map);
    if (!st)
        st = check_json(&of_added);
    if (!st)
        st = read_config(&of_config, out);
    if (!st)
        st = read_roles(&of_config, &r);
    if (!st && ps_part_find(&of_config, "added_tokens_decoder", &decoder)) {
        st = read_decoder(&of_config, decoder, out);
    } else if (!st) {
        st = read_roles(&of_map, &r);
        if (!st && added.len)
            st = read_added(&of_added, &r);
    }
    if (!st)
        st = put_roles(&of_config, &r);
    for (size_t i = 0; i < ROLES; i++)
        clear_token(&r.of_role[i]);
    for (size_t i = 0; i < r.n_more; i++)
        clear_token(&r.more[i]);
    ps_free(&r.more);
    return st;
}
