/* Happy path: a sketch from the list of those that are free, filled by one thread, written as one
 * record behind the others. Only the file can fail, and then no more is written. */
#include "server/record/record.h"

#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "common/base/require.h"
#include "server/record/record_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* 16384 pushes of a clock, as record.influence.sketch is by itself. */
#define HELD_MAX ((size_t)1 << 30)

struct ps_record_sketch {
    const ps_sketch *hash;
    ps_list link; /* of those that are free, or held */
    ps_influence_push push;
    char worker[PS_INFLUENCE_NAME_MAX + 1];
    bool *touched;  /* [units] */
    float *numbers; /* [width] */
};

struct ps_record {
    ps_sketch *hash;
    uint32_t size, every; /* of the options */
    ps_mutex lock;
    ps_list spare, held;
    size_t n_held, held_max; /* held_max: bytes */
    bool too_many;           /* were held: none of them is put */
    ps_mutex file_lock;
    ps_record_file *file;
    ps_buf encoded; /* the record that is being written */
    uint64_t budget, count;
    bool taken, lost;         /* lost: the file, by an fsync that failed */
    char ended[PS_ERROR_MAX]; /* why; empty: it has not */
};

ps_status ps_record_open(const ps_record_options *options, const ps_influence_head *head,
                         ps_record **out)
{
    ps_record *r = ps_new(ps_record);
    ps_mutex_init(&r->lock);
    ps_mutex_init(&r->file_lock);
    ps_list_init(&r->spare);
    ps_list_init(&r->held);
    r->size = options->sketch;
    r->every = options->every;
    r->budget = options->budget;
    r->held_max = options->held ? options->held : HELD_MAX;
    ps_influence_head own = *head;
    own.sketch = options->sketch;
    own.every = options->every;
    ps_status st = ps_sketch_create(own.elements, own.n_units, own.sketch, &r->hash);
    if (!st) {
        ps_influence_head_write(&own, &r->encoded);
        st = ps_record_file_open(options->disk, options->path, ps_buf_slice(&r->encoded),
                                 options->position, &r->file);
    }
    if (!st && options->ended)
        (void)snprintf(r->ended, sizeof r->ended, "it ended before psd was started again");
    if (st)
        ps_record_free(&r);
    else
        *out = r;
    return st;
}

static void free_all(ps_list *list)
{
    while (!ps_list_empty(list)) {
        ps_record_sketch *s = ps_container(list->next, ps_record_sketch, link);
        ps_list_remove(&s->link);
        free(s->numbers);
        free(s->touched);
        free(s);
    }
}

void ps_record_free(ps_record **record)
{
    ps_record *r = *record;
    if (!r)
        return;
    free_all(&r->spare);
    free_all(&r->held);
    ps_record_file_close(&r->file);
    ps_buf_free(&r->encoded);
    ps_sketch_free(&r->hash);
    ps_mutex_destroy(&r->lock);
    ps_mutex_destroy(&r->file_lock);
    ps_free(record);
}

bool ps_record_is_due(const ps_record *record, uint64_t number)
{
    return number % record->every == 0;
}

/* ---- sketches ---- */

ps_record_sketch *ps_record_begin(ps_record *r)
{
    ps_record_sketch *s = NULL;
    ps_mutex_lock(&r->lock);
    if (!ps_list_empty(&r->spare)) {
        s = ps_container(r->spare.next, ps_record_sketch, link);
        ps_list_remove(&s->link);
    }
    ps_mutex_unlock(&r->lock);
    size_t units = ps_sketch_units(r->hash), width = ps_sketch_width(r->hash);
    if (s) {
        memset(s->touched, 0, units * sizeof *s->touched);
        memset(s->numbers, 0, width * sizeof *s->numbers);
        return s;
    }
    s = ps_new(ps_record_sketch);
    s->hash = r->hash;
    s->touched = ps_alloc_array(units, sizeof *s->touched);
    s->numbers = ps_alloc_array(width, sizeof *s->numbers);
    return s;
}

void ps_record_add_change(ps_record_sketch *s, size_t unit, uint64_t begin, const float *before,
                          const float *after, size_t n)
{
    s->touched[unit] = true;
    ps_sketch_add_change(s->hash, unit, begin, before, after, n, s->numbers);
}

void ps_record_add_gradient(ps_record_sketch *s, size_t unit, uint64_t begin,
                            const ps_wire_float *values, size_t n, float weight)
{
    s->touched[unit] = true;
    ps_sketch_add(s->hash, unit, begin, values, n, weight, s->numbers);
}

static void give_back(ps_record *r, ps_record_sketch **sketch)
{
    ps_mutex_lock(&r->lock);
    ps_list_append(&r->spare, &(*sketch)->link);
    ps_mutex_unlock(&r->lock);
    *sketch = NULL;
}

/* ---- the file ---- */

static void end(ps_record *r, const char *why)
{
    ps_mutex_require_held(&r->file_lock);
    (void)snprintf(r->ended, sizeof r->ended, "%s", why);
    ps_log_warning("record", "ends here: %s", why);
}

static void append(ps_record *r)
{
    ps_mutex_require_held(&r->file_lock);
    if (r->ended[0] || r->taken)
        return;
    if (ps_record_file_bytes(r->file) + r->encoded.len > r->budget) {
        end(r, "record.influence.budget is used up; raise it, or every");
        return;
    }
    if (ps_record_file_append(r->file, ps_buf_slice(&r->encoded)))
        end(r, ps_error_message());
    else
        r->count++;
}

static void write_one(ps_record *r, const ps_record_sketch *s, const ps_influence_push *push)
{
    ps_mutex_lock(&r->file_lock);
    ps_buf_clear(&r->encoded);
    ps_influence_write(r->hash, push, s->touched, s->numbers, &r->encoded);
    append(r);
    ps_mutex_unlock(&r->file_lock);
}

void ps_record_put(ps_record *r, ps_record_sketch **sketch, const ps_influence_push *push)
{
    write_one(r, *sketch, push);
    give_back(r, sketch);
}

static size_t most_held(const ps_record *r)
{
    size_t each = ps_sketch_width(r->hash) * sizeof(float) + ps_sketch_units(r->hash);
    return r->held_max / (each + sizeof(ps_record_sketch));
}

/* A worker can push more of a clock than there is memory for. Without some of them the shares of
 * the others would be wrong, too. */
static void drop_held(ps_record *r)
{
    ps_mutex_require_held(&r->lock);
    ps_log_warning("record", "an update of more than %zu pushes is not recorded", r->n_held);
    free_all(&r->held);
    r->n_held = 0;
    r->too_many = true;
}

void ps_record_hold(ps_record *r, ps_record_sketch **sketch, const ps_influence_push *push)
{
    ps_record_sketch *s = *sketch;
    s->push = *push;
    (void)snprintf(s->worker, sizeof s->worker, "%s", push->worker);
    s->push.worker = s->worker;
    ps_mutex_lock(&r->lock);
    if (!r->too_many && r->n_held == most_held(r))
        drop_held(r);
    r->n_held += !r->too_many;
    ps_list_append(r->too_many ? &r->spare : &r->held, &s->link);
    ps_mutex_unlock(&r->lock);
    *sketch = NULL;
}

bool ps_record_holds(ps_record *r)
{
    ps_mutex_lock(&r->lock);
    bool holds = r->n_held > 0 || r->too_many;
    ps_mutex_unlock(&r->lock);
    return holds;
}

/* ---- shares of an update ---- */

/* One unit of an update: what is made of the mean gradient, and what is left. */
typedef struct unit_share {
    double weight; /* Σ w of the pushes that have the unit */
    double along;  /* α / W: what a push's weighted gradient is multiplied by */
} unit_share;

static void add_numbers(float *sum, const float *numbers, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        sum[i] += numbers[i];
}

/* Leaves in `update` the rest r, and in mean Σ w g. */
static unit_share split(const ps_list *held, size_t unit, ps_sketch_part part, float *update,
                        float *mean)
{
    unit_share share = {0};
    ps_list_each(node, held)
    {
        const ps_record_sketch *s = ps_container(node, ps_record_sketch, link);
        if (!s->touched[unit])
            continue;
        share.weight += s->push.weight;
        add_numbers(mean, s->numbers + part.at, part.width);
    }
    double square = ps_sketch_dot(mean, mean, part.width);
    share.along = square > 0 ? ps_sketch_dot(update, mean, part.width) / square : 0;
    for (uint32_t i = 0; i < part.width; i++)
        update[i] -= (float)share.along * mean[i];
    return share;
}

static void take_share(ps_record_sketch *s, size_t unit, ps_sketch_part part, unit_share share,
                       const float *rest)
{
    float own = (float)(s->push.weight / share.weight);
    float *numbers = s->numbers + part.at;
    for (uint32_t i = 0; s->touched[unit] && i < part.width; i++)
        numbers[i] = (float)share.along * numbers[i] + own * rest[i];
}

/* Of all units; returns what share of the update's square was the rest's. */
static double share_out(const ps_sketch *hash, const ps_list *held, float *update, float *mean)
{
    double all = 0, rest = 0;
    for (size_t u = 0; u < ps_sketch_units(hash); u++) {
        ps_sketch_part part = ps_sketch_part_of(hash, u);
        float *own = update + part.at;
        all += ps_sketch_dot(own, own, part.width);
        unit_share share = split(held, u, part, own, mean + part.at);
        rest += ps_sketch_dot(own, own, part.width);
        ps_list_each(node, held)
            take_share(ps_container(node, ps_record_sketch, link), u, part, share, own);
    }
    double share = all > 0 ? rest / all : 0;
    return isfinite(share) ? share : 1; /* squares of a diverged training overflow */
}

void ps_record_merge(ps_record *r, ps_record_sketch **update, uint64_t version)
{
    ps_list held;
    ps_list_init(&held);
    ps_mutex_lock(&r->lock);
    while (!ps_list_empty(&r->held)) {
        ps_list *first = r->held.next;
        ps_list_remove(first);
        ps_list_append(&held, first);
    }
    r->n_held = 0;
    r->too_many = false;
    ps_mutex_unlock(&r->lock);
    ps_record_sketch *mean = ps_record_begin(r);
    double correction = share_out(r->hash, &held, (*update)->numbers, mean->numbers);
    while (!ps_list_empty(&held)) {
        ps_record_sketch *s = ps_container(held.next, ps_record_sketch, link);
        ps_list_remove(&s->link);
        s->push.version = version;
        s->push.flags |= PS_INFLUENCE_SHARE;
        s->push.correction = correction;
        ps_record_put(r, &s, &s->push);
    }
    give_back(r, &mean);
    give_back(r, update);
}

const ps_sketch *ps_record_shape(const ps_record *record)
{
    return record->hash;
}

/* ---- what of it lasts ---- */

uint64_t ps_record_position(ps_record *r)
{
    ps_mutex_lock(&r->file_lock);
    uint64_t bytes = ps_record_file_bytes(r->file);
    ps_mutex_unlock(&r->file_lock);
    return bytes;
}

ps_record_options ps_record_settings(ps_record *r)
{
    ps_record_options settings = {
        .sketch = r->size, .every = r->every, .budget = r->budget, .held = r->held_max};
    ps_mutex_lock(&r->file_lock);
    settings.position = ps_record_file_bytes(r->file);
    settings.ended = r->ended[0] != '\0';
    ps_mutex_unlock(&r->file_lock);
    return settings;
}

void ps_record_take(ps_record *r)
{
    ps_mutex_lock(&r->file_lock);
    r->taken = true;
    ps_mutex_unlock(&r->file_lock);
}

bool ps_record_is_taken(ps_record *r)
{
    ps_mutex_lock(&r->file_lock);
    bool taken = r->taken;
    ps_mutex_unlock(&r->file_lock);
    return taken;
}

ps_status ps_record_sync(ps_record *r)
{
    ps_mutex_lock(&r->file_lock);
    bool lost = r->lost;
    ps_mutex_unlock(&r->file_lock); /* pushes do not wait for the disk; the file stays open */
    ps_status st = lost ? PS_OK : ps_record_file_sync(r->file);
    if (!st)
        return PS_OK;
    ps_mutex_lock(&r->file_lock);
    if (!r->ended[0])
        end(r, ps_error_message());
    r->lost = true;
    ps_mutex_unlock(&r->file_lock);
    return st;
}

const char *ps_record_ended(ps_record *r)
{
    ps_mutex_lock(&r->file_lock);
    bool has = r->ended[0] != '\0';
    ps_mutex_unlock(&r->file_lock);
    return has ? r->ended : NULL;
}

uint64_t ps_record_count(ps_record *r)
{
    ps_mutex_lock(&r->file_lock);
    uint64_t count = r->count;
    ps_mutex_unlock(&r->file_lock);
    return count;
}
