/* Happy path: the type is found in the table and reads its keys; a Sequence becomes the steps of
 * its parts. Depth is bounded by that of JSON, the number of steps here. */
#include "common/tokenizer/step.h"

#include "common/base/mem.h"
#include "common/base/utf8.h"
#include "common/conf/value.h"
#include "common/tokenizer/hash.h"
#include "common/tokenizer/tokenizer.h"

static ps_status unknown(const ps_step_row *const *rows, const ps_part *part, ps_buf *type)
{
    ps_buf known = PS_BUF_EMPTY;
    for (; *rows; rows++)
        ps_buf_printf(&known, "%s, ", (*rows)->type);
    ps_status st =
        ps_fail(PS_INVALID_ARGUMENT, "%s: type %s is not supported; psd knows %sand Sequence",
                part->path, ps_conf_quote(ps_buf_cstr(type)).text, ps_buf_cstr(&known));
    ps_buf_free(&known);
    return st;
}

static ps_status add(const ps_step_row *row, const ps_part *part, ps_steps *steps)
{
    if (steps->n == PS_TOKENIZER_MAX_STEPS)
        return ps_fail(PS_INVALID_ARGUMENT, "%s: more than %d steps", part->path,
                       PS_TOKENIZER_MAX_STEPS);
    if (steps->n && (row->once || steps->at->row->once))
        return ps_fail(PS_INVALID_ARGUMENT, "%s: %s goes with no other step", part->path,
                       row->once ? row->type : steps->at->row->type);
    if (!steps->at)
        steps->at = ps_alloc_array(PS_TOKENIZER_MAX_STEPS, sizeof *steps->at);
    ps_step *step = &steps->at[steps->n];
    step->row = row;
    step->fused = steps->n && (step[-1].fused || step[-1].row->fuses);
    steps->n++;
    ps_status st = row->read ? row->read(part, step) : PS_OK;
    steps->waits |= step->waits;
    if (!st && step->with.len > PS_TOKENIZER_MAX_WORD)
        st = ps_fail(PS_INVALID_ARGUMENT, "%s: it puts in a text of %zu bytes, allowed %d",
                     part->path, step->with.len, PS_TOKENIZER_MAX_WORD);
    return st;
}

static ps_status read_part(const ps_step_row *const *rows, const char *key, const ps_part *part,
                           ps_steps *steps);

static ps_status read_sequence(const ps_step_row *const *rows, const char *key, const ps_part *part,
                               ps_steps *steps)
{
    ps_slice list, value;
    ps_json_reader r;
    ps_json_token token;
    if (!ps_part_find(part, key, &list))
        return ps_fail(PS_INVALID_ARGUMENT, "%s: %s is missing", part->path, key);
    ps_json_reader_init(&r, list);
    ps_status st = ps_json_expect(&r, PS_JSON_ARRAY, &token);
    for (long i = 0; ps_json_element(&r, &value, &st); i++) {
        ps_part below = ps_part_below(part, key, i, value);
        st = read_part(rows, key, &below, steps);
    }
    ps_json_reader_free(&r);
    return st == PS_CORRUPT ? PS_INVALID_ARGUMENT : st;
}

static ps_status read_part(const ps_step_row *const *rows, const char *key, const ps_part *part,
                           ps_steps *steps)
{
    ps_buf type = PS_BUF_EMPTY;
    ps_status st = ps_part_text(part, "type", &type);
    const ps_step_row *const *row = rows;
    while (*row && !ps_slice_is(ps_buf_slice(&type), (*row)->type))
        row++;
    if (st)
        ;
    else if (ps_slice_is(ps_buf_slice(&type), "Sequence"))
        st = read_sequence(rows, key, part, steps);
    else
        st = *row ? add(*row, part, steps) : unknown(rows, part, &type);
    ps_buf_free(&type);
    return st;
}

/* Of its tokens, so that blanks between them make no difference. */
static uint64_t hash_of(ps_slice json)
{
    uint64_t h = PS_HASH_START;
    ps_json_reader r;
    ps_json_token token;
    ps_json_reader_init(&r, json);
    while (json.len && ps_json_next(&r, &token) == PS_OK && token.kind != PS_JSON_END) {
        uint8_t kind = (uint8_t)token.kind;
        h = ps_hash(h, &kind, 1);
        if (token.kind >= PS_JSON_KEY && token.kind <= PS_JSON_NUMBER && token.text.len)
            h = ps_hash(h, token.text.data, token.text.len);
    }
    ps_json_reader_free(&r);
    return h;
}

ps_status ps_steps_read(const ps_step_row *const *rows, const char *sequence_key,
                        const ps_part *part, ps_steps *steps)
{
    if (!part->json.len || ps_slice_is(part->json, "null"))
        return PS_OK;
    steps->hash = hash_of(part->json);
    steps->json = ps_asprintf("%.*s", (int)part->json.len, (const char *)part->json.data);
    return read_part(rows, sequence_key, part, steps);
}

static bool same_text(ps_slice a, ps_slice b)
{
    return a.len == b.len && (!a.len || !memcmp(a.data, b.data, a.len));
}

/* All that a pattern does not match is removed: what it matches stays, each by itself. */
static bool isolates(const ps_step *step)
{
    return step->invert ? step->how == PS_CUT_REMOVED : step->how == PS_CUT_ISOLATED;
}

static bool same_step(const ps_step *a, const ps_step *b)
{
    ps_slice none = {0};
    ps_slice x = a->regex ? ps_regex_pattern(a->regex) : none;
    ps_slice y = b->regex ? ps_regex_pattern(b->regex) : none;
    bool cuts = a->how == b->how && a->invert == b->invert;
    bool bytes = !strcmp(a->row->type, "ByteLevel"); /* its third says what the model knows */
    return a->row == b->row && same_text(x, y) && !memcmp(a->is, b->is, bytes ? 2 : 4) &&
           a->number == b->number && a->stop == b->stop &&
           (cuts || (x.len && isolates(a) && isolates(b))) &&
           same_text(ps_buf_slice(&a->text), ps_buf_slice(&b->text)) &&
           same_text(ps_buf_slice(&a->with), ps_buf_slice(&b->with));
}

bool ps_steps_same(const ps_steps *a, const ps_steps *b)
{
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++)
        same = same_step(&a->at[i], &b->at[i]);
    return same;
}

void ps_steps_free(ps_steps *steps)
{
    for (size_t i = 0; i < steps->n; i++) {
        ps_buf_free(&steps->at[i].text);
        ps_buf_free(&steps->at[i].with);
        ps_regex_free(&steps->at[i].regex);
    }
    ps_free(&steps->at);
    ps_free(&steps->json);
    *steps = (ps_steps){0};
}

/* ---- for the rows ---- */

ps_status ps_step_pattern(const ps_part *part, ps_step *step)
{
    ps_slice value;
    if (!ps_part_find(part, "pattern", &value))
        return ps_part_fail(part, "pattern is missing");
    ps_part below = ps_part_below(part, "pattern", -1, value);
    ps_buf regex = PS_BUF_EMPTY;
    ps_status st = ps_part_text(&below, "String", &step->text);
    if (!st)
        st = ps_part_text(&below, "Regex", &regex);
    if (!st && regex.len)
        st = ps_regex_new(ps_buf_slice(&regex), &step->regex);
    else if (!st && !step->text.len)
        st = ps_fail(PS_INVALID_ARGUMENT, "a String or a Regex is wanted");
    else if (!st && step->text.len > PS_TOKENIZER_MAX_TOKEN)
        st = ps_fail(PS_INVALID_ARGUMENT, "a String of %zu bytes, allowed %d", step->text.len,
                     PS_TOKENIZER_MAX_TOKEN);
    ps_buf_free(&regex);
    return st ? ps_wrap(st, "%s", below.path) : PS_OK;
}

ps_status ps_step_find(const ps_step *step, ps_slice text, ps_spans *out)
{
    ps_spans_clear(out);
    if (step->regex)
        return ps_regex_spans(step->regex, text, out);
    size_t n = step->text.len;
    for (size_t at = 0; n && at + n <= text.len; at++) {
        if (memcmp(text.data + at, step->text.data, n) != 0)
            continue;
        ps_spans_match(out, at, at + n);
        at += n - 1;
    }
    ps_spans_finish(out, text.len);
    return PS_OK;
}

uint32_t ps_step_char(ps_slice text, size_t *n)
{
    *n = ps_utf8_length(text);
    if (*n)
        return ps_utf8_decode(text);
    *n = 1;
    return UINT32_MAX;
}

void ps_spans_of_kind(ps_slice text, bool (*is)(uint32_t), ps_spans *out)
{
    size_t n = 0;
    ps_spans_clear(out);
    for (size_t at = 0; at < text.len; at += n)
        if (is(ps_step_char(ps_slice_of(text.data + at, text.len - at), &n)))
            ps_spans_match(out, at, at + n);
    ps_spans_finish(out, text.len);
}

void ps_step_replace(ps_buf *token, ps_slice what, ps_slice with)
{
    ps_buf made = PS_BUF_EMPTY, was = *token;
    for (size_t at = 0; at < was.len;) {
        bool is = was.len - at >= what.len && !memcmp(was.data + at, what.data, what.len);
        if (is)
            ps_buf_append(&made, with.data, with.len);
        else
            ps_buf_append(&made, was.data + at, 1);
        at += is ? what.len : 1;
    }
    *token = made;
    ps_buf_free(&was);
}

void ps_step_clean_up(ps_buf *token)
{
    static const char *const closer[] = {" .", " ?", " !", " ,"};
    static const char *const longer[][2] = {{" ' ", "'"},          {" n't", "n't"}, {" 'm", "'m"},
                                            {" do not", " don't"}, {" 's", "'s"},   {" 've", "'ve"},
                                            {" 're", "'re"}};
    for (size_t i = 0; i < sizeof closer / sizeof *closer; i++)
        ps_step_replace(token, ps_slice_str(closer[i]), ps_slice_str(closer[i] + 1));
    for (size_t i = 0; i < sizeof longer / sizeof *longer; i++)
        ps_step_replace(token, ps_slice_str(longer[i][0]), ps_slice_str(longer[i][1]));
}
