/* Happy path: the pattern is put in the words of PCRE2, the text made fit for it, character by
 * character of the same length, and matched from the end of one match on, in windows between which
 * one looks at the clock. A pattern that backtracks without end meets the limit of steps of one
 * place, or the processor's time of all of them. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "common/tokenizer/regex.h"

#include "common/base/mem.h"
#include "common/base/utf8.h"
#include "common/tokenizer/classes.h"
#include "common/tokenizer/onig.h"

#include <pcre2.h>
#include <time.h>

enum {
    MAX_STEPS = 2000000,     /* from one place on */
    MAX_HEAP_KIB = 64 << 10, /* of one match: its backtracking */
    MAX_NESTING = 500,       /* of parentheses; some are not the file's, see onig.h */
    MAX_COMPILED = 4 << 20,  /* bytes */
    LEAST_WINDOW = 64,       /* bytes that a match may begin in before one looks at the clock */
    MOST_WINDOW = 4096,
};

struct ps_regex {
    pcre2_code *code;
    ps_buf pattern;
};

static ps_status fail_compile(int error)
{
    char why[128] = "";
    (void)pcre2_get_error_message(error, (PCRE2_UCHAR *)why, sizeof why);
    return ps_fail(PS_INVALID_ARGUMENT, "the pattern is not understood: %s", why);
}

static ps_status check_size(const pcre2_code *code)
{
    size_t bytes = 0;
    (void)pcre2_pattern_info(code, PCRE2_INFO_SIZE, &bytes);
    return bytes <= MAX_COMPILED
               ? PS_OK
               : ps_fail(PS_INVALID_ARGUMENT, "the pattern takes %zu bytes, allowed %d", bytes,
                         MAX_COMPILED);
}

/* PCRE2 10.42 takes what is of a category for none of another, and of \P{N}+\P{L} gives nothing
 * back. */
static uint32_t without_faults(ps_slice words)
{
    return words.len && memmem(words.data, words.len, "\\P{", 3) ? PCRE2_NO_AUTO_POSSESS : 0;
}

/* words: of PCRE2. */
static ps_status compile(ps_slice words, pcre2_code **out)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (!context)
        return ps_fail(PS_NO_MEMORY, "no memory for a pattern");
    (void)pcre2_set_parens_nest_limit(context, MAX_NESTING);
    (void)pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    (void)pcre2_set_bsr(context, PCRE2_BSR_UNICODE);
    int error = 0;
    size_t at = 0;
    const uint32_t how = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C | PCRE2_USE_OFFSET_LIMIT;
    /* 10.42 takes no NULL, which a pattern of comments alone comes to. */
    PCRE2_SPTR text = words.len ? words.data : (PCRE2_SPTR) "";
    *out = pcre2_compile(text, words.len, how | without_faults(words), &error, &at, context);
    pcre2_compile_context_free(context);
    return *out ? check_size(*out) : fail_compile(error);
}

ps_status ps_regex_new(ps_slice pattern, ps_regex **out)
{
    if (pattern.len > PS_REGEX_MAX_PATTERN)
        return ps_fail(PS_INVALID_ARGUMENT, "a pattern of %zu bytes, allowed %d", pattern.len,
                       PS_REGEX_MAX_PATTERN);
    ps_buf words = PS_BUF_EMPTY;
    pcre2_code *code = NULL;
    ps_status st = ps_onig_translate(pattern, &words);
    if (!st)
        st = compile(ps_buf_slice(&words), &code);
    ps_buf_free(&words);
    if (st) {
        pcre2_code_free(code);
        return st;
    }
    *out = ps_new(ps_regex);
    (*out)->code = code;
    ps_buf_append(&(*out)->pattern, pattern.data, pattern.len);
    return PS_OK;
}

ps_slice ps_regex_pattern(const ps_regex *regex)
{
    return ps_buf_slice(&regex->pattern);
}

void ps_regex_free(ps_regex **regex)
{
    if (!*regex)
        return;
    pcre2_code_free((*regex)->code);
    ps_buf_free(&(*regex)->pattern);
    ps_free(regex);
}

/* ---- matching ---- */

typedef struct run {
    const ps_regex *regex;
    pcre2_match_data *data;
    pcre2_match_context *context;
    ps_buf subject;
    double seconds, until; /* of the processor */
    double looked;         /* at its clock, which costs more than a match does */
} run;

static double seconds_of(clockid_t clock)
{
    struct timespec now = {0};
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Each character as PCRE2 knows it. */
static void fill_subject(ps_slice text, ps_buf *out)
{
    ps_buf_reserve(out, text.len);
    for (size_t at = 0, n = 0; at < text.len; at += n) {
        n = 1;
        if (text.data[at] < 0x80) {
            ps_buf_append(out, text.data + at, 1);
            continue;
        }
        ps_slice rest = ps_slice_of(text.data + at, text.len - at);
        n = ps_utf8_length(rest);
        uint8_t known[4] = {1};
        size_t len = n ? ps_utf8_encode(ps_class_known(ps_utf8_decode(rest)), known) : 1;
        n = n ? n : 1;
        if (len == n)
            ps_buf_append(out, known, n);
        else
            ps_buf_append(out, rest.data, n);
    }
}

static ps_status start(run *r, const ps_regex *regex, ps_slice text, ps_spans *spans)
{
    double seconds = spans->seconds > 0 ? spans->seconds : PS_REGEX_SECONDS;
    if (spans->until <= 0)
        spans->until = seconds_of(CLOCK_THREAD_CPUTIME_ID) + seconds;
    *r = (run){.regex = regex, .seconds = seconds, .until = spans->until};
    r->data = pcre2_match_data_create(1, NULL);
    r->context = pcre2_match_context_create(NULL);
    if (!r->data || !r->context)
        return ps_fail(PS_NO_MEMORY, "no memory for a match");
    (void)pcre2_set_depth_limit(r->context, MAX_STEPS);
    (void)pcre2_set_heap_limit(r->context, MAX_HEAP_KIB);
    fill_subject(text, &r->subject);
    return PS_OK;
}

static void stop(run *r)
{
    pcre2_match_data_free(r->data);
    pcre2_match_context_free(r->context);
    ps_buf_free(&r->subject);
}

static ps_status fail_match(int error)
{
    char why[128] = "";
    (void)pcre2_get_error_message(error, (PCRE2_UCHAR *)why, sizeof why);
    return ps_fail(PS_RESOURCE_EXHAUSTED, "a pattern backtracks for too long: %s", why);
}

static ps_status look_at_clock(run *r)
{
    enum { LOOKS_A_SECOND = 50 };
    double now = seconds_of(CLOCK_MONOTONIC);
    if (now - r->looked < 1.0 / LOOKS_A_SECOND)
        return PS_OK;
    r->looked = now;
    if (seconds_of(CLOCK_THREAD_CPUTIME_ID) < r->until)
        return PS_OK;
    return ps_fail(PS_RESOURCE_EXHAUSTED, "patterns took %.3g seconds", r->seconds);
}

/* The first match that begins in the `window` bytes from `from` on. PCRE2's limit is for each
 * place, so in more of them there are fewer steps for each. */
static int match(run *r, size_t from, size_t window)
{
    (void)pcre2_set_match_limit(r->context, (uint32_t)(MAX_STEPS / (window / LEAST_WINDOW)));
    (void)pcre2_set_offset_limit(r->context, from + window - 1);
    /* The subject is UTF-8 by construction. */
    return pcre2_match(r->regex->code, r->subject.data, r->subject.len, from, PCRE2_NO_UTF_CHECK,
                       r->data, r->context);
}

/* The first match from `from` on; *found: whether there is one. */
static ps_status next(run *r, size_t from, bool *found, size_t span[2])
{
    size_t window = LEAST_WINDOW;
    int n = 0;
    for (;;) {
        ps_status st = look_at_clock(r);
        if (st)
            return st;
        n = match(r, from, window);
        if (n == PCRE2_ERROR_MATCHLIMIT && window > LEAST_WINDOW) {
            window = LEAST_WINDOW;
        } else if (n == PCRE2_ERROR_NOMATCH && r->subject.len - from >= window) {
            from += window;
            while (from < r->subject.len && (r->subject.data[from] & 0xc0) == 0x80)
                from++;
            window = window < MOST_WINDOW ? 2 * window : window;
        } else {
            break;
        }
    }
    *found = n >= 0;
    if (n < 0)
        return n == PCRE2_ERROR_NOMATCH ? PS_OK : fail_match(n);
    const size_t *at = pcre2_get_ovector_pointer(r->data);
    span[0] = at[0] < at[1] ? at[0] : at[1]; /* \K may turn them round */
    span[1] = at[1];
    return PS_OK;
}

/* Bytes of the character at `at`. */
static size_t step(const run *r, size_t at)
{
    size_t n = ps_utf8_length(ps_slice_of(r->subject.data + at, r->subject.len - at));
    return n ? n : 1;
}

ps_status ps_regex_spans(const ps_regex *regex, ps_slice text, ps_spans *out)
{
    run r;
    bool found = text.len > 0;
    size_t from = 0, last = SIZE_MAX; /* the end of the match before */
    ps_spans_clear(out);
    ps_status st = start(&r, regex, text, out);
    while (!st && found && from <= text.len) {
        size_t at[2] = {0};
        st = next(&r, from, &found, at);
        if (st || !found)
            break;
        bool empty = at[0] == at[1];
        /* No empty match behind another one. */
        if (at[0] >= out->end && !(empty && at[0] == last)) {
            ps_spans_match(out, at[0], at[1]);
            last = at[1];
        }
        bool still = empty || at[1] <= from;
        from = at[1] > from ? at[1] : from;
        if (still)
            from += from < text.len ? step(&r, from) : 1;
    }
    ps_spans_finish(out, text.len);
    stop(&r);
    return st;
}
