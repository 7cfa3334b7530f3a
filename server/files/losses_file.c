/* Numbers go into the file as they are made; the summary is small. A write that fails leaves
 * nothing behind. */
#include "server/files/losses_file.h"

#include "common/base/mem.h"
#include "common/json/json.h"
#include "common/loop/loop.h"
#include "common/record/loss_file.h"
#include "server/files/artifact_file.h"
#include "server/params/recording.h"

#include <math.h>

typedef struct writing {
    const ps_placement *placement;
    ps_losses *losses;
    const ps_loss_segment *list;
    size_t n, units;
    uint64_t version; /* of the parameters in the end */
} writing;

/* ---- loss_changes.safetensors ---- */

static void put_units(ps_json_writer *w, const ps_placement *p)
{
    ps_json_key(w, "units");
    ps_json_array(w);
    for (size_t t = 0; t < p->n_tensors; t++)
        for (uint32_t s = 0; s < p->tensors[t].n_shards; s++) {
            ps_json_object(w);
            ps_json_put_string(w, "tensor", p->tensors[t].name);
            ps_json_put_uint(w, "column_begin", p->tensors[t].shards[s].column_begin);
            ps_json_put_uint(w, "column_end", p->tensors[t].shards[s].column_end);
            ps_json_put_uint(w, "elements", p->tensors[t].shards[s].elements);
            ps_json_object_end(w);
        }
    ps_json_array_end(w);
}

static void put_segment(ps_json_writer *w, const ps_loss_segment *s, size_t units)
{
    ps_json_object(w);
    ps_json_put_uint(w, "begin", s->begin);
    ps_json_put_uint(w, "end", s->end);
    ps_json_put_double(w, "loss_begin", s->loss_begin);
    ps_json_put_double(w, "loss_end", s->loss_end);
    ps_json_put_double(w, "residual", ps_loss_segment_residual(s, units));
    ps_json_put_uint(w, "gradients", s->gradients);
    ps_json_put_bool(w, "met", s->met);
    ps_json_object_end(w);
}

static void describe(const writing *w, ps_buf *json)
{
    ps_json_writer j = ps_json_writer_to(json);
    ps_json_object(&j);
    ps_json_put_uint(&j, "version", 1);
    ps_json_put_double(&j, "tolerance", ps_losses_tolerance(w->losses));
    put_units(&j, w->placement);
    ps_json_key(&j, "segments");
    ps_json_array(&j);
    for (size_t i = 0; i < w->n; i++)
        put_segment(&j, &w->list[i], w->units);
    ps_json_array_end(&j);
    ps_json_object_end(&j);
}

static ps_status write_parts(const writing *w, ps_safetensors_writer *out)
{
    float *row = ps_alloc_array(w->units, sizeof *row);
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < w->n; i++) {
        for (size_t u = 0; u < w->units; u++)
            row[u] = (float)w->list[i].parts[u];
        st = ps_safetensors_writer_data(out, row, w->units * sizeof *row);
    }
    ps_free(&row);
    return st;
}

static ps_status write_gradients(const writing *w, ps_safetensors_writer *out)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < w->n; i++)
        st = ps_safetensors_writer_data(out, w->list[i].gradient, w->list[i].gradient_bytes);
    return st;
}

static ps_status write_all(void *user, ps_safetensors_sink sink)
{
    writing *w = user;
    size_t bytes = ps_losses_gradient_bytes(w->losses);
    const ps_safetensors_tensor tensors[] = {{.name = (char[]){"parts"},
                                              .dtype = PS_SAFETENSORS_F32,
                                              .n_dims = 2,
                                              .shape = {w->n, w->units}},
                                             {.name = (char[]){"gradients"},
                                              .dtype = PS_SAFETENSORS_U8,
                                              .n_dims = 2,
                                              .shape = {w->n, bytes}}};
    ps_buf json = PS_BUF_EMPTY;
    describe(w, &json);
    const ps_safetensors_pair metadata = {PS_LOSS_FILE_META, ps_buf_cstr(&json)};
    ps_safetensors_writer *out = NULL;
    ps_status st =
        ps_safetensors_writer_new_as_given(tensors, bytes ? 2 : 1, &metadata, 1, sink, &out);
    if (!st)
        st = write_parts(w, out);
    if (!st && bytes)
        st = write_gradients(w, out);
    if (!st)
        st = ps_safetensors_writer_finish(&out);
    ps_safetensors_writer_free(&out);
    ps_buf_free(&json);
    return st;
}

/* ---- loss_changes.json ---- */

typedef struct totals {
    double change, shared, residual, residual_most; /* residual: Σ of their sizes */
    size_t missed, gaps;
    uint64_t gradients;
} totals;

static totals add_up(const writing *w)
{
    totals t = {0};
    for (size_t i = 0; i < w->n; i++) {
        const ps_loss_segment *s = &w->list[i];
        double residual = ps_loss_segment_residual(s, w->units);
        t.change += s->loss_end - s->loss_begin;
        t.shared += s->loss_end - s->loss_begin - residual;
        t.residual += fabs(residual);
        t.residual_most = fmax(t.residual_most, fabs(residual));
        t.missed += !s->met;
        t.gradients += s->gradients;
        t.gaps += s->begin != (i > 0 ? w->list[i - 1].end : 0);
    }
    t.gaps += w->n && w->list[w->n - 1].end != w->version;
    return t;
}

static double of_tensor(const writing *w, size_t first, size_t units)
{
    double sum = 0;
    for (size_t i = 0; i < w->n; i++)
        for (size_t u = first; u < first + units; u++)
            sum += w->list[i].parts[u];
    return sum;
}

static void put_tensors(ps_json_writer *j, const writing *w)
{
    size_t unit = 0;
    ps_json_key(j, "tensors");
    ps_json_array(j);
    for (size_t t = 0; t < w->placement->n_tensors; t++) {
        const ps_param_tensor *tensor = &w->placement->tensors[t];
        ps_json_object(j);
        ps_json_put_string(j, "name", tensor->name);
        ps_json_put_double(j, "change", of_tensor(w, unit, tensor->n_shards));
        ps_json_object_end(j);
        unit += tensor->n_shards;
    }
    ps_json_array_end(j);
}

static void summarise(const writing *w, ps_buf *json)
{
    totals t = add_up(w);
    ps_json_writer j = ps_json_writer_to(json);
    ps_json_object(&j);
    ps_json_put_uint(&j, "version", 1);
    ps_json_put_double(&j, "loss_begin", w->n ? w->list[0].loss_begin : 0);
    ps_json_put_double(&j, "loss_end", w->n ? w->list[w->n - 1].loss_end : 0);
    ps_json_put_double(&j, "change", t.change);
    ps_json_put_double(&j, "shared_out", t.shared);
    ps_json_put_double(&j, "residual", t.change - t.shared);
    ps_json_put_double(&j, "residual_sum", t.residual);
    ps_json_put_double(&j, "residual_largest", t.residual_most);
    ps_json_put_double(&j, "tolerance", ps_losses_tolerance(w->losses));
    ps_json_put_uint(&j, "segments", w->n);
    ps_json_put_uint(&j, "segments_missed", t.missed);
    ps_json_put_uint(&j, "gaps", t.gaps);
    ps_json_put_uint(&j, "gradients", t.gradients);
    put_tensors(&j, w);
    ps_json_object_end(&j);
    ps_buf_putc(json, '\n');
}

static ps_status write_summary(void *user, ps_safetensors_sink sink)
{
    writing *w = user;
    ps_buf json = PS_BUF_EMPTY;
    summarise(w, &json);
    ps_status st = sink.write(sink.state, json.data, json.len);
    ps_buf_free(&json);
    return st;
}

ps_status ps_losses_file_store(const ps_stored_files *files, uint64_t job_id, ps_param_store *store)
{
    ps_loop_require_off();
    writing w = {.placement = ps_param_store_placement(store),
                 .losses = ps_param_store_losses(store),
                 .version = ps_param_store_version(store)};
    w.list = ps_losses_list(w.losses, &w.n);
    w.units = ps_losses_units(w.losses);
    if (w.n == 0)
        return PS_OK;
    ps_status st = ps_artifact_file_make(files, job_id, PS_LOSS_FILE, write_all, &w);
    return st ? st : ps_artifact_file_make(files, job_id, PS_LOSSES_SUMMARY, write_summary, &w);
}
