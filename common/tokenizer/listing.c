/* Happy path: the type of the model, and the steps, say which of GGUF's models it is, each in a
 * function of its own; then each id gets its text, kind and score, and merges become lines. */
#include "common/tokenizer/listing.h"
#include "common/base/mem.h"
#include "common/tokenizer/cuts.h"
#include "common/tokenizer/listed.h"
#include "common/tokenizer/step_rows.h"

#include <inttypes.h>

static ps_status none(const char *part)
{
    return ps_fail(PS_INVALID_ARGUMENT, "llama.cpp has no word for its %s", part);
}

static ps_status no_steps(const char *part, const ps_steps *steps)
{
    ps_buf types = PS_BUF_EMPTY;
    for (size_t i = 0; i < steps->n; i++)
        ps_buf_printf(&types, "%s%s", i ? ", " : "", steps->at[i].row->type);
    ps_status st = ps_fail(PS_INVALID_ARGUMENT, "llama.cpp has no word for its %s: %s", part,
                           steps->n ? ps_buf_cstr(&types) : "it has none");
    ps_buf_free(&types);
    return st;
}

void ps_token_listing_free(ps_token_listing *l)
{
    ps_free(&l->pre);
    ps_buf_free(&l->texts);
    ps_free(&l->tokens);
    ps_free(&l->merges);
    ps_free(&l->kinds);
    ps_free(&l->scores);
    ps_buf_free(&l->remarks);
    *l = (ps_token_listing){0};
}

/* ---- gpt2: the cuts that do the same ---- */

static bool is_of(const ps_steps *steps, size_t i, const ps_step_row *row)
{
    return i < steps->n && steps->at[i].row == row;
}

static bool has_letters(const ps_tokenizer *t)
{
    bool found = false;
    for (size_t i = 0; i < t->pre_tokenizer.n; i++)
        found |= is_of(&t->pre_tokenizer, i, &ps_pre_byte_level);
    return found;
}

static bool cuts_alike(const ps_tokenizer *t, const ps_cuts *cuts, bool space)
{
    ps_buf json = PS_BUF_EMPTY;
    ps_steps steps = {0};
    ps_part root = {0};
    ps_cuts_json(cuts, space, &json);
    ps_part part = ps_part_below(&root, "pre_tokenizer", -1, ps_buf_slice(&json));
    bool same = ps_steps_read(ps_pre_tokenizer_rows, "pretokenizers", &part, &steps) == PS_OK &&
                ps_steps_same(&steps, &t->pre_tokenizer);
    ps_steps_free(&steps);
    ps_buf_free(&json);
    return same;
}

/* Of two that cut alike the one whose published tokenizers normalize as this one does. */
static ps_status find_cuts(const ps_tokenizer *t, bool space, bool nfc, const ps_cuts **out)
{
    bool cut = false;
    *out = NULL;
    for (const ps_cuts *row = ps_cuts_rows; row->names; row++) {
        bool wanted = !*out || ((*out)->nfc != nfc && row->nfc == nfc);
        bool alike = wanted && cuts_alike(t, row, space);
        cut |= alike;
        if (alike && row->ignore_merges == t->keys.ignore_merges)
            *out = row;
    }
    if (*out)
        return PS_OK;
    return cut ? none(t->keys.ignore_merges ? "ignore_merges true, with such a pre_tokenizer"
                                            : "ignore_merges false, with such a pre_tokenizer")
               : no_steps("pre_tokenizer", &t->pre_tokenizer);
}

static ps_status list_gpt2(const ps_tokenizer *t, ps_token_listing *out)
{
    bool nfc = t->normalizer.n == 1 && is_of(&t->normalizer, 0, &ps_norm_nfc);
    bool space = t->pre_tokenizer.n == 1 && t->pre_tokenizer.at[0].is[0];
    if (t->normalizer.n && !nfc)
        return no_steps("normalizer", &t->normalizer);
    const ps_cuts *cuts = NULL;
    ps_status st = find_cuts(t, space, nfc, &cuts);
    if (st)
        return st;
    if (nfc)
        ps_buf_puts(&out->remarks, "llama.cpp does not normalize texts (NFC): letters and accents "
                                   "that stand apart have other ids there\n");
    size_t len = strcspn(cuts->names, " ");
    out->pre = ps_asprintf("%.*s", (int)len, cuts->names);
    out->lists.model = "gpt2";
    out->lists.pre = out->pre;
    out->lists.prefix_space = space;
    return PS_OK;
}

/* ---- SentencePiece's ---- */

static ps_status list_unigram(const ps_tokenizer *t, ps_token_listing *out)
{
    out->lists.model = "t5";
    ps_status st = ps_listing_spaces(t, &out->lists, &out->remarks);
    return st || !t->keys.byte_fallback ? st : none("byte_fallback with Unigram");
}

/* The scores by which SentencePiece would do the same merges: those that make a token stand
 * together, and the sooner they come, the better it is. false: there are none. */
static bool find_scores(const ps_tokenizer *t, ps_token_listing *out)
{
    size_t n = ps_bpe_merges(t->bpe);
    uint32_t last = PS_LISTED_NO_ID;
    for (size_t i = 0; i < n; i++) {
        uint32_t id = ps_bpe_result(t->bpe, i);
        if (!ps_listed_is_text(&out->lists, id))
            continue;
        if (id != last && out->scores[id] != 0)
            return false;
        out->scores[id] = -(float)(i + 1);
        last = id;
    }
    for (uint32_t id = 0; id < out->lists.n_tokens; id++)
        if (out->scores[id] == 0 && ps_listed_is_text(&out->lists, id))
            out->scores[id] = -(float)(n + 1);
    return true;
}

/* Whether those scores mean these merges. */
static bool same_merges(const ps_tokenizer *t, const ps_token_lists *l)
{
    ps_tokenizer *other = NULL;
    if (ps_tokenizer_from_lists(l, &other))
        return false;
    size_t k = 0, n = ps_bpe_merges(t->bpe), m = ps_bpe_merges(other->bpe);
    bool same = true;
    for (size_t i = 0; same && i < n; i++) {
        uint32_t id = ps_bpe_result(t->bpe, i);
        if (ps_listed_is_text(l, id))
            same = k < m && ps_bpe_result(other->bpe, k++) == id;
    }
    ps_tokenizer_free(&other);
    return same && k == m;
}

static ps_status list_pieces(const ps_tokenizer *t, ps_token_listing *out)
{
    ps_token_lists *l = &out->lists;
    l->model = "llama";
    ps_status st = ps_listing_spaces(t, l, &out->remarks);
    if (!st && l->charsmap.len)
        return none("normalizer's Precompiled, as it is BPE");
    return st || !l->strip_spaces ? st : none("steps that remove spaces, as it is BPE");
}

/* After tokens are listed. */
static ps_status settle_pieces(const ps_tokenizer *t, ps_token_listing *out)
{
    ps_token_lists *l = &out->lists;
    if (find_scores(t, out) && same_merges(t, l))
        return PS_OK;
    ps_free(&out->scores);
    l->scores = NULL;
    l->model = "gemma4";
    return l->prefix_space ? none("merges, which no scores mean, with a space before each text")
                           : PS_OK;
}

/* ---- WordPiece ---- */

static bool normalizes_alike(const ps_tokenizer *t, ps_token_lists *l)
{
    ps_listed_parts parts = {0};
    ps_model_keys keys = {0};
    ps_part root = {0};
    ps_steps steps = {0};
    bool same = ps_listed_bert.parts(l, &parts, &keys) == PS_OK;
    ps_part part = ps_part_below(&root, "normalizer", -1, ps_buf_slice(&parts.normalizer));
    same = same && ps_steps_read(ps_normalizer_rows, "normalizers", &part, &steps) == PS_OK &&
           ps_steps_same(&steps, &t->normalizer);
    ps_steps_free(&steps);
    ps_buf_free(&parts.normalizer);
    ps_buf_free(&parts.pre_tokenizer);
    ps_buf_free(&parts.decoder);
    ps_buf_free(&keys.prefix);
    return same;
}

static ps_status list_words(const ps_tokenizer *t, ps_token_listing *out)
{
    ps_token_lists *l = &out->lists;
    bool same = false;
    l->model = "bert";
    for (unsigned i = 0; !same && i < 4; i++) {
        l->keep_case = i & 1;
        l->keep_accents = i >> 1;
        same = normalizes_alike(t, l);
    }
    if (!same)
        return no_steps("normalizer", &t->normalizer);
    if (t->pre_tokenizer.n != 1 || !is_of(&t->pre_tokenizer, 0, &ps_pre_bert))
        return no_steps("pre_tokenizer", &t->pre_tokenizer);
    return ps_slice_is(ps_buf_slice(&t->keys.prefix), "##") ? PS_OK
                                                            : none("continuing_subword_prefix");
}

/* ---- tokens ---- */

static void remark(const ps_tokenizer *t, ps_token_listing *out)
{
    bool ruled = false, normalizes = t->normalizer.n && strcmp(out->lists.model, "gpt2") != 0;
    for (size_t i = 0; i < t->n_added; i++)
        ruled |= t->added[i].lstrip || t->added[i].rstrip || t->added[i].single_word ||
                 (t->added[i].normalized && normalizes);
    if (ruled)
        ps_buf_puts(&out->remarks,
                    "GGUF has no word for lstrip, rstrip, single_word and normalized of added "
                    "tokens: texts around them have other ids there\n");
    if (t->prefix_space)
        ps_buf_puts(&out->remarks, "llama.cpp puts no space before a text, as this tokenizer "
                                   "does: its first word has other ids there\n");
}

static bool is_byte(ps_slice text)
{
    return text.len == 6 && !memcmp(text.data, "<0x", 3) && text.data[5] == '>';
}

static ps_listed_kind kind_of(const ps_tokenizer *t, uint32_t id)
{
    const ps_added_token *added = ps_tokenizer_find_added(t, id);
    ps_slice text = ps_vocab_at(t->vocab, id);
    if (!text.len)
        return PS_LISTED_UNUSED;
    if (t->keys.has_unk && t->keys.unk_id == id && !has_letters(t))
        return PS_LISTED_UNKNOWN;
    if (added)
        return added->special ? PS_LISTED_CONTROL : PS_LISTED_ADDED;
    return t->keys.byte_fallback && is_byte(text) ? PS_LISTED_BYTE : PS_LISTED_NORMAL;
}

static void put_text(const ps_tokenizer *t, const ps_token_lists *l, uint32_t id, ps_buf *out)
{
    ps_slice text = ps_vocab_at(t->vocab, id);
    bool word = !strcmp(l->model, "bert") && l->kinds[id] == PS_LISTED_NORMAL;
    if (!text.len) {
        ps_buf_printf(out, "[PAD%" PRIu32 "]", id);
        return;
    }
    bool goes_on = word && text.len > 2 && !memcmp(text.data, "##", 2);
    if (word && !goes_on)
        ps_buf_puts(out, PS_LOWER_BLOCK);
    ps_buf_append(out, text.data + 2 * goes_on, text.len - 2 * goes_on);
}

static ps_status list_tokens(const ps_tokenizer *t, uint32_t n, ps_token_listing *out)
{
    size_t merges = t->bpe ? ps_bpe_merges(t->bpe) : 0;
    size_t *ends = ps_try_alloc((n + merges + 1) * sizeof *ends);
    out->tokens = ps_try_alloc((n + 1) * sizeof *out->tokens);
    out->kinds = ps_try_alloc((n + 1) * sizeof *out->kinds);
    out->scores = ps_try_alloc((n + 1) * sizeof *out->scores);
    out->merges = ps_try_alloc((merges + 1) * sizeof *out->merges);
    if (!ends || !out->tokens || !out->kinds || !out->scores || !out->merges) {
        ps_free(&ends);
        return ps_fail(PS_NO_MEMORY, "no memory for the lists of %" PRIu32 " tokens", n);
    }
    out->lists.kinds = out->kinds;
    for (uint32_t id = 0; id < n; id++) {
        out->kinds[id] = kind_of(t, id);
        out->scores[id] = t->scores && id < t->vocab_size ? (float)t->scores[id] : 0;
        put_text(t, &out->lists, id, &out->texts);
        ends[id] = out->texts.len;
    }
    for (size_t i = 0; i < merges; i++) {
        uint32_t left, right;
        ps_bpe_merge(t->bpe, i, &left, &right);
        ps_slice a = ps_vocab_at(t->vocab, left), b = ps_vocab_at(t->vocab, right);
        ps_buf_append(&out->texts, a.data, a.len);
        ps_buf_putc(&out->texts, ' ');
        ps_buf_append(&out->texts, b.data, b.len);
        ends[n + i] = out->texts.len;
    }
    size_t at = 0;
    for (size_t i = 0; i < n + merges; at = ends[i++])
        *(i < n ? &out->tokens[i] : &out->merges[i - n]) =
            ps_slice_of(out->texts.data + at, ends[i] - at);
    out->lists.n_tokens = n;
    out->lists.texts = out->tokens;
    bool scored = !strcmp(out->lists.model, "llama") || t->scores;
    out->lists.scores = scored ? out->scores : NULL;
    out->lists.merges = out->merges;
    out->lists.n_merges = merges;
    ps_free(&ends);
    return PS_OK;
}

/* ---- what stands around a text ---- */

static void list_post(const ps_tokenizer *t, ps_token_lists *l)
{
    const ps_post_place *at = t->post.one;
    size_t n = t->post.n_one;
    if (!n)
        return;
    bool bert = !strcmp(l->model, "bert");
    l->add_bos = at[0].what == PS_POST_TOKEN;
    l->add_eos = at[n - 1].what == PS_POST_TOKEN;
    if (l->add_bos)
        l->bos_id = at[0].id;
    if (l->add_eos)
        *(bert ? &l->sep_id : &l->eos_id) = at[n - 1].id;
}

ps_status ps_tokenizer_list(const ps_tokenizer *t, uint32_t n, ps_token_listing *out)
{
    *out = (ps_token_listing){.lists = {.pre = "",
                                        .bos_id = PS_LISTED_NO_ID,
                                        .eos_id = PS_LISTED_NO_ID,
                                        .unk_id = PS_LISTED_NO_ID,
                                        .sep_id = PS_LISTED_NO_ID}};
    bool pieces = t->model == &ps_model_bpe && !has_letters(t);
    if (t->keys.suffix.len || (t->bpe && t->keys.prefix.len))
        return none("continuing_subword_prefix or end_of_word_suffix");
    ps_status st = t->model == &ps_model_unigram     ? list_unigram(t, out)
                   : t->model == &ps_model_wordpiece ? list_words(t, out)
                   : pieces                          ? list_pieces(t, out)
                   : t->bpe                          ? list_gpt2(t, out)
                                                     : none(t->model->type);
    if (!st)
        st = list_tokens(t, n, out);
    if (st)
        return st;
    if (t->keys.has_unk)
        out->lists.unk_id = (uint32_t)t->keys.unk_id;
    list_post(t, &out->lists);
    remark(t, out);
    if (pieces)
        st = settle_pieces(t, out);
    return st ? st : ps_listing_check(t, out);
}
