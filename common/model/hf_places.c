/* Happy path: each tensor of each shard finds its place in the layout by its name, but those that
 * the index has elsewhere or not at all; then every place is taken, the index has named nothing
 * that is not there, and a head that is said to be the embedding is compared with it.
 *
 * Only what transformers itself computes anew is dropped by its name; nothing else is. */
#include "common/model/hf_places.h"

#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/format/numbers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct search {
    ps_hf_shards *shards;
    ps_model_in_about *about;
    ps_hf_place *places;
    const ps_hf_quantization *quantization;
    const ps_lm_tensor **by_name;
    ps_hf_place head;  /* that a model has whose head is its embedding */
    size_t others;     /* tensors that are left out */
    unsigned left_out; /* bit n: some are of the row's others[n] */
} search;

static int compare(const void *a, const void *b)
{
    return strcmp((*(const ps_lm_tensor *const *)a)->name, (*(const ps_lm_tensor *const *)b)->name);
}

static const ps_arch *arch_of(const search *s)
{
    return ps_arch_find(s->about->model->architecture);
}

/* Buffers that older versions saved: transformers makes them of the config, whatever a file has. */
static bool is_buffer(const search *s, const char *name)
{
    for (const char *const *end = arch_of(s)->hf.buffers; *end; end++)
        if (ps_text_ends(name, *end))
            return true;
    return false;
}

/* Of what a model was trained to say before or sees beside texts, and is not asked here. */
static bool is_other(search *s, const char *name)
{
    const char *const *others = arch_of(s)->hf.others;
    for (size_t i = 0; others && others[i]; i++) {
        if (strncmp(name, others[i], strlen(others[i])) != 0)
            continue;
        s->left_out |= 1u << i;
        return true;
    }
    return false;
}

static ps_status check_shape(const char *name, const uint64_t *want, uint32_t n_dims,
                             const ps_safetensors_tensor *have)
{
    if (n_dims != have->n_dims || memcmp(want, have->shape, n_dims * sizeof *want) != 0)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "tensor %s has another shape than config.json says: %s is expected, it has "
                       "%s",
                       name, ps_sides_of(want, n_dims).text,
                       ps_sides_of(have->shape, have->n_dims).text);
    if (!ps_numbers_known(have->dtype))
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %s is %s; allowed: " PS_NUMBERS_ALLOWED, name,
                       ps_safetensors_type_of(have));
    return PS_OK;
}

static ps_status take(search *s, ps_hf_place *place, size_t shard,
                      const ps_safetensors_tensor *tensor, const ps_lm_tensor *want)
{
    if (place->tensor)
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %s is there twice: in %s too", tensor->name,
                       s->shards->at[place->shard].path);
    *place = (ps_hf_place){.tensor = tensor, .shard = shard};
    return check_shape(tensor->name, want->shape, want->n_dims, tensor);
}

/* A model that is saved whole has its names behind a prefix, and one that is a part of another. */
static const char *inner_name(const search *s, const char *name)
{
    const char *prefixes[] = {arch_of(s)->hf.prefix, arch_of(s)->hf.prefix_images};
    for (size_t i = 0; i < 2; i++)
        if (prefixes[i] && !strncmp(name, prefixes[i], strlen(prefixes[i])))
            return name + strlen(prefixes[i]);
    return name;
}

/* The layout's tensor of a name that has len bytes and an end. */
static const ps_lm_tensor **look_up(const search *s, const char *name, size_t len, const char *end)
{
    ps_lm_tensor key = {.name = ""};
    const ps_lm_tensor *wanted = &key;
    if (len + strlen(end) >= sizeof key.name)
        return NULL;
    memcpy(key.name, name, len);
    memcpy(key.name + len, end, strlen(end));
    return bsearch(&wanted, s->by_name, s->about->n, sizeof *s->by_name, compare);
}

/* By its own name, or by that which it has had in older files. */
static const ps_lm_tensor **look_up_whole(const search *s, const char *name)
{
    const char *const(*older)[2] = arch_of(s)->hf.older;
    const ps_lm_tensor **found = look_up(s, name, strlen(name), "");
    for (; !found && older && (*older)[0]; older++)
        if (ps_text_ends(name, (*older)[0]))
            found = look_up(s, name, strlen(name) - strlen((*older)[0]), (*older)[1]);
    return found;
}

static bool is_a_part(const ps_hf_quantization *q, const char *suffix)
{
    for (size_t i = 0; q->rows[i]; i++)
        for (size_t k = 0; k < q->rows[i]->n_parts; k++)
            if (!strcmp(q->rows[i]->suffixes[k], suffix))
                return true;
    return false;
}

static const char *suffix_of(const ps_safetensors_tensor *t)
{
    return strrchr(t->name, '.') + 1;
}

/* Is it a part of a matrix of codes, "….q_proj.qweight" of "….q_proj.weight"? */
static ps_status take_part(search *s, const char *name, size_t shard,
                           const ps_safetensors_tensor *tensor, bool *out)
{
    const char *suffix = strrchr(name, '.');
    if (!suffix || !is_a_part(s->quantization, suffix + 1))
        return PS_OK;
    const ps_lm_tensor **found = look_up(s, name, (size_t)(suffix - name), ".weight");
    if (!found || (*found)->n_dims != 2)
        return PS_OK;
    ps_hf_place *place = &s->places[*found - s->about->tensors];
    *out = true;
    bool twice = place->tensor && !place->packed.columns;
    for (size_t k = 0; k < place->n_parts; k++)
        twice |= !strcmp(suffix_of(place->parts[k].tensor), suffix + 1);
    if (twice)
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %s is there twice: in %s too", tensor->name,
                       s->shards->at[place->shard].path);
    if (place->n_parts == PS_PACKED_PARTS)
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %s: it has parts of several layouts",
                       tensor->name);
    place->tensor = tensor;
    place->shard = shard;
    place->parts[place->n_parts].tensor = tensor;
    place->parts[place->n_parts++].shard = shard;
    place->packed.rows = (*found)->shape[0];
    place->packed.columns = (*found)->shape[1];
    return PS_OK;
}

static ps_status find_place(search *s, size_t shard, const ps_safetensors_tensor *tensor)
{
    const char *name = inner_name(s, tensor->name);
    if (is_buffer(s, name))
        return PS_OK;
    if (is_other(s, name)) {
        s->others++;
        return PS_OK;
    }
    /* the layout's first tensor is the embedding */
    const char *head = ps_arch_weight(arch_of(s), PS_PART_HEAD);
    if (s->about->model->tie_embeddings && head && !strcmp(name, head))
        return take(s, &s->head, shard, tensor, &s->about->tensors[0]);
    const ps_lm_tensor **found = look_up_whole(s, name);
    /* codes may be under the weight's own name */
    bool codes = tensor->dtype == PS_SAFETENSORS_F8_E4M3 || tensor->dtype == PS_SAFETENSORS_I8;
    if ((!found || codes) && s->quantization->rows[0]) {
        bool part = false;
        ps_status st = take_part(s, name, shard, tensor, &part);
        if (st || part)
            return st;
    }
    if (!found)
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %s is none of a %s model", tensor->name,
                       s->about->model->architecture);
    return take(s, &s->places[*found - s->about->tensors], shard, tensor, *found);
}

static ps_status find_in_shard(search *s, size_t shard)
{
    const ps_safetensors *header = s->shards->at[shard].header;
    for (size_t i = 0; i < header->n_tensors; i++) {
        const ps_safetensors_tensor *tensor = &header->tensors[i];
        ps_hf_listed *listed = ps_hf_shards_listed(s->shards, tensor->name);
        if (s->shards->index && (!listed || listed->shard != shard))
            continue;
        if (listed)
            listed->found = true;
        ps_status st = find_place(s, shard, tensor);
        if (st)
            return ps_wrap(st, "%s", s->shards->at[shard].path);
    }
    return PS_OK;
}

/* ---- what is not there ---- */

static ps_status check_index(const search *s)
{
    for (size_t i = 0; i < s->shards->n_listed; i++) {
        const ps_hf_listed *listed = &s->shards->listed[i];
        if (listed->found)
            continue;
        for (size_t k = 0; k < s->shards->n; k++)
            if (ps_safetensors_find(s->shards->at[k].header, listed->name))
                return ps_fail(PS_INVALID_ARGUMENT, "%s: tensor %s is not in %s, but in %s",
                               s->shards->index, listed->name, s->shards->at[listed->shard].path,
                               s->shards->at[k].path);
        return ps_fail(PS_INVALID_ARGUMENT, "%s: tensor %s is not in %s", s->shards->index,
                       listed->name, s->shards->at[listed->shard].path);
    }
    return PS_OK;
}

static ps_status check_places(const search *s)
{
    const ps_hf_shards *shards = s->shards;
    for (size_t i = 0; i < s->about->n; i++) {
        const char *name = s->about->tensors[i].name;
        if (s->places[i].tensor)
            continue;
        if (shards->index)
            return ps_fail(PS_INVALID_ARGUMENT, "%s: tensor %s is missing: it names no file for it",
                           shards->index, name);
        return ps_fail(PS_INVALID_ARGUMENT, "%s: tensor %s is missing%s", shards->at[0].path, name,
                       shards->passed_over
                           ? " (the index beside it is passed over; to use that, move this file)"
                           : "");
    }
    return PS_OK;
}

/* ---- matrices of codes ---- */

static bool same_part(const ps_packed_part *want, const ps_safetensors_tensor *have, bool scales)
{
    bool dtype = scales ? ps_numbers_known(have->dtype) : want->dtype == have->dtype;
    return dtype && want->n_dims == have->n_dims &&
           !memcmp(want->shape, have->shape, want->n_dims * sizeof *want->shape);
}

static size_t find_part(const ps_hf_place *place, const char *suffix)
{
    size_t k = 0;
    while (k < place->n_parts && strcmp(suffix_of(place->parts[k].tensor), suffix) != 0)
        k++;
    return k;
}

/* How many of the row's parts are there. */
static size_t parts_found(const ps_hf_place *place, const ps_packed_row *row)
{
    size_t n = 0;
    for (size_t k = 0; k < row->n_parts; k++)
        n += find_part(place, row->suffixes[k]) < place->n_parts;
    return n;
}

/* Rows whose parts have the same names differ in the type of the codes, which are the first or the
 * second of them. */
static bool is_of_row(const ps_hf_place *place, const ps_packed_row *row)
{
    if (place->n_parts != row->n_parts || parts_found(place, row) != row->n_parts)
        return false;
    size_t k = find_part(place, "weight");
    return k == place->n_parts || place->parts[k].tensor->dtype == row->weight;
}

/* Its layout, and the parts in the order of that. */
static ps_status find_row(const search *s, ps_hf_place *place)
{
    const ps_packed_row *const *rows = s->quantization->rows, *closest = rows[0];
    const ps_hf_place found = *place;
    size_t i = 0, missing = 0;
    for (; rows[i] && !is_of_row(place, rows[i]); i++)
        if (parts_found(place, rows[i]) > parts_found(place, closest))
            closest = rows[i];
    place->row = rows[i];
    for (size_t k = 0; rows[i] && k < found.n_parts; k++)
        place->parts[k] = found.parts[find_part(&found, rows[i]->suffixes[k])];
    if (rows[i])
        return PS_OK;
    while (missing < closest->n_parts &&
           find_part(place, closest->suffixes[missing]) < place->n_parts)
        missing++;
    if (missing == closest->n_parts)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "%s: tensor %s and those beside it are of no format of config.json's",
                       s->shards->at[place->shard].path, place->tensor->name);
    return ps_fail(PS_INVALID_ARGUMENT, "%s: tensor %s has no %s beside it",
                   s->shards->at[place->shard].path, place->tensor->name,
                   closest->suffixes[missing]);
}

/* The form that the parts' shapes are of. */
static ps_status find_form(const search *s, const ps_lm_tensor *t, ps_hf_place *place)
{
    const ps_hf_quantization *q = s->quantization;
    ps_packed_part parts[PS_PACKED_PARTS] = {{0}};
    bool by_rows = q->by_rows;
    for (size_t k = 0; k < place->n_parts; k++) {
        const ps_safetensors_tensor *have = place->parts[k].tensor;
        if (have->n_dims < 1 || have->n_dims > 2)
            return ps_fail(PS_INVALID_ARGUMENT, "tensor %s has %u dimensions", have->name,
                           (unsigned)have->n_dims);
        memcpy(parts[k].shape, have->shape, have->n_dims * sizeof *have->shape);
        if (q->mixed && k == place->row->scales)
            by_rows = have->shape[have->n_dims - 1] == 1;
    }
    place->packed.form = place->row->form_of(parts, place->packed.columns, q->symmetric, by_rows);
    if (!place->packed.form.row || !ps_form_divides(place->packed.form, place->packed.columns) ||
        !place->row->takes(&place->packed))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "tensor %s: the parts that stand for it are in no form that psd has",
                       t->name);
    return PS_OK;
}

/* Every part is there, and they are those of a matrix of this shape in one of psd's forms. */
static ps_status check_packed(const search *s, const ps_lm_tensor *t, ps_hf_place *place)
{
    ps_packed_part parts[PS_PACKED_PARTS];
    ps_status st = find_row(s, place);
    if (!st)
        st = find_form(s, t, place);
    if (st)
        return st;
    (void)place->row->parts(&place->packed, parts);
    for (size_t k = 0; k < place->n_parts; k++)
        if (!same_part(&parts[k], place->parts[k].tensor, k == place->row->scales))
            return ps_fail(
                PS_INVALID_ARGUMENT, "tensor %s is %s of %s; %s of %s is expected",
                place->parts[k].tensor->name, ps_safetensors_type_of(place->parts[k].tensor),
                ps_sides_of(place->parts[k].tensor->shape, place->parts[k].tensor->n_dims).text,
                ps_safetensors_dtype_name(parts[k].dtype),
                ps_sides_of(parts[k].shape, parts[k].n_dims).text);
    return PS_OK;
}

static ps_status check_all_packed(search *s)
{
    ps_status st = PS_OK;
    ps_model_in_about *about = s->about;
    if (s->quantization->rows[0])
        about->forms = ps_alloc_array(about->n + 1, sizeof *about->forms);
    for (size_t i = 0; !st && i < about->n; i++) {
        if (!s->places[i].packed.columns)
            continue;
        st = check_packed(s, &about->tensors[i], &s->places[i]);
        about->forms[i] = s->places[i].packed.form;
    }
    return st;
}

/* ---- a head that is said to be the embedding ---- */

static ps_status read_pair(void *state, int which, uint64_t first, size_t n, float *out)
{
    const search *s = state;
    const ps_hf_place *p = which ? &s->places[0] : &s->head;
    return ps_hf_shards_read(s->shards, p->shard, p->tensor, first, n, out);
}

/* The layout with the head, which is its last. */
static void untie(search *s)
{
    ps_model_in_about *about = s->about;
    size_t tied = about->n;
    about->model->tie_embeddings = false;
    ps_free(&about->tensors);
    ps_lm_layout(about->model, &about->tensors, &about->n);
    s->places[tied] = s->head;
    ps_buf_printf(&about->remarks,
                  "%s: %s is not the embedding, so tie_word_embeddings is taken for false, as "
                  "transformers takes it\n",
                  s->shards->at[s->head.shard].path, s->head.tensor->name);
}

static ps_status check_head(search *s)
{
    ps_numbers_differ differ = {.any = false};
    if (!s->head.tensor)
        return PS_OK;
    if (s->places[0].packed.columns)
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %s is there beside an embedding of codes",
                       s->head.tensor->name);
    ps_status st = ps_numbers_compare(read_pair, s, ps_lm_numbers(&s->about->tensors[0]), &differ);
    if (st || !differ.any)
        return st;
    untie(s);
    return PS_OK;
}

/* ---- the whole ---- */

static void say_what_is_left_out(const search *s)
{
    ps_buf *out = &s->about->remarks;
    const char *const *others = arch_of(s)->hf.others;
    ps_buf_printf(out, "%zu tensors of parts that psd does not have (", s->others);
    for (size_t i = 0, n = 0; others[i]; i++)
        if (s->left_out >> i & 1)
            ps_buf_printf(out, "%s%s…", n++ ? ", " : "", others[i]);
    ps_buf_puts(out, ") are left out\n");
}

ps_status ps_hf_places(ps_hf_shards *shards, const ps_hf_quantization *quantization,
                       ps_model_in_about *about, ps_hf_place **out)
{
    search s = {.shards = shards, .about = about, .quantization = quantization};
    ps_lm_layout(about->model, &about->tensors, &about->n);
    s.places = ps_alloc_array(about->n + 1, sizeof *s.places); /* one more: a head that is untied */
    s.by_name = ps_alloc_array(about->n, sizeof *s.by_name);
    for (size_t i = 0; i < about->n; i++)
        s.by_name[i] = &about->tensors[i];
    qsort(s.by_name, about->n, sizeof *s.by_name, compare);
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < shards->n; i++)
        st = find_in_shard(&s, i);
    if (!st)
        st = check_index(&s);
    if (!st)
        st = check_places(&s);
    if (!st)
        st = check_all_packed(&s);
    if (!st)
        st = check_head(&s);
    if (!st && s.others)
        say_what_is_left_out(&s);
    if (!st && shards->passed_over)
        ps_buf_printf(&about->remarks, "%s is read; the index beside it is passed over\n",
                      shards->at[0].path);
    ps_free(&s.by_name);
    if (st)
        ps_free(&s.places);
    else
        *out = s.places;
    return st;
}
