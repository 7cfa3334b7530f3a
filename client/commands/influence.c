/* influence: which pushes of a training moved the parameters against a loss, or as another push
 * did, from the sketches that it left (docs/record.md). But for the gradient of a row, which a
 * worker finds, everything is computed here. */
#include "client/call/client.h"
#include "client/call/record_fetch.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/follow/influence_query.h"
#include "client/show/table.h"
#include "common/base/mem.h"
#include "common/record/loss_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct options {
    uint64_t push, top; /* 0: not given */
    const char *query;
    bool train;
} options;

static const ps_flag flags[] = {
    {.name = "push",
     .type = PS_FLAG_NUMBER,
     .offset = offsetof(options, push),
     .value = "N",
     .help = "compare with the change of this push, by its number, not with the loss"},
    {.name = "query",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, query),
     .value = "ROW",
     .help = "what it did to the loss of this row of the training's data.test, from 0"},
    {.name = "train",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, train),
     .help = "the row is of its data.train"},
    {.name = "top",
     .type = PS_FLAG_NUMBER,
     .offset = offsetof(options, top),
     .value = "N",
     .help = "so many of each end (default 10)"},
    {.name = NULL}};

typedef struct found {
    ps_influence_push push;
    char worker[PS_INFLUENCE_NAME_MAX + 1];
    size_t number; /* from 1 */
    double score;
} found;

typedef struct ranking {
    ps_influence_head head;
    ps_sketch *shape;
    ps_slice records;
    float *query, *numbers;
    bool cosine;   /* only the direction counts */
    float *scores; /* [n_scores]: found by a worker; NULL: by query */
    size_t n_scores;
    found *list;
    size_t n;
} ranking;

static ps_status open_record(ps_slice bytes, ranking *r)
{
    size_t used;
    ps_status st = ps_influence_head_read(bytes, &r->head, &used);
    if (st)
        return st;
    ps_influence_sketch(&r->head, &r->shape);
    r->records = ps_slice_of(bytes.data + used, bytes.len - used);
    r->query = ps_alloc_array(ps_sketch_width(r->shape), sizeof *r->query);
    r->numbers = ps_alloc_array(ps_sketch_width(r->shape), sizeof *r->numbers);
    return PS_OK;
}

/* The change of push `number`, turned round: what moved as it did comes out positive. */
static ps_status query_of_push(ranking *r, uint64_t number)
{
    ps_cursor at = ps_cursor_of(r->records);
    ps_influence_record record;
    ps_status st = PS_OK;
    r->cosine = true;
    for (uint64_t i = 0; !st && i < number; i++)
        st = ps_influence_read(&at, r->shape, &record, r->query);
    for (size_t i = 0; !st && i < ps_sketch_width(r->shape); i++)
        r->query[i] = -r->query[i];
    return st == PS_END ? ps_fail(PS_OUT_OF_RANGE, "the record has no push %" PRIu64, number) : st;
}

static ps_status scores_of_row(ps_client *client, uint64_t job_id, const options *o, ranking *r)
{
    char *end = NULL;
    uint64_t row = strtoull(o->query, &end, 10);
    if (o->push)
        return ps_client_usage(client, "--query and --push ask two questions; give one of them");
    if (*o->query < '0' || *o->query > '9' || *end)
        return ps_client_usage(client, "--query %s: the number of a row, from 0", o->query);
    return ps_influence_query(client, job_id, row, o->train, &r->scores, &r->n_scores);
}

/* The gradient of the probe rows' loss in the last segment. */
static ps_status query_of_loss(ps_client *client, uint64_t job_id, ranking *r)
{
    ps_buf bytes = PS_BUF_EMPTY;
    ps_loss_file file = {0};
    ps_status st = ps_record_fetch(client, job_id, PS_LOSS_FILE, "record.loss_changes", &bytes);
    if (!st)
        st = ps_loss_file_read(ps_buf_slice(&bytes), &file);
    if (!st) {
        const ps_loss_segment *last = &file.segments[file.n_segments - 1];
        if (last->gradient_bytes != ps_loss_gradient_bytes(r->shape))
            st = ps_fail(PS_FAILED_PRECONDITION,
                         "job %" PRIu64 ": its losses have no gradient of this record's shape",
                         job_id);
        else
            ps_loss_gradient_read(r->shape, last->gradient, r->query);
    }
    ps_loss_file_free(&file);
    ps_buf_free(&bytes);
    return st;
}

static int by_score(const void *a, const void *b)
{
    double x = ((const found *)a)->score, y = ((const found *)b)->score;
    return (x > y) - (x < y);
}

/* Of the push that comes next. */
static double score_of(const ranking *r)
{
    if (r->scores)
        return r->n < r->n_scores ? (double)r->scores[r->n] : 0;
    size_t n = ps_sketch_width(r->shape);
    double product = -ps_sketch_dot(r->query, r->numbers, n);
    double both = ps_sketch_dot(r->query, r->query, n) * ps_sketch_dot(r->numbers, r->numbers, n);
    return !r->cosine ? product : both > 0 ? product / sqrt(both) : 0;
}

static ps_status rank(ranking *r)
{
    ps_cursor at = ps_cursor_of(r->records);
    ps_influence_record record;
    ps_status st;
    while (!(st = ps_influence_read(&at, r->shape, &record, r->numbers))) {
        if (r->n % 256 == 0)
            r->list = ps_realloc(r->list, (r->n + 256) * sizeof *r->list);
        found *f = &r->list[r->n];
        *f = (found){.push = record.push, .number = r->n + 1};
        memcpy(f->worker, record.worker, sizeof f->worker);
        f->score = score_of(r);
        r->n++;
    }
    if (r->n)
        qsort(r->list, r->n, sizeof *r->list, by_score);
    return st == PS_END ? PS_OK : st;
}

/* The lowest and the highest so many. */
static bool is_shown(const ranking *r, size_t i, size_t top)
{
    return i < top || i >= r->n - (top < r->n ? top : r->n);
}

static void put_text(ps_client *client, const ranking *r, size_t top)
{
    static const char *const headers[] = {">INFLUENCE", "WORKER", ">PUSH", ">VERSION",
                                          ">EPOCH",     ">ROWS",  NULL};
    ps_table *t = ps_table_new(headers);
    for (size_t i = 0; i < r->n; i++) {
        const found *f = &r->list[i];
        if (!is_shown(r, i, top))
            continue;
        ps_table_printf(t, "%+.3e", f->score);
        ps_table_text(t, f->worker);
        ps_table_printf(t, "%zu", f->number);
        ps_table_printf(t, "%" PRIu64, f->push.version);
        ps_table_printf(t, "%" PRIu32, f->push.epoch + 1);
        if (f->push.row_end)
            ps_table_printf(t, "%" PRIu64 "-%" PRIu64, f->push.row_begin, f->push.row_end - 1);
        else
            ps_table_text(t, "-"); /* not said */
    }
    ps_table_render(t, &client->style, &client->out);
    ps_table_free(&t);
}

static void put_json(ps_client *client, uint64_t job_id, const ranking *r, size_t top)
{
    ps_json_writer w = ps_json_begin(client);
    ps_json_object(&w);
    ps_json_put_uint(&w, "job_id", job_id);
    ps_json_put_uint(&w, "pushes", r->n);
    ps_json_key(&w, "ranking");
    ps_json_array(&w);
    for (size_t i = 0; i < r->n; i++) {
        const found *f = &r->list[i];
        if (!is_shown(r, i, top))
            continue;
        ps_json_object(&w);
        ps_json_put_double(&w, "influence", f->score);
        ps_json_put_string(&w, "worker", f->worker);
        ps_json_put_uint(&w, "push", f->number);
        ps_json_put_uint(&w, "version", f->push.version);
        ps_json_put_uint(&w, "epoch", f->push.epoch);
        ps_json_put_uint(&w, "row_begin", f->push.row_begin);
        ps_json_put_uint(&w, "row_end", f->push.row_end);
        ps_json_object_end(&w);
    }
    ps_json_array_end(&w);
    ps_json_object_end(&w);
    ps_json_finish(client);
}

static ps_status run(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    ps_buf bytes = PS_BUF_EMPTY;
    ranking r = {0};
    uint64_t job_id = 0;
    size_t top = o->top ? (size_t)o->top : 10;
    ps_status st = ps_job_of(client, args->operands.at[0], &job_id);
    if (!st)
        st = ps_record_fetch(client, job_id, PS_INFLUENCE_FILE, "record.influence", &bytes);
    if (!st)
        st = open_record(ps_buf_slice(&bytes), &r);
    if (!st)
        st = o->query  ? scores_of_row(client, job_id, o, &r)
             : o->push ? query_of_push(&r, o->push)
                       : query_of_loss(client, job_id, &r);
    if (!st)
        st = rank(&r);
    if (!st && client->json)
        put_json(client, job_id, &r, top);
    else if (!st)
        put_text(client, &r, top);
    ps_free(&r.query);
    ps_free(&r.numbers);
    ps_free(&r.list);
    ps_free(&r.scores);
    ps_sketch_free(&r.shape);
    ps_influence_head_free(&r.head);
    ps_buf_free(&bytes);
    return st;
}

const ps_command ps_command_influence = {
    .name = "influence",
    .operands = "JOB",
    .help = "rank a training's pushes by what they did to a loss",
    .details = "Of a training with record.influence: by what each push did to the loss of a row\n"
               "(--query; a job finds its gradient on a worker), or of the probe rows in the end\n"
               "(record.loss_changes). Positive: the push lowered that loss, to first order; a\n"
               "ranking, not a share. With --push N it is the cosine of a push's change with that\n"
               "of push N: 1 in the same direction.\n",
    .flags = flags,
    .options_size = sizeof(options),
    .least = 1,
    .most = 1,
    .run = run,
};
