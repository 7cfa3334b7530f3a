/* Happy path: a tokenizer is made of the lists, by the code that reads those of a GGUF file, and
 * compared part by part. What llama.cpp does otherwise by itself is a remark; what these lists do
 * not say is a failure. */
#include "common/base/mem.h"
#include "common/tokenizer/listed.h"
#include "common/tokenizer/listing.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static ps_status lost(const char *what)
{
    return ps_fail(PS_INVALID_ARGUMENT, "llama.cpp has no word for its %s", what);
}

static bool same_text(ps_slice a, ps_slice b)
{
    return a.len == b.len && (!a.len || !memcmp(a.data, b.data, a.len));
}

static bool is(const ps_token_lists *l, const char *model)
{
    return !strcmp(l->model, model);
}

/* ---- tokens ---- */

static ps_status check_texts(const ps_tokenizer *t, const ps_tokenizer *back)
{
    for (uint32_t id = 0; id < t->vocab_size; id++) {
        ps_slice text = ps_vocab_at(t->vocab, id);
        if (text.len && !same_text(text, ps_vocab_at(back->vocab, id)))
            return ps_fail(PS_INVALID_ARGUMENT,
                           "llama.cpp has no word for token %" PRIu32
                           ": in its lists the same text means another one",
                           id);
    }
    return PS_OK;
}

/* Those of the lists, one by one; of scores they follow. */
static ps_status check_merges(const ps_tokenizer *t, const ps_tokenizer *back)
{
    size_t n = ps_bpe_merges(t->bpe);
    bool same = n == ps_bpe_merges(back->bpe);
    for (size_t i = 0; same && i < n; i++) {
        uint32_t a[2], b[2];
        ps_bpe_merge(t->bpe, i, &a[0], &a[1]);
        ps_bpe_merge(back->bpe, i, &b[0], &b[1]);
        same = a[0] == b[0] && a[1] == b[1];
    }
    return same ? PS_OK : lost("merges");
}

static ps_status check_scores(const ps_tokenizer *t, const ps_tokenizer *back)
{
    for (uint32_t id = 0; id < t->vocab_size; id++) {
        const ps_added_token *added = ps_tokenizer_find_added(t, id);
        float a = (float)t->scores[id], b = (float)back->scores[id];
        if (!added && ps_vocab_at(t->vocab, id).len && fabsf(a - b) > 1e-6F)
            return ps_fail(PS_INVALID_ARGUMENT,
                           "llama.cpp has no word for the score of token %" PRIu32, id);
    }
    return PS_OK;
}

/* ---- keys ---- */

static bool has_bytes(const ps_tokenizer *t, unsigned *n)
{
    *n = 0;
    for (unsigned byte = 0; byte < 256; byte++) {
        char name[8];
        uint32_t id = 0;
        (void)snprintf(name, sizeof name, "<0x%02X>", byte);
        *n += ps_tokenizer_find(t, ps_slice_str(name), &id);
    }
    return *n == 256;
}

static ps_status check_unknown(const ps_tokenizer *t, const ps_tokenizer *back,
                               ps_token_listing *listing)
{
    const ps_model_keys *k = &t->keys, *b = &back->keys;
    unsigned bytes = 0;
    bool all = has_bytes(t, &bytes) && k->byte_fallback;
    if (is(&listing->lists, "gpt2")) {
        if (k->has_unk && !t->byte_level)
            ps_buf_puts(&listing->remarks, "llama.cpp leaves out bytes that have no token, where "
                                           "this tokenizer has its unk_token\n");
        return PS_OK;
    }
    if (k->has_unk != b->has_unk || (k->has_unk && k->unk_id != b->unk_id))
        return lost("unk_token");
    if (t->bpe && k->has_unk && !all && k->fuse_unk != b->fuse_unk)
        return lost("fuse_unk false");
    if (bytes && !k->byte_fallback)
        ps_buf_puts(&listing->remarks, "llama.cpp makes bytes (<0x41>) of letters that have no "
                                       "token, as if byte_fallback were true\n");
    return PS_OK;
}

static ps_status check_keys(const ps_tokenizer *t, const ps_tokenizer *back,
                            ps_token_listing *listing)
{
    bool word = t->model == &ps_model_wordpiece;
    if (t->keys.ignore_merges != back->keys.ignore_merges)
        return lost("ignore_merges");
    if (word && t->keys.max_chars != back->keys.max_chars)
        ps_buf_printf(&listing->remarks,
                      "llama.cpp cuts words of more than %" PRIu64
                      " letters, too (max_input_chars_per_word)\n",
                      t->keys.max_chars);
    return check_unknown(t, back, listing);
}

/* ---- steps ---- */

/* As SentencePiece has them: the same words, whichever steps mean them. */
static bool same_spaces(const ps_tokenizer *back, const ps_token_lists *l)
{
    ps_token_lists again = {0};
    ps_buf remarks = PS_BUF_EMPTY;
    bool same = ps_listing_spaces(back, &again, &remarks) == PS_OK && !remarks.len &&
                again.prefix_space == l->prefix_space && again.strip_spaces == l->strip_spaces &&
                same_text(again.charsmap, l->charsmap);
    ps_buf_free(&remarks);
    return same;
}

static ps_status check_steps(const ps_tokenizer *t, const ps_tokenizer *back,
                             const ps_token_lists *l)
{
    bool listed = is(l, "gpt2") || is(l, "bert");
    bool norm = ps_steps_same(&t->normalizer, &back->normalizer);
    bool pre = ps_steps_same(&t->pre_tokenizer, &back->pre_tokenizer);
    if (listed)
        return !pre                    ? lost("pre_tokenizer")
               : norm || is(l, "gpt2") ? PS_OK /* NFC, which has a remark */
                                       : lost("normalizer");
    return (norm && pre) || same_spaces(back, l) ? PS_OK : lost("normalizer and pre_tokenizer");
}

/* The first token whose text is another. */
static void compare_texts(const ps_tokenizer *t, const ps_tokenizer *back, ps_buf *remarks)
{
    ps_buf a = PS_BUF_EMPTY, b = PS_BUF_EMPTY;
    bool same = true;
    for (uint32_t id = 0; same && id < 2 * t->vocab_size; id++) {
        ps_decoder of_t, of_back;
        ps_buf_clear(&a);
        ps_buf_clear(&b);
        ps_decoder_init(&of_t, t, id % 2);
        ps_decoder_init(&of_back, back, id % 2);
        ps_decoder_put(&of_t, id / 2, &a);
        ps_decoder_put(&of_back, id / 2, &b);
        ps_decoder_finish(&of_t, &a);
        ps_decoder_finish(&of_back, &b);
        same = same_text(ps_buf_slice(&a), ps_buf_slice(&b));
    }
    if (!same)
        ps_buf_puts(remarks, "llama.cpp puts tokens together to a text as it does for all of this "
                             "kind, and not as the tokenizer's decoder says\n");
    ps_buf_free(&a);
    ps_buf_free(&b);
}

/* ---- what stands around a text ---- */

static bool same_places(const ps_post_place *a, size_t n, const ps_post_place *b, size_t m)
{
    bool same = n == m;
    for (size_t i = 0; same && i < n; i++)
        same = a[i].what == b[i].what && (a[i].what != PS_POST_TOKEN || a[i].id == b[i].id);
    return same;
}

/* One text behind the other and nothing around them, as llama.cpp has them, too. Transformers
 * writes it for tokenizers of which nobody has said anything of pairs. */
static bool bare_pair(const ps_post *p)
{
    return p->n_two == 2 && p->two[0].what == PS_POST_TEXT && p->two[1].what == PS_POST_SECOND;
}

static ps_status check_post(const ps_tokenizer *t, const ps_tokenizer *back,
                            ps_token_listing *listing)
{
    const ps_post *a = &t->post, *b = &back->post;
    bool bare = !a->one || (a->n_one == 1 && a->one->what == PS_POST_TEXT);
    if (is(&listing->lists, "bert") && !(listing->lists.add_bos && listing->lists.add_eos))
        return ps_fail(PS_INVALID_ARGUMENT, "llama.cpp always puts two tokens around a text, as "
                                            "[CLS] and [SEP]; its post_processor does not");
    if (!(bare && !b->one) && !same_places(a->one, a->n_one, b->one, b->n_one))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "llama.cpp has no word for its post_processor, which adds more to a text "
                       "than one token before it and one behind it");
    if (a->two && !bare_pair(a) && !same_places(a->two, a->n_two, b->two, b->n_two))
        ps_buf_puts(&listing->remarks, "llama.cpp has no word for what the post_processor puts "
                                       "around two texts\n");
    return PS_OK;
}

ps_status ps_listing_check(const ps_tokenizer *t, ps_token_listing *listing)
{
    const ps_token_lists *l = &listing->lists;
    ps_tokenizer *back = NULL;
    ps_status st = ps_tokenizer_from_lists(l, &back);
    if (st)
        return ps_wrap(st, "its lists in llama.cpp's words");
    st = check_texts(t, back);
    if (!st && l->n_merges && !is(l, "llama"))
        st = check_merges(t, back);
    if (!st && t->scores)
        st = check_scores(t, back);
    if (!st)
        st = check_keys(t, back, listing);
    if (!st)
        st = check_steps(t, back, l);
    if (!st)
        st = check_post(t, back, listing);
    if (!st)
        compare_texts(t, back, &listing->remarks);
    ps_tokenizer_free(&back);
    return st;
}
