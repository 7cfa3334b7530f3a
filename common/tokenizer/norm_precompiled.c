/* The row Precompiled (precompiled_charsmap): the map of SentencePiece from texts to what they
 * become: four bytes with the size of a trie in the form of darts-clone (32 bits a unit), the trie,
 * and the texts that it points to, each with a zero at its end. As the library does it, a grapheme
 * of fewer than 6 bytes is looked for as a whole, and otherwise its characters; what is found first
 * is taken. The map is hostile: each step stays inside. step->text holds it, decoded. */
#include "common/base/base64.h"
#include "common/base/utf8.h"
#include "common/tokenizer/step_rows.h"

#include <utf8proc.h>

enum { GRAPHEME = 6 };

typedef struct map {
    const uint8_t *units;
    size_t n_units;
    ps_slice texts;
} map;

static ps_status open_map(ps_slice bytes, map *out)
{
    ps_cursor c = ps_cursor_of(bytes);
    uint32_t size = bytes.len >= 4 ? ps_read_u32le(&c) : 0;
    if (bytes.len < 4 || size % 4 || size > bytes.len - 4)
        return ps_fail(PS_INVALID_ARGUMENT, "precompiled_charsmap: its trie does not fit in it");
    *out = (map){.units = bytes.data + 4,
                 .n_units = size / 4,
                 .texts = ps_slice_of(bytes.data + 4 + size, bytes.len - 4 - size)};
    return PS_OK;
}

static ps_status read_precompiled(const ps_part *part, ps_step *step)
{
    map m;
    ps_buf text = PS_BUF_EMPTY;
    ps_status st = ps_part_text(part, "precompiled_charsmap", &text);
    if (!st && text.len) {
        st = ps_base64_read(ps_buf_slice(&text), &step->text);
        if (!st)
            st = open_map(ps_buf_slice(&step->text), &m);
        if (st)
            st = ps_fail(PS_INVALID_ARGUMENT, "%s: %s", part->path, ps_error_message());
    }
    ps_buf_free(&text);
    return st;
}

static bool unit_at(const map *m, size_t i, uint32_t *out)
{
    if (i >= m->n_units)
        return false;
    const uint8_t *at = m->units + 4 * i;
    *out = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
    return true;
}

static size_t offset_of(uint32_t unit)
{
    return (size_t)(unit >> 10) << ((unit & (1U << 9)) >> 6);
}

/* What the shortest beginning of key becomes that the trie has; false: it has none. */
static bool find(const map *m, ps_slice key, ps_slice *out)
{
    uint32_t unit = 0;
    if (!unit_at(m, 0, &unit))
        return false;
    size_t at = offset_of(unit);
    for (size_t i = 0; i < key.len && key.data[i]; i++) {
        at ^= key.data[i];
        if (!unit_at(m, at, &unit) || (unit & ((1U << 31) | 0xff)) != key.data[i])
            return false;
        at ^= offset_of(unit);
        if (!(unit >> 8 & 1))
            continue;
        if (!unit_at(m, at, &unit) || (unit & 0x7fffffff) >= m->texts.len)
            return false;
        size_t from = unit & 0x7fffffff;
        const uint8_t *end = memchr(m->texts.data + from, 0, m->texts.len - from);
        size_t n = end ? (size_t)(end - m->texts.data) - from : m->texts.len - from;
        *out = ps_slice_of(m->texts.data + from, n);
        return true;
    }
    return false;
}

/* Bytes of the grapheme at the start of text. */
static size_t grapheme(ps_slice text)
{
    size_t n = 0, at = 0;
    utf8proc_int32_t state = 0;
    uint32_t before = ps_step_char(text, &at);
    while (at < text.len && before < 0x110000) {
        uint32_t cp = ps_step_char(ps_slice_of(text.data + at, text.len - at), &n);
        if (cp >= 0x110000 || utf8proc_grapheme_break_stateful((utf8proc_int32_t)before,
                                                               (utf8proc_int32_t)cp, &state))
            break;
        before = cp;
        at += n;
    }
    return at;
}

static ps_status put_one(const map *m, ps_slice text, ps_buf *out)
{
    ps_slice to = text;
    (void)find(m, text, &to);
    return ps_buf_append_limited(out, to.data, to.len, PS_TOKENIZER_MAX_GROWTH);
}

static ps_status precompiled(const ps_step *step, ps_edges edges, ps_slice text, ps_spans *spans,
                             ps_buf *out)
{
    map m;
    ps_slice whole;
    if (!step->text.len)
        return ps_buf_append_limited(out, text.data, text.len, PS_TOKENIZER_MAX_GROWTH);
    ps_status st = open_map(ps_buf_slice(&step->text), &m);
    for (size_t n = 0; !st && text.len; text = ps_slice_of(text.data + n, text.len - n)) {
        n = grapheme(text);
        if (n < GRAPHEME && find(&m, ps_slice_of(text.data, n), &whole)) {
            st = ps_buf_append_limited(out, whole.data, whole.len, PS_TOKENIZER_MAX_GROWTH);
            continue;
        }
        for (size_t at = 0, one = 0; !st && at < n; at += one) {
            (void)ps_step_char(ps_slice_of(text.data + at, n - at), &one);
            st = put_one(&m, ps_slice_of(text.data + at, one), out);
        }
    }
    return st;
}

const ps_step_row ps_norm_precompiled = {
    .type = "Precompiled", .read = read_precompiled, .normalize = precompiled, .hands_on = true};
