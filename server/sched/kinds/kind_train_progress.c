/* How far a training job is, as bytes: version u32, test_rows, 0, seconds u64, evaluated u32,
 * has_test u32, test_loss u64, u32 and as many bytes of JSON: the test metrics, the means of its
 * epochs (epoch_means.h; from version 3 on), u32 and as many bytes: the settled model section
 * (version 4, which only a job that has one is written in), then the rows; little-endian, doubles
 * by their bits. Reading fails on bytes that are not such, or not this job's. */
#include "server/sched/kinds/kind_train.h"

#include "common/base/mem.h"
#include "server/sched/core.h"
#include "server/sched/kinds/kinds.h"
#include "server/sched/kinds/plan.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum {
    OLDEST_VERSION = 2,
    MEANS_VERSION = 3,
    SETTLED_VERSION = 4,
    BLOB_VERSION = PS_TRAIN_PROGRESS
};

static void put_metrics(ps_buf *b, const ps_metric_list *metrics)
{
    ps_buf json = PS_BUF_EMPTY;
    ps_metric_list_format(metrics, &json);
    ps_buf_put_u32le(b, (uint32_t)json.len);
    ps_buf_append(b, json.data, json.len);
    ps_buf_free(&json);
}

ps_status ps_train_save(ps_job *job, ps_buf *blob)
{
    ps_core_require_locked(job->sched);
    PS_REQUIRE(job->work);
    const ps_train *w = job->work;
    if (w->phase < PS_TRAINING)
        return ps_fail(PS_FAILED_PRECONDITION, "job %" PRIu64 " has no parameters yet",
                       job->record->id);
    bool settled = *job->settled; /* else an older psd can go on, too */
    ps_buf_put_u32le(blob, settled ? SETTLED_VERSION : MEANS_VERSION);
    ps_buf_put_u64le(blob, w->test_rows);
    ps_buf_put_u64le(blob, 0); /* was: steps of workers */
    ps_buf_put_f64le(blob, ps_train_seconds(job));
    ps_buf_put_u32le(blob, w->evaluated);
    ps_buf_put_u32le(blob, w->has_test);
    ps_buf_put_f64le(blob, w->test_loss);
    put_metrics(blob, &w->test_metrics);
    ps_epoch_means_save(&w->means, blob);
    if (settled) {
        ps_buf_put_u32le(blob, (uint32_t)strlen(job->settled));
        ps_buf_puts(blob, job->settled);
    }
    size_t n = 0;
    ps_row_range *out = NULL;
    ps_list_each(node, &job->leases)
    {
        const ps_lease *lease = ps_container(node, ps_lease, of_job);
        if (!lease->kind->trains)
            continue;
        out = ps_realloc(out, (n + 1) * sizeof *out);
        out[n++] = lease->piece;
    }
    ps_epoch_rows_save(&w->rows, out, n, blob);
    free(out);
    return PS_OK;
}

static ps_status read_settled(const ps_job *job, uint32_t version, ps_cursor *c, char **out)
{
    ps_slice model = ps_slice_of(NULL, 0);
    if (version >= SETTLED_VERSION)
        model = ps_read_bytes(c, ps_read_u32le(c));
    return ps_plan_settled(job->spec, model, out) ? ps_wrap(PS_CORRUPT, "progress") : PS_OK;
}

ps_status ps_train_read(const ps_job *job, ps_slice blob, ps_train *w)
{
    ps_cursor c = ps_cursor_of(blob);
    uint32_t version = ps_read_u32le(&c);
    if (version < OLDEST_VERSION || version > BLOB_VERSION)
        return ps_fail(PS_CORRUPT, "progress: version %u, this psd knows %d", version,
                       BLOB_VERSION);
    w->test_rows = ps_read_u64le(&c);
    (void)ps_read_u64le(&c);
    w->seconds = ps_read_f64le(&c);
    w->evaluated = ps_read_u32le(&c);
    w->has_test = ps_read_u32le(&c) != 0;
    w->test_loss = ps_read_f64le(&c);
    ps_status st = ps_metric_list_parse(ps_read_bytes(&c, ps_read_u32le(&c)), &w->test_metrics);
    if (!st && version >= MEANS_VERSION)
        st = ps_epoch_means_load(&w->means, &c);
    if (!st)
        st = read_settled(job, version, &c, &w->settled);
    if (!st)
        st = ps_epoch_rows_load(&w->rows, 1, !ps_train_merges(job), &c);
    if (st)
        return st;
    if (ps_cursor_left(&c) != 0 || !isfinite(w->seconds) || w->evaluated > w->rows.done_epochs ||
        w->test_rows > PS_ROWS_MAX || w->rows.n_epochs != (uint64_t)job->spec->train->epochs)
        return ps_fail(PS_CORRUPT, "progress: it is not this job's");
    return PS_OK;
}
