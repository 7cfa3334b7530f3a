/* Added tokens: their place among ids, and the rules by which the library finds them in a text. */
#include "common/base/mem.h"
#include "common/tokenizer/classes.h"
#include "common/tokenizer/tokenizer_internal.h"

#include <inttypes.h>

const ps_added_token *ps_tokenizer_find_added(const ps_tokenizer *t, uint32_t id)
{
    size_t low = 0, high = t->by_id ? t->n_added : 0;
    for (size_t i = 0; !t->by_id && i < t->n_added; i++)
        if (t->added[i].id == id)
            return &t->added[i];
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (t->added[t->by_id[middle]].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    bool there = t->by_id && low < t->n_added && t->added[t->by_id[low]].id == id;
    return there ? &t->added[t->by_id[low]] : NULL;
}

/* The character that ends with the text's last byte. */
static uint32_t last_char(ps_slice text)
{
    size_t from = text.len - 1, n = 0;
    while (from && text.len - from < 4 && (text.data[from] & 0xc0) == 0x80)
        from--;
    uint32_t cp = ps_step_char(ps_slice_of(text.data + from, text.len - from), &n);
    return n == text.len - from ? cp : UINT32_MAX;
}

bool ps_added_fits(const ps_added_token *token, ps_slice before, ps_slice after)
{
    size_t n = 0;
    if (!token->single_word)
        return true;
    return !(before.len && ps_class_word(last_char(before))) &&
           !(after.len && ps_class_word(ps_step_char(after, &n)));
}

size_t ps_added_spaces(ps_slice text, bool at_end)
{
    size_t n = 0, spaces = 0;
    for (size_t at = 0; at < text.len; at += n) {
        bool space = ps_class_space(ps_step_char(ps_slice_of(text.data + at, text.len - at), &n));
        if (!space && !at_end)
            return at;
        spaces = space ? spaces + n : 0;
    }
    return spaces;
}

static void list_some(const ps_tokenizer *t, bool special, size_t *n, ps_buf *out)
{
    enum { MOST = 8 };
    for (size_t i = 0; i < t->n_added; i++) {
        ps_slice text = ps_tokenizer_text(t, t->added[i].id);
        if (t->added[i].special != special || (*n)++ >= MOST)
            continue;
        ps_buf_puts(out, *n > 1 ? ", " : "");
        ps_buf_append(out, text.data, text.len);
    }
    if (!special && *n > MOST)
        ps_buf_printf(out, " and %zu more", *n - MOST);
}

void ps_tokenizer_added_list(const ps_tokenizer *t, ps_buf *out)
{
    size_t n = 0;
    list_some(t, true, &n, out);
    list_some(t, false, &n, out);
}
