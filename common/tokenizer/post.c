/* Happy path: each type becomes two templates, of one text and of two. ByteLevel adds nothing. */
#include "common/tokenizer/post.h"

#include "common/base/mem.h"
#include "common/base/utf8.h"
#include "common/conf/value.h"
#include "common/tokenizer/hash.h"

#include <stdio.h>

void ps_post_free(ps_post *post)
{
    ps_free(&post->one);
    ps_free(&post->two);
    ps_free(&post->json);
    *post = (ps_post){0};
}

static ps_status add(const ps_part *part, ps_post_place **list, size_t *n, ps_post_place place)
{
    if (*n == PS_POST_MAX)
        return ps_fail(PS_INVALID_ARGUMENT, "%s: more than %d places", part->path, PS_POST_MAX);
    if (!*list)
        *list = ps_alloc_array(PS_POST_MAX, sizeof **list);
    (*list)[(*n)++] = place;
    return PS_OK;
}

/* ---- TemplateProcessing ---- */

/* The ids of a special token, by its name among the special_tokens. */
static ps_status add_special(const ps_part *part, const ps_part *special, const char *name,
                             uint32_t type, ps_post_place **list, size_t *n)
{
    ps_slice token, ids = {0};
    ps_json_reader r;
    ps_json_token value;
    ps_part one = {0};
    if (ps_part_find(special, name, &token))
        one = ps_part_below(special, "token", -1, token);
    if (!ps_part_find(&one, "ids", &ids))
        return ps_fail(PS_INVALID_ARGUMENT, "%s: special_tokens has no ids of %s", part->path,
                       ps_conf_quote(name).text);
    ps_json_reader_init(&r, ids);
    ps_status st = ps_json_expect(&r, PS_JSON_ARRAY, &value);
    while (!st) {
        st = ps_json_next(&r, &value);
        if (st || value.kind == PS_JSON_ARRAY_END)
            break;
        if (!value.is_u64 || value.u64 >= PS_TOKENIZER_MAX_VOCAB)
            st = ps_fail(PS_INVALID_ARGUMENT, "%s: special_tokens: an id is out of range",
                         part->path);
        else
            st = add(part, list, n,
                     (ps_post_place){PS_POST_TOKEN, .id = (uint32_t)value.u64, .type = type});
    }
    ps_json_reader_free(&r);
    return st == PS_CORRUPT ? PS_INVALID_ARGUMENT : st;
}

static ps_status add_piece(const ps_part *part, const ps_part *special, const ps_part *piece,
                           ps_post_place **list, size_t *n)
{
    ps_slice value;
    bool token = ps_part_find(piece, "SpecialToken", &value);
    if (!token && !ps_part_find(piece, "Sequence", &value))
        return ps_part_fail(piece, "a SpecialToken or a Sequence is wanted");
    ps_part inner = ps_part_below(piece, token ? "SpecialToken" : "Sequence", -1, value);
    ps_buf id = PS_BUF_EMPTY;
    uint64_t type = 0;
    ps_status st = ps_part_text(&inner, "id", &id);
    if (!st)
        st = ps_part_uint(&inner, "type_id", &type);
    if (!st && token)
        st = add_special(part, special, ps_buf_cstr(&id), (uint32_t)type, list, n);
    else if (!st)
        st =
            add(part, list, n,
                (ps_post_place){ps_slice_is(ps_buf_slice(&id), "B") ? PS_POST_SECOND : PS_POST_TEXT,
                                .type = (uint32_t)type});
    ps_buf_free(&id);
    return st;
}

static ps_status read_template(const ps_part *part, const ps_part *special, const char *key,
                               ps_post_place **list, size_t *n)
{
    ps_slice pieces, piece;
    ps_json_reader r;
    ps_json_token token;
    if (!ps_part_find(part, key, &pieces))
        return PS_OK;
    ps_json_reader_init(&r, pieces);
    ps_status st = ps_json_expect(&r, PS_JSON_ARRAY, &token);
    for (long i = 0; ps_json_element(&r, &piece, &st); i++) {
        ps_part below = ps_part_below(part, key, i, piece);
        st = i < PS_POST_MAX
                 ? add_piece(part, special, &below, list, n)
                 : ps_fail(PS_INVALID_ARGUMENT, "%s: more than %d places", below.path, PS_POST_MAX);
    }
    ps_json_reader_free(&r);
    return st == PS_CORRUPT ? PS_INVALID_ARGUMENT : st;
}

static ps_status read_templates(const ps_part *part, ps_post *post)
{
    ps_slice tokens;
    ps_part special = {0};
    if (ps_part_find(part, "special_tokens", &tokens))
        special = ps_part_below(part, "special_tokens", -1, tokens);
    ps_status st = read_template(part, &special, "single", &post->one, &post->n_one);
    return st ? st : read_template(part, &special, "pair", &post->two, &post->n_two);
}

/* ---- BertProcessing and RobertaProcessing ---- */

/* ["[SEP]", 102] */
static ps_status read_pair(const ps_part *part, const char *key, ps_post_place *out)
{
    ps_slice pair = {0};
    ps_json_reader r;
    ps_json_token token = {0};
    bool there = ps_part_find(part, key, &pair);
    ps_json_reader_init(&r, pair);
    ps_status st = there ? ps_json_expect(&r, PS_JSON_ARRAY, &token) : PS_INVALID_ARGUMENT;
    if (!st)
        st = ps_json_expect(&r, PS_JSON_STRING, &token);
    if (!st)
        st = ps_json_expect(&r, PS_JSON_NUMBER, &token);
    ps_json_reader_free(&r);
    if (st || !token.is_u64 || token.u64 >= PS_TOKENIZER_MAX_VOCAB)
        return ps_fail(PS_INVALID_ARGUMENT, "%s: %s must be a token and its id", part->path, key);
    *out = (ps_post_place){PS_POST_TOKEN, .id = (uint32_t)token.u64};
    return PS_OK;
}

static ps_status add_all(const ps_part *part, ps_post *post, const ps_post_place *two, size_t n)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < n; i++)
        st = add(part, &post->two, &post->n_two, two[i]);
    for (size_t i = 0; !st && i < 3; i++)
        st = add(part, &post->one, &post->n_one, two[i]);
    return st;
}

static ps_status read_marks(const ps_part *part, ps_post_place *cls, ps_post_place *sep)
{
    ps_status st = read_pair(part, "cls", cls);
    return st ? st : read_pair(part, "sep", sep);
}

static ps_status read_bert(const ps_part *part, ps_post *post)
{
    ps_post_place cls, sep;
    ps_status st = read_marks(part, &cls, &sep);
    if (st)
        return st;
    ps_post_place last = sep;
    last.type = 1;
    const ps_post_place two[] = {cls, {PS_POST_TEXT}, sep, {PS_POST_SECOND, .type = 1}, last};
    return add_all(part, post, two, sizeof two / sizeof *two);
}

static ps_status read_roberta(const ps_part *part, ps_post *post)
{
    ps_post_place cls, sep;
    ps_status st = read_marks(part, &cls, &sep);
    if (st)
        return st;
    const ps_post_place two[] = {cls, {PS_POST_TEXT}, sep, sep, {PS_POST_SECOND}, sep};
    return add_all(part, post, two, sizeof two / sizeof *two);
}

static ps_status read_nothing(const ps_part *part, ps_post *post)
{
    return PS_OK;
}

/* ---- the table ---- */

static const struct {
    const char *type;
    ps_status (*read)(const ps_part *part, ps_post *post);
} rows[] = {
    {"TemplateProcessing", read_templates},
    {"BertProcessing", read_bert},
    {"RobertaProcessing", read_roberta},
    {"ByteLevel", read_nothing},
};

static ps_status read_part(const ps_part *part, ps_post *post);

static ps_status read_sequence(const ps_part *part, ps_post *post)
{
    ps_slice list, value;
    ps_json_reader r;
    ps_json_token token;
    if (!ps_part_find(part, "processors", &list))
        return ps_part_fail(part, "processors is missing");
    ps_json_reader_init(&r, list);
    ps_status st = ps_json_expect(&r, PS_JSON_ARRAY, &token);
    for (long i = 0; ps_json_element(&r, &value, &st); i++) {
        ps_part below = ps_part_below(part, "processors", i, value);
        st = read_part(&below, post);
    }
    ps_json_reader_free(&r);
    return st == PS_CORRUPT ? PS_INVALID_ARGUMENT : st;
}

static ps_status read_part(const ps_part *part, ps_post *post)
{
    ps_buf type = PS_BUF_EMPTY;
    size_t n = sizeof rows / sizeof *rows, i = 0;
    ps_status st = ps_part_text(part, "type", &type);
    while (i < n && !ps_slice_is(ps_buf_slice(&type), rows[i].type))
        i++;
    if (!st && ps_slice_is(ps_buf_slice(&type), "Sequence"))
        st = read_sequence(part, post);
    else if (!st && i == n)
        st = ps_fail(PS_INVALID_ARGUMENT,
                     "%s: type %s is not supported; psd knows TemplateProcessing, BertProcessing, "
                     "RobertaProcessing, ByteLevel and Sequence",
                     part->path, ps_conf_quote(ps_buf_cstr(&type)).text);
    else if (!st && (post->one || post->two) && rows[i].read != read_nothing)
        st = ps_part_fail(part, "a second one that adds tokens is not supported");
    else if (!st)
        st = rows[i].read(part, post);
    ps_buf_free(&type);
    return st;
}

static uint64_t hash_of(uint64_t h, const ps_post_place *at, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t bytes[12];
        ps_put_u32le(bytes, (uint32_t)at[i].what);
        ps_put_u32le(bytes + 4, at[i].id);
        ps_put_u32le(bytes + 8, at[i].type);
        h = ps_hash(h, bytes, sizeof bytes);
    }
    return h;
}

ps_status ps_post_read(const ps_part *part, ps_post *post)
{
    if (!part->json.len || ps_slice_is(part->json, "null"))
        return PS_OK;
    post->json = ps_asprintf("%.*s", (int)part->json.len, (const char *)part->json.data);
    ps_status st = read_part(part, post);
    post->hash = hash_of(hash_of(PS_HASH_START, post->one, post->n_one), post->two, post->n_two);
    return st;
}

/* ---- joining ---- */

static void put(const ps_ids *ids, uint32_t type, ps_ids *out, ps_ids *types)
{
    for (size_t i = 0; ids && i < ids->n; i++) {
        ps_ids_add(out, ids->at[i]);
        if (types)
            ps_ids_add(types, type);
    }
}

void ps_post_join(const ps_post *post, const ps_ids *text, const ps_ids *second, ps_ids *out,
                  ps_ids *types)
{
    static const ps_post_place plain[] = {{PS_POST_TEXT}, {PS_POST_SECOND, .type = 1}};
    const ps_post_place *at = second ? post->two : post->one;
    size_t n = second ? post->n_two : post->n_one;
    if (!at) {
        at = plain;
        n = 2;
    }
    for (size_t i = 0; i < n; i++) {
        ps_ids one = {.at = &(uint32_t){at[i].id}, .n = 1};
        const ps_ids *ids = at[i].what == PS_POST_TOKEN  ? &one
                            : at[i].what == PS_POST_TEXT ? text
                                                         : second;
        put(ids, at[i].type, out, types);
    }
}
