/* The row ByteLevel (add_prefix_space, use_regex): a space before a text that has none, GPT-2's
 * pattern, and bytes as letters. is[0]: add_prefix_space; is[1]: use_regex; is[2]: the letters are
 * left to the model, which knows the bytes. */
#include "common/tokenizer/byte_text.h"
#include "common/tokenizer/split.h"
#include "common/tokenizer/step_rows.h"

static ps_status read_byte_level(const ps_part *part, ps_step *step)
{
    step->is[0] = step->is[1] = true;
    ps_status st = ps_part_bool(part, "add_prefix_space", &step->is[0]);
    return st ? st : ps_part_bool(part, "use_regex", &step->is[1]);
}

static void put(const ps_step *step, ps_slice piece, size_t lead, ps_buf *letters,
                ps_cut_pieces *out)
{
    if (step->is[2]) {
        ps_cut_pieces_add(out, piece, lead);
        return;
    }
    ps_buf_clear(letters);
    for (size_t i = 0; i < piece.len; i++) {
        uint8_t letter[4];
        ps_buf_append(letters, letter, ps_byte_text(piece.data[i], letter));
    }
    ps_cut_pieces_add(out, ps_buf_slice(letters), lead);
}

static ps_status cut(const ps_step *step, ps_slice piece, size_t lead, ps_spans *spans,
                     ps_cut_pieces *out)
{
    ps_buf text = PS_BUF_EMPTY, letters = PS_BUF_EMPTY;
    if (step->is[0] && piece.len && piece.data[0] != ' ')
        ps_buf_putc(&text, ' ');
    ps_buf_append(&text, piece.data, piece.len);
    for (size_t at = 0, n = 0; at < text.len; at += n) {
        ps_slice rest = ps_slice_of(text.data + at, text.len - at);
        n = step->is[1] ? ps_gpt2_split(rest, true) : rest.len;
        put(step, ps_slice_of(rest.data, n), ps_lead_at(lead, at), &letters, out);
    }
    ps_buf_free(&text);
    ps_buf_free(&letters);
    return PS_OK;
}

const ps_step_row ps_pre_byte_level = {.type = "ByteLevel", .read = read_byte_level, .cut = cut};
