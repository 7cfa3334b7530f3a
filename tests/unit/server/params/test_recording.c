/* A small model that is really trained: softmax regression in double over rows that a rule labels.
 * Pushes come from four workers, one of which has other labels than the rule's. */
#include "server/params/recording.h"

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "server/params/ledger.h"
#include "tests/lib/check_main.h"
#include "tests/lib/params.h"

#include <math.h>
#include <unistd.h>

enum { CAUSES = 8, INPUTS = 600, CLASSES = 5, W = INPUTS * CLASSES, ALL = W + CLASSES, BATCH = 32 };
enum { WORKERS = 4, STEPS = 30, PUSHES = WORKERS * STEPS, BAD = 2 };

typedef struct rows {
    int n;
    double x[512][INPUTS];
    int label[512];
} rows;

/* What a row is of, and how that shows: as of natural data, inputs hang together. */
static double rule[CAUSES][CLASSES], shows[CAUSES][INPUTS];

static void draw(ps_rng *rng, rows *out, int n)
{
    out->n = n;
    for (int i = 0; i < n; i++) {
        double best = -INFINITY, cause[CAUSES];
        for (int j = 0; j < CAUSES; j++)
            cause[j] = ps_rng_normal(rng);
        for (int k = 0; k < INPUTS; k++) {
            out->x[i][k] = 0.1 * ps_rng_normal(rng);
            for (int j = 0; j < CAUSES; j++)
                out->x[i][k] += cause[j] * shows[j][k];
        }
        for (int c = 0; c < CLASSES; c++) {
            double z = 0;
            for (int j = 0; j < CAUSES; j++)
                z += cause[j] * rule[j][c];
            if (z > best) {
                best = z;
                out->label[i] = c;
            }
        }
    }
}

/* Mean loss and its gradient, w row-major and then b. */
static double loss_of(const rows *data, const float *params, double *gradient)
{
    double loss = 0;
    memset(gradient, 0, ALL * sizeof *gradient);
    for (int i = 0; i < data->n; i++) {
        double z[CLASSES], most = -INFINITY, sum = 0;
        for (int c = 0; c < CLASSES; c++) {
            z[c] = params[W + c];
            for (int k = 0; k < INPUTS; k++)
                z[c] += data->x[i][k] * params[k * CLASSES + c];
            most = fmax(most, z[c]);
        }
        for (int c = 0; c < CLASSES; c++)
            sum += exp(z[c] - most);
        loss += (log(sum) + most - z[data->label[i]]) / data->n;
        for (int c = 0; c < CLASSES; c++) {
            double d = (exp(z[c] - most) / sum - (data->label[i] == c)) / data->n;
            gradient[W + c] += d;
            for (int k = 0; k < INPUTS; k++)
                gradient[k * CLASSES + c] += d * data->x[i][k];
        }
    }
    return loss;
}

typedef struct training {
    ps_param_store *store;
    const char *path;
    bool merges;
    uint64_t sequence[WORKERS];
    double exact[PUSHES][ALL]; /* what each push, or each update, changed */
} training;

static void read_params(ps_param_store *store, float out[ALL])
{
    float *w = test_params_read(store, 0), *b = test_params_read(store, 1);
    memcpy(out, w, W * sizeof *out);
    memcpy(out + W, b, CLASSES * sizeof *out);
    free(w);
    free(b);
}

static float from_w(void *user, uint64_t index)
{
    return (float)((const double *)user)[index];
}

static float from_b(void *user, uint64_t index)
{
    return (float)((const double *)user)[W + index];
}

static void push(training *t, int worker, uint64_t clock, double *gradient)
{
    char name[] = "worker-0";
    name[7] = (char)('0' + worker);
    ps_push_header header = {
        .incarnation = 1, .sequence = ++t->sequence[worker], .clock = clock, .weight = BATCH};
    ps_push *push;
    ps_push_reply reply;
    ck_ok(ps_push_begin(t->store, name, &header, &push));
    ck_ok(test_params_add(t->store, push, 0, from_w, gradient));
    ck_ok(test_params_add(t->store, push, 1, from_b, gradient));
    ck_assert(!ps_push_is_quick(push)); /* a loop does not write files */
    ck_ok(ps_push_commit(&push, &reply, NULL));
}

static void noted(void *user, ps_status status, const ps_clock_reply *reply)
{
}

static void end_clock(training *t, int worker, uint64_t clock)
{
    char name[] = "worker-0";
    name[7] = (char)('0' + worker);
    ps_clock_reply reply;
    bool parked;
    ck_ok(ps_param_store_clock(t->store, &(ps_clock_end){.member = name, .clock = clock}, &reply,
                               &parked, noted, NULL));
}

/* Each worker's step on rows of its own; what changed is kept. */
static void train_step(training *t, ps_rng *rng, uint64_t step)
{
    static rows batch;
    static double gradients[WORKERS][ALL];
    float before[ALL], after[ALL];
    read_params(t->store, before);
    for (int w = 0; w < WORKERS; w++) {
        if (!t->merges)
            read_params(t->store, before);
        draw(rng, &batch, BATCH);
        for (int i = 0; w == BAD && i < BATCH; i++)
            batch.label[i] = (batch.label[i] + 1) % CLASSES;
        loss_of(&batch, before, gradients[w]);
        push(t, w, t->merges ? step + 1 : 0, gradients[w]);
        read_params(t->store, after);
        for (int i = 0; i < ALL; i++)
            t->exact[step * WORKERS + (uint64_t)w][i] = (double)after[i] - before[i];
    }
    if (!t->merges)
        return;
    for (int w = 0; w < WORKERS; w++)
        end_clock(t, w, step + 1);
    read_params(t->store, after);
    /* sgd: a push's share of the mean is its own gradient's */
    for (int w = 0; w < WORKERS; w++)
        for (int i = 0; i < ALL; i++)
            t->exact[step * WORKERS + (uint64_t)w][i] = ((double)after[i] - before[i]) / WORKERS;
}

static void begin(training *t, const char *optimizer, const char *mode, uint32_t sketch)
{
    static const char path[] = "recording.bin";
    test_params p;
    test_params_init(&p, INPUTS, CLASSES);
    p.plans[0].scale = 0.01;
    p.config.optimizer =
        (ps_optimizer_config){.name = optimizer,
                              .learning_rate = !strcmp(optimizer, "sgd") ? 0.005 : 0.002,
                              .beta1 = 0.9,
                              .beta2 = 0.999,
                              .epsilon = 1e-8};
    p.config.column_blocks = 2;
    p.config.block_elements = 500;
    p.config.rows = BATCH;
    p.config.epochs = 1;
    p.config.controller = test_controller(mode);
    t->merges = !strcmp(mode, "bsp");
    t->path = path;
    ck_ok(ps_param_store_create(&p.config, &t->store));
    const ps_record_options options = {
        .disk = &ps_disk_system, .path = path, .sketch = sketch, .every = 1, .budget = 1 << 24};
    ck_ok(ps_param_store_record(t->store, &options));
    for (int w = 0; t->merges && w < WORKERS; w++) {
        char name[] = "worker-0";
        uint64_t clock;
        name[7] = (char)('0' + w);
        ck_ok(ps_param_store_join(t->store, name, 0, &clock));
    }
}

static void run(training *t, const char *optimizer, const char *mode, uint32_t sketch)
{
    ps_rng rng;
    ps_rng_seed(&rng, 5);
    *t = (training){0};
    for (int j = 0; j < CAUSES; j++) {
        for (int c = 0; c < CLASSES; c++)
            rule[j][c] = ps_rng_normal(&rng);
        for (int k = 0; k < INPUTS; k++)
            shows[j][k] = ps_rng_normal(&rng) / sqrt(CAUSES);
    }
    begin(t, optimizer, mode, sketch);
    for (uint64_t step = 0; step < STEPS; step++)
        train_step(t, &rng, step);
}

/* The record, and what it says of a query, as psctl reads it. */
typedef struct found {
    size_t n;
    ps_influence_record record[PUSHES];
    double score[PUSHES]; /* −⟨S g, S Δ⟩ */
    float *numbers[PUSHES];
    size_t width;
} found;

/* The order that the store has: column blocks of the matrix, one behind the other. */
static void in_store_order(const double *params, float *out)
{
    size_t n = 0;
    const int edges[] = {0, CLASSES / 2, CLASSES};
    for (int s = 0; s < 2; s++)
        for (int k = 0; k < INPUTS; k++)
            for (int c = edges[s]; c < edges[s + 1]; c++)
                out[n++] = (float)params[k * CLASSES + c];
    for (int c = 0; c < CLASSES; c++)
        out[n++] = (float)params[W + c];
}

static float *sketch_of(const ps_influence_head *head, const double *params)
{
    ps_sketch *s;
    float ordered[ALL], *out;
    in_store_order(params, ordered);
    ck_ok(ps_sketch_create(head->elements, head->n_units, head->sketch, &s));
    out = ps_alloc_array(ps_sketch_width(s), sizeof *out);
    size_t at = 0;
    for (size_t u = 0; u < head->n_units; u++) {
        ps_sketch_add(s, u, 0, ordered + at, head->elements[u], 1, out);
        at += head->elements[u];
    }
    ck_assert_uint_eq(at, ALL);
    ps_sketch_free(&s);
    return out;
}

static void read_record(const training *t, const double *query, found *f)
{
    ps_buf file = PS_BUF_EMPTY;
    ps_influence_head head;
    size_t used;
    *f = (found){0};
    ck_ok(ps_disk_read_file(&ps_disk_system, t->path, 1 << 24, &file));
    ck_ok(ps_influence_head_read(ps_buf_slice(&file), &head, &used));
    ck_assert_uint_eq(head.n_units, 4); /* two column blocks of each */
    ps_sketch *shape;
    ps_influence_sketch(&head, &shape);
    f->width = ps_sketch_width(shape);
    float *wanted = sketch_of(&head, query), *numbers = ps_alloc_array(f->width, sizeof *numbers);
    ps_cursor at = ps_cursor_of(ps_slice_of(file.data + used, file.len - used));
    ps_influence_record record;
    ps_status st;
    while (!(st = ps_influence_read(&at, shape, &record, numbers))) {
        ck_assert_uint_lt(f->n, PUSHES);
        /* by worker and sequence: pushes of a clock may be written in any order */
        size_t place = (record.push.sequence - 1) * WORKERS + (size_t)(record.worker[7] - '0');
        ck_assert_ptr_null(f->numbers[place]); /* once each */
        f->record[place] = record;
        f->score[place] = -ps_sketch_dot(wanted, numbers, f->width);
        f->numbers[place] = ps_alloc_array(f->width, sizeof *numbers);
        memcpy(f->numbers[place], numbers, f->width * sizeof *numbers);
        f->n++;
    }
    ck_assert_int_eq(st, PS_END);
    free(wanted);
    free(numbers);
    ps_sketch_free(&shape);
    ps_influence_head_free(&head);
    ps_buf_free(&file);
}

static void end(training *t, found *f)
{
    for (size_t i = 0; i < PUSHES; i++)
        free(f->numbers[i]);
    ps_param_store_unref(&t->store);
    ck_assert_int_eq(unlink(t->path), 0);
}

static double spearman(const double *a, const double *b, int n)
{
    double square = 0;
    for (int i = 0; i < n; i++) {
        int rank_a = 0, rank_b = 0;
        for (int j = 0; j < n; j++) {
            rank_a += a[j] < a[i];
            rank_b += b[j] < b[i];
        }
        square += (double)(rank_a - rank_b) * (rank_a - rank_b);
    }
    return 1 - 6 * square / ((double)n * ((double)n * n - 1));
}

/* How often a push of the worker with the bad labels has hurt more than one of another. */
static double auc(const double *score)
{
    double right = 0, all = 0;
    for (int i = 0; i < PUSHES; i++)
        for (int j = 0; j < PUSHES; j++)
            if (i % WORKERS == BAD && j % WORKERS != BAD) {
                right += score[i] < score[j] ? 1 : score[i] == score[j] ? 0.5 : 0;
                all++;
            }
    return right / all;
}

/* The gradient of rows with right labels at the parameters in the end. */
static void query_of(const training *t, double query[ALL])
{
    static rows probe;
    ps_rng rng;
    float params[ALL];
    ps_rng_seed(&rng, 99);
    draw(&rng, &probe, 512);
    read_params(t->store, params);
    loss_of(&probe, params, query);
}

static training t;
static found f;

START_TEST(sketches_rank_pushes_as_their_changes_do_and_find_the_worker_with_bad_labels)
{
    const char *optimizers[] = {"sgd", "adamw"};
    double query[ALL], exact[PUSHES];
    run(&t, optimizers[_i], "asp", 512);
    query_of(&t, query);
    read_record(&t, query, &f);
    ck_assert_uint_eq(f.n, PUSHES);
    for (int i = 0; i < PUSHES; i++) {
        exact[i] = 0;
        for (int k = 0; k < ALL; k++)
            exact[i] -= query[k] * t.exact[i][k];
        ck_assert_uint_eq(f.record[i].push.version, (uint64_t)i + 1);
        ck_assert_double_eq(f.record[i].push.weight, BATCH);
    }
    ck_assert_double_ge(spearman(f.score, exact, PUSHES), 0.95);
    if (_i == 0) /* under adamw a push carries the momentum of those before it */
        ck_assert_double_ge(auc(f.score), 0.95);
    end(&t, &f);
}
END_TEST

START_TEST(pushes_that_are_merged_get_shares_that_add_up)
{
    const char *optimizers[] = {"sgd", "adamw"};
    double query[ALL];
    run(&t, optimizers[_i], "bsp", 8192); /* as wide as it has elements: exact but for the codes */
    query_of(&t, query);
    read_record(&t, query, &f);
    ck_assert_uint_eq(f.n, PUSHES);
    for (int step = 0; step < STEPS; step++) {
        double all = 0, want = 0, most = 0;
        for (int w = 0; w < WORKERS; w++) {
            const ps_influence_push *p = &f.record[step * WORKERS + w].push;
            ck_assert_uint_eq(p->version, (uint64_t)step + 1);
            ck_assert_uint_eq(p->clock, (uint64_t)step + 1);
            ck_assert_uint_eq(p->flags, PS_INFLUENCE_SHARE);
            if (_i == 0) /* sgd goes along the mean gradient alone */
                ck_assert_double_lt(p->correction, 1e-6);
            else
                ck_assert(p->correction > 0.01 && p->correction < 1);
            all += f.score[step * WORKERS + w];
            most = fmax(most, fabs(f.score[step * WORKERS + w]));
            for (int k = 0; k < ALL; k++)
                want -= query[k] * t.exact[step * WORKERS + w][k];
        }
        ck_assert_double_eq_tol(all, want, 0.02 * most + 1e-9);
    }
    ck_assert_double_ge(auc(f.score), 0.95);
    end(&t, &f);
}
END_TEST

START_TEST(rows_are_those_that_the_ledger_has_booked)
{
    const ps_push_header said[] = {
        {.incarnation = 1, .sequence = 1, .rows = {3, 9}}, /* without a lease */
        {.incarnation = 1, .sequence = 2, .lease = 7, .rows = {4, 6}},
        {.incarnation = 1, .sequence = 3, .lease = 7, .rows = {5, 0}},
    };
    static double nothing[ALL];
    ps_push_reply reply;
    t = (training){0};
    begin(&t, "sgd", "asp", 512);
    ps_ledger_lease_begin(ps_param_store_ledger(t.store), 7, 0, (ps_row_span){4, 8});
    for (int i = 0; i < 3; i++)
        ck_ok(test_params_push(t.store, "worker-0", &said[i], 1, &reply));
    read_record(&t, nothing, &f);
    ck_assert_uint_eq(f.n, 3);
    for (uint64_t i = 0; i < 3; i++) {
        const ps_influence_push *p = &f.record[i * WORKERS].push;
        ck_assert_uint_eq(p->sequence, i + 1);
        ck_assert_uint_eq(p->row_begin, i == 1 ? 4 : 0);
        ck_assert_uint_eq(p->row_end, i == 1 ? 6 : 0);
    }
    end(&t, &f);
}
END_TEST

static const ps_check_case cases[] = {
    {.test = &sketches_rank_pushes_as_their_changes_do_and_find_the_worker_with_bad_labels,
     .repeat = 2},
    {.test = &pushes_that_are_merged_get_shares_that_add_up, .repeat = 2},
    {&rows_are_those_that_the_ledger_has_booked},
    {0},
};

int main(void)
{
    return ps_check_main("params/recording", cases);
}
