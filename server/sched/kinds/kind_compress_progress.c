/* How far a job of kind compress is, as bytes: version u32, phase u32, turn u64, seconds f64, the
 * number of tensors u64, of each: done u32, u32 and as many bytes: its line; then of the parent's
 * and the draft's evaluation: done u32, samples u64, loss f64, u32 and as many bytes of JSON: its
 * metrics. Little-endian. Which rows are in the sums, the parameters know (ps_sched_book). Reading
 * fails on bytes that are not such, or not this plan's. */
#include "common/base/mem.h"
#include "server/sched/core.h"
#include "server/sched/kinds/kind_compress.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { BLOB_VERSION = 1 };

static void put_text(ps_buf *b, const char *text, size_t len)
{
    ps_buf_put_u32le(b, (uint32_t)len);
    ps_buf_append(b, text, len);
}

static void put_test(ps_buf *b, const ps_compress_test *test)
{
    ps_buf json = PS_BUF_EMPTY;
    ps_metric_list_format(&test->found.metrics, &json);
    ps_buf_put_u32le(b, test->done);
    ps_buf_put_u64le(b, test->found.samples);
    ps_buf_put_f64le(b, test->found.loss);
    put_text(b, ps_buf_cstr(&json), json.len);
    ps_buf_free(&json);
}

ps_status ps_compress_save(ps_job *job, ps_buf *blob)
{
    ps_core_require_locked(job->sched);
    PS_REQUIRE(job->work);
    const ps_compress *w = job->work;
    if (w->phase == PS_COMPRESS_CREATING)
        return ps_fail(PS_FAILED_PRECONDITION, "job %" PRIu64 " has no parameters yet",
                       job->record->id);
    ps_buf_put_u32le(blob, BLOB_VERSION);
    ps_buf_put_u32le(blob, w->phase);
    ps_buf_put_u64le(blob, w->turn);
    ps_buf_put_f64le(blob, ps_compress_seconds(job));
    ps_buf_put_u64le(blob, w->plan->n_tensors);
    for (size_t i = 0; i < w->plan->n_tensors; i++) {
        const char *line = w->items[i].line ? w->items[i].line : "";
        ps_buf_put_u32le(blob, w->items[i].done);
        put_text(blob, line, strlen(line));
    }
    put_test(blob, &w->tests[PS_COMPRESS_PARENT]);
    put_test(blob, &w->tests[PS_COMPRESS_CHILD]);
    return PS_OK;
}

static ps_status not_its(void)
{
    return ps_fail(PS_CORRUPT, "progress: it is not this job's");
}

static void read_item(ps_cursor *c, ps_compress *out, ps_compress_item *item)
{
    item->done = ps_read_u32le(c) != 0 && item->solves;
    out->n_solved += item->done;
    ps_slice line = ps_read_bytes(c, ps_read_u32le(c));
    if (c->failed || !line.len)
        return;
    item->line = ps_alloc(line.len + 1); /* and a zero */
    memcpy(item->line, line.data, line.len);
}

static ps_status read_test(ps_cursor *c, ps_compress_test *out)
{
    out->done = ps_read_u32le(c) != 0;
    out->found.samples = ps_read_u64le(c);
    out->found.loss = ps_read_f64le(c);
    ps_slice metrics = ps_read_bytes(c, ps_read_u32le(c));
    return c->failed ? not_its() : ps_metric_list_parse(metrics, &out->found.metrics);
}

/* Every turn before this one is solved. */
static bool turns_ok(const ps_compress *w)
{
    bool solving = w->phase == PS_COMPRESS_SOLVING || w->phase == PS_COMPRESS_CALIBRATING;
    for (size_t i = 0; i < w->plan->n_tensors; i++) {
        const ps_compress_item *item = &w->items[i];
        bool due = item->solves && (item->turn < w->turn || (item->turn == w->turn && !solving));
        if (due && !item->done)
            return false;
    }
    return w->turn <= w->plan->n_windows;
}

ps_status ps_compress_read(ps_slice blob, ps_compress *out)
{
    ps_cursor c = ps_cursor_of(blob);
    uint32_t version = ps_read_u32le(&c);
    if (version != BLOB_VERSION)
        return ps_fail(PS_CORRUPT, "progress: version %u, this psd knows %d", version,
                       BLOB_VERSION);
    out->phase = ps_read_u32le(&c);
    out->turn = ps_read_u64le(&c);
    out->seconds = ps_read_f64le(&c);
    uint64_t n = ps_read_u64le(&c);
    if (c.failed || n != out->plan->n_tensors)
        return not_its();
    for (size_t i = 0; i < n; i++)
        read_item(&c, out, &out->items[i]);
    ps_status st = read_test(&c, &out->tests[PS_COMPRESS_PARENT]);
    if (!st)
        st = read_test(&c, &out->tests[PS_COMPRESS_CHILD]);
    if (st)
        return st;
    bool phase = out->phase > PS_COMPRESS_CREATING && out->phase < PS_COMPRESS_PHASES;
    if (c.failed || ps_cursor_left(&c) != 0 || !isfinite(out->seconds) || !phase || !turns_ok(out))
        return not_its();
    return PS_OK;
}
