/* The row `hf`: a folder with config.json and model.safetensors, or model.safetensors.index.json
 * and its shards (F32, F16, BF16). Happy path: config and headers are read, and each tensor of the
 * shards finds its place in the layout, those of packed codes together; a tokenizer that psd cannot
 * use is kept with a remark. */
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/json/json.h"
#include "common/json/json_file.h"
#include "common/model/hf_config.h"
#include "common/model/hf_kept.h"
#include "common/model/hf_part.h"
#include "common/model/hf_places.h"
#include "common/model/hf_rows.h"
#include "common/model/hf_sentence.h"
#include "common/model/hf_unpack.h"
#include "common/model/model_files.h"
#include "common/model/model_in.h"
#include "common/tokenizer/tokenizer.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MAX_CONFIG = 1 << 20 };

struct ps_model_reader {
    ps_hf_shards shards;
    ps_hf_quantization quantization;
    const ps_model_in_about *about;
    ps_hf_place *places; /* by the layout's order */
    uint8_t *unpacked;   /* the blocks of one, while it is read; NULL: of none; */
    float *numbers;      /* or its numbers, likewise */
    size_t unpacked_of;
};

/* ---- config and tokenizer ---- */

/* What is there instead of a model's folder: name gets a file's, "" at first. */
static const char *what_is_there(const char *folder, char name[256])
{
    static const struct {
        const char *end, *text;
    } kinds[] = {
        {".gguf", "; give the file: "},
        {"config.json.age", "; its files are encrypted by age, and --identity FILE opens them: "},
        {"adapter_model.safetensors",
         "; an adapter (LoRA) is no model by itself, give the stored one that it is for, --base "
         "MODEL: "},
        {"params.json", "; convert it first, as it is not in the format of Hugging Face: "},
        {"psd-provenance.json", "; psctl export --sign has made it: give the model's file beside "},
    };
    const size_t n = sizeof kinds / sizeof *kinds;
    size_t found = n; /* the first of these kinds, in whatever order a folder has them */
    DIR *entries = opendir(folder);
    for (struct dirent *e; entries && (e = readdir(entries));)
        for (size_t i = 0; i < n && i <= found; i++) {
            size_t len = strlen(e->d_name), end = strlen(kinds[i].end);
            if (len < end || strcmp(e->d_name + len - end, kinds[i].end) != 0)
                continue;
            if (i == found && strcmp(e->d_name, name) >= 0)
                continue; /* of several files the first stands for all */
            (void)snprintf(name, 256, "%s", e->d_name);
            found = i;
        }
    if (entries)
        (void)closedir(entries);
    return found < n ? kinds[found].text : "";
}

static ps_status no_folder(const char *folder)
{
    char name[256] = "";
    const char *text = what_is_there(folder, name);
    return ps_fail(PS_NOT_FOUND, "%s is no model's folder: it has no config.json%s%s", folder, text,
                   name);
}

/* What else it says of the model: its part first, and then the whole. */
static ps_status read_beside_keys(ps_slice json, ps_model_in_about *about)
{
    ps_hf_part part;
    ps_status st = ps_hf_part_find(json, &part);
    if (!st && part.inner)
        st = ps_token_ids_read(part.json, &about->ids);
    if (!st)
        st = ps_token_ids_read(json, &about->ids);
    if (!st)
        ps_hf_kept_read(part.json, part.arch, &about->hf_config);
    return st;
}

static ps_status read_config(ps_model_in_about *about, const char *folder,
                             ps_hf_quantization *quantization)
{
    ps_buf json = PS_BUF_EMPTY;
    char *path = ps_asprintf("%s/config.json", folder);
    ps_status st = ps_json_file_read(about->options.disk, path, MAX_CONFIG, &json);
    if (st == PS_NOT_FOUND) {
        st = no_folder(folder);
    } else if (!st) {
        st = ps_hf_quantization_parse(ps_buf_slice(&json), quantization);
        if (!st)
            st = ps_hf_config_parse(ps_buf_slice(&json), &about->model);
        if (!st)
            st = read_beside_keys(ps_buf_slice(&json), about);
        st = st ? ps_wrap(st, "%s", path) : PS_OK;
    }
    ps_free(&path);
    ps_buf_free(&json);
    return st;
}

/* What older tools wrote beside config.json instead of into it; and when both are there, they
 * agree.
 */
static ps_status read_beside(const ps_disk *disk, const char *folder,
                             ps_hf_quantization *quantization)
{
    ps_status st = PS_OK;
    for (const ps_hf_beside *beside = ps_hf_besides; !st && beside->file; beside++) {
        if (!beside->method)
            continue;
        ps_hf_quantization said;
        ps_buf json = PS_BUF_EMPTY;
        char *path = ps_asprintf("%s/%s", folder, beside->file);
        st = ps_json_file_read(disk, path, MAX_CONFIG, &json);
        if (st == PS_NOT_FOUND) {
            st = PS_OK;
        } else if (!st) {
            st = ps_hf_quantization_parse_file(ps_buf_slice(&json), beside->method, &said);
            if (!st && quantization->rows[0])
                st = ps_hf_quantization_join(quantization, &said);
            else if (!st)
                *quantization = said;
            st = st ? ps_wrap(st, "%s", path) : PS_OK;
        }
        ps_free(&path);
        ps_buf_free(&json);
    }
    return st;
}

/* What is there that nothing here reads. */
static ps_status check_others(const ps_disk *disk, const char *folder)
{
    ps_status st = PS_OK;
    for (const ps_hf_beside *beside = ps_hf_besides; !st && beside->file; beside++) {
        char *path = ps_asprintf("%s/%s", folder, beside->file);
        if (beside->tool && ps_model_file_there(disk, path))
            st = ps_fail(PS_INVALID_ARGUMENT,
                         "%s: the folder was quantised by %s, whose layout is not read by psd",
                         path, beside->tool);
        ps_free(&path);
    }
    return st;
}

static ps_status check_activations(ps_model_in_about *about, const ps_hf_quantization *q,
                                   const char *folder)
{
    if (!q->activations)
        return PS_OK;
    if (!about->options.float_activations)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "%s/config.json: quantization_config: key 'input_activations' has what goes "
                       "into products rounded to %s, which psd does not compute; "
                       "--float-activations takes the weights, and does not round",
                       folder, q->activations);
    ps_buf_printf(&about->remarks,
                  "%s: input_activations are %s there, and stay float32 here, so answers differ\n",
                  folder, q->activations);
    return PS_OK;
}

static ps_status read_quantization(ps_model_in_about *about, const char *folder,
                                   ps_hf_quantization *quantization)
{
    ps_status st = read_beside(about->options.disk, folder, quantization);
    if (!st && !quantization->rows[0])
        st = check_others(about->options.disk, folder);
    return st ? st : check_activations(about, quantization, folder);
}

/* As a text in a header each quote takes two bytes: what would not fit in there stays behind. */
static bool fits(const ps_buf *text)
{
    enum { MOST = 90 * 1000 * 1000 };
    ps_buf escaped = PS_BUF_EMPTY;
    ps_json_writer w = ps_json_writer_to(&escaped);
    ps_json_string_n(&w, ps_buf_slice(text));
    bool fits = escaped.len <= MOST;
    ps_buf_free(&escaped);
    return fits;
}

/* tokenizer.json as it is, whatever tokenizer that is; but it must be JSON, as it goes into a
 * header. PS_RESOURCE_EXHAUSTED: it is too large for that. */
static ps_status read_tokenizer_text(ps_model_in_about *about, const char *folder)
{
    ps_buf *text = &about->tokenizer;
    char *path = ps_asprintf("%s/tokenizer.json", folder);
    ps_status st = ps_json_file_read(about->options.disk, path, PS_TOKENIZER_MAX_FILE, text);
    if (!st && text->len >= 3 && !memcmp(text->data, "\xef\xbb\xbf", 3))
        ps_buf_consume(text, 3); /* a byte order mark, which `tokenizers` refuses */
    if (!st)
        st = ps_json_file_check(path, ps_buf_slice(text));
    if (!st && !fits(text))
        st = ps_fail(PS_RESOURCE_EXHAUSTED, "%s: too large for the header of a model's file", path);
    ps_free(&path);
    return st;
}

static void say_what_it_is(ps_model_in_about *about, const ps_tokenizer *t, const char *folder)
{
    if (!t)
        ps_buf_printf(&about->remarks, "%s: %s\n",
                      about->tokenizer.len ? "the tokenizer is kept, but psd cannot use it"
                                           : "psd cannot use the tokenizer",
                      ps_error_message());
    else if (ps_tokenizer_vocab_size(t) > about->model->vocab_size)
        ps_buf_printf(&about->remarks,
                      "%s: the tokenizer has %" PRIu32 " ids, vocab_size is %" PRId64
                      ": a text with one of the others cannot be used\n",
                      folder, ps_tokenizer_vocab_size(t), about->model->vocab_size);
}

/* A part of a tokenizer, or one of a kind that is not read here, is not left behind in silence. */
static void say_what_is_there(ps_model_in_about *about, const char *folder)
{
    static const char *const names[] = {"vocab.json", "merges.txt", "sentencepiece.bpe.model"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = ps_asprintf("%s/%s", folder, names[i]);
        bool there = ps_model_file_there(about->options.disk, path);
        ps_free(&path);
        if (!there)
            continue;
        ps_buf_printf(&about->remarks,
                      "the model has no tokenizer: %s/%s is there, and " PS_TOKENIZER_FILES
                      " are read\n",
                      folder, names[i]);
        return;
    }
}

static ps_status read_tokenizer(ps_model_in_about *about, const char *folder)
{
    ps_tokenizer *t = NULL;
    ps_status st = read_tokenizer_text(about, folder);
    if (st == PS_RESOURCE_EXHAUSTED) { /* the model is worth more than what stands beside it */
        ps_buf_printf(&about->remarks, "the tokenizer is left out: %s\n", ps_error_message());
        ps_buf_free(&about->tokenizer);
        return PS_OK;
    }
    if (st && st != PS_NOT_FOUND)
        return st;
    bool made = st == PS_NOT_FOUND; /* of the other files, if they are there */
    st = ps_tokenizer_open(about->options.disk, folder, &t);
    if (st == PS_NOT_FOUND) {
        say_what_is_there(about, folder);
        return PS_OK;
    }
    say_what_it_is(about, st ? NULL : t, folder);
    if (st)
        return PS_OK;
    if (made)
        ps_tokenizer_to_json(t, &about->tokenizer);
    if (made && !fits(&about->tokenizer)) {
        ps_buf_printf(&about->remarks, "the tokenizer is left out: it is too large\n");
        ps_buf_free(&about->tokenizer);
        ps_tokenizer_free(&t);
        return PS_OK;
    }
    ps_free(&about->model->tokenizer);
    about->model->tokenizer = ps_strdup(ps_tokenizer_name(t));
    about->tokenizer_hash = ps_tokenizer_hash(t);
    ps_tokenizer_free(&t);
    return PS_OK;
}

/* ---- the row ---- */

static ps_status hf_takes(const ps_disk *disk, const char *path, bool *out)
{
    return ps_model_file_kind(disk, path, out);
}

/* One packed tensor at a time is held. */
static void let_go(ps_model_reader *r, size_t i)
{
    ps_free(&r->unpacked);
    ps_free(&r->numbers);
    r->unpacked_of = i;
}

/* All rows of a packed tensor, *rows, in psd's order. */
static ps_status put_in_order(const ps_lm_tensor *t, size_t row_bytes, void **rows)
{
    if (!t->by_heads)
        return PS_OK;
    void *ours = ps_try_alloc_raw((size_t)t->shape[0] * row_bytes);
    if (!ours)
        return ps_fail(PS_NO_MEMORY, "no memory for the rows of tensor %s", t->name);
    ps_hf_rows_in(t, *rows, row_bytes, ours);
    ps_free(rows);
    *rows = ours;
    return PS_OK;
}

static ps_status unpack(ps_model_reader *r, size_t i)
{
    if (r->unpacked && r->unpacked_of == i)
        return PS_OK;
    let_go(r, i);
    void *rows = NULL;
    const ps_packed_matrix *m = &r->places[i].packed;
    ps_status st = ps_hf_unpack(&r->shards, &r->quantization, &r->places[i], &r->unpacked);
    if (st)
        return st;
    rows = r->unpacked;
    st = put_in_order(&r->about->tensors[i], (size_t)ps_form_row_bytes(m->form, m->columns), &rows);
    r->unpacked = rows;
    return st;
}

static ps_status decode(ps_model_reader *r, size_t i)
{
    if (r->numbers && r->unpacked_of == i)
        return PS_OK;
    let_go(r, i);
    void *rows = NULL;
    ps_status st = ps_hf_unpack_numbers(&r->shards, &r->quantization, &r->places[i], &r->numbers);
    if (st)
        return st;
    rows = r->numbers;
    st = put_in_order(&r->about->tensors[i],
                      (size_t)r->places[i].packed.columns * sizeof *r->numbers, &rows);
    r->numbers = rows;
    return st;
}

static ps_status hf_bytes(ps_model_reader *r, size_t i, uint64_t at, size_t n, uint8_t *out)
{
    ps_status st = unpack(r, i);
    if (!st)
        memcpy(out, r->unpacked + at, n);
    return st;
}

/* For who wants float32: numbers out of the rows that they are in. */
static ps_status read_unpacked(ps_model_reader *r, size_t i, uint64_t first, size_t n, float *out)
{
    const ps_packed_matrix *m = &r->places[i].packed;
    uint64_t row_bytes = ps_form_row_bytes(m->form, m->columns);
    ps_status st = unpack(r, i);
    float *row = st ? NULL : ps_try_alloc_raw((size_t)m->columns * sizeof *row);
    if (!st && !row)
        st = ps_fail(PS_NO_MEMORY, "no memory for a row of %s", r->places[i].tensor->name);
    while (!st && n) {
        uint64_t at = first / m->columns, column = first % m->columns;
        size_t part = m->columns - column < n ? (size_t)(m->columns - column) : n;
        ps_form_decode(m->form, r->unpacked + at * row_bytes, 1, m->columns, row);
        memcpy(out, row + column, part * sizeof *row);
        first += part;
        out += part;
        n -= part;
    }
    ps_free(&row);
    return st;
}

static ps_status read_decoded(ps_model_reader *r, size_t i, uint64_t first, size_t n, float *out)
{
    ps_status st = decode(r, i);
    if (!st)
        memcpy(out, r->numbers + first, n * sizeof *out);
    return st;
}

/* Row by row, as they stand elsewhere. */
static ps_status read_by_heads(ps_model_reader *r, size_t i, uint64_t first, size_t n, float *out)
{
    const ps_lm_tensor *t = &r->about->tensors[i];
    const ps_hf_place *p = &r->places[i];
    uint64_t columns = t->n_dims == 1 ? 1 : t->shape[1];
    ps_status st = PS_OK;
    while (!st && n) {
        uint64_t row = ps_hf_row(t, first / columns), column = first % columns;
        size_t part = columns - column < n ? (size_t)(columns - column) : n;
        st = ps_hf_shards_read(&r->shards, p->shard, p->tensor, row * columns + column, part, out);
        first += part;
        out += part;
        n -= part;
    }
    return st;
}

static ps_status hf_read(ps_model_reader *r, size_t i, uint64_t first, size_t n, float *out)
{
    if (r->places[i].packed.columns && r->places[i].row->decode)
        return read_decoded(r, i, first, n, out);
    if (r->places[i].packed.columns)
        return read_unpacked(r, i, first, n, out);
    if (r->about->tensors[i].by_heads)
        return read_by_heads(r, i, first, n, out);
    return ps_hf_shards_read(&r->shards, r->places[i].shard, r->places[i].tensor, first, n, out);
}

static void hf_close(ps_model_reader **reader)
{
    ps_model_reader *r = *reader;
    if (!r)
        return;
    ps_hf_shards_clear(&r->shards);
    ps_free(&r->places);
    let_go(r, 0);
    ps_free(reader);
}

/* A model that embeds may be saved without it. */
static void look_for_pooler(const ps_model_reader *r, ps_spec_model *m)
{
    static const char weight[] = "pooler.dense.weight";
    if (!ps_spec_model_is_encoder(m) || m->choices.num_classes)
        return;
    m->choices.pooler = false;
    for (size_t i = 0; i < r->shards.n; i++) {
        const ps_safetensors *header = r->shards.at[i].header;
        for (size_t k = 0; k < header->n_tensors; k++)
            m->choices.pooler |= ps_text_ends(header->tensors[k].name, weight);
    }
}

static ps_status hf_open(const char *folder, ps_model_in_about *about, ps_model_reader **out)
{
    ps_model_reader *r = ps_new(ps_model_reader);
    r->shards.fd = -1;
    r->about = about;
    ps_status st = read_config(about, folder, &r->quantization);
    if (!st)
        st = read_quantization(about, folder, &r->quantization);
    if (!st)
        st = read_tokenizer(about, folder);
    if (!st)
        st = ps_side_texts_read(about->options.disk, folder, &about->side, &about->remarks);
    if (!st)
        st = ps_hf_sentence_read(about->options.disk, folder, about->model, &about->remarks);
    if (!st)
        st = ps_hf_shards_open(about->options.disk, folder, &r->shards);
    if (!st)
        look_for_pooler(r, about->model);
    if (!st)
        st = ps_hf_places(&r->shards, &r->quantization, about, &r->places);
    if (st)
        hf_close(&r);
    else
        *out = r;
    return st;
}

const ps_model_in_row ps_model_in_hf = {.takes = hf_takes,
                                        .look = ps_model_look_hf,
                                        .open = hf_open,
                                        .read = hf_read,
                                        .bytes = hf_bytes,
                                        .close = hf_close};
