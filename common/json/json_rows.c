#include "common/json/json_rows.h"

#include "common/base/require.h"

#include <string.h>

/* NULL: it is none of the table. */
static const ps_json_row *find(const ps_json_row *rows, ps_slice key)
{
    for (; rows->name; rows++)
        if (ps_slice_is(key, rows->name))
            return rows;
    return NULL;
}

static ps_status read_member(ps_json_reader *r, const ps_json_row *rows, const ps_json_row *row,
                             unsigned *seen, void *user)
{
    unsigned bit = 1u << (unsigned)(row - rows);
    PS_REQUIRE(row - rows < 32);
    if (*seen & bit)
        return ps_fail(PS_CORRUPT, "%s is there twice", row->name);
    *seen |= bit;
    ps_status st = row->read(r, user);
    return st ? ps_wrap(st, "%s", row->name) : PS_OK;
}

ps_status ps_json_rows_read(ps_json_reader *r, const ps_json_row *rows, ps_json_others others,
                            void *user)
{
    ps_json_token token;
    unsigned seen = 0;
    ps_status st = ps_json_expect(r, PS_JSON_OBJECT, &token);
    while (ps_json_member(r, &token, &st)) {
        const ps_json_row *row = find(rows, token.text);
        if (row)
            st = read_member(r, rows, row, &seen, user);
        else
            st = others == PS_JSON_SKIP_OTHERS ? ps_json_skip(r)
                                               : ps_fail(PS_CORRUPT, "it has a member that is not "
                                                                     "known");
    }
    for (const ps_json_row *row = rows; !st && row->name; row++)
        if (row->needed && !(seen & 1u << (unsigned)(row - rows)))
            st = ps_fail(PS_CORRUPT, "%s is missing", row->name);
    return st;
}

ps_status ps_json_rows_read_bytes(ps_slice bytes, const ps_json_row *rows, ps_json_others others,
                                  void *user)
{
    ps_json_reader reader;
    ps_json_token token;
    ps_json_reader_init(&reader, bytes);
    ps_status st = ps_json_rows_read(&reader, rows, others, user);
    if (!st)
        st = ps_json_expect(&reader, PS_JSON_END, &token);
    ps_json_reader_free(&reader);
    return st;
}

ps_status ps_json_rows_text(ps_json_reader *r, size_t most, ps_buf *out)
{
    ps_json_token token;
    ps_status st = ps_json_expect(r, PS_JSON_STRING, &token);
    if (st)
        return st;
    if (!token.text.len || token.text.len > most || memchr(token.text.data, 0, token.text.len))
        return ps_fail(PS_CORRUPT, "a text of 1 to %zu bytes is expected", most);
    ps_buf_append(out, token.text.data, token.text.len);
    return PS_OK;
}

ps_status ps_json_rows_word(ps_json_reader *r, const char *word)
{
    ps_json_token token;
    ps_status st = ps_json_expect(r, PS_JSON_STRING, &token);
    return st || ps_slice_is(token.text, word) ? st : ps_fail(PS_CORRUPT, "it is not %s", word);
}
