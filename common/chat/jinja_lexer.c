/* Happy path: text up to the next brace that opens something; its tokens one by one. What is no
 * token is BAD, which whoever reads gives up at. */
#include "common/chat/jinja_lexer.h"

#include "common/base/utf8.h"

#include <string.h>

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static uint8_t at(const ps_jinja_lexer *l, size_t i)
{
    return i < l->in.len ? l->in.data[i] : 0;
}

void ps_jinja_lexer_init(ps_jinja_lexer *l, ps_slice text)
{
    if (text.len && text.data[text.len - 1] == '\n') /* Jinja drops a last one */
        text.len--;
    *l = (ps_jinja_lexer){.in = text};
}

/* ---- pieces ---- */

static size_t find_open(const ps_jinja_lexer *l)
{
    size_t i = l->at;
    while (i < l->in.len && !(l->in.data[i] == '{' &&
                              (at(l, i + 1) == '{' || at(l, i + 1) == '%' || at(l, i + 1) == '#')))
        i++;
    return i;
}

/* Where the text that ends at `end` ends once blanks are gone before what opens there. */
static size_t stripped_end(const ps_jinja_lexer *l, size_t begin, size_t end)
{
    size_t to = end;
    if (end == l->in.len || at(l, end + 2) == '+')
        return end;
    if (at(l, end + 2) == '-') {
        while (to > begin && is_blank(l->in.data[to - 1]))
            to--;
        return to;
    }
    if (at(l, end + 1) == '{')
        return end;
    while (to > begin && (l->in.data[to - 1] == ' ' || l->in.data[to - 1] == '\t'))
        to--;
    return !to || l->in.data[to - 1] == '\n' ? to : end; /* nothing else on its line */
}

static void take_text(ps_jinja_lexer *l, size_t end)
{
    size_t begin = l->at;
    if (l->strips)
        while (begin < end && is_blank(l->in.data[begin]))
            begin++;
    else if (l->ends_a_line && begin < end && l->in.data[begin] == '\n')
        begin++;
    size_t to = stripped_end(l, begin, end);
    l->token = (ps_jinja_token){PS_JINJA_BAD, ps_slice_of(l->in.data + begin, to - begin)};
    l->at = end;
    l->strips = l->ends_a_line = false;
}

static void skip_comment(ps_jinja_lexer *l)
{
    size_t i = l->at + 2;
    while (i < l->in.len && !(l->in.data[i] == '#' && at(l, i + 1) == '}'))
        i++;
    l->strips = i > l->at + 2 && at(l, i - 1) == '-';
    l->ends_a_line = at(l, i - 1) != '+';
    l->at = i < l->in.len ? i + 2 : i;
}

ps_jinja_piece ps_jinja_next_piece(ps_jinja_lexer *l)
{
    size_t end;
    while ((end = find_open(l)) == l->at && at(l, l->at + 1) == '#')
        skip_comment(l);
    if (end > l->at) {
        take_text(l, end);
        return PS_JINJA_TEXT;
    }
    if (l->at == l->in.len)
        return PS_JINJA_OVER;
    uint8_t opens = at(l, l->at + 1);
    l->closes = opens == '{' ? '}' : '%';
    l->at += 2;
    if (at(l, l->at) == '-' || at(l, l->at) == '+')
        l->at++;
    l->token = (ps_jinja_token){0};
    ps_jinja_next(l);
    return opens == '{' ? PS_JINJA_OUTPUT : PS_JINJA_STATEMENT;
}

/* ---- tokens ---- */

static bool closes(const ps_jinja_lexer *l, size_t i)
{
    return at(l, i) == l->closes && at(l, i + 1) == '}';
}

static void close(ps_jinja_lexer *l, size_t signs)
{
    l->token = (ps_jinja_token){PS_JINJA_CLOSE, ps_slice_of(l->in.data + l->at, signs + 2)};
    l->strips = signs && at(l, l->at) == '-';
    l->ends_a_line = l->closes == '%' && !(signs && at(l, l->at) == '+');
    l->at += signs + 2;
}

static void put(ps_jinja_lexer *l, ps_jinja_kind kind, size_t begin, size_t end, size_t next)
{
    l->token = (ps_jinja_token){kind, ps_slice_of(l->in.data + begin, end - begin)};
    l->at = next;
}

static void quoted(ps_jinja_lexer *l)
{
    uint8_t quote = at(l, l->at);
    size_t i = l->at + 1;
    while (i < l->in.len && l->in.data[i] != quote)
        i += l->in.data[i] == '\\' ? 2 : 1;
    if (i < l->in.len)
        put(l, PS_JINJA_STRING, l->at + 1, i, i + 1);
    else
        put(l, PS_JINJA_BAD, l->at, l->at, l->at);
}

static void sign(ps_jinja_lexer *l)
{
    static const char *const pairs[] = {"==", "!=", "<=", ">=", "//", "**"};
    static const char singles[] = "+-*/%~|.,:()[]{}<>=";
    uint8_t c = at(l, l->at);
    size_t n = c && strchr(singles, c) ? 1 : 0;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (c == pairs[i][0] && at(l, l->at + 1) == pairs[i][1])
            n = 2;
    put(l, n ? PS_JINJA_SIGN : PS_JINJA_BAD, l->at, l->at + n, l->at + n);
}

void ps_jinja_next(ps_jinja_lexer *l)
{
    if (l->token.kind == PS_JINJA_CLOSE || l->token.kind == PS_JINJA_BAD)
        return;
    while (is_blank(at(l, l->at)))
        l->at++;
    size_t i = l->at;
    uint8_t c = at(l, i);
    if (closes(l, i)) {
        close(l, 0);
    } else if ((c == '-' || c == '+') && closes(l, i + 1)) {
        close(l, 1);
    } else if (c == '\'' || c == '"') {
        quoted(l);
    } else if (is_letter(c)) {
        while (is_letter(at(l, i)) || is_digit(at(l, i)))
            i++;
        put(l, PS_JINJA_NAME, l->at, i, i);
    } else if (is_digit(c)) {
        while (is_digit(at(l, i)))
            i++;
        put(l, PS_JINJA_NUMBER, l->at, i, i);
    } else {
        sign(l);
    }
}

/* ---- strings ---- */

static int hex(uint8_t c)
{
    return is_digit(c)            ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* \xhh or \uhhhh at text[i], which is the letter; 0: it is none, and stays as written. */
static size_t code_point(ps_slice text, size_t i, ps_buf *out)
{
    size_t digits = text.data[i] == 'x' ? 2 : text.data[i] == 'u' ? 4 : 0;
    uint32_t point = 0;
    if (!digits || i + digits >= text.len)
        return 0;
    for (size_t k = 1; k <= digits; k++) {
        int value = hex(text.data[i + k]);
        if (value < 0)
            return 0;
        point = point * 16 + (uint32_t)value;
    }
    uint8_t bytes[4];
    if (point >= 0xd800 && point < 0xe000)
        point = 0xfffd;
    ps_buf_append(out, bytes, ps_utf8_encode(point, bytes));
    return digits;
}

void ps_jinja_string(ps_slice text, ps_buf *out)
{
    static const char from[] = "nrt\\'\"", to[] = "\n\r\t\\'\"";
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] != '\\' || i + 1 == text.len) {
            ps_buf_putc(out, (char)text.data[i]);
            continue;
        }
        uint8_t c = text.data[++i];
        const char *known = c ? strchr(from, c) : NULL;
        size_t digits = known ? 0 : code_point(text, i, out);
        if (known)
            ps_buf_putc(out, to[known - from]);
        else if (!digits)
            ps_buf_append(out, text.data + i - 1, 2);
        i += digits;
    }
}
