/* explain: a piece of a job of kind explain: some of its items through every method that goes by
 * them, or one share of a method that does not. What it leaves is a part, for the merge.
 *
 * Items of one length are taken together, as many as the model takes at once: which these are is
 * settled by their numbers, so that a part is the same bytes whoever computes it. */
#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/tasks/explaining.h"
#include "worker/tasks/task_kind.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

typedef struct piece {
    ps_explain_task task;
    ps_explain_parts out;
    void **states; /* [n_methods]: of those that run */
    /* rows as they are read, for as many as the model takes */
    uint64_t *item, *row;
    float *features, *targets;
    int32_t *tokens, *labels;
    int32_t *next; /* [batch, length]: of language models */
    int64_t length;
} piece;

static const ps_explain_method *method_of(const piece *p, size_t i)
{
    const ps_explain_method *m =
        ps_explain_method_find(ps_spec_explain_at(p->task.spec, i)->method);
    PS_REQUIRE(m); /* the tables agree: test_method.c */
    return m;
}

static bool runs(const piece *p, size_t i)
{
    return ps_explain_stage_runs(p->task.spec, &p->task.stage, i);
}

/* ---- methods ---- */

static void select_method(piece *p, size_t i)
{
    p->task.x.method = i;
    p->task.x.before = p->task.stage.pass ? &p->task.before.methods[i] : NULL;
}

static ps_status prepare_all(piece *p)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < p->task.n_methods; i++) {
        const ps_explain_method *m = method_of(p, i);
        select_method(p, i);
        if (runs(p, i) && m->prepare)
            st = m->prepare(&p->task.x, ps_spec_explain_at(p->task.spec, i), &p->states[i]);
        if (st)
            st = ps_wrap(st, "method %s", m->name);
    }
    return st;
}

static void free_states(piece *p)
{
    for (size_t i = 0; p->states && i < p->task.n_methods; i++) {
        const ps_explain_method *m = method_of(p, i);
        if (p->states[i] && m->free)
            m->free(p->states[i]);
        else
            ps_free(&p->states[i]);
    }
    ps_free(&p->states);
}

static ps_status run_method(piece *p, size_t i, const ps_explain_items *items)
{
    const ps_explain_method *m = method_of(p, i);
    ps_explain_part *out = &p->out.methods[i];
    ps_explaining *x = &p->task.x;
    uint64_t before = x->evaluations, began = ps_clock_ns(p->task.run->env->clock);
    select_method(p, i);
    ps_status st = m->run(x, ps_spec_explain_at(p->task.spec, i), p->states[i], items, out);
    out->evaluations += x->evaluations - before;
    out->seconds += (double)(ps_clock_ns(p->task.run->env->clock) - began) / 1e9;
    return st ? ps_wrap(st, "method %s", m->name) : PS_OK;
}

static ps_status run_all(piece *p, const ps_explain_items *items)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < p->task.n_methods; i++)
        if (runs(p, i))
            st = run_method(p, i, items);
    return st;
}

/* ---- what stands of each row ---- */

static double probability(const float *z, int64_t outputs, int64_t of)
{
    double most = (double)z[ps_explain_largest(z, outputs)], sum = 0;
    for (int64_t i = 0; i < outputs; i++)
        sum += exp((double)z[i] - most);
    return exp((double)z[of] - most) / sum;
}

static ps_status tell_row(piece *p, const ps_explain_items *items, size_t i)
{
    const ps_explaining *x = &p->task.x;
    const float *z = items->logits + i * (size_t)x->outputs;
    bool classes = x->model_spec->loss == PS_SPEC_CROSS_ENTROPY;
    int64_t best = classes ? ps_explain_largest(z, x->outputs) : 0;
    return ps_explain_parts_add_row(
        &p->out, &(ps_explain_row_info){.row = items->row[i],
                                        .label = items->labels[i],
                                        .prediction = best,
                                        .target = items->goals[i].target,
                                        .confidence = classes ? probability(z, x->outputs, best)
                                                              : (double)z[0],
                                        .score = items->scores[i]});
}

static ps_status show_tokens(piece *p, const ps_explain_items *items)
{
    size_t n = items->n * (size_t)items->length;
    float *tokens = ps_try_alloc_raw(n * sizeof *tokens);
    if (!tokens)
        return ps_fail(PS_NO_MEMORY, "%zu tokens", n);
    for (size_t i = 0; i < n; i++)
        tokens[i] = (float)items->tokens[i];
    ps_status st = ps_explain_put_values(&p->out.rows, "tokens", "token", items->n,
                                         (uint64_t)items->length, tokens);
    ps_free(&tokens);
    return st;
}

/* Once, in the first pass. */
static ps_status tell_rows(piece *p, const ps_explain_items *items)
{
    if (p->task.stage.pass)
        return PS_OK;
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < items->n; i++)
        st = tell_row(p, items, i);
    if (st || !ps_spec_explain_shows(p->task.spec))
        return st;
    if (items->tokens)
        return show_tokens(p, items);
    return ps_explain_put_values(&p->out.rows, "features", "feature", items->n,
                                 (uint64_t)p->task.x.inputs, items->features);
}

/* ---- rows ---- */

static ps_status take_rows(piece *p, int64_t length)
{
    const ps_explaining *x = &p->task.x;
    size_t n = x->batch, wide = (size_t)length;
    p->length = length;
    p->item = ps_try_alloc_raw(n * sizeof *p->item);
    p->row = ps_try_alloc_raw(n * sizeof *p->row);
    p->labels = ps_try_alloc_raw(n * sizeof *p->labels);
    bool whole = p->item && p->row && p->labels;
    if (x->language) {
        p->tokens = ps_try_alloc_raw(n * wide * sizeof *p->tokens);
        p->next = ps_try_alloc_raw(n * wide * sizeof *p->next);
        whole = whole && p->tokens && p->next;
    } else {
        p->features = ps_try_alloc_raw(n * (size_t)x->inputs * sizeof *p->features);
        p->targets = ps_try_alloc_raw(n * (size_t)x->outputs * sizeof *p->targets);
        whole = whole && p->features && p->targets;
    }
    return whole ? PS_OK : ps_fail(PS_NO_MEMORY, "%zu rows; lower explain.batch", n);
}

static void free_rows(piece *p)
{
    ps_free(&p->item);
    ps_free(&p->row);
    ps_free(&p->features);
    ps_free(&p->targets);
    ps_free(&p->tokens);
    ps_free(&p->labels);
    ps_free(&p->next);
}

static ps_status read_data(piece *p, uint64_t first, size_t n, ps_explain_raw *raw)
{
    const ps_dataset *data = p->task.x.test;
    ps_label_kind kind = ps_dataset_labels(data);
    void *labels = kind == PS_LABELS_CLASSES ? (void *)p->labels
                   : kind == PS_LABELS_REALS ? (void *)p->targets
                   : kind == PS_LABELS_NEXT  ? (void *)p->next
                                             : NULL;
    for (size_t i = 0; i < n; i++)
        p->row[i] = ps_selection_row(&p->task.selection, first + i);
    ps_status st = ps_dataset_read(data, p->row, n,
                                   p->tokens ? (void *)p->tokens : (void *)p->features, labels);
    for (size_t i = 0; !st && kind == PS_LABELS_NEXT && i < n; i++)
        p->labels[i] = p->next[(i + 1) * (size_t)p->length - 1];
    raw->labels = kind == PS_LABELS_CLASSES || kind == PS_LABELS_NEXT ? p->labels : NULL;
    raw->targets = kind == PS_LABELS_REALS ? p->targets : NULL;
    raw->length = p->length;
    return st;
}

/* Those behind the first that are as long as it. */
static size_t same_length(const ps_spec_explain *spec, uint64_t first, size_t most)
{
    size_t n = 1;
    while (n < most && spec->prompts[first + n].n_tokens == spec->prompts[first].n_tokens)
        n++;
    return n;
}

static void read_prompts(piece *p, uint64_t first, size_t n, ps_explain_raw *raw)
{
    const ps_spec_explain *spec = p->task.spec;
    size_t length = spec->prompts[first].n_tokens;
    for (size_t i = 0; i < n; i++) {
        p->row[i] = first + i;
        for (size_t k = 0; k < length; k++)
            p->tokens[i * length + k] = (int32_t)spec->prompts[first + i].tokens[k];
    }
    raw->length = (int64_t)length;
}

static ps_status explain_some(piece *p, const ps_explain_raw *raw)
{
    ps_explain_batch batch;
    ps_status st = ps_explain_batch_make(&p->task.x, raw, &batch);
    for (size_t i = 0; !st && i < batch.n_left_out; i++)
        if (!p->task.stage.pass)
            ps_explain_parts_leave_out(&p->out, batch.left_out[i]);
    if (!st && batch.items.n)
        st = tell_rows(p, &batch.items);
    if (!st && batch.items.n)
        st = run_all(p, &batch.items);
    ps_explain_batch_free(&batch);
    return st;
}

static void report(piece *p, uint64_t done, size_t n)
{
    Psd__V1__TaskProgress numbers = PSD__V1__TASK_PROGRESS__INIT;
    numbers.samples = n;
    ps_task_report(p->task.run, done, &numbers);
}

static ps_status explain_rows(piece *p, uint64_t begin, uint64_t end)
{
    bool prompts = p->task.spec->n_prompts > 0;
    ps_status st = PS_OK;
    for (uint64_t first = begin; !st && first < end;) {
        size_t n = end - first < p->task.x.batch ? (size_t)(end - first) : p->task.x.batch;
        ps_explain_raw raw = {
            .item = p->item, .row = p->row, .features = p->features, .tokens = p->tokens};
        if (prompts)
            n = same_length(p->task.spec, first, n);
        for (size_t i = 0; i < n; i++)
            p->item[i] = first + i;
        if (prompts)
            read_prompts(p, first, n, &raw);
        else
            st = read_data(p, first, n, &raw);
        raw.n = n;
        p->task.first = first;
        p->task.n = n;
        if (!st)
            st = p->task.x.check(p->task.x.user);
        if (!st)
            st = explain_some(p, &raw);
        if (!st) /* rather than when all of it has been computed */
            st = ps_explain_task_fits(&p->task, &p->out);
        first += n;
        if (!st)
            report(p, first, n);
    }
    return st;
}

static ps_status run_items(piece *p)
{
    const Psd__V1__Task *task = p->task.run->task;
    const ps_explaining *x = &p->task.x;
    bool prompts = p->task.spec->n_prompts > 0;
    uint64_t there = prompts ? p->task.spec->n_prompts : p->task.selection.n;
    uint64_t end = task->row_end < there ? task->row_end : there;
    int64_t length = prompts       ? ps_spec_explain_longest(p->task.spec)
                     : x->language ? (int64_t)ps_dataset_features(x->test)
                                   : 1;
    ps_status st = take_rows(p, length);
    if (!st && task->row_begin < end)
        st = explain_rows(p, task->row_begin, end);
    free_rows(p);
    return st;
}

static ps_status run_share(piece *p)
{
    p->task.x.share = (unsigned)p->task.run->task->row_begin;
    return run_method(p, p->task.stage.method, NULL);
}

/* ---- the task ---- */

static ps_status compute(piece *p)
{
    ps_status st = ps_explain_task_open(&p->task);
    if (!st)
        st = prepare_all(p);
    if (!st)
        st = p->task.stage.kind == PS_EXPLAIN_STAGE_ROWS ? run_items(p) : run_share(p);
    return st;
}

static ps_status run_task(ps_task_run *run, Psd__V1__TaskResult *result)
{
    piece p = {.length = 0};
    char name[PS_EXPLAIN_FILE_NAME];
    ps_status st = ps_explain_task_begin(run, &p.task);
    if (st)
        return st;
    if (p.task.stage.kind == PS_EXPLAIN_STAGE_MERGE)
        return ps_fail(PS_INVALID_ARGUMENT, "the stage is one that merges");
    ps_explain_parts_init(&p.out, p.task.n_methods);
    p.states = ps_alloc_array(p.task.n_methods + 1, sizeof *p.states);
    st = compute(&p);
    if (!st)
        ps_explain_task_sources(&p.task, true, &p.out);
    ps_explain_part_name(p.task.stage.number, run->task->row_begin, name);
    if (!st)
        st = ps_explain_task_leave(&p.task, name, &p.out, result);
    free_states(&p);
    ps_explain_parts_free(&p.out);
    ps_explain_task_close(&p.task);
    return st;
}

const ps_worker_kind ps_worker_kind_explain = {.name = "explain", .run = run_task};
