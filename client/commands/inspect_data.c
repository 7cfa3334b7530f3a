/* What psctl inspect says of data, tokenizers and texts: each kind is told by its first bytes, or
 * its name, and described by whoever reads it. */
#include "client/commands/inspect.h"

#include "common/base/mem.h"
#include "common/format/idx_header.h"
#include "common/format/json_lines.h"
#include "common/format/text_look.h"
#include "common/format/token_file.h"
#include "common/model/model_files.h"
#include "common/model/tokenizer_open.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void ps_inspect_tokenizer_hash(ps_inspection *of, uint64_t hash)
{
    char text[17];
    (void)snprintf(text, sizeof text, "%016" PRIx64, hash);
    if (hash) /* 0: of a file whose maker did not say it */
        ps_facts_text(&of->facts, "tokenizer_hash", "tokenizer hash", ps_slice_str(text));
}

/* ---- token files ---- */

static bool is_token_file(const ps_inspection *of)
{
    return ps_inspect_begins(of, "PSDTOKEN", 8);
}

static ps_status describe_token_file(ps_inspection *of)
{
    ps_token_file *file = NULL;
    ps_inspect_is(of, "a token file");
    ps_status st = ps_token_file_open(of->source.path, &file);
    if (st)
        return st;
    const ps_token_file_info *about = ps_token_file_about(file);
    ps_facts_count(&of->facts, "tokens", "tokens", about->count);
    ps_facts_count(&of->facts, "vocab_size", "vocabulary", about->vocab_size);
    ps_facts_text(&of->facts, "tokenizer", "tokenizer", ps_slice_str(about->tokenizer));
    ps_inspect_tokenizer_hash(of, about->tokenizer_hash);
    ps_facts_truth(&of->facts, "given", "prompts are marked", about->marks & PS_TOKEN_GIVEN);
    ps_facts_truth(&of->facts, "documents", "documents are marked", about->marks & PS_TOKEN_BEGINS);
    ps_facts_truth(&of->facts, "classes", "classes are there", about->marks & PS_TOKEN_CLASS);
    ps_facts_truth(&of->facts, "pairs", "second texts are there", about->marks & PS_TOKEN_SECOND);
    ps_buf_puts(&of->use, "as data of format tokens");
    ps_token_file_close(&file);
    return PS_OK;
}

/* ---- tokenizers ---- */

static bool is_tokenizer(const ps_inspection *of)
{
    if (of->folder)
        return !ps_inspect_has(of, "config.json") &&
               (ps_inspect_has(of, "tokenizer.json") || ps_inspect_has(of, "vocab.json") ||
                ps_inspect_has(of, "tokenizer.model") || ps_inspect_has(of, "spiece.model") ||
                ps_inspect_has(of, "vocab.txt"));
    return ps_inspect_ends(of, "tokenizer.json") || ps_inspect_ends(of, "vocab.txt") ||
           (ps_inspect_ends(of, ".model") && ps_inspect_begins(of, "\n", 1));
}

ps_status ps_inspect_tokenizer(ps_inspection *of)
{
    ps_tokenizer *t = NULL;
    ps_buf added = PS_BUF_EMPTY;
    ps_inspect_is(of, "a tokenizer");
    ps_status st = ps_model_tokenizer_open(of->source.disk, of->source.path, &t);
    if (st)
        return st;
    ps_facts_text(&of->facts, "tokenizer", "used as", ps_slice_str(ps_tokenizer_name(t)));
    ps_facts_count(&of->facts, "vocab_size", "vocabulary", ps_tokenizer_vocab_size(t));
    ps_facts_count(&of->facts, "merges", "merges", ps_tokenizer_merges(t));
    ps_tokenizer_added_list(t, &added);
    ps_facts_text(&of->facts, "added_tokens", "added tokens", ps_buf_slice(&added));
    ps_buf_free(&added);
    ps_inspect_tokenizer_hash(of, ps_tokenizer_hash(t));
    ps_buf_printf(&of->use, "psctl tokenize --tokenizer %s", of->given);
    ps_tokenizer_free(&t);
    return PS_OK;
}

/* ---- numbers and texts ---- */

static bool is_idx(const ps_inspection *of)
{
    return of->first_len >= 4 && !of->first[0] && !of->first[1] &&
           ps_idx_size_of((ps_idx_type)of->first[2]) && of->first[3] &&
           of->first[3] <= PS_IDX_MAX_DIMS;
}

static ps_status describe_idx(ps_inspection *of)
{
    ps_idx_header header;
    ps_source *source = NULL;
    ps_buf shape = PS_BUF_EMPTY;
    ps_inspect_is(of, "an idx file");
    ps_status st = ps_source_open(of->source.path, &source);
    if (!st)
        st = ps_idx_header_read(source, &header);
    uint64_t most = st ? 0 : ps_source_most(source);
    ps_source_close(&source);
    if (st)
        return st;
    for (unsigned d = 0; d < header.n_dims; d++)
        ps_buf_printf(&shape, "%s%" PRIu32, d ? " x " : "", header.dims[d]);
    ps_facts_count(&of->facts, "rows", "rows", header.dims[0]);
    ps_facts_text(&of->facts, "shape", "shape", ps_buf_slice(&shape));
    ps_facts_text(&of->facts, "type", "type", ps_slice_str(ps_idx_name_of(header.type)));
    ps_buf_free(&shape);
    if (header.columns > most || header.dims[0] > most / header.columns)
        return ps_fail(PS_CORRUPT, "%s: truncated, it cannot hold what its header says",
                       of->source.path);
    ps_buf_puts(&of->use, "as data of format idx");
    return PS_OK;
}

static bool is_json_lines(const ps_inspection *of)
{
    return ps_inspect_begins(of, "{", 1) &&
           (ps_inspect_ends(of, ".jsonl") || ps_inspect_ends(of, ".ndjson"));
}

/* The keys of an object that have texts, as tokenize is told them. */
static ps_status list_keys(ps_slice line, ps_buf *out)
{
    ps_json_reader r;
    ps_json_token token;
    ps_json_reader_init(&r, line);
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &token);
    while (ps_json_member(&r, &token, &st)) {
        size_t before = out->len;
        ps_buf_puts(out, before ? ", " : "");
        ps_buf_append(out, token.text.data, token.text.len);
        ps_slice value;
        st = ps_json_value(&r, &value);
        if (!st && (!value.len || value.data[0] != '"'))
            out->len = before;
    }
    ps_json_reader_free(&r);
    return st;
}

/* What the two texts of questions and answers are mostly called. */
static const char *const pairs[][2] = {
    {"prompt", "response"},    {"prompt", "completion"},    {"question", "answer"},
    {"instruction", "output"}, {"instruction", "response"}, {"input", "output"},
};

/* keys: "a, b". */
static bool has_key(const char *keys, const char *key)
{
    size_t len = strlen(key);
    for (const char *at = keys; (at = strstr(at, key)); at += len)
        if ((at == keys || at[-1] == ' ') && (!at[len] || at[len] == ','))
            return true;
    return false;
}

/* One text is a document, of two the second may answer the first. */
static void add_keys(ps_inspection *of, const char *keys)
{
    const char *first = "KEY", *second = "KEY";
    for (size_t i = sizeof pairs / sizeof *pairs; i-- > 0;)
        if (has_key(keys, pairs[i][0]) && has_key(keys, pairs[i][1])) {
            first = pairs[i][0];
            second = pairs[i][1];
        }
    if (strchr(keys, ','))
        ps_buf_printf(&of->use, "psctl tokenize --prompt %s --response %s, or --jsonl KEY", first,
                      second);
    else
        ps_buf_printf(&of->use, "psctl tokenize --jsonl %s", keys);
}

static ps_status describe_json_lines(ps_inspection *of)
{
    ps_source *source = NULL;
    ps_slice line;
    ps_buf keys = PS_BUF_EMPTY;
    ps_inspect_is(of, "JSON Lines");
    ps_status st = ps_source_open(of->source.path, &source);
    ps_json_lines *lines = st ? NULL : ps_json_lines_new(source);
    if (!st)
        st = ps_json_lines_next(lines, &line);
    if (!st) {
        st = list_keys(line, &keys);
        st = st ? ps_json_lines_wrap(lines, st) : PS_OK;
    }
    ps_facts_text(&of->facts, "texts", "texts at", ps_buf_slice(&keys));
    if (!st && !keys.len)
        st = ps_fail(
            PS_INVALID_ARGUMENT,
            "%s: the first line has no text at any key; of conversations (messages) make lines "
            "with a prompt and a response",
            of->source.path);
    if (!st)
        add_keys(of, ps_buf_cstr(&keys));
    ps_buf_free(&keys);
    ps_json_lines_free(&lines);
    ps_source_close(&source);
    return st;
}

/* A page that a server sent in place of the model is no text to learn from. */
static bool is_named_as_model(const ps_inspection *of)
{
    static const char *const endings[] = {".safetensors", ".gguf", ".bin", ".pt", ".pth", ".json"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (ps_inspect_ends(of, endings[i]))
            return true;
    return false;
}

/* What begins with no mark of something else, and has nothing that no text has. */
static bool is_text(const ps_inspection *of)
{
    ps_text_look look = {0};
    const ps_slice first = ps_slice_of(of->first, of->first_len);
    ps_text_look_feed(&look, first);
    return !of->folder && of->first_len && !look.zeros && !look.foreign &&
           !ps_foreign_find(first) && !ps_inspect_begins(of, "{", 1) &&
           !ps_inspect_begins(of, "age-encryption.org/", 19) && !is_named_as_model(of);
}

static ps_status describe_text(ps_inspection *of)
{
    ps_inspect_is(of, "text");
    ps_buf_printf(&of->use, "psctl tokenize %s", of->given);
    return PS_OK;
}

static bool is_csv(const ps_inspection *of)
{
    return !of->folder && of->first_len && ps_inspect_ends(of, ".csv") &&
           !ps_foreign_find(ps_slice_of(of->first, of->first_len));
}

static ps_status describe_csv(ps_inspection *of)
{
    ps_inspect_is(of, "csv, by its name");
    ps_buf_puts(&of->use, "as data of format csv");
    return PS_OK;
}

const ps_inspect_kind ps_inspect_data[] = {
    {"tokens", is_token_file, describe_token_file},
    {"tokenizer", is_tokenizer, ps_inspect_tokenizer},
    {"idx", is_idx, describe_idx},
    {"csv", is_csv, describe_csv},
    {"jsonl", is_json_lines, describe_json_lines},
    {NULL, NULL, NULL},
};

const ps_inspect_kind ps_inspect_texts[] = {
    {"text", is_text, describe_text},
    {NULL, NULL, NULL},
};
