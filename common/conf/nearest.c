/* The spelling that was probably meant: Damerau's distance with adjacent transpositions (optimal
 * string alignment), over words short enough for a table on the stack. Cannot fail. */
#include "common/conf/nearest.h"

#include <stdbool.h>
#include <string.h>

enum { LONGEST = 40 };

static unsigned smaller(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    if (n > LONGEST || m > LONGEST)
        return LONGEST;
    unsigned d[LONGEST + 1][LONGEST + 1];
    for (size_t i = 0; i <= n; i++)
        d[i][0] = (unsigned)i;
    for (size_t j = 0; j <= m; j++)
        d[0][j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        for (size_t j = 1; j <= m; j++) {
            unsigned other = a[i - 1] != b[j - 1];
            d[i][j] = smaller(smaller(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + other);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = smaller(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[n][m];
}

const char *ps_conf_nearest(const char *text, const char *(*next)(const void *state, size_t i),
                            const void *state)
{
    const char *best = NULL;
    unsigned length = (unsigned)strlen(text);
    unsigned limit = length < 5 ? 1 : length / 3 + 1; /* one slip in three letters */
    unsigned least = limit + 1;
    const char *word = NULL;
    for (size_t i = 0; (word = next(state, i)); i++) {
        bool begun = length >= 3 && !strncmp(text, word, length); /* half said is no slip */
        unsigned d = begun ? 0 : distance(text, word);
        if (d < least && d < strlen(word)) {
            least = d;
            best = word;
        }
    }
    return best;
}

void ps_conf_allowed(const char *text, const char *(*next)(const void *state, size_t i),
                     const void *state, ps_buf *out)
{
    const char *meant = ps_conf_nearest(text, next, state);
    if (meant)
        ps_buf_printf(out, "; did you mean '%s'?", meant);
    ps_buf_puts(out, meant ? " allowed: " : "; allowed: ");
    const char *word = NULL;
    for (size_t i = 0; (word = next(state, i)); i++)
        ps_buf_printf(out, "%s%s", i ? ", " : "", *word ? word : "(empty)");
}
