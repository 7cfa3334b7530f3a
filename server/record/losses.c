/* A table that grows. Fails on bytes that are none of a checkpoint's. */
#include "server/record/losses.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "common/base/require.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of a checkpoint, which has them all; its reader takes 1 GiB of everything but parameters. */
#define SAVED_MAX ((size_t)256 << 20)

struct ps_losses {
    double tolerance;
    size_t units, gradient_bytes;
    ps_mutex lock;
    ps_loss_segment *list;
    size_t n, capacity;
    bool full;
};

void ps_losses_create(double tolerance, size_t units, size_t gradient_bytes, ps_losses **out)
{
    PS_REQUIRE(tolerance > 0 && units > 0);
    ps_losses *l = ps_new(ps_losses);
    ps_mutex_init(&l->lock);
    l->tolerance = tolerance;
    l->units = units;
    l->gradient_bytes = gradient_bytes;
    *out = l;
}

void ps_losses_free(ps_losses **losses)
{
    ps_losses *l = *losses;
    if (!l)
        return;
    for (size_t i = 0; i < l->n; i++)
        ps_loss_segment_free(&l->list[i]);
    free(l->list);
    ps_mutex_destroy(&l->lock);
    ps_free(losses);
}

size_t ps_losses_units(const ps_losses *losses)
{
    return losses->units;
}

size_t ps_losses_gradient_bytes(const ps_losses *losses)
{
    return losses->gradient_bytes;
}

double ps_losses_tolerance(const ps_losses *losses)
{
    return losses->tolerance;
}

static size_t saved_bytes(const ps_losses *l)
{
    return 40 + l->units * sizeof(double) + l->gradient_bytes;
}

static void insert(ps_losses *l, ps_loss_segment *segment)
{
    ps_mutex_require_held(&l->lock);
    if (l->n == l->capacity) {
        l->capacity = l->capacity ? 2 * l->capacity : 64;
        l->list = ps_realloc(l->list, l->capacity * sizeof *l->list);
    }
    size_t at = l->n++;
    for (; at > 0 && l->list[at - 1].begin > segment->begin; at--)
        l->list[at] = l->list[at - 1];
    l->list[at] = *segment;
    segment->parts = NULL;
    segment->gradient = NULL;
}

void ps_losses_put(ps_losses *l, ps_loss_segment *segment)
{
    PS_REQUIRE(segment->parts && segment->gradient_bytes == l->gradient_bytes);
    ps_mutex_lock(&l->lock);
    if (!l->full)
        insert(l, segment);
    if (!l->full && (l->n + 1) * saved_bytes(l) > SAVED_MAX) {
        l->full = true;
        ps_log_warning("record",
                       "loss_changes ends here: %zu segments fill a checkpoint; raise "
                       "every, or lower influence.sketch",
                       l->n);
    }
    ps_mutex_unlock(&l->lock);
    ps_loss_segment_free(segment);
}

bool ps_losses_is_full(ps_losses *l)
{
    ps_mutex_lock(&l->lock);
    bool full = l->full;
    ps_mutex_unlock(&l->lock);
    return full;
}

const ps_loss_segment *ps_losses_list(ps_losses *l, size_t *n)
{
    ps_mutex_lock(&l->lock);
    *n = l->n;
    ps_mutex_unlock(&l->lock);
    return l->list;
}

/* ---- checkpoints ---- */

static void save_one(const ps_losses *l, const ps_loss_segment *s, ps_buf *out)
{
    ps_buf_put_u64le(out, s->begin);
    ps_buf_put_u64le(out, s->end);
    ps_buf_put_f64le(out, s->loss_begin);
    ps_buf_put_f64le(out, s->loss_end);
    ps_buf_put_u32le(out, s->gradients);
    ps_buf_put_u32le(out, s->met);
    for (size_t u = 0; u < l->units; u++)
        ps_buf_put_f64le(out, s->parts[u]);
    ps_buf_append(out, s->gradient, s->gradient_bytes);
}

void ps_losses_save(ps_losses *l, ps_buf *out)
{
    ps_mutex_lock(&l->lock);
    ps_buf_put_u64le(out, l->n);
    for (size_t i = 0; i < l->n; i++)
        save_one(l, &l->list[i], out);
    ps_mutex_unlock(&l->lock);
}

static void load_one(const ps_losses *l, ps_cursor *from, ps_loss_segment *s)
{
    s->begin = ps_read_u64le(from);
    s->end = ps_read_u64le(from);
    s->loss_begin = ps_read_f64le(from);
    s->loss_end = ps_read_f64le(from);
    s->gradients = ps_read_u32le(from);
    s->met = ps_read_u32le(from);
    s->parts = ps_alloc_array(l->units, sizeof *s->parts);
    for (size_t u = 0; u < l->units; u++)
        s->parts[u] = ps_read_f64le(from);
    s->gradient = ps_alloc(l->gradient_bytes + 1);
    s->gradient_bytes = l->gradient_bytes;
    ps_slice bytes = ps_read_bytes(from, l->gradient_bytes);
    if (!from->failed)
        memcpy(s->gradient, bytes.data, bytes.len);
}

ps_status ps_losses_load(ps_losses *l, ps_cursor *from)
{
    uint64_t n = ps_read_u64le(from);
    for (uint64_t i = 0; !from->failed && i < n; i++) {
        ps_loss_segment s = {0};
        load_one(l, from, &s);
        if (from->failed)
            ps_loss_segment_free(&s);
        else
            ps_losses_put(l, &s);
    }
    return from->failed ? ps_fail(PS_CORRUPT, "the losses of the checkpoint's record are damaged")
                        : PS_OK;
}
