/* What the rows have in common: opening by name or path, and reading what a tokenizer holds. */
#include "common/tokenizer/tokenizer.h"

#include "common/base/disk.h"
#include "common/base/foreign.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/base/utf8.h"
#include "common/json/json_file.h"
#include "common/tokenizer/byte_text.h"
#include "common/tokenizer/sentencepiece.h"
#include "common/tokenizer/step_rows.h"
#include "common/tokenizer/tokenizer_internal.h"
#include "common/tokenizer/words.h"

#include <stdio.h>
#include <sys/stat.h>

/* A file that is a tokenizer with what stands beside it, or alone; in the order of a folder. */
typedef struct alone {
    const char *name;
    const char *ending; /* of a path that is such a file */
    ps_beside_kind kind;
    ps_status (*make)(ps_slice bytes, const ps_beside *beside, ps_tokenizer **out);
} alone;

static const alone alones[] = {
    {"tokenizer.model", ".model", PS_BESIDE_PIECES, ps_tokenizer_from_sentencepiece},
    {"spiece.model", ".model", PS_BESIDE_PIECES, ps_tokenizer_from_sentencepiece},
    {"vocab.txt", "vocab.txt", PS_BESIDE_WORDS, ps_tokenizer_from_words},
};
enum { ALONES = sizeof alones / sizeof *alones };

#define DECODE_SECONDS 0.1 /* for the patterns of one token */
enum { DECODE_MOST = 64 << 10 };

static ps_status read_json(const ps_disk *disk, const char *folder, const char *name, ps_buf *out)
{
    char *path = ps_asprintf("%s%s%s", folder, *name ? "/" : "", name);
    ps_status st = ps_json_file_read(disk, path, PS_TOKENIZER_MAX_FILE, out);
    ps_free(&path);
    return st;
}

static ps_status open_json(const ps_disk *disk, const char *folder, const char *name,
                           ps_tokenizer **out)
{
    ps_buf json = PS_BUF_EMPTY;
    ps_status st = read_json(disk, folder, name, &json);
    if (!st) {
        st = ps_tokenizer_from_json(ps_buf_slice(&json), out);
        if (st)
            st = ps_wrap(st, "%s%s%s", folder, *name ? "/" : "", name);
    }
    ps_buf_free(&json);
    return st;
}

static ps_status read_merges(const ps_disk *disk, const char *folder, ps_buf *out)
{
    char *path = ps_asprintf("%s/merges.txt", folder);
    ps_status st =
        ps_disk_read_file(disk ? disk : &ps_disk_system, path, PS_TOKENIZER_MAX_FILE, out);
    if (!st)
        st = ps_foreign_check(path, ps_buf_slice(out));
    ps_free(&path);
    return st;
}

/* A file that may be there. */
static ps_status read_beside(const ps_disk *disk, const char *folder, const char *name, ps_buf *out)
{
    ps_status st = read_json(disk, folder, name, out);
    return st == PS_NOT_FOUND ? PS_OK : st;
}

/* What is in the same folder as the file. */
static ps_status open_beside(const ps_disk *disk, const char *folder, ps_beside_kind kind,
                             ps_beside *out)
{
    ps_buf config = PS_BUF_EMPTY, map = PS_BUF_EMPTY, added = PS_BUF_EMPTY;
    ps_status st = read_beside(disk, folder, "tokenizer_config.json", &config);
    if (!st)
        st = read_beside(disk, folder, "special_tokens_map.json", &map);
    if (!st)
        st = read_beside(disk, folder, "added_tokens.json", &added);
    if (!st) {
        st = ps_beside_read(kind, ps_buf_slice(&config), ps_buf_slice(&map), ps_buf_slice(&added),
                            out);
        if (st)
            st = ps_wrap(st, "%s", folder);
    }
    ps_buf_free(&config);
    ps_buf_free(&map);
    ps_buf_free(&added);
    return st;
}

/* path: of a file; folder: NULL: what stands beside it is not looked at. */
static ps_status open_alone(const ps_disk *disk, const alone *which, const char *path,
                            const char *folder, ps_tokenizer **out)
{
    ps_buf bytes = PS_BUF_EMPTY;
    ps_beside beside = {0};
    ps_status st =
        ps_disk_read_file(disk ? disk : &ps_disk_system, path, PS_TOKENIZER_MAX_FILE, &bytes);
    if (!st)
        st = ps_foreign_check(path, ps_buf_slice(&bytes));
    if (!st && folder)
        st = open_beside(disk, folder, which->kind, &beside);
    if (!st) {
        st = which->make(ps_buf_slice(&bytes), folder ? &beside : NULL, out);
        if (st)
            st = ps_wrap(st == PS_CORRUPT ? PS_INVALID_ARGUMENT : st, "%s", path);
    }
    ps_beside_clear(&beside);
    ps_buf_free(&bytes);
    return st;
}

/* In a folder. */
static ps_status find_alone(const ps_disk *disk, const char *folder, ps_tokenizer **out)
{
    ps_status st = PS_NOT_FOUND;
    for (size_t i = 0; st == PS_NOT_FOUND && i < ALONES; i++) {
        char *path = ps_asprintf("%s/%s", folder, alones[i].name);
        st = open_alone(disk, &alones[i], path, folder, out);
        ps_free(&path);
    }
    return st;
}

static ps_status open_file(const ps_disk *disk, const char *path, ps_tokenizer **out)
{
    for (size_t i = 0; i < ALONES; i++)
        if (ps_text_ends(path, alones[i].ending))
            return open_alone(disk, &alones[i], path, NULL, out);
    return open_json(disk, path, "", out);
}

static ps_status open_vocab(const ps_disk *disk, const char *folder, ps_tokenizer **out)
{
    ps_buf vocab = PS_BUF_EMPTY, merges = PS_BUF_EMPTY;
    ps_status st = read_json(disk, folder, "vocab.json", &vocab);
    if (!st)
        st = read_merges(disk, folder, &merges);
    if (!st) {
        st = ps_tokenizer_from_vocab(ps_buf_slice(&vocab), ps_buf_slice(&merges), out);
        if (st)
            st = ps_wrap(st, "%s", folder);
    }
    ps_buf_free(&vocab);
    ps_buf_free(&merges);
    return st;
}

ps_status ps_tokenizer_open(const ps_disk *disk, const char *source, ps_tokenizer **out)
{
    if (!strcmp(source, "bytes")) {
        *out = ps_tokenizer_bytes();
        return PS_OK;
    }
    struct stat about;
    if (stat(source, &about) != 0 || !S_ISDIR(about.st_mode))
        return open_file(disk, source, out);
    ps_status st = open_json(disk, source, "tokenizer.json", out);
    if (st != PS_NOT_FOUND)
        return st;
    st = open_vocab(disk, source, out);
    if (st == PS_NOT_FOUND)
        st = find_alone(disk, source, out);
    if (st == PS_NOT_FOUND)
        return ps_fail(PS_NOT_FOUND, "%s has no tokenizer: " PS_TOKENIZER_FILES, source);
    return st;
}

void ps_tokenizer_free(ps_tokenizer **tokenizer)
{
    ps_tokenizer *t = *tokenizer;
    if (!t)
        return;
    ps_vocab_free(&t->vocab);
    ps_bpe_free(&t->bpe);
    ps_buf_free(&t->keys.unk_token);
    ps_buf_free(&t->keys.prefix);
    ps_buf_free(&t->keys.suffix);
    ps_steps_free(&t->normalizer);
    ps_steps_free(&t->pre_tokenizer);
    ps_steps_free(&t->decoder);
    ps_post_free(&t->post);
    for (size_t i = 0; i < t->n_added; i++)
        ps_buf_free(&t->added[i].changed);
    ps_free(&t->added);
    ps_free(&t->by_id);
    ps_prefixes_free(&t->raw);
    ps_prefixes_free(&t->normalized);
    ps_prefixes_free(&t->tokens);
    ps_free(&t->scores);
    ps_free(tokenizer);
}

const char *ps_tokenizer_name(const ps_tokenizer *t)
{
    return t->name;
}

uint32_t ps_tokenizer_vocab_size(const ps_tokenizer *t)
{
    return t->vocab_size;
}

uint64_t ps_tokenizer_hash(const ps_tokenizer *t)
{
    return t->hash;
}

bool ps_tokenizer_added(const ps_tokenizer *t, const char *text, uint32_t *id)
{
    uint32_t found = 0;
    if (!t->vocab || !ps_vocab_find(t->vocab, ps_slice_str(text), &found) ||
        !ps_tokenizer_find_added(t, found))
        return false;
    *id = found;
    return true;
}

/* A text with a letter that stands for no byte stands for itself, as in `tokenizers`. */
static void put_byte_level(const ps_tokenizer *t, uint32_t id, ps_slice text, ps_buf *out)
{
    if (ps_tokenizer_find_added(t, id) || !ps_byte_text_decode(text, out))
        ps_buf_append(out, text.data, text.len);
}

/* A token's text; of an added one as it is looked for, which is what `tokenizers` decodes it to. */
static ps_slice decoded_text(const ps_tokenizer *t, uint32_t id)
{
    const ps_added_token *added = t->normalizer.n ? ps_tokenizer_find_added(t, id) : NULL;
    return added && added->changed.len ? ps_buf_slice(&added->changed) : ps_vocab_at(t->vocab, id);
}

/* Whether its decoder, if there is one, does nothing but to join bytes. */
static bool joins_bytes(const ps_tokenizer *t)
{
    return t->byte_level &&
           (!t->decoder.n || (t->decoder.n == 1 && t->decoder.at->row == &ps_dec_byte_level));
}

/* What the decoder's steps make of a token, those that come before it is too long. */
static void put_token(const ps_tokenizer *t, uint32_t id, ps_token_place place, ps_buf *out)
{
    ps_slice text = decoded_text(t, id);
    if (!text.len)
        return;
    if (joins_bytes(t)) {
        put_byte_level(t, id, text, out);
        return;
    }
    ps_buf token = PS_BUF_EMPTY;
    if (!t->decoder.json && !place.first) /* `tokenizers` puts a space between the tokens */
        ps_buf_putc(&token, ' ');
    ps_buf_append(&token, text.data, text.len);
    ps_spans spans = {.seconds = DECODE_SECONDS};
    for (size_t i = 0; i < t->decoder.n && token.len <= DECODE_MOST; i++)
        t->decoder.at[i].row->decode(&t->decoder.at[i], place, &spans, &token);
    ps_buf_append(out, token.data, token.len);
    ps_spans_free(&spans);
    ps_buf_free(&token);
}

void ps_tokenizer_token(const ps_tokenizer *t, uint32_t id, ps_buf *out)
{
    if (t->vocab)
        put_token(t, id, (ps_token_place){0}, out);
    else if (id < t->vocab_size)
        ps_buf_putc(out, (char)id);
}

void ps_tokenizer_join(const ps_tokenizer *t, const ps_ids *text, const ps_ids *second, ps_ids *out,
                       ps_ids *types)
{
    ps_post_join(&t->post, text, second, out, types);
}

ps_token_kind ps_tokenizer_kind(const ps_tokenizer *t, uint32_t id)
{
    const ps_added_token *added = ps_tokenizer_find_added(t, id);
    if (added)
        return added->special ? PS_TOKEN_SPECIAL : PS_TOKEN_ADDED;
    return ps_tokenizer_text(t, id).len ? PS_TOKEN_NORMAL : PS_TOKEN_UNUSED;
}

ps_slice ps_tokenizer_text(const ps_tokenizer *t, uint32_t id)
{
    return t->vocab ? ps_vocab_at(t->vocab, id) : (ps_slice){0};
}

bool ps_tokenizer_prefix_space(const ps_tokenizer *t)
{
    return t->prefix_space;
}

size_t ps_tokenizer_merges(const ps_tokenizer *t)
{
    return t->bpe ? ps_bpe_merges(t->bpe) : 0;
}

void ps_tokenizer_merge(const ps_tokenizer *t, size_t i, uint32_t *left, uint32_t *right)
{
    ps_bpe_merge(t->bpe, i, left, right);
}

/* ---- decoding ---- */

void ps_decoder_init(ps_decoder *d, const ps_tokenizer *tokenizer, bool begins)
{
    *d = (ps_decoder){.tokenizer = tokenizer, .begins = begins, .last = UINT32_MAX};
}

/* Moves held to out as UTF-8, up to a beginning whose rest may come. */
static void release(ps_decoder *d, bool whole, ps_buf *out)
{
    size_t at = 0;
    while (at < d->held.len) {
        ps_slice rest = ps_slice_of(d->held.data + at, d->held.len - at);
        size_t n = ps_utf8_length(rest), part = ps_utf8_partial(rest);
        if (!n && part == rest.len && !whole)
            break;
        if (n)
            ps_buf_append(out, rest.data, n);
        else
            ps_buf_puts(out, "\xef\xbf\xbd");
        at += n ? n : part ? part : 1;
    }
    ps_buf_consume(&d->held, at);
}

/* A token that follows itself where such a one is no other. */
static bool is_again(const ps_decoder *d, uint32_t id)
{
    const ps_steps *steps = &d->tokenizer->decoder;
    return id == d->last && steps->n && steps->at->row->once;
}

static void put(ps_decoder *d, uint32_t id, bool last)
{
    if (d->tokenizer->vocab)
        put_token(d->tokenizer, id, (ps_token_place){.first = d->begins, .last = last}, &d->held);
    else
        ps_tokenizer_token(d->tokenizer, id, &d->held);
    d->begins = false;
}

void ps_decoder_put(ps_decoder *d, uint32_t id, ps_buf *out)
{
    if (is_again(d, id))
        return;
    if (d->waiting)
        put(d, d->last, false);
    d->last = id;
    d->waiting = d->tokenizer->decoder.waits;
    if (!d->waiting)
        put(d, id, false);
    release(d, false, out);
}

void ps_decoder_finish(ps_decoder *d, ps_buf *out)
{
    if (d->waiting)
        put(d, d->last, true);
    d->waiting = false;
    release(d, true, out);
    ps_buf_free(&d->held);
}
