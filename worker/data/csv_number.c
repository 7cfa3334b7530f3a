/* Happy path: up to 19 digits go into an integer; when that is exact as a double, and the power of
 * ten is, one product or quotient rounds once and so correctly (Clinger 1990, "How to read floating
 * point numbers accurately"). Everything else is left to strtod, which the GNU library rounds
 * correctly, in the locale "C": no program here sets another one for numbers. */
#include "worker/data/csv_number.h"

#include <stdint.h>
#include <stdlib.h>

enum { MAX_DIGITS = 19, MAX_EXPONENT = 100000 };

typedef struct decimal {
    bool negative;
    uint64_t digits; /* the first MAX_DIGITS that count */
    int n, dropped;  /* how many those are; further ones */
    int64_t exponent;
} decimal;

static const char *read_digits(const char *s, decimal *d, bool behind_point)
{
    for (; *s >= '0' && *s <= '9'; s++) {
        if (d->n == MAX_DIGITS) {
            d->dropped++;
            continue;
        }
        d->digits = d->digits * 10 + (uint64_t)(*s - '0');
        d->n += d->digits != 0;
        d->exponent -= behind_point;
    }
    return s;
}

static const char *read_exponent(const char *s, decimal *d)
{
    bool negative = *s == '-';
    int64_t e = 0;
    s += *s == '-' || *s == '+';
    if (*s < '0' || *s > '9')
        return NULL;
    for (; *s >= '0' && *s <= '9'; s++)
        e = e < MAX_EXPONENT ? e * 10 + (*s - '0') : e;
    d->exponent += negative ? -e : e;
    return s;
}

/* The end of the text when it is a number, otherwise NULL. */
static const char *read_decimal(const char *s, decimal *d)
{
    d->negative = *s == '-';
    s += *s == '-' || *s == '+';
    const char *whole = s, *point = NULL;
    s = read_digits(s, d, false);
    if (*s == '.') {
        point = s;
        s = read_digits(s + 1, d, true);
    }
    if (s - whole - (point != NULL) < 1)
        return NULL;
    return *s == 'e' || *s == 'E' ? read_exponent(s + 1, d) : s;
}

bool ps_csv_number(const char *text, double *out)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    enum { LARGEST = sizeof powers / sizeof *powers - 1 };
    decimal d = {0};
    const char *end = read_decimal(text, &d);
    if (!end || *end)
        return false;
    bool exact = !d.dropped && d.digits <= UINT64_C(1) << 53;
    if (exact && d.exponent >= -LARGEST && d.exponent <= LARGEST) {
        double v = (double)d.digits;
        v = d.exponent < 0 ? v / powers[-d.exponent] : v * powers[d.exponent];
        *out = d.negative ? -v : v;
    } else {
        *out = strtod(text, NULL);
    }
    return true;
}
