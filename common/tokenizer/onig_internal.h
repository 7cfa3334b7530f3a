/* What the parts of onig share: where one reads and writes, and sets of characters. Private to
 * onig*.c. */
#ifndef PS_TOKENIZER_ONIG_INTERNAL_H
#define PS_TOKENIZER_ONIG_INTERNAL_H

#include "common/base/buf.h"
#include "common/base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum { PS_ONIG_MAX_DEPTH = 100 /* of groups, of sets; PCRE2 is let do more */ };

enum { PS_ONIG_FOLD = 3 /* characters that one folds into, at most */ };

/* The characters that fold into several (104 of Unicode 16): n is 0 until option i asks for them.
 */
typedef struct ps_onig_folds {
    size_t n;
    int32_t into[128][PS_ONIG_FOLD];
} ps_onig_folds;

typedef struct ps_onig {
    ps_slice in; /* UTF-8 */
    size_t at;
    ps_buf *out;
    unsigned depth;
    uint32_t groups;                 /* that capture, begun so far */
    bool named, numbered;            /* one has a name, one is referred to by its number */
    uint32_t last;                   /* the character that stands right before; 0: none does */
    bool place;                      /* what stands right before has no length (as ^ has not) */
    bool any_case, any_char, spaced; /* options i, m and x, here */
    ps_onig_folds *folds;
} ps_onig;

/* A set of characters: those of `[flat]`, and what one of the others matches. Clear it with
 * ps_onig_set_clear; starts as {0}. */
typedef struct ps_onig_set {
    ps_buf flat;   /* what stands between [ and ] in PCRE2 */
    ps_buf others; /* each after a | */
} ps_onig_set;

/* "the pattern is not understood at byte AT: …" */
PS_MUST_CHECK ps_status ps_onig_fail(size_t at, const char *format, ...) PS_PRINTF(2, 3);

bool ps_onig_is(const ps_onig *o, const char *text); /* whether it comes next */
bool ps_onig_skip(ps_onig *o, const char *text);     /* the same, and steps over it */
/* The next character, which there must be; steps over it. */
uint32_t ps_onig_take(ps_onig *o);
void ps_onig_literal(ps_buf *out, uint32_t c); /* as itself, in a set or not */
/* With option i, Oniguruma takes the German sharp s for ss and the ligature fi for f and i, PCRE2
 * does not: PS_INVALID_ARGUMENT where c, behind o->last, is of such. */
PS_MUST_CHECK ps_status ps_onig_check_case(const ps_onig *o, size_t at, uint32_t c);
/* The same of a range of a set that is not negated: Oniguruma takes (?i)[\x{c0}-\x{ff}] for ss,
 * too. */
PS_MUST_CHECK ps_status ps_onig_check_range(const ps_onig *o, size_t at, uint32_t first,
                                            uint32_t last);

/* Behind a backslash: the character that is meant, in a set or not. */
PS_MUST_CHECK ps_status ps_onig_escaped(ps_onig *o, uint32_t *c);
/* Behind a backslash: a kind of characters (\d, \p{…} and so on) is added to the set; *is: whether
 * one stands there, else nothing was read. in_set: between [ and ], where option i changes what
 * kinds are. */
PS_MUST_CHECK ps_status ps_onig_kind(ps_onig *o, bool in_set, ps_onig_set *set, bool *is);
/* Behind a [ of a set: the same for [:…:]. */
PS_MUST_CHECK ps_status ps_onig_bracket(ps_onig *o, ps_onig_set *set, bool *is);
/* What \w is between [ and ]; alone and at edges of words Oniguruma asks a table of the characters
 * below U+0100, in which fractions and small digits are of words. */
#define PS_ONIG_WORD       "0-9A-Z_a-z\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
#define PS_ONIG_WORD_ALONE "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}" PS_ONIG_WORD

/* Steps over comments, and with option x over spaces. */
PS_MUST_CHECK ps_status ps_onig_between(ps_onig *o);
/* The quantifiers behind an item that was written from `start` on; and that none stands where an
 * item is wanted. */
PS_MUST_CHECK ps_status ps_onig_quantifiers(ps_onig *o, size_t start);
PS_MUST_CHECK ps_status ps_onig_check_item(ps_onig *o);

/* Behind a [ up to its ], as something that matches one character. */
PS_MUST_CHECK ps_status ps_onig_class(ps_onig *o, ps_buf *out);
/* The set as something that matches one character. */
void ps_onig_set_put(const ps_onig_set *set, bool negated, ps_buf *out);
void ps_onig_set_clear(ps_onig_set *set);

#endif
