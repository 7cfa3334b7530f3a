/* What a tokenizer's steps say of spaces, in SentencePiece's words. Happy path: the steps are gone
 * through in their order, and each says one of four things (a map of characters, spaces that go
 * away, one that is put before a text, U+2581 in the place of spaces) where nothing that came
 * before it changes what it means. The first that says something else is named. */
#include "common/tokenizer/listed.h"
#include "common/tokenizer/listing.h"
#include "common/tokenizer/step_rows.h"

enum { ALWAYS, FIRST, NEVER }; /* of Metaspace */

typedef struct walk {
    ps_token_lists *l;
    bool prepended;          /* U+2581 stands before a text */
    bool marked;             /* there are some, so spaces are no longer all of what they were */
    bool replaced;           /* there are no spaces any more */
    bool joined;             /* several spaces are one */
    bool left, right, white; /* those at the ends go; and other white space, too */
    bool metaspace, begins;  /* it puts none before a text that begins with one */
    bool first;              /* only before the first piece of a text */
    bool split;              /* pieces end before each U+2581 */
} walk;

static bool is_block(const ps_buf *text)
{
    return ps_slice_is(ps_buf_slice(text), PS_LOWER_BLOCK);
}

static bool is_space(const ps_buf *text)
{
    return ps_slice_is(ps_buf_slice(text), " ");
}

/* Replace with a pattern of spaces. */
static bool joins(walk *w, const ps_step *step)
{
    ps_slice pattern = ps_regex_pattern(step->regex);
    bool two = ps_slice_is(pattern, " {2,}"), one = ps_slice_is(pattern, " +");
    if (ps_slice_is(pattern, "\\A +| +\\z") && !step->with.len) {
        w->left = w->right = true;
        return true;
    }
    if ((!two && !one) || !(is_block(&step->with) || is_space(&step->with)))
        return false;
    w->joined = true;
    w->marked = is_block(&step->with);
    w->replaced = one && w->marked;
    return true;
}

/* false: it says something else. */
static bool normalizes(walk *w, const ps_step *step, bool begins)
{
    if (step->row == &ps_norm_precompiled && begins) {
        w->l->charsmap = ps_buf_slice(&step->text);
    } else if (step->row == &ps_norm_strip && !w->marked) {
        w->left |= step->is[0];
        w->right |= step->is[1];
        w->white = true;
    } else if (step->row == &ps_norm_prepend && is_block(&step->with) && !w->prepended) {
        w->prepended = w->marked = true;
    } else if (step->row == &ps_norm_replace && step->regex) {
        return !w->marked && joins(w, step);
    } else if (step->row == &ps_norm_replace && is_space(&step->text) && is_block(&step->with)) {
        w->replaced = w->marked = true;
    } else {
        return false;
    }
    return true;
}

static bool is_metaspace(const ps_step *step)
{
    return step->row == &ps_pre_metaspace && is_block(&step->with);
}

/* next: NULL at the end. */
static bool cuts(walk *w, const ps_step *step, const ps_step *next)
{
    if (is_metaspace(step) && !w->metaspace) {
        w->metaspace = w->replaced = true;
        w->begins = step->number != NEVER && !w->prepended;
        w->first = w->begins && step->number == FIRST;
        w->split = step->is[0];
        return true;
    }
    if (step->row == &ps_pre_split) /* there is none any more */
        return is_space(&step->text) && !step->regex && w->replaced && !step->invert;
    bool words = step->row == &ps_pre_whitespace_split && !w->marked && next &&
                 is_metaspace(next) && next->number == ALWAYS; /* before each of them */
    w->joined |= words;
    w->left |= words;
    w->right |= words;
    w->white |= words;
    return words;
}

static ps_status no_word(const char *part, const ps_step *step)
{
    return ps_fail(PS_INVALID_ARGUMENT, "llama.cpp has no word for what the step %s of its %s does",
                   step->row->type, part);
}

static ps_status go_through(const ps_tokenizer *t, walk *w)
{
    const ps_steps *norm = &t->normalizer, *pre = &t->pre_tokenizer;
    for (size_t i = 0; i < norm->n; i++)
        if (!normalizes(w, &norm->at[i], i == 0))
            return no_word("normalizer", &norm->at[i]);
    for (size_t i = 0; i < pre->n; i++)
        if (!cuts(w, &pre->at[i], i + 1 < pre->n ? &pre->at[i + 1] : NULL))
            return no_word("pre_tokenizer", &pre->at[i]);
    if (!w->replaced)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "llama.cpp makes U+2581 of each space, and no step of its normalizer or "
                       "pre_tokenizer does");
    if (!w->joined && (w->left || w->right))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "llama.cpp has no word for what its normalizer does, which removes spaces "
                       "at the ends of a text alone");
    return PS_OK;
}

/* Tokens that no piece has, once pieces end before each U+2581. */
static ps_status check_split(const ps_tokenizer *t)
{
    static const char block[] = PS_LOWER_BLOCK;
    enum { LEN = sizeof block - 1 };
    for (uint32_t id = 0; id < t->vocab_size; id++) {
        ps_slice text = ps_vocab_at(t->vocab, id);
        for (size_t at = 1; at + LEN <= text.len && !ps_tokenizer_find_added(t, id); at++)
            if (!memcmp(text.data + at, block, LEN))
                return ps_fail(PS_INVALID_ARGUMENT,
                               "llama.cpp has no word for Metaspace's split, which keeps token "
                               "%u out of texts, as it goes over U+2581",
                               id);
    }
    return PS_OK;
}

static void remark(const walk *w, ps_buf *out)
{
    bool ends = w->joined && (!(w->left || w->begins) || !w->right);
    if (w->first || (w->begins && !w->joined))
        ps_buf_puts(out, "llama.cpp puts a space before each text, also before one that begins "
                         "with a space or follows an added token: these have other ids there\n");
    if (ends)
        ps_buf_puts(out, "llama.cpp removes the spaces at the ends of a text, too: texts with such "
                         "have other ids there\n");
    if (w->white && !w->l->charsmap.len)
        ps_buf_puts(out, "llama.cpp removes no other white space than spaces: texts with line ends "
                         "and tabs have other ids there\n");
}

ps_status ps_listing_spaces(const ps_tokenizer *t, ps_token_lists *l, ps_buf *remarks)
{
    walk w = {.l = l};
    ps_status st = go_through(t, &w);
    if (!st && w.split)
        st = check_split(t);
    if (st)
        return st;
    l->prefix_space = w.prepended || w.begins;
    l->strip_spaces = w.joined;
    remark(&w, remarks);
    return PS_OK;
}
