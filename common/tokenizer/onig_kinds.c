/* Kinds of characters: \d and its like, the POSIX brackets of Unicode (doc/RE of Oniguruma, 6), and
 * properties by all of their names, in which case, spaces, - and _ do not count. Fails at a name
 * that PCRE2 has not or has for something else, and at kinds that option i changes in a set. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "common/tokenizer/onig_internal.h"

#include <pcre2.h>
#include <stdio.h>

typedef enum how {
    OF,    /* these characters */
    NOT,   /* all but these */
    CASED, /* these, but in a set option i adds to them */
} how;

typedef struct kind {
    const char *name;
    const char *is; /* between [ and ] of PCRE2 */
    how how;
} kind;

#define CONTROL "\\x{0}-\\x{1f}\\x{7f}-\\x{9f}"

/* With those that became alphabetic, or of lower case, after Unicode 14. */
#define LETTERS                                                                         \
    "A-Za-z\\p{Alphabetic}\\x{363}-\\x{36f}\\x{c04}\\x{f82}\\x{f83}\\x{1dd3}-\\x{1de6}" \
    "\\x{11080}\\x{11081}"
#define LOWER "\\p{Lowercase}\\x{10fc}\\x{a7f2}-\\x{a7f4}\\x{ab69}"

static const kind posix[] = {
    {"alnum", "0-9" LETTERS "\\p{Nd}", OF},
    {"alpha", LETTERS, OF},
    {"ascii", "\\x{0}-\\x{7f}", OF},
    {"blank", "\\x{9}\\p{Zs}", OF},
    {"cntrl", CONTROL, OF},
    {"digit", "\\d", OF},
    {"graph", "\\s" CONTROL "\\p{Cn}", NOT},
    {"lower", LOWER, CASED},
    {"print", "\\x{85}\\x{2028}\\x{2029}" CONTROL "\\p{Cn}", NOT},
    {"punct", "\\p{P}\\p{S}", OF},
    {"space", "\\s", OF},
    {"upper", "\\p{Uppercase}", CASED},
    {"xdigit", "0-9A-Fa-f", OF},
    {"word", PS_ONIG_WORD, OF},
};

/* Properties that PCRE2 has not by this name, or has otherwise: the long names of general
 * categories (PropertyValueAliases.txt) among them. */
static const kind properties[] = {
    {"punct", "\\p{P}", OF},
    {"alphabetic", LETTERS, OF},
    {"lowercase", LOWER, CASED},
    {"letter", "\\p{L}", OF},
    {"casedletter", "\\p{Lu}\\p{Ll}\\p{Lt}", OF},
    {"lc", "\\p{Lu}\\p{Ll}\\p{Lt}", OF},
    {"uppercaseletter", "\\p{Lu}", CASED},
    {"lu", "\\p{Lu}", CASED},
    {"lowercaseletter", "\\p{Ll}", CASED},
    {"ll", "\\p{Ll}", CASED},
    {"titlecaseletter", "\\p{Lt}", CASED},
    {"lt", "\\p{Lt}", CASED},
    {"modifierletter", "\\p{Lm}", OF},
    {"otherletter", "\\p{Lo}", OF},
    {"mark", "\\p{M}", OF},
    {"combiningmark", "\\p{M}", OF},
    {"nonspacingmark", "\\p{Mn}", OF},
    {"spacingmark", "\\p{Mc}", OF},
    {"enclosingmark", "\\p{Me}", OF},
    {"number", "\\p{N}", OF},
    {"decimalnumber", "\\p{Nd}", OF},
    {"letternumber", "\\p{Nl}", OF},
    {"othernumber", "\\p{No}", OF},
    {"punctuation", "\\p{P}", OF},
    {"connectorpunctuation", "\\p{Pc}", OF},
    {"dashpunctuation", "\\p{Pd}", OF},
    {"openpunctuation", "\\p{Ps}", OF},
    {"closepunctuation", "\\p{Pe}", OF},
    {"initialpunctuation", "\\p{Pi}", OF},
    {"finalpunctuation", "\\p{Pf}", OF},
    {"otherpunctuation", "\\p{Po}", OF},
    {"symbol", "\\p{S}", OF},
    {"mathsymbol", "\\p{Sm}", OF},
    {"currencysymbol", "\\p{Sc}", OF},
    {"modifiersymbol", "\\p{Sk}", OF},
    {"othersymbol", "\\p{So}", OF},
    {"separator", "\\p{Z}", OF},
    {"spaceseparator", "\\p{Zs}", OF},
    {"lineseparator", "\\p{Zl}", OF},
    {"paragraphseparator", "\\p{Zp}", OF},
    {"other", "\\p{C}", OF},
    {"control", "\\p{Cc}", OF},
    {"format", "\\p{Cf}", OF},
    {"unassigned", "\\p{Cn}", OF},
    {"privateuse", "\\p{Co}", OF},
    {"surrogate", "\\p{Cs}", OF},
    {"assigned", "\\p{Cn}", NOT},
    {"any", "\\x{0}-\\x{10ffff}", OF},
};

static const kind escapes[] = {
    {"d", "\\d", OF},       {"D", "\\D", OF},        {"s", "\\s", OF},
    {"S", "\\S", OF},       {"w", PS_ONIG_WORD, OF}, {"W", PS_ONIG_WORD, NOT},
    {"h", "0-9A-Fa-f", OF}, {"H", "0-9A-Fa-f", NOT},
};

static const kind *find(const kind *rows, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(rows[i].name, name))
            return &rows[i];
    return NULL;
}

#define FIND(rows, name) find(rows, sizeof(rows) / sizeof *(rows), name)

static ps_status put(const ps_onig *o, size_t from, bool in_set, const kind *row, bool negated,
                     ps_onig_set *set)
{
    if (in_set && o->any_case && row->how == CASED)
        return ps_onig_fail(from, "with (?i), a set with %s in it", row->name);
    const char *is = row->is;
    if (!in_set && !strcmp(is, PS_ONIG_WORD))
        is = PS_ONIG_WORD_ALONE;
    bool not = (row->how == NOT) != negated;
    bool one = is[0] == '\\' && is[1] == 'p' && !strchr(is + 2, '\\');
    if (not &&one)
        ps_buf_printf(&set->flat, "\\P%s", is + 2);
    else if (not )
        ps_buf_printf(&set->others, "|[^%s]", is);
    else
        ps_buf_puts(&set->flat, is);
    return PS_OK;
}

/* ---- properties ---- */

enum { MAX_NAME = 48 };

static bool compiles(const char *pattern)
{
    int error = 0;
    size_t at = 0;
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF, &error, &at, NULL);
    pcre2_code_free(code);
    return code;
}

/* A general category by its two letters or one, a script, or a binary property. */
static bool find_in_pcre2(const char *name, char is[MAX_NAME + 16], how *is_how)
{
    *is_how = OF;
    (void)snprintf(is, MAX_NAME + 16, "\\p{sc:%s}", name);
    if (compiles(is))
        return true; /* without sc: characters that scripts share are of each */
    /* Those that PCRE2 has of its own, and classes of bidirectional text. */
    bool other = (name[0] == 'x' && strlen(name) == 3 && strcmp(name, "xid") != 0) ||
                 !strncmp(name, "bidi", 4);
    (void)snprintf(is, MAX_NAME + 16, "\\p{%s}", name);
    if (other || !compiles(is))
        return false;
    *is_how = strlen(name) > 2 ? CASED : OF;
    return true;
}

static ps_status property(ps_onig *o, size_t from, bool in_set, bool negated, ps_onig_set *set)
{
    char name[MAX_NAME] = "", is[MAX_NAME + 16] = "";
    size_t n = 0;
    negated = ps_onig_skip(o, "^") != negated;
    for (uint8_t c = 0; o->at < o->in.len && (c = o->in.data[o->at]) != '}'; o->at++) {
        bool upper = c >= 'A' && c <= 'Z';
        if (c == ' ' || c == '-' || c == '_')
            continue;
        if (!(upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) || n == MAX_NAME - 1)
            return ps_onig_fail(from, "a property of characters that is not known");
        name[n++] = (char)(upper ? c - 'A' + 'a' : c);
    }
    if (!ps_onig_skip(o, "}"))
        return ps_onig_fail(from, "a { without its }");
    const kind *row = FIND(properties, name);
    row = row ? row : FIND(posix, name);
    kind found = {.name = name, .is = is};
    if (!row && !(n && find_in_pcre2(name, is, &found.how)))
        return ps_onig_fail(from, "the property %s of characters is not known", name);
    return put(o, from, in_set, row ? row : &found, negated, set);
}

ps_status ps_onig_kind(ps_onig *o, bool in_set, ps_onig_set *set, bool *is)
{
    size_t from = o->at - 1;
    char name[2] = {o->at < o->in.len ? (char)o->in.data[o->at] : '\0'};
    const kind *row = FIND(escapes, name);
    bool positive = ps_onig_is(o, "p{"), found = positive || ps_onig_is(o, "P{");
    *is = row || found;
    o->at += found ? 2 : row ? 1 : 0;
    return found ? property(o, from, in_set, !positive, set)
           : row ? put(o, from, in_set, row, false, set)
                 : PS_OK;
}

ps_status ps_onig_bracket(ps_onig *o, ps_onig_set *set, bool *is)
{
    enum { LONGEST = 20 /* that Oniguruma looks at */ };
    size_t from = o->at - 1, at = o->at, n = 0;
    char name[LONGEST + 1] = "";
    bool negated = false;
    *is = false;
    if (!ps_onig_skip(o, ":"))
        return PS_OK;
    negated = ps_onig_skip(o, "^");
    while (n < LONGEST && o->at < o->in.len && o->in.data[o->at] >= 'a' && o->in.data[o->at] <= 'z')
        name[n++] = (char)o->in.data[o->at++];
    *is = (n || negated) && ps_onig_skip(o, ":]");
    if (!*is) {
        o->at = at;
        return PS_OK;
    }
    const kind *row = FIND(posix, name);
    return row ? put(o, from, true, row, negated, set)
               : ps_onig_fail(from, "[:%s:] is not known", name);
}
