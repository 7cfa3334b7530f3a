/* Happy path: losses, then each push of the record, then what each push changed, then the stacks.
 * A record without losses, or of another shape than they, leaves the changes of pushes unknown. */
#include "client/report/training.h"

#include "common/base/mem.h"
#include "common/json/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WORKERS_MOST = 1024 };

/* ---- pushes ---- */

/* Those that come after very many others are together one. */
static uint32_t worker_of(ps_training *t, const char *name)
{
    for (size_t i = t->n_workers; i-- > 0;)
        if (!strcmp(t->workers[i].name, name))
            return (uint32_t)i;
    if (t->n_workers == WORKERS_MOST)
        return WORKERS_MOST - 1;
    t->workers = ps_realloc(t->workers, (t->n_workers + 1) * sizeof *t->workers);
    t->workers[t->n_workers] = (ps_training_worker){
        .name = ps_strdup(t->n_workers + 1 < WORKERS_MOST ? name : "all other workers")};
    return (uint32_t)t->n_workers++;
}

static void add_push(ps_training *t, const ps_influence_record *record)
{
    const ps_influence_push *p = &record->push;
    if (t->n_pushes % 256 == 0)
        t->pushes = ps_realloc(t->pushes, (t->n_pushes + 256) * sizeof *t->pushes);
    ps_training_push *push = &t->pushes[t->n_pushes++];
    *push = (ps_training_push){.number = t->n_pushes,
                               .segment = SIZE_MAX,
                               .worker = worker_of(t, record->worker),
                               .epoch = p->epoch,
                               .version = p->version,
                               .lease = p->lease,
                               .row_begin = p->row_begin,
                               .row_end = p->row_end,
                               .staleness = p->staleness,
                               .rows = isfinite(p->weight) ? p->weight : 0};
    ps_training_worker *w = &t->workers[push->worker];
    w->pushes++;
    w->rows += push->rows;
    w->staleness += (double)p->staleness;
    w->staleness_most = p->staleness > w->staleness_most ? p->staleness : w->staleness_most;
    t->staleness[p->staleness < PS_STALENESS_COUNTED ? p->staleness : PS_STALENESS_COUNTED]++;
}

/* Pushes of one update follow each other. A gradient in pieces has its rows in each of them. */
static double rows_per_update(const ps_training *t)
{
    double rows = 0;
    size_t updates = 0;
    for (size_t i = 0; i < t->n_pushes; i++) {
        const ps_training_push *p = &t->pushes[i], *last = i ? p - 1 : NULL;
        bool piece = last && last->worker == p->worker && last->row_begin == p->row_begin &&
                     last->epoch == p->epoch && last->row_end == p->row_end;
        updates += !last || last->version != p->version;
        rows += piece ? 0 : p->rows;
    }
    return updates ? rows / (double)updates : NAN;
}

static ps_status read_pushes(ps_training *t, ps_slice bytes)
{
    ps_influence_head head;
    ps_influence_record record;
    ps_sketch *shape;
    size_t used;
    ps_status st = ps_influence_head_read(bytes, &head, &used);
    if (st)
        return st;
    ps_influence_sketch(&head, &shape);
    ps_cursor at = ps_cursor_of(ps_slice_of(bytes.data + used, bytes.len - used));
    while (!(st = ps_influence_read(&at, shape, &record, NULL)))
        add_push(t, &record);
    t->rows_per_update = head.every == 1 ? rows_per_update(t) : NAN;
    ps_sketch_free(&shape);
    ps_influence_head_free(&head);
    return st == PS_END ? PS_OK : st;
}

static void take_share(void *user, const ps_loss_share *share)
{
    ps_training *t = user;
    if (share->number > t->n_pushes)
        return; /* both readers see the same pushes */
    ps_training_push *p = &t->pushes[share->number - 1];
    p->segment = share->segment;
    p->change = isfinite(share->change) ? share->change : 0;
    t->workers[p->worker].change += p->change;
}

/* ---- the noise ---- */

static double number_of(const ps_json_token *token)
{
    return token->kind == PS_JSON_NUMBER ? token->number : NAN;
}

static ps_status read_noise(ps_training *t, ps_slice bytes)
{
    ps_json_reader json;
    ps_json_token token;
    ps_json_reader_init(&json, bytes);
    ps_status st = ps_json_expect(&json, PS_JSON_OBJECT, &token);
    while (ps_json_member(&json, &token, &st)) {
        char key[24];
        (void)snprintf(key, sizeof key, "%s", (const char *)token.text.data);
        st = ps_json_next(&json, &token);
        if (!st && (token.kind == PS_JSON_OBJECT || token.kind == PS_JSON_ARRAY))
            st = ps_fail(PS_CORRUPT, "a value that is none");
        else if (st)
            continue;
        if (!strcmp(key, "estimates"))
            t->estimates = token.u64;
        else if (!strcmp(key, "trace"))
            t->trace = number_of(&token);
        else if (!strcmp(key, "gradient_square"))
            t->gradient_square = number_of(&token);
        else if (!strcmp(key, "noise_scale"))
            t->noise_scale = number_of(&token);
    }
    ps_json_reader_free(&json);
    t->has_noise = !st;
    return st ? ps_wrap(st, "noise_scale.json") : PS_OK;
}

/* ---- all ---- */

static ps_status read_all(ps_training *t, const ps_training_files *files)
{
    ps_status st = files->losses.len ? ps_loss_file_read(files->losses, &t->losses) : PS_OK;
    if (!st && files->influence.len)
        st = read_pushes(t, files->influence);
    if (!st && t->losses.n_segments && t->n_pushes)
        t->shared =
            !ps_loss_file_shares(&t->losses, files->influence, take_share, t, &t->corrected);
    if (!st && files->noise.len)
        st = read_noise(t, files->noise);
    return st;
}

ps_status ps_training_read(const ps_training_files *files, ps_training **out)
{
    ps_training *t = ps_alloc(sizeof *t);
    *t = (ps_training){.job = files->job,
                       .rows_per_update = NAN,
                       .trace = NAN,
                       .gradient_square = NAN,
                       .noise_scale = NAN};
    ps_status st = read_all(t, files);
    if (st) {
        ps_training_free(&t);
        return st;
    }
    ps_training_stack(t);
    *out = t;
    return PS_OK;
}

static void stack_free(ps_stack *s)
{
    for (size_t i = 0; i < s->n; i++) {
        ps_free(&s->parts[i].name);
        ps_free(&s->parts[i].by_segment);
    }
}

void ps_training_free(ps_training **training)
{
    ps_training *t = *training;
    if (!t)
        return;
    stack_free(&t->tensors);
    stack_free(&t->workers_stack);
    stack_free(&t->shards);
    for (size_t i = 0; i < t->n_workers; i++)
        ps_free(&t->workers[i].name);
    ps_free(&t->workers);
    ps_free(&t->pushes);
    ps_loss_file_free(&t->losses);
    ps_free(training);
}
