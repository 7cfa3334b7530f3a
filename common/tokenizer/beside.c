/* Happy path: the flags and the tokens that have a role (bos_token and so on), then the tokens that
 * have an id; one of a role without an id comes last. */
#include "common/tokenizer/beside.h"

#include "common/base/mem.h"
#include "common/conf/value.h"
#include "common/json/json_file.h"
#include "common/tokenizer/beside_settings.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG  "tokenizer_config.json"
#define SPECIAL "special_tokens_map.json"
#define ADDED   "added_tokens.json"

static const char *const roles[PS_ROLES] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                            "pad_token", "cls_token", "mask_token"};

typedef struct reading {
    ps_beside_kind kind;
    ps_beside *to;
    ps_beside_token of_role[PS_ROLES];
    bool none[PS_ROLES];   /* it is said that there is no such token */
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
    for (size_t i = 0; i < PS_ROLES; i++)
        ps_buf_free(&b->roles[i]);
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
    ps_slice value;
    out->says_normalized = ps_part_find(part, "normalized", &value);
    return st ? st : ps_part_bool(part, "normalized", &out->like.normalized);
}

/* special: unless it says otherwise. */
static ps_status read_token(const ps_part *part, bool special, ps_beside_token *out)
{
    ps_json_reader r;
    ps_json_token token;
    *out =
        (ps_beside_token){.id = UINT64_MAX, .like = {.special = special, .normalized = !special}};
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

/* token: without a text: it is said that there is none. */
static void take_role(reading *r, size_t role, ps_beside_token *token)
{
    clear_token(&r->of_role[role]);
    r->of_role[role] = *token;
    r->none[role] = !token->text.len;
}

static ps_status read_roles(const ps_part *file, reading *r)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < PS_ROLES; i++) {
        ps_slice value;
        ps_beside_token token = {0};
        bool none = ps_part_is_null(file, roles[i]);
        if (!none && !ps_part_find(file, roles[i], &value))
            continue;
        if (none) {
            take_role(r, i, &token);
            continue;
        }
        ps_part below = ps_part_below(file, roles[i], -1, value);
        st = read_token(&below, true, &token);
        if (st)
            continue;
        token.like.special = true;
        take_role(r, i, &token);
    }
    if (!st)
        st = read_more(file, "extra_special_tokens", r);
    return st || r->n_more ? st : read_more(file, "additional_special_tokens", r);
}

static bool same_text(const ps_buf *a, const ps_buf *b)
{
    return a->len == b->len && (!a->len || !memcmp(a->data, b->data, a->len));
}

/* NULL: there is none. */
static ps_beside_token *find(ps_beside_token *at, size_t n, const ps_buf *text)
{
    for (size_t i = 0; i < n; i++)
        if (same_text(&at[i].text, text))
            return &at[i];
    return NULL;
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
            find(r->of_role, PS_ROLES, &one.text) || find(r->more, r->n_more, &one.text);
        one.like.normalized = !one.like.special; /* also where a role comes to be known later */
        one.says_normalized = true;
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

ps_status ps_beside_check_id(const ps_beside_token *token, const char *file, bool there,
                             uint32_t id)
{
    if (token->id == UINT64_MAX || token->id == id)
        return PS_OK;
    char *text = ps_asprintf("%.*s", (int)token->text.len, (const char *)token->text.data);
    ps_status st =
        ps_fail(PS_INVALID_ARGUMENT,
                there ? "the token %s has id %" PRIu64 " beside %s, and %" PRIu32 " in it"
                      : "the token %s has id %" PRIu64 " beside %s, where %" PRIu32
                        " is the next that is free",
                ps_conf_quote(text).text, token->id, file, id);
    ps_free(&text);
    return st;
}

/* ---- the whole ---- */

static ps_status put_defaults(reading *r)
{
    for (size_t i = 0; i < PS_ROLES; i++) {
        const char *text = ps_beside_default(r->kind, i);
        bool may_lack = i == PS_ROLE_PAD || i == PS_ROLE_MASK; /* no text gets these by itself */
        if (text && !may_lack && r->none[i])
            return ps_fail(PS_INVALID_ARGUMENT, "%s is null, and such a token is needed", roles[i]);
        if (!text || r->none[i] || r->of_role[i].text.len)
            continue;
        r->of_role[i] = (ps_beside_token){.id = UINT64_MAX, .like = {.special = true}};
        ps_buf_puts(&r->of_role[i].text, text);
    }
    return PS_OK;
}

static int by_id(const void *a, const void *b)
{
    const ps_beside_token *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* Behind those that have ids. */
static ps_status put_roles(const ps_part *config, reading *r)
{
    ps_beside *to = r->to;
    ps_status st = put_defaults(r);
    for (size_t i = 0; i < PS_ROLES; i++)
        ps_buf_append(&to->roles[i], r->of_role[i].text.data, r->of_role[i].text.len);
    for (size_t i = 0; !st && i < PS_ROLES + r->n_more; i++) {
        ps_beside_token *token = i < PS_ROLES ? &r->of_role[i] : &r->more[i - PS_ROLES];
        ps_beside_token *there = find(to->tokens, to->n, &token->text);
        if (there && there->id == UINT64_MAX) { /* of two roles: the later one counts */
            there->like = token->like;
            there->says_normalized = token->says_normalized;
        } else if (there && i < PS_ROLES) {
            there->like.special = true;
        }
        if (!token->text.len || there)
            continue;
        ps_beside_token moved = *token;
        *token = (ps_beside_token){0};
        st = add(config, &to->tokens, &to->n, &moved);
    }
    for (size_t i = 0; i < to->n; i++)
        if (!to->tokens[i].says_normalized)
            to->tokens[i].like.normalized = !to->tokens[i].like.special;
    return st;
}

static ps_status check_json(const ps_part *file)
{
    ps_status st = file->json.len ? ps_json_file_check(file->path, file->json) : PS_OK;
    return st == PS_CORRUPT ? PS_INVALID_ARGUMENT : st;
}

ps_status ps_beside_read(ps_beside_kind kind, ps_slice config, ps_slice special_map, ps_slice added,
                         ps_beside *out)
{
    reading r = {.kind = kind, .to = out};
    ps_part root = {0}, of_config = ps_part_below(&root, CONFIG, -1, config);
    ps_part of_map = ps_part_below(&root, SPECIAL, -1, special_map);
    ps_part of_added = ps_part_below(&root, ADDED, -1, added);
    ps_slice decoder = {0};
    *out = (ps_beside){.add_bos = PS_UNSAID,
                       .add_eos = PS_UNSAID,
                       .prefix_space = PS_UNSAID,
                       .legacy = PS_UNSAID,
                       .lower_case = PS_UNSAID,
                       .strip_accents = PS_UNSAID,
                       .chinese_chars = PS_UNSAID};
    ps_status st = check_json(&of_config);
    if (!st)
        st = check_json(&of_map);
    if (!st)
        st = check_json(&of_added);
    if (!st)
        st = ps_beside_settings(kind, &of_config, out);
    if (!st)
        st = read_roles(&of_config, &r);
    if (!st && ps_part_find(&of_config, "added_tokens_decoder", &decoder)) {
        st = read_decoder(&of_config, decoder, out);
    } else if (!st) {
        st = read_roles(&of_map, &r);
        if (!st && added.len)
            st = read_added(&of_added, &r);
    }
    if (out->n)
        qsort(out->tokens, out->n, sizeof *out->tokens, by_id); /* a file has them in any order */
    if (!st)
        st = put_roles(&of_config, &r);
    for (size_t i = 0; i < PS_ROLES; i++)
        clear_token(&r.of_role[i]);
    for (size_t i = 0; i < r.n_more; i++)
        clear_token(&r.more[i]);
    ps_free(&r.more);
    return st;
}
