/* losses: through which tensors, workers, rows or pushes the loss of a training changed, from what
 * it left (docs/record.md). Everything is computed here. */
#include "client/call/client.h"
#include "client/call/record_fetch.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/show/table.h"
#include "common/base/mem.h"
#include "common/record/loss_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct options {
    const char *by;
    bool spike;
    uint64_t top; /* 0: the usual */
} options;

static const ps_flag flags[] = {
    {.name = "by",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, by),
     .value = "WHAT",
     .help = "tensor (default), worker, shard (the rows of a task) or push"},
    {.name = "spike",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, spike),
     .help = "only the segment in which the loss rose most"},
    {.name = "top",
     .type = PS_FLAG_NUMBER,
     .offset = offsetof(options, top),
     .value = "N",
     .help = "so many rows at most, those of the largest changes (default 20)"},
    {.name = NULL}};

typedef enum group { BY_TENSOR, BY_WORKER, BY_SHARD, BY_PUSH, BY_COUNT } group;

static const char *const words[] = {"tensor", "worker", "shard", "push"};

/* A row of the table: what its pushes, or its column blocks, came to together. */
typedef struct row {
    char *name;     /* of the tensor or the worker */
    uint64_t order; /* column block, lease or number of the push: together they tell rows apart */
    uint64_t first, end, version;
    uint32_t epoch;
    size_t pushes;
    double change;
} row;

typedef struct view {
    group by;
    size_t only; /* of this segment alone; SIZE_MAX: of all */
    const ps_loss_file *losses;
    row *rows;
    size_t n, capacity;
    double corrected;
} view;

static row *add_row(view *v, const char *name, uint64_t order)
{
    if (v->n == v->capacity) {
        v->capacity = v->capacity ? 2 * v->capacity : 64;
        v->rows = ps_realloc(v->rows, v->capacity * sizeof *v->rows);
    }
    v->rows[v->n] = (row){.name = ps_strdup(name), .order = order};
    return &v->rows[v->n++];
}

/* A push comes once, and there may be millions: no other row is looked for. */
static row *row_of(view *v, const char *name, uint64_t order)
{
    for (size_t i = v->by == BY_PUSH ? 0 : v->n; i > 0; i--)
        if (v->rows[i - 1].order == order && !strcmp(v->rows[i - 1].name, name))
            return &v->rows[i - 1];
    return add_row(v, name, order);
}

static void add_push(void *user, const ps_loss_share *share)
{
    view *v = user;
    const ps_influence_push *p = share->push;
    if (v->only != SIZE_MAX && share->segment != v->only)
        return;
    uint64_t order = v->by == BY_WORKER ? 0 : v->by == BY_SHARD ? p->lease : share->number;
    row *r = row_of(v, p->worker, order);
    r->pushes++;
    r->change += share->change;
    r->epoch = p->epoch;
    r->version = p->version;
    if (!p->row_end)
        return; /* not said */
    r->first = r->end && r->first < p->row_begin ? r->first : p->row_begin;
    r->end = p->row_end > r->end ? p->row_end : r->end;
}

static void add_tensors(view *v)
{
    for (size_t u = 0; u < v->losses->n_units; u++) {
        const ps_loss_unit *unit = &v->losses->units[u];
        row *r = add_row(v, unit->tensor, unit->column_begin);
        r->first = unit->column_begin;
        r->end = unit->column_end;
        for (size_t i = 0; i < v->losses->n_segments; i++)
            if (v->only == SIZE_MAX || v->only == i)
                r->change += v->losses->segments[i].parts[u];
    }
}

static int by_size(const void *a, const void *b)
{
    double x = fabs(((const row *)a)->change), y = fabs(((const row *)b)->change);
    return (x < y) - (x > y);
}

/* ---- what is shown ---- */

static void put_range(ps_table *t, const row *r)
{
    if (r->end)
        ps_table_printf(t, "%" PRIu64 "-%" PRIu64, r->first, r->end - 1);
    else
        ps_table_text(t, "-");
}

static void put_cells(ps_table *t, const view *v, const row *r)
{
    ps_table_text(t, r->name);
    if (v->by == BY_TENSOR)
        put_range(t, r);
    if (v->by == BY_WORKER || v->by == BY_SHARD)
        ps_table_printf(t, "%zu", r->pushes);
    if (v->by == BY_PUSH) {
        ps_table_printf(t, "%" PRIu64, r->order);
        ps_table_printf(t, "%" PRIu64, r->version);
    }
    if (v->by == BY_SHARD || v->by == BY_PUSH) {
        ps_table_printf(t, "%" PRIu32, r->epoch + 1);
        put_range(t, r);
    }
    ps_table_printf(t, "%+.6f", r->change);
}

static void put_table(ps_client *client, const view *v, size_t most)
{
    static const char *const headers[][8] = {
        [BY_TENSOR] = {"TENSOR", ">COLUMNS", ">CHANGE", NULL},
        [BY_WORKER] = {"WORKER", ">PUSHES", ">CHANGE", NULL},
        [BY_SHARD] = {"WORKER", ">PUSHES", ">EPOCH", ">ROWS", ">CHANGE", NULL},
        [BY_PUSH] = {"WORKER", ">PUSH", ">VERSION", ">EPOCH", ">ROWS", ">CHANGE", NULL},
    };
    ps_table *t = ps_table_new(headers[v->by]);
    for (size_t i = 0; i < v->n && i < most; i++)
        put_cells(t, v, &v->rows[i]);
    ps_table_render(t, &client->style, &client->out);
    ps_table_free(&t);
    if (v->n > most)
        ps_buf_printf(&client->out, "and %zu more: --top\n", v->n - most);
}

static void put_text(ps_client *client, const view *v, size_t most)
{
    const ps_loss_file *f = v->losses;
    size_t first = v->only == SIZE_MAX ? 0 : v->only;
    size_t last = v->only == SIZE_MAX ? f->n_segments - 1 : v->only;
    const ps_loss_segment *a = &f->segments[first], *b = &f->segments[last];
    double residual = 0;
    for (size_t i = first; i <= last; i++)
        residual += ps_loss_segment_residual(&f->segments[i], f->n_units);
    ps_buf_printf(&client->out,
                  "updates %" PRIu64 " to %" PRIu64 ": the loss of the probe rows went from %.6f "
                  "to %.6f (%+.6f); %.6f of it is not shared out\n",
                  a->begin, b->end, a->loss_begin, b->loss_end, b->loss_end - a->loss_begin,
                  residual);
    put_table(client, v, most);
    if (v->by != BY_TENSOR)
        ps_buf_printf(&client->out,
                      "sketches missed %.1f %% of what moved; that was shared out by how far each "
                      "push went\n",
                      100 * v->corrected);
}

static void put_json(ps_client *client, uint64_t job_id, const view *v, size_t most)
{
    ps_json_writer w = ps_json_begin(client);
    ps_json_object(&w);
    ps_json_put_uint(&w, "job_id", job_id);
    ps_json_put_string(&w, "by", words[v->by]);
    if (v->by != BY_TENSOR)
        ps_json_put_double(&w, "corrected", v->corrected);
    ps_json_key(&w, "rows");
    ps_json_array(&w);
    for (size_t i = 0; i < v->n && i < most; i++) {
        const row *r = &v->rows[i];
        ps_json_object(&w);
        ps_json_put_string(&w, v->by == BY_TENSOR ? "tensor" : "worker", r->name);
        if (v->by == BY_PUSH)
            ps_json_put_uint(&w, "push", r->order);
        if (v->by == BY_TENSOR) {
            ps_json_put_uint(&w, "column_begin", r->first);
            ps_json_put_uint(&w, "column_end", r->end);
        } else {
            ps_json_put_uint(&w, "pushes", r->pushes);
        }
        if (v->by == BY_SHARD || v->by == BY_PUSH) {
            ps_json_put_uint(&w, "epoch", r->epoch);
            ps_json_put_uint(&w, "row_begin", r->first);
            ps_json_put_uint(&w, "row_end", r->end);
        }
        ps_json_put_double(&w, "change", r->change);
        ps_json_object_end(&w);
    }
    ps_json_array_end(&w);
    ps_json_object_end(&w);
    ps_json_finish(client);
}

/* ---- the command ---- */

static size_t spike_of(const ps_loss_file *f)
{
    size_t found = 0;
    double most = -INFINITY;
    for (size_t i = 0; i < f->n_segments; i++) {
        double rise = f->segments[i].loss_end - f->segments[i].loss_begin;
        if (rise > most) {
            most = rise;
            found = i;
        }
    }
    return found;
}

static ps_status fill(ps_client *client, uint64_t job_id, view *v)
{
    if (v->by == BY_TENSOR) {
        add_tensors(v);
        return PS_OK;
    }
    ps_buf influence = PS_BUF_EMPTY;
    ps_status st =
        ps_record_fetch(client, job_id, PS_INFLUENCE_FILE, "record.influence", &influence);
    if (!st)
        st = ps_loss_file_shares(v->losses, ps_buf_slice(&influence), add_push, v, &v->corrected);
    ps_buf_free(&influence);
    return st;
}

static ps_status show(ps_client *client, uint64_t job_id, const ps_loss_file *file, group by,
                      const options *o)
{
    view v = {.by = by, .losses = file, .only = o->spike ? spike_of(file) : SIZE_MAX};
    ps_status st = fill(client, job_id, &v);
    size_t most = o->top ? (size_t)o->top : 20;
    if (!st) {
        if (v.n)
            qsort(v.rows, v.n, sizeof *v.rows, by_size);
        if (client->json)
            put_json(client, job_id, &v, most);
        else
            put_text(client, &v, most);
    }
    for (size_t i = 0; i < v.n; i++)
        ps_free(&v.rows[i].name);
    ps_free(&v.rows);
    return st;
}

static ps_status run(ps_client *client, const ps_args *args)
{
    options o = *(const options *)args->options;
    unsigned by = o.spike ? BY_PUSH : BY_TENSOR;
    uint64_t job_id = 0;
    if (o.by)
        for (by = 0; by < BY_COUNT && strcmp(words[by], o.by) != 0; by++)
            ;
    if (by == BY_COUNT)
        return ps_client_usage(client, "--by %s: tensor, worker, shard or push", o.by);
    ps_buf bytes = PS_BUF_EMPTY;
    ps_loss_file file = {0};
    ps_status st = ps_job_of(client, args->operands.at[0], &job_id);
    if (!st)
        st = ps_record_fetch(client, job_id, PS_LOSS_FILE, "record.loss_changes", &bytes);
    if (!st)
        st = ps_loss_file_read(ps_buf_slice(&bytes), &file);
    if (!st)
        st = show(client, job_id, &file, (group)by, &o);
    ps_loss_file_free(&file);
    ps_buf_free(&bytes);
    return st;
}

const ps_command ps_command_losses = {
    .name = "losses",
    .operands = "JOB",
    .help = "through which tensors, workers, rows or pushes a loss changed",
    .details = "Of a training with record.loss_changes; by worker, shard and push also with\n"
               "record.influence. What lowered the loss is negative. Rows are those of the\n"
               "epoch's permutation.\n",
    .flags = flags,
    .options_size = sizeof(options),
    .least = 1,
    .most = 1,
    .run = run,
};
