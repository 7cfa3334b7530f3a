/* utf8proc has the categories of Unicode 15; what version 16 added is in the table of
 * classes_new.h, made by tests/golden/tokenizers/unicode.py. Cannot fail. */
#include "common/tokenizer/classes.h"

#include "common/tokenizer/classes_new.h"

#include <stddef.h>
#include <utf8proc.h>

typedef enum letter_of_category { NONE, L, M, N, P, S, Z, C } major;

static const uint8_t majors[] = {
    [UTF8PROC_CATEGORY_CN] = C, [UTF8PROC_CATEGORY_LU] = L, [UTF8PROC_CATEGORY_LL] = L,
    [UTF8PROC_CATEGORY_LT] = L, [UTF8PROC_CATEGORY_LM] = L, [UTF8PROC_CATEGORY_LO] = L,
    [UTF8PROC_CATEGORY_MN] = M, [UTF8PROC_CATEGORY_MC] = M, [UTF8PROC_CATEGORY_ME] = M,
    [UTF8PROC_CATEGORY_ND] = N, [UTF8PROC_CATEGORY_NL] = N, [UTF8PROC_CATEGORY_NO] = N,
    [UTF8PROC_CATEGORY_PC] = P, [UTF8PROC_CATEGORY_PD] = P, [UTF8PROC_CATEGORY_PS] = P,
    [UTF8PROC_CATEGORY_PE] = P, [UTF8PROC_CATEGORY_PI] = P, [UTF8PROC_CATEGORY_PF] = P,
    [UTF8PROC_CATEGORY_PO] = P, [UTF8PROC_CATEGORY_SM] = S, [UTF8PROC_CATEGORY_SC] = S,
    [UTF8PROC_CATEGORY_SK] = S, [UTF8PROC_CATEGORY_SO] = S, [UTF8PROC_CATEGORY_ZS] = Z,
    [UTF8PROC_CATEGORY_ZL] = Z, [UTF8PROC_CATEGORY_ZP] = Z, [UTF8PROC_CATEGORY_CC] = C,
    [UTF8PROC_CATEGORY_CF] = C, [UTF8PROC_CATEGORY_CS] = C, [UTF8PROC_CATEGORY_CO] = C,
};

/* The range that cp is in; NULL: none. */
static const new_range *range_of(uint32_t cp)
{
    size_t low = 0, high = sizeof new_ranges / sizeof *new_ranges;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (cp > new_ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    bool in = low < sizeof new_ranges / sizeof *new_ranges && cp >= new_ranges[low].first;
    return in ? &new_ranges[low] : NULL;
}

static bool is_in(const old_range *ranges, size_t n, uint32_t cp)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (cp > ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && cp >= ranges[low].first;
}

#define IN(ranges, cp) is_in(ranges, sizeof(ranges) / sizeof *(ranges), cp)

static utf8proc_category_t category(uint32_t cp)
{
    if (cp >= 0x110000)
        return UTF8PROC_CATEGORY_SO; /* a byte that is no UTF-8: a symbol */
    utf8proc_category_t is = utf8proc_category((utf8proc_int32_t)cp);
    const new_range *in = is == UTF8PROC_CATEGORY_CN ? range_of(cp) : NULL;
    return in ? (utf8proc_category_t)in->category : is;
}

static bool between(uint32_t cp, uint32_t first, uint32_t last)
{
    return cp >= first && cp <= last;
}

bool ps_class_letter(uint32_t cp)
{
    return majors[category(cp)] == L;
}

bool ps_class_number(uint32_t cp)
{
    return majors[category(cp)] == N;
}

bool ps_class_punctuation(uint32_t cp)
{
    if (cp < 0x80)
        return between(cp, '!', '/') || between(cp, ':', '@') || between(cp, '[', '`') ||
               between(cp, '{', '~');
    return (majors[category(cp)] == P && !IN(no_punctuation, cp)) || IN(more_punctuation, cp);
}

bool ps_class_mark(uint32_t cp)
{
    return majors[category(cp)] == M && !IN(no_mark, cp);
}

bool ps_class_nonspacing(uint32_t cp)
{
    return (category(cp) == UTF8PROC_CATEGORY_MN && !IN(no_nonspacing, cp)) ||
           IN(more_nonspacing, cp);
}

bool ps_class_control(uint32_t cp)
{
    utf8proc_category_t is = category(cp);
    return cp != '\t' && cp != '\n' && cp != '\r' && majors[is] == C &&
           is != UTF8PROC_CATEGORY_CN && !IN(no_control, cp);
}

bool ps_class_formless(uint32_t cp)
{
    return cp >= 0x80 && IN(no_form, cp);
}

bool ps_class_space(uint32_t cp)
{
    if (cp < 0x80)
        return cp == ' ' || between(cp, '\t', '\r');
    return cp == 0x85 || majors[category(cp)] == Z;
}

/* Alphabetic (L, Nl, Other_Alphabetic: marks, and letters in circles), M, Nd, Pc, Join_Control. */
bool ps_class_word(uint32_t cp)
{
    utf8proc_category_t is = category(cp);
    return majors[is] == L || majors[is] == M || is == UTF8PROC_CATEGORY_ND ||
           is == UTF8PROC_CATEGORY_NL || is == UTF8PROC_CATEGORY_PC || cp == 0x200c ||
           cp == 0x200d || between(cp, 0x24b6, 0x24e9) || between(cp, 0x1f130, 0x1f149) ||
           between(cp, 0x1f150, 0x1f169) || between(cp, 0x1f170, 0x1f189);
}

bool ps_class_han(uint32_t cp)
{
    return between(cp, 0x4e00, 0x9fff) || between(cp, 0x3400, 0x4dbf) ||
           between(cp, 0x20000, 0x2a6df) || between(cp, 0x2a700, 0x2b73f) ||
           between(cp, 0x2b740, 0x2b81f) || between(cp, 0x2b920, 0x2ceaf) ||
           between(cp, 0xf900, 0xfaff) || between(cp, 0x2f800, 0x2fa1f);
}

uint32_t ps_class_known(uint32_t cp)
{
    if (cp == 0x180e)
        return 0x206a; /* both are Cf; to PCRE2 the first is a space, which it was until 2013 */
    const new_range *in = cp >= 0x370 ? range_of(cp) : NULL;
    return in ? in->known : cp;
}
