/* Happy path: cells are collected, widths computed over all of them, lines written. Only the last
 * write can fail (full disk, closed pipe). */
#include "client/show/table.h"

#include "client/show/human.h"
#include "common/base/mem.h"
#include "common/base/text.h"

#include <errno.h>
#include <langinfo.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char *const color_codes[] = {
    [PS_COLOR_BOLD] = "1",
    [PS_COLOR_DIM] = "2",
    [PS_COLOR_RED] = "31",
    [PS_COLOR_GREEN] = "32",
    [PS_COLOR_YELLOW] = "33",
    [PS_COLOR_CYAN] = "36",
    /* nearest to cividis of the 256 that terminals have; the darkest are lighter, to be seen */
    [PS_COLOR_SCALE_FIRST] = "38;5;25",
    "38;5;61",
    "38;5;103",
    "38;5;245",
    "38;5;144",
    "38;5;143",
    "38;5;185",
    "38;5;227",
};

ps_style ps_style_for(int fd, bool no_color)
{
    ps_style style = {.utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8")};
    if (!isatty(fd))
        return style;
    struct winsize size;
    style.width = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    style.color = !no_color && !(no && *no) && term && strcmp(term, "dumb") != 0;
    return style;
}

/* As it is, or '?' for each character that is not fit. */
static void put_fit(ps_buf *out, const char *text, size_t len)
{
    bool fit;
    for (size_t at = 0, n; at < len; at += n) {
        n = ps_text_character(text + at, len - at, &fit);
        if (fit)
            ps_buf_append(out, text + at, n);
        else
            ps_buf_putc(out, '?');
    }
}

void ps_put_clean(ps_buf *out, const ps_style *style, const char *text, size_t columns)
{
    size_t len = strlen(text);
    const char *mark = style->utf8 ? "…" : "...";
    size_t room = style->utf8 ? 1 : 3;
    bool cut = ps_text_columns(text, len) > columns;
    size_t left = cut ? (columns > room ? columns - room : 0) : columns;
    for (size_t at = 0, n, wide; at < len; at += n) {
        n = ps_text_cluster(text + at, len - at, &wide);
        if (wide > left)
            break;
        put_fit(out, text + at, n);
        left -= wide;
    }
    if (cut && columns >= room)
        ps_buf_puts(out, mark);
    for (; cut && columns >= room && left > 0; left--)
        ps_buf_putc(out, ' '); /* a wide character did not fit in */
}

void ps_put_clean_lines(ps_buf *out, ps_slice text)
{
    const char *bytes = (const char *)text.data;
    bool fit;
    for (size_t at = 0, n; at < text.len; at += n) {
        n = ps_text_character(bytes + at, text.len - at, &fit);
        if (bytes[at] == '\n' || bytes[at] == '\t')
            ps_buf_putc(out, bytes[at]);
        else
            put_fit(out, bytes + at, n);
    }
}

void ps_put_text(ps_buf *out, const ps_style *style, ps_color color, const char *text)
{
    bool on = style->color && color != PS_COLOR_NONE;
    if (on)
        ps_buf_printf(out, "\033[%sm", color_codes[color]);
    ps_put_clean(out, style, text, SIZE_MAX);
    if (on)
        ps_buf_puts(out, "\033[0m");
}

/* Tables -------------------------------------------------------------------------------------- */

typedef struct cell {
    char *text;
    ps_color color;
} cell;

struct ps_table {
    size_t columns;
    bool headed;
    bool *right;
    cell *cells; /* row by row; the header first when there is one */
    size_t n;
};

static void add(ps_table *t, ps_color color, char *text)
{
    if ((t->n & (t->n - 1)) == 0) /* a power of two is full */
        t->cells = ps_realloc(t->cells, (t->n ? 2 * t->n : 1) * sizeof *t->cells);
    t->cells[t->n++] = (cell){.text = text, .color = color};
}

ps_table *ps_table_new(const char *const *headers)
{
    ps_table *t = ps_new(ps_table);
    t->headed = headers != NULL;
    t->columns = headers ? 0 : 2;
    while (headers && headers[t->columns])
        t->columns++;
    t->right = ps_alloc_array(t->columns, sizeof *t->right);
    for (size_t i = 0; headers && i < t->columns; i++) {
        t->right[i] = headers[i][0] == '>';
        add(t, PS_COLOR_BOLD, ps_strdup(headers[i] + t->right[i]));
    }
    return t;
}

void ps_table_free(ps_table **table)
{
    ps_table *t = *table;
    if (!t)
        return;
    for (size_t i = 0; i < t->n; i++)
        ps_free(&t->cells[i].text);
    ps_free(&t->cells);
    ps_free(&t->right);
    ps_free(table);
}

void ps_table_color(ps_table *table, ps_color color, const char *text)
{
    ps_style plain = {.utf8 = true};
    ps_buf clean = PS_BUF_EMPTY;
    ps_put_clean(&clean, &plain, text, SIZE_MAX);
    add(table, color, ps_strdup(ps_buf_cstr(&clean)));
    ps_buf_free(&clean);
}

void ps_table_text(ps_table *table, const char *text)
{
    ps_table_color(table, PS_COLOR_NONE, text);
}

static void add_format(ps_table *t, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    size_t size = len < 0 ? 1 : (size_t)len + 1;
    char *text = ps_alloc(size);
    if (len > 0)
        vsnprintf(text, size, format, args);
    ps_table_text(t, text);
    ps_free(&text);
}

void ps_table_printf(ps_table *table, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_format(table, format, args);
    va_end(args);
}

void ps_table_field(ps_table *table, const char *label, const char *format, ...)
{
    ps_table_color(table, PS_COLOR_DIM, label);
    va_list args;
    va_start(args, format);
    add_format(table, format, args);
    va_end(args);
    if (table->cells[table->n - 1].text[0])
        return;
    table->n -= 2;
    ps_free(&table->cells[table->n].text);
    ps_free(&table->cells[table->n + 1].text);
}

size_t ps_table_rows(const ps_table *table)
{
    return table->n / table->columns - table->headed;
}

static void spaces(ps_buf *out, size_t n)
{
    while (n--)
        ps_buf_putc(out, ' ');
}

/* Bytes of text that go into so many cells, to behind the last space or comma that does: all of it
 * where it fits, and a word that is longer by itself stays whole, so that it can be copied. */
static size_t line_of(const char *text, size_t columns)
{
    size_t len = strlen(text), cells = 0, end = 0;
    for (size_t at = 0, n, wide; at < len; at += n, cells += wide) {
        n = ps_text_cluster(text + at, len - at, &wide);
        bool over = cells + wide > columns && text[at] != ' ';
        if (over && end)
            return end;
        if (text[at] == ' ' || text[at] == ',')
            end = at + n;
    }
    return len;
}

/* A field of one thing, on a terminal: nothing of it is lost, and it goes on below itself. */
static void render_field(const ps_table *t, const cell *row, const size_t *widths,
                         const ps_style *style, ps_buf *out)
{
    const size_t indent = widths[0] + 2;
    ps_put_text(out, style, row[0].color, row[0].text);
    spaces(out, indent - ps_text_columns(row[0].text, strlen(row[0].text)));
    for (const char *at = row[1].text; *at;) {
        size_t n = line_of(at, style->width - indent), shown = n;
        while (shown && at[shown - 1] == ' ')
            shown--;
        char *line = ps_asprintf("%.*s", (int)shown, at);
        ps_put_text(out, style, row[1].color, line);
        ps_buf_putc(out, '\n');
        ps_free(&line);
        at += n;
        spaces(out, *at ? indent : 0);
    }
}

static void render_row(const ps_table *t, const cell *row, const size_t *widths,
                       const ps_style *style, ps_buf *out)
{
    size_t shown = t->columns;
    while (shown && !widths[shown - 1])
        shown--;
    for (size_t i = 0; i < shown; i++) {
        bool last = i + 1 == shown;
        if (!widths[i])
            continue;
        size_t columns = ps_text_columns(row[i].text, strlen(row[i].text));
        size_t pad = widths[i] > columns ? widths[i] - columns : 0;
        if (t->right[i])
            spaces(out, pad);
        bool on = style->color && row[i].color != PS_COLOR_NONE;
        if (on)
            ps_buf_printf(out, "\033[%sm", color_codes[row[i].color]);
        ps_put_clean(out, style, row[i].text, style->width ? widths[i] : SIZE_MAX);
        if (on)
            ps_buf_puts(out, "\033[0m");
        if (!last)
            spaces(out, (t->right[i] ? 0 : pad) + 2);
    }
    ps_buf_putc(out, '\n');
}

static size_t line_width(const ps_table *t, const size_t *widths)
{
    size_t total = 0;
    for (size_t i = 0; i < t->columns; i++)
        total += widths[i] ? widths[i] + 2 : 0;
    return total ? total - 2 : 0;
}

/* How narrow a column may become: numbers stay, and texts can be told from one another. */
static size_t least_of(const ps_table *t, const size_t *widths, size_t i, size_t last)
{
    enum { LEAST = 12, LEAST_OF_LAST = 8 };
    size_t least = i == last ? LEAST_OF_LAST : LEAST;
    return t->right[i] || widths[i] < least ? widths[i] : least;
}

/* Columns give way to the room: first the last one, then the widest. Whether that was enough. */
static bool squeeze(const ps_table *t, size_t *widths, size_t last, size_t room)
{
    size_t total = line_width(t, widths);
    while (total > room) {
        size_t widest = last;
        for (size_t i = 0; i < last && widths[widest] <= least_of(t, widths, widest, last); i++)
            widest = i;
        for (size_t i = widest + 1; i < last; i++)
            if (widths[i] > widths[widest] && widths[i] > least_of(t, widths, i, last))
                widest = i;
        size_t most = widths[widest] - least_of(t, widths, widest, last), over = total - room;
        if (!most)
            return false;
        size_t cut = widest != last ? 1 : most < over ? most : over;
        widths[widest] -= cut;
        total -= cut;
    }
    return true;
}

/* On a terminal a list does not wrap: columns
 * in which no row says anything are left out (width 0), then texts are cut, and where that does not
 * do, columns are left out from the right, but for two. */
static void fit(const ps_table *t, size_t *widths, size_t rows, size_t room)
{
    size_t *whole = ps_alloc_array(t->columns, sizeof *whole), left = t->columns;
    for (size_t i = 0; i < t->columns; i++) {
        bool said = rows < 2;
        for (size_t r = 1; r < rows && !said; r++)
            said = t->cells[r * t->columns + i].text[0] != 0;
        whole[i] = said ? widths[i] : 0;
    }
    for (bool fits = false; !fits; left--) {
        memcpy(widths, whole, t->columns * sizeof *whole);
        fits = squeeze(t, widths, left - 1, room) || left <= 2;
        whole[left - 1] = 0;
    }
    ps_free(&whole);
}

void ps_table_render(const ps_table *table, const ps_style *style, ps_buf *out)
{
    size_t *widths = ps_alloc_array(table->columns, sizeof *widths);
    size_t rows = table->n / table->columns;
    for (size_t i = 0; i < rows * table->columns; i++) {
        size_t columns = ps_text_columns(table->cells[i].text, strlen(table->cells[i].text));
        if (columns > widths[i % table->columns])
            widths[i % table->columns] = columns;
    }
    if (style->width && table->headed && table->columns > 1)
        fit(table, widths, rows, style->width);
    bool fields = !table->headed && style->width > widths[0] + 2 + 20;
    for (size_t r = 0; r < rows; r++)
        (fields ? render_field : render_row)(table, table->cells + r * table->columns, widths,
                                             style, out);
    ps_free(&widths);
}

ps_status ps_output_flush(ps_buf *out, int fd)
{
    size_t at = 0;
    while (at < out->len) {
        ssize_t n = write(fd, out->data + at, out->len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            ps_buf_clear(out);
            return ps_fail_errno(errno, "cannot write the output");
        }
        at += (size_t)n;
    }
    ps_buf_clear(out);
    return PS_OK;
}
