/* What a character is behind a backslash, and which characters Oniguruma folds into several
 * (Unicode's CaseFolding.txt, status F). */
#include "common/tokenizer/onig_internal.h"

#include <utf8proc.h>

/* ---- escapes ---- */

static int digit_of(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : 16;
}

/* Up to `most` digits; returns how many there are. */
static int digits(ps_onig *o, uint32_t base, int most, uint32_t *c)
{
    int n = 0;
    *c = 0;
    for (; n < most && o->at < o->in.len; n++, o->at++) {
        uint32_t digit = (uint32_t)digit_of(o->in.data[o->at]);
        if (digit >= base || *c > UINT32_MAX / base - 1)
            break;
        *c = *c * base + digit;
    }
    return n;
}

static ps_status check_point(size_t from, uint32_t c, uint32_t most)
{
    return c <= most && (c < 0xd800 || c > 0xdfff)
               ? PS_OK
               : ps_onig_fail(from, "%x is no character, or a byte of one", c);
}

/* Between braces: one of them, where Oniguruma can have several. */
static ps_status braced(ps_onig *o, size_t from, uint32_t base, uint32_t *c)
{
    if (!digits(o, base, 11, c) || !ps_onig_skip(o, "}"))
        return ps_onig_fail(from, "one number is wanted between { and }");
    return check_point(from, *c, 0x10ffff);
}

ps_status ps_onig_escaped(ps_onig *o, uint32_t *c)
{
    static const char names[] = "tnrfaevb", values[] = "\t\n\r\f\a\x1b\v\b";
    size_t from = o->at - 1;
    if (o->at == o->in.len)
        return ps_onig_fail(from, "a backslash at the end");
    if (ps_onig_skip(o, "x{"))
        return braced(o, from, 16, c);
    if (ps_onig_skip(o, "o{"))
        return braced(o, from, 8, c);
    if (ps_onig_skip(o, "x"))
        return digits(o, 16, 2, c) ? check_point(from, *c, 0x7f)
                                   : ps_onig_fail(from, "\\x wants two digits");
    if (ps_onig_skip(o, "u"))
        return digits(o, 16, 4, c) == 4 ? check_point(from, *c, 0xffff)
                                        : ps_onig_fail(from, "\\u wants four digits");
    if (o->in.data[o->at] >= '0' && o->in.data[o->at] <= '7')
        return digits(o, 8, 3, c), check_point(from, *c, 0x7f);
    *c = ps_onig_take(o);
    if (*c == 'c' || *c == 'C' || *c == 'M')
        return ps_onig_fail(from, "\\%c is not supported", (char)*c);
    const char *name = *c && *c < 0x80 ? strchr(names, (int)*c) : NULL;
    if (name)
        *c = (uint32_t)values[name - names];
    return PS_OK;
}

/* ---- what folds into several ---- */

static int fold(uint32_t c, int32_t into[PS_ONIG_FOLD])
{
    int class = 0;
    return (int)utf8proc_decompose_char((utf8proc_int32_t)c, into, PS_ONIG_FOLD, UTF8PROC_CASEFOLD,
                                        &class);
}

/* Where those are that do. */
static const uint32_t ranges[][2] = {{0xdf, 0x587}, {0x1e96, 0x1ffc}, {0xfb00, 0xfb17}};
enum { RANGES = sizeof ranges / sizeof *ranges };

static void gather(ps_onig_folds *folds)
{
    for (size_t i = 0; i < RANGES; i++)
        for (uint32_t c = ranges[i][0]; c <= ranges[i][1]; c++)
            if (folds->n < sizeof folds->into / sizeof *folds->into &&
                fold(c, folds->into[folds->n]) > 1)
                folds->n++;
}

/* Whether one character folds into a and b, or begins so. */
static bool begins_fold(ps_onig_folds *folds, int32_t a, int32_t b)
{
    if (!folds->n)
        gather(folds);
    for (size_t i = 0; i < folds->n; i++)
        if (folds->into[i][0] == a && folds->into[i][1] == b)
            return true;
    return false;
}

ps_status ps_onig_check_range(const ps_onig *o, size_t at, uint32_t first, uint32_t last)
{
    int32_t into[PS_ONIG_FOLD];
    for (size_t i = 0; o->any_case && i < RANGES; i++)
        for (uint32_t c = ranges[i][0]; c <= ranges[i][1]; c++)
            if (c >= first && c <= last && fold(c, into) > 1)
                return ps_onig_fail(
                    at, "with (?i), a range with a character that is several in the other case");
    return PS_OK;
}

ps_status ps_onig_check_case(const ps_onig *o, size_t at, uint32_t c)
{
    int32_t now[PS_ONIG_FOLD], before[PS_ONIG_FOLD];
    if (!o->any_case)
        return PS_OK;
    if (fold(c, now) > 1)
        return ps_onig_fail(at, "with (?i), a character that is several in the other case");
    if (o->last && fold(o->last, before) == 1 && begins_fold(o->folds, before[0], now[0]))
        return ps_onig_fail(at, "with (?i), characters that are one in another case (as ss is)");
    return PS_OK;
}
