/* How far a job of kind compress is, as bytes: version u32, phase u32, measuring u32, turn u64,
 * seconds f64, the number of tensors u64, of each: done u32, u32 and as many bytes: its line, u32
 * and as many f64: what was measured of it, what is chosen for it u32, or 2^32-1; then of the
 * parent's and the draft's evaluation: done u32, samples u64, loss f64, u32 and as many bytes of
 * JSON: its metrics; then apart u32, u32 and as many bytes: what comparing both has found.
 * Little-endian. Which rows are in the sums, the parameters know (ps_sched_book). Reading fails on
 * bytes that are not such, or not this plan's. */
#include "common/base/mem.h"
#include "server/sched/core.h"
#include "server/sched/kinds/kind_compress.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { BLOB_VERSION = PS_COMPRESS_PROGRESS };

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

static void put_measured(ps_buf *b, const ps_compress *w, size_t i)
{
    const double *measured = w->items[i].measured;
    uint32_t n = measured ? (uint32_t)w->plan->tensors[i].n_measures : 0;
    ps_buf_put_u32le(b, n);
    for (uint32_t k = 0; k < n; k++)
        ps_buf_put_f64le(b, measured[k]);
    ps_buf_put_u32le(b, w->plan->chosen ? w->plan->chosen[i] : UINT32_MAX);
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
    ps_buf_put_u32le(blob, w->measuring);
    ps_buf_put_u64le(blob, w->turn);
    ps_buf_put_f64le(blob, ps_compress_seconds(job));
    ps_buf_put_u64le(blob, w->plan->n_tensors);
    for (size_t i = 0; i < w->plan->n_tensors; i++) {
        const char *line = w->items[i].line ? w->items[i].line : "";
        ps_buf_put_u32le(blob, w->items[i].done);
        put_text(blob, line, strlen(line));
        put_measured(blob, w, i);
    }
    put_test(blob, &w->tests[PS_COMPRESS_PARENT]);
    put_test(blob, &w->tests[PS_COMPRESS_CHILD]);
    const char *compared = w->compared ? w->compared : "";
    ps_buf_put_u32le(blob, w->apart);
    put_text(blob, compared, strlen(compared));
    return PS_OK;
}

static ps_status not_its(void)
{
    return ps_fail(PS_CORRUPT, "progress: it is not this job's");
}

/* false: they are none of this tensor's. */
static bool read_measured(ps_cursor *c, ps_compress *out, size_t i, uint32_t *chosen)
{
    size_t most = out->plan->tensors[i].n_measures;
    uint32_t n = ps_read_u32le(c);
    if (c->failed || (n && n != most))
        return false;
    double *measured = n ? ps_alloc_array(n, sizeof *measured) : NULL;
    bool ok = true;
    for (uint32_t k = 0; k < n; k++) {
        measured[k] = ps_read_f64le(c);
        ok &= isfinite(measured[k]) && measured[k] >= 0;
    }
    out->items[i].measured = measured;
    out->n_measured += n != 0;
    *chosen = ps_read_u32le(c);
    return ok && !c->failed && (out->measuring || n || !most);
}

/* NULL: none, or it is cut. */
static char *read_text(ps_cursor *c)
{
    ps_slice text = ps_read_bytes(c, ps_read_u32le(c));
    if (c->failed || !text.len)
        return NULL;
    char *copy = ps_alloc(text.len + 1); /* and a zero */
    memcpy(copy, text.data, text.len);
    return copy;
}

static void read_line(ps_cursor *c, ps_compress *out, ps_compress_item *item)
{
    item->done = ps_read_u32le(c) != 0 && item->solves;
    out->n_solved += item->done;
    item->line = read_text(c);
}

static ps_status read_test(ps_cursor *c, ps_compress_test *out)
{
    out->done = ps_read_u32le(c) != 0;
    out->found.samples = ps_read_u64le(c);
    out->found.loss = ps_read_f64le(c);
    ps_slice metrics = ps_read_bytes(c, ps_read_u32le(c));
    return c->failed ? not_its() : ps_metric_list_parse(metrics, &out->found.metrics);
}

static bool read_items(ps_cursor *c, ps_compress *out)
{
    bool ok = true;
    size_t n = out->plan->n_tensors;
    if (out->plan->measures && !out->measuring)
        out->chosen = ps_alloc_array(n + 1, sizeof *out->chosen);
    for (size_t i = 0; ok && i < n; i++) {
        uint32_t one = 0;
        read_line(c, out, &out->items[i]);
        ok = read_measured(c, out, i, &one);
        if (out->chosen)
            out->chosen[i] = one;
    }
    return ok;
}

/* Every turn before this one is measured, or solved. */
static bool turns_ok(const ps_compress *w)
{
    bool under_way = w->phase == PS_COMPRESS_SOLVING || w->phase == PS_COMPRESS_MEASURING ||
                     w->phase == PS_COMPRESS_CALIBRATING;
    for (size_t i = 0; i < w->plan->n_tensors; i++) {
        const ps_compress_item *item = &w->items[i];
        bool due = item->solves && (item->turn < w->turn || (item->turn == w->turn && !under_way));
        if (due && (w->measuring ? ps_compress_measures(w, i) : !item->done))
            return false;
    }
    bool phase = w->measuring ? under_way && w->phase != PS_COMPRESS_SOLVING
                              : w->phase != PS_COMPRESS_MEASURING;
    return w->turn <= w->plan->n_windows && (phase || w->phase == PS_COMPRESS_CLEARING);
}

static ps_status read_rest(ps_cursor *c, ps_compress *out)
{
    uint64_t n = ps_read_u64le(c);
    if (c->failed || n != out->plan->n_tensors || !read_items(c, out))
        return ps_fail(PS_CORRUPT, "progress: it is not this job's");
    ps_status st = read_test(c, &out->tests[PS_COMPRESS_PARENT]);
    if (!st)
        st = read_test(c, &out->tests[PS_COMPRESS_CHILD]);
    if (st)
        return st;
    out->apart = ps_read_u32le(c) != 0;
    out->compared = read_text(c);
    out->both.done = out->compared != NULL;
    bool phase = out->phase > PS_COMPRESS_CREATING && out->phase < PS_COMPRESS_PHASES;
    if (c->failed || ps_cursor_left(c) != 0 || !isfinite(out->seconds) || !phase || !turns_ok(out))
        return ps_fail(PS_CORRUPT, "progress: it is not this job's");
    return PS_OK;
}

ps_status ps_compress_read(ps_slice blob, ps_compress *out)
{
    ps_cursor c = ps_cursor_of(blob);
    uint32_t version = ps_read_u32le(&c);
    if (version != BLOB_VERSION)
        return ps_fail(PS_CORRUPT, "progress: version %u, this psd knows %d", version,
                       BLOB_VERSION);
    out->phase = ps_read_u32le(&c);
    out->measuring = ps_read_u32le(&c) != 0 && out->plan->measures;
    out->turn = ps_read_u64le(&c);
    out->seconds = ps_read_f64le(&c);
    return read_rest(&c, out);
}
