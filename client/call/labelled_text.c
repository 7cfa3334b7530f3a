#include "client/call/labelled_text.h"

#include "common/base/buf.h"
#include "common/format/json_lines.h"

#include <stdlib.h>
#include <string.h>

uint32_t ps_labelled_text_marks(const ps_labelled_text *l)
{
    return PS_TOKEN_BEGINS | (l->pair ? PS_TOKEN_SECOND : 0) | (l->label ? PS_TOKEN_CLASS : 0);
}

/* ---- the class ---- */

/* Its place in the list. */
static ps_status find_class(const ps_labelled_text *l, ps_slice name, uint32_t *out)
{
    *out = 0;
    for (const char *at = l->classes; at; ++*out) {
        size_t n = strcspn(at, ",");
        if (n == name.len && !memcmp(at, name.data, n))
            return PS_OK;
        at = at[n] ? at + n + 1 : NULL;
    }
    return ps_fail(PS_CORRUPT, "key '%s' is '%.*s', which is none of --classes", l->label,
                   name.len < 80 ? (int)name.len : 80, (const char *)name.data);
}

static ps_status take_class(const ps_labelled_text *l, ps_slice line, uint32_t *out)
{
    ps_buf label = PS_BUF_EMPTY;
    bool number = false;
    ps_status st = ps_json_label_at(line, l->label, &label, &number);
    if (!st && l->classes)
        st = find_class(l, ps_buf_slice(&label), out);
    else if (!st && !number)
        st = ps_fail(PS_CORRUPT,
                     "key '%s' is a text; --classes A,B,… says which are the classes 0, 1, …",
                     l->label);
    else if (!st && label.len > 8)
        st = ps_fail(PS_CORRUPT, "key '%s' is too large a number for a class", l->label);
    else if (!st)
        *out = (uint32_t)strtoul(ps_buf_cstr(&label), NULL, 10);
    ps_buf_free(&label);
    return st;
}

/* ---- its texts ---- */

static ps_status encode(ps_labelled_text *l, ps_slice line, const char *key, ps_ids *out)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_status st = ps_json_text_at(line, key, &text);
    if (!st)
        st = ps_tokenizer_encode(l->tokenizer, ps_buf_slice(&text), l->added, out);
    l->bytes += text.len;
    ps_buf_free(&text);
    return st;
}

static ps_status put(ps_labelled_text *l, const ps_ids *joined, const ps_ids *types)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < joined->n; i++) {
        ps_token_writer_second(l->writer, types->at[i] != 0);
        st = ps_token_writer_add(l->writer, &joined->at[i], 1);
    }
    l->tokens += joined->n;
    return st;
}

ps_status ps_labelled_text_put(ps_labelled_text *l, ps_slice line)
{
    ps_ids first = PS_IDS_EMPTY, second = PS_IDS_EMPTY, joined = PS_IDS_EMPTY, types = PS_IDS_EMPTY;
    uint32_t number = 0;
    ps_status st = l->label ? take_class(l, line, &number) : PS_OK;
    if (!st)
        st = encode(l, line, l->text, &first);
    if (!st && l->pair)
        st = encode(l, line, l->pair, &second);
    if (!st)
        ps_tokenizer_join(l->tokenizer, &first, l->pair ? &second : NULL, &joined, &types);
    if (!st && !joined.n)
        st = ps_fail(PS_CORRUPT, "key '%s' is empty, and the tokenizer puts nothing around it",
                     l->text);
    if (!st)
        ps_token_writer_begin(l->writer);
    if (!st && l->label)
        st = ps_token_writer_class(l->writer, number);
    if (!st)
        st = put(l, &joined, &types);
    ps_ids_free(&first);
    ps_ids_free(&second);
    ps_ids_free(&joined);
    ps_ids_free(&types);
    return st;
}
