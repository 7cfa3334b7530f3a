/* By the first column that is there, by size: a head without which the score rises counts as one
 * without which it falls. Cannot fail. */
#include "client/report/head_table.h"

#include "client/report/cells.h"
#include "client/report/html.h"
#include "client/report/numbers.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#define SCORES "head_scores"

enum { SHOWN = 24 };

/* From the second on about the match, where a query's token stood before. */
const ps_head_look ps_head_looks[] = {
    {"previous", "The token before"}, {"before_match", "Match &#8722; 1"},
    {"duplicate", "The match"},       {"induction", "Match + 1: induction"},
    {"after_induction", "Match + 2"}, {NULL, NULL},
};

enum { LOST, ADDS, LOOKS, COLUMNS };
static const struct {
    const char *method, *array, *title;
} columns[COLUMNS] = {
    [LOST] = {"head_ablation", "effect", "Lost without it"},
    [ADDS] = {"direct_logits", "heads", "Adds by itself"},
    [LOOKS] = {SCORES, "induction", "Share"}, /* of the largest of the looks */
};

typedef struct head {
    uint64_t number; /* layer · heads + head */
    const ps_head_look *look;
    double values[COLUMNS]; /* NaN: not known */
} head;

typedef struct table {
    head *heads; /* [n] */
    uint64_t n, each;
    bool there[COLUMNS];
} table;

static bool is_there(const ps_explain_view *v, size_t column)
{
    return *ps_array_of(v, columns[column].method, columns[column].array) != '\0';
}

bool ps_head_table_present(const ps_explain_view *v)
{
    return is_there(v, LOST) || is_there(v, LOOKS);
}

/* ---- numbers ---- */

/* Heads of a column, and how many a layer has. head_scores are of all rows at once. */
static uint64_t count_of(const ps_explain_view *v, size_t column, uint64_t *each)
{
    const char *array = ps_array_of(v, columns[column].method, columns[column].array);
    *each = ps_array_last(v, array);
    return column == LOOKS ? ps_numbers_whole(v, array).n : ps_numbers_of(v, array, 0).n;
}

static void find_look(const ps_explain_view *v, head *h)
{
    for (const ps_head_look *look = ps_head_looks; look->array; look++) {
        ps_numbers all = ps_numbers_whole(v, ps_array_of(v, SCORES, look->array));
        double share = h->number < all.n ? ps_number_at(&all, h->number) : NAN;
        if (!isfinite(share) || share <= h->values[LOOKS])
            continue;
        h->look = look;
        h->values[LOOKS] = share;
    }
}

static table table_of(const ps_explain_view *v)
{
    table t = {.n = 0};
    for (size_t c = 0; c < COLUMNS; c++) {
        uint64_t each, n = count_of(v, c, &each);
        if (!n || !each || n > PS_CELLS_MOST || n % each || (t.n && (n != t.n || each != t.each)))
            continue;
        t.there[c] = true;
        t.n = n;
        t.each = each;
    }
    t.heads = ps_alloc_array((size_t)t.n + 1, sizeof *t.heads);
    for (uint64_t i = 0; i < t.n; i++) {
        head *h = &t.heads[i];
        *h = (head){.number = i, .values = {NAN, NAN, NAN}};
        for (size_t c = LOST; c <= ADDS; c++)
            if (t.there[c])
                h->values[c] =
                    ps_array_mean(v, ps_array_of(v, columns[c].method, columns[c].array), i);
        if (t.there[LOOKS])
            find_look(v, h);
    }
    return t;
}

/* ---- the order ---- */

static double size_of(const head *h, size_t column)
{
    return isfinite(h->values[column]) ? fabs(h->values[column]) : -1;
}

/* The first column that tells the two apart. */
static int by_size(const void *a, const void *b)
{
    const head *x = a, *y = b;
    for (size_t c = 0; c < COLUMNS; c++)
        if (size_of(x, c) != size_of(y, c))
            return size_of(x, c) < size_of(y, c) ? 1 : -1;
    return (x->number > y->number) - (x->number < y->number);
}

/* ---- the table ---- */

static void put_head(ps_buf *out, const table *t, const head *h)
{
    ps_html(out, "<tr><td data-v=\"%" PRIu64 "\">%" PRIu64 ".%" PRIu64 "</td>", h->number,
            h->number / t->each, h->number % t->each);
    for (size_t c = 0; c < COLUMNS; c++) {
        if (!t->there[c])
            continue;
        if (c == LOOKS) {
            ps_buf_puts(out, "<td>");
            ps_buf_puts(out, h->look ? h->look->title : "");
            ps_buf_puts(out, "</td>");
        }
        if (isfinite(h->values[c]))
            ps_html(out,
                    c == LOOKS ? "<td class=\"n\" data-v=\"%g\">%.2f</td>"
                               : "<td class=\"n\" data-v=\"%g\">%+.3g</td>",
                    h->values[c], h->values[c]);
        else
            ps_buf_puts(out, "<td class=\"n\" data-v=\"-1e99\"></td>");
    }
    ps_buf_puts(out, "</tr>\n");
}

static void put_table(ps_buf *out, const table *t)
{
    ps_buf_puts(out, "<h3>Heads, most first</h3>\n<div class=\"scroll\"><table class=\"sort\">"
                     "<thead><tr><th>Head</th>");
    for (size_t c = 0; c < COLUMNS; c++)
        if (t->there[c])
            ps_html(out,
                    c == LOOKS ? "<th>Looks for</th><th class=\"n\">%s</th>"
                               : "<th class=\"n\">%s</th>",
                    columns[c].title);
    ps_buf_puts(out, "</tr></thead><tbody>\n");
    for (uint64_t i = 0; i < t->n && i < SHOWN; i++)
        put_head(out, t, &t->heads[i]);
    ps_buf_puts(out, "</tbody></table></div>\n");
    if (t->n > SHOWN)
        ps_html(out,
                "<p class=\"left-out\">%" PRIu64 " heads more are in explain.safetensors.</p>\n",
                t->n - SHOWN);
    ps_html(out, "<p class=\"note\">Layer and head. %s%s%s</p>\n",
            t->there[LOST] ? "Lost without it: what the score falls by when it is taken out, the "
                             "mean of all rows; what others take over is not lost. "
                           : "",
            t->there[ADDS] ? "Adds by itself: through the last norm and the head alone. " : "",
            t->there[LOOKS] ? "Looks for: where most of its attention goes, on random tokens that "
                              "repeat, and what share."
                            : "");
}

void ps_head_table_html(ps_report *r, ps_buf *out)
{
    if (!ps_head_table_present(r->explanation))
        return;
    ps_buf piece = PS_BUF_EMPTY;
    table t = table_of(r->explanation);
    qsort(t.heads, (size_t)t.n, sizeof *t.heads, by_size);
    if (t.n)
        put_table(&piece, &t);
    if (!ps_room_take(&r->room, &piece, out))
        ps_room_left_out(&r->room, "the table of heads");
    ps_buf_free(&piece);
    ps_free(&t.heads);
}
