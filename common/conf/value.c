/* Happy path: the parser of the key's type reads the text, its range is checked. Every failure says
 * what was there and what is allowed. */
#include "common/conf/value.h"

#include "common/base/mem.h"
#include "common/conf/nearest.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct unit {
    const char *name;
    uint64_t factor;
} unit;

/* The first of a size is how it is shown. */
static const unit byte_units[] = {
    {"TiB", 1ull << 40},
    {"GiB", 1ull << 30},
    {"MiB", 1ull << 20},
    {"KiB", 1ull << 10},
    {"TB", 1000000000000},
    {"GB", 1000000000},
    {"MB", 1000000},
    {"kB", 1000},
    {"KB", 1000},
    {"B", 1},
    {"", 1},
    {NULL, 0},
};
static const unit time_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"min", 60000},
    {"s", 1000},     {"ms", 1},      {NULL, 0},
};

ps_conf_quoted ps_conf_quote(const char *text)
{
    ps_conf_quoted q = {{'\''}};
    size_t n = 1;
    for (const char *s = text; *s && n < 41; s++) {
        unsigned char c = (unsigned char)*s;
        q.text[n++] = c < 0x20 || c >= 0x7f ? '?' : *s;
    }
    if (strlen(text) > 40)
        n += (size_t)snprintf(q.text + n, sizeof q.text - n, "...");
    q.text[n] = '\'';
    return q;
}

const char *ps_conf_type_words(const ps_conf_key *key)
{
    static const char *const words[] = {
        [PS_CONF_TYPE_BOOL] = "true or false",
        [PS_CONF_TYPE_INT] = "an integer",
        [PS_CONF_TYPE_REAL] = "a number",
        [PS_CONF_TYPE_TEXT] = "a text",
        [PS_CONF_TYPE_WORD] = "a word",
        [PS_CONF_TYPE_BYTES] = "a size such as 64MiB",
        [PS_CONF_TYPE_DURATION] = "a duration such as 30s, 5m or 250ms",
        [PS_CONF_TYPE_INTS] = "a list of integers",
        [PS_CONF_TYPE_REALS] = "a list of numbers",
        [PS_CONF_TYPE_TEXTS] = "a list of texts",
        [PS_CONF_TYPE_MAP] = "keys and values",
        [PS_CONF_TYPE_MAP_OPT] = "keys and values",
        [PS_CONF_TYPE_NAMED] = "names with keys and values",
        [PS_CONF_TYPE_MAPS] = "a list",
    };
    return words[key->type];
}

static ps_status expected(const char *what, const char *text)
{
    return ps_fail(PS_INVALID_ARGUMENT, "expected %s, got %s", what, ps_conf_quote(text).text);
}

/* Digits and a unit. false: not of that form. Overflow saturates. */
static bool parse_amount(const char *text, const unit *units, uint64_t *out)
{
    if (!isdigit((unsigned char)*text))
        return false;
    char *end = NULL;
    uint64_t n = strtoull(text, &end, 10); /* ULLONG_MAX on overflow */
    end += strspn(end, " ");
    for (const unit *u = units; u->name; u++) {
        if (strcmp(end, u->name))
            continue;
        if (__builtin_mul_overflow(n, u->factor, out))
            *out = UINT64_MAX;
        return true;
    }
    return n == 0 && !*end ? (*out = 0, true) : false; /* zero needs no unit */
}

static ps_conf_quoted show_amount(uint64_t n, const unit *units)
{
    ps_conf_quoted q = {""};
    for (const unit *u = units; u->name; u++) {
        if (u->factor > 1 && (n == 0 || n % u->factor))
            continue;
        (void)snprintf(q.text, sizeof q.text, "%" PRIu64 "%s", n / u->factor,
                       n || units == time_units ? u->name : "");
        break;
    }
    return q;
}

static ps_status parse_ranged_amount(const ps_conf_key *key, const char *text, const unit *units,
                                     uint64_t *out)
{
    uint64_t n = 0;
    if (!parse_amount(text, units, &n))
        return expected(ps_conf_type_words(key), text);
    if (n < (uint64_t)key->min || n > (uint64_t)key->max)
        return ps_fail(PS_INVALID_ARGUMENT, "%s is out of range, allowed %s to %s", text,
                       show_amount((uint64_t)key->min, units).text,
                       show_amount((uint64_t)key->max, units).text);
    *out = n;
    return PS_OK;
}

ps_status ps_conf_parse_duration(const char *text, uint64_t *out_ms)
{
    ps_conf_key key = {.type = PS_CONF_TYPE_DURATION, .max = INT64_MAX};
    return parse_ranged_amount(&key, text, time_units, out_ms);
}

ps_status ps_conf_parse_bytes(const char *text, uint64_t *out)
{
    ps_conf_key key = {.type = PS_CONF_TYPE_BYTES, .max = INT64_MAX};
    return parse_ranged_amount(&key, text, byte_units, out);
}

static ps_status parse_integer(const ps_conf_key *key, const char *text, int64_t *out)
{
    size_t sign = *text == '-' || *text == '+';
    if (!text[sign] || text[sign + strspn(text + sign, "0123456789")])
        return expected("an integer", text);
    errno = 0;
    int64_t n = strtoll(text, NULL, 10);
    if (errno == ERANGE || n < key->min || n > key->max)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "%.40s is out of range, allowed %" PRId64 " to %" PRId64, text, key->min,
                       key->max);
    *out = n;
    return PS_OK;
}

static ps_status parse_real(const ps_conf_key *key, const char *text, double *out)
{
    char *end = NULL;
    double r = strtod(text, &end);
    if (!*text || *end || text[strspn(text, "0123456789+-.eE")])
        return expected("a number", text);
    if (!(r >= key->real_min && r <= key->real_max))
        return ps_fail(PS_INVALID_ARGUMENT, "%.40s is out of range, allowed %g to %g", text,
                       key->real_min, key->real_max);
    *out = r;
    return PS_OK;
}

static const char *nth_word(const void *words, size_t i)
{
    return ((const char *const *)words)[i];
}

static ps_status parse_word(const char *const *words, const char *text, unsigned *out)
{
    for (unsigned i = 0; words[i]; i++) {
        if (!strcmp(words[i], text)) {
            *out = i;
            return PS_OK;
        }
    }
    ps_buf allowed = PS_BUF_EMPTY;
    ps_conf_allowed(text, nth_word, words, &allowed);
    ps_status st = ps_fail(PS_INVALID_ARGUMENT, "%s is not known%s", ps_conf_quote(text).text,
                           ps_buf_cstr(&allowed));
    ps_buf_free(&allowed);
    return st;
}

/* Those of ASCII, those of Latin-1, and the two of Unicode that end a line: YAML takes both of the
 * latter for line ends, and a terminal may do what it is told. s: UTF-8. */
static bool is_control(const char *s)
{
    const unsigned char *c = (const unsigned char *)s;
    bool latin = c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f;
    bool ends_line = c[0] == 0xe2 && c[1] == 0x80 && (c[2] == 0xa8 || c[2] == 0xa9);
    return c[0] < 0x20 || c[0] == 0x7f || latin || ends_line;
}

static ps_status parse_text(const ps_conf_key *key, const char *text)
{
    unsigned ignored = 0;
    if (key->words)
        return parse_word(key->words, text, &ignored);
    size_t len = strlen(text);
    for (const char *s = text; *s; s++)
        if (is_control(s))
            return ps_fail(PS_INVALID_ARGUMENT, "%s has a control character",
                           ps_conf_quote(text).text);
    if (len < (size_t)key->min && !*text)
        return ps_fail(PS_INVALID_ARGUMENT, "must not be empty");
    if (len < (size_t)key->min || len > (size_t)key->max)
        return ps_fail(PS_INVALID_ARGUMENT, "%s has %zu bytes, allowed %" PRId64 " to %" PRId64,
                       ps_conf_quote(text).text, len, key->min, key->max);
    return PS_OK;
}

ps_status ps_conf_value_parse(const ps_conf_key *key, const char *text, ps_conf_value *out)
{
    ps_conf_value v = {.text = text};
    ps_status st = PS_OK;
    switch (key->type) {
    case PS_CONF_TYPE_BOOL:
        v.flag = !strcmp(text, "true");
        st = v.flag || !strcmp(text, "false") ? PS_OK : expected("true or false", text);
        break;
    case PS_CONF_TYPE_INT:
    case PS_CONF_TYPE_INTS:
        st = parse_integer(key, text, &v.integer);
        break;
    case PS_CONF_TYPE_REAL:
    case PS_CONF_TYPE_REALS:
        st = parse_real(key, text, &v.real);
        break;
    case PS_CONF_TYPE_TEXT:
    case PS_CONF_TYPE_TEXTS:
        st = parse_text(key, text);
        break;
    case PS_CONF_TYPE_WORD:
        st = parse_word(key->words, text, &v.word);
        break;
    case PS_CONF_TYPE_BYTES:
        st = parse_ranged_amount(key, text, byte_units, &v.amount);
        break;
    case PS_CONF_TYPE_DURATION:
        st = parse_ranged_amount(key, text, time_units, &v.amount);
        break;
    default:
        st = expected(ps_conf_type_words(key), text);
    }
    if (!st)
        *out = v;
    return st;
}

static void write_quoted(const char *text, ps_buf *out)
{
    ps_buf_putc(out, '"');
    for (const char *s = text; *s; s++) {
        if (*s == '"' || *s == '\\')
            ps_buf_putc(out, '\\');
        ps_buf_putc(out, *s);
    }
    ps_buf_putc(out, '"');
}

void ps_conf_value_write(const ps_conf_key *key, const ps_conf_value *value, ps_buf *out)
{
    switch (key->type) {
    case PS_CONF_TYPE_BOOL:
        ps_buf_puts(out, value->flag ? "true" : "false");
        break;
    case PS_CONF_TYPE_INT:
    case PS_CONF_TYPE_INTS:
        ps_buf_printf(out, "%" PRId64, value->integer);
        break;
    case PS_CONF_TYPE_REAL:
    case PS_CONF_TYPE_REALS:
        ps_buf_printf(out, "%.17g", value->real);
        break;
    case PS_CONF_TYPE_WORD:
        ps_buf_printf(out, "%u", value->word);
        break;
    case PS_CONF_TYPE_BYTES:
    case PS_CONF_TYPE_DURATION:
        ps_buf_printf(out, "%" PRIu64, value->amount);
        break;
    default:
        write_quoted(value->text, out);
    }
}
