/* Happy path: a record is bound to a row and read back from one. Progress is kept as the message's
 * bytes, so that fields added to it later need no new column. */
#include "server/catalog/jobs.h"

#include "common/base/mem.h"
#include "server/catalog/db.h"
#include "server/catalog/job_progress.h"

#include <inttypes.h>
#include <string.h>

/* A line each: paths, in which no line ends. */
#define OTHERS                                              \
    "coalesce((SELECT group_concat(version,char(10)) FROM " \
    "(SELECT version FROM job_model WHERE job_id=job.id ORDER BY position)),'')"
#define COLUMNS                                                                             \
    "id,name,kind,state,ps_open(reason,'job.reason',id),submitter,submitted_ms,started_ms," \
    "ended_ms,ps_open(result,'job.result',id),ps_open(progress,'job.progress',id),"         \
    "model_version," OTHERS ",cancel"
#define SPEC ",ps_open(spec,'job.spec',id),ps_open(sources,'job.sources',id)"

void ps_job_record_free(ps_job_record **record)
{
    ps_job_record *r = *record;
    if (!r)
        return;
    free(r->name);
    free(r->kind);
    free(r->reason);
    free(r->submitter);
    free(r->spec);
    free(r->result);
    free(r->sources);
    free(r->model_version);
    for (size_t i = 0; i < r->n_others; i++)
        free(r->others[i]);
    free(r->others);
    free(r->cancel);
    ps_free(record);
}

void ps_job_records_free(ps_job_record ***records)
{
    if (!*records)
        return;
    for (ps_job_record **r = *records; *r; r++)
        ps_job_record_free(r);
    ps_free(records);
}

ps_job_record *ps_job_record_copy(const ps_job_record *record)
{
    ps_job_record *copy = ps_new(ps_job_record);
    *copy = *record;
    copy->name = ps_strdup(record->name);
    copy->kind = ps_strdup(record->kind);
    copy->reason = ps_strdup(record->reason);
    copy->submitter = ps_strdup(record->submitter);
    copy->spec = ps_strdup(record->spec);
    copy->result = ps_strdup(record->result);
    copy->sources = ps_strdup(record->sources ? record->sources : "");
    copy->model_version = ps_strdup(record->model_version);
    copy->others = ps_alloc_array(record->n_others + 1, sizeof *copy->others);
    for (size_t i = 0; i < record->n_others; i++)
        copy->others[i] = ps_strdup(record->others[i]);
    copy->cancel = ps_strdup(record->cancel ? record->cancel : "");
    return copy;
}

/* Numbers, and two short lists: 16 names of 31 bytes are most of it. */
enum { PROGRESS_MAX = 1536 };

static ps_slice pack_progress(const ps_job_record *record, uint8_t bytes[PROGRESS_MAX])
{
    ps_job_lists lists;
    Psd__V1__Progress progress = ps_job_progress_message(record, &lists);
    if (psd__v1__progress__get_packed_size(&progress) > PROGRESS_MAX)
        return ps_slice_of(NULL, 0);
    return ps_slice_of(bytes, psd__v1__progress__pack(&progress, bytes));
}

static void unpack_progress(ps_slice bytes, ps_job_record *out)
{
    Psd__V1__Progress *read = psd__v1__progress__unpack(NULL, bytes.len, bytes.data);
    if (!read)
        return;
    ps_job_progress_read(read, out);
    psd__v1__progress__free_unpacked(read, NULL);
}

static ps_status replaced(void)
{
    return ps_fail(PS_ABORTED,
                   "a model has been replaced or deleted meanwhile; submit the job again");
}

static ps_status add_row(ps_catalog *catalog, const ps_job_record *r, uint64_t *id)
{
    uint8_t progress[PROGRESS_MAX];
    ps_stmt q;
    ps_status st = ps_stmt_begin(
        &q, catalog,
        "INSERT INTO job(id,name,kind,state,reason,submitter,submitted_ms,started_ms,ended_ms,"
        "result,progress,spec,model_version)"
        " SELECT n,?1,?2,?3,ps_seal(?4,'job.reason',n),?5,?6,?7,?8,ps_seal(?9,'job.result',n),"
        "ps_seal(?10,'job.progress',n),ps_seal(?11,'job.spec',n),?12"
        " FROM (SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name='job'),0)+1 AS n)"
        " WHERE ?12='' OR EXISTS(SELECT 1 FROM model_version WHERE path=?12 AND current)");
    if (st)
        return st;
    ps_stmt_text(&q, 1, r->name);
    ps_stmt_text(&q, 2, r->kind);
    ps_stmt_i64(&q, 3, r->state);
    ps_stmt_text(&q, 4, r->reason);
    ps_stmt_text(&q, 5, r->submitter);
    ps_stmt_i64(&q, 6, r->submitted_ms);
    ps_stmt_i64(&q, 7, r->started_ms);
    ps_stmt_i64(&q, 8, r->ended_ms);
    ps_stmt_text(&q, 9, r->result);
    ps_stmt_blob(&q, 10, pack_progress(r, progress));
    ps_stmt_text(&q, 11, r->spec);
    ps_stmt_text(&q, 12, r->model_version);
    st = ps_stmt_run(&q);
    if (!st && ps_stmt_changes(&q) == 0)
        st = replaced();
    if (!st)
        *id = (uint64_t)sqlite3_last_insert_rowid(catalog->db);
    return ps_stmt_end(&q, st);
}

static ps_status add_other(ps_catalog *catalog, uint64_t id, size_t position, const char *version)
{
    ps_stmt q;
    ps_status st = ps_stmt_begin(
        &q, catalog,
        "INSERT INTO job_model(job_id,position,version)"
        " SELECT ?1,?2,?3 WHERE EXISTS(SELECT 1 FROM model_version WHERE path=?3 AND current)");
    if (st)
        return st;
    ps_stmt_u64(&q, 1, id);
    ps_stmt_u64(&q, 2, position);
    ps_stmt_text(&q, 3, version);
    st = ps_stmt_run(&q);
    if (!st && ps_stmt_changes(&q) == 0)
        st = replaced();
    return ps_stmt_end(&q, st);
}

ps_status ps_catalog_job_add(ps_catalog *catalog, const ps_job_record *r, uint64_t *id)
{
    uint64_t added = 0;
    ps_status st = ps_db_transaction(catalog);
    if (st)
        return st;
    st = add_row(catalog, r, &added);
    for (size_t i = 0; !st && i < r->n_others; i++)
        st = add_other(catalog, added, i, r->others[i]);
    st = ps_db_transaction_end(catalog, st);
    if (!st)
        *id = added;
    return st;
}

ps_status ps_catalog_job_update(ps_catalog *catalog, const ps_job_record *r)
{
    uint8_t progress[PROGRESS_MAX];
    ps_stmt q;
    ps_status st = ps_stmt_begin(
        &q, catalog,
        "UPDATE job SET state=?2,reason=ps_seal(?3,'job.reason',id),started_ms=?4,ended_ms=?5,"
        "result=ps_seal(?6,'job.result',id),progress=ps_seal(?7,'job.progress',id),"
        "sources=ps_seal(?8,'job.sources',id) WHERE id=?1");
    if (st)
        return st;
    ps_stmt_u64(&q, 1, r->id);
    ps_stmt_i64(&q, 2, r->state);
    ps_stmt_text(&q, 3, r->reason);
    ps_stmt_i64(&q, 4, r->started_ms);
    ps_stmt_i64(&q, 5, r->ended_ms);
    ps_stmt_text(&q, 6, r->result);
    ps_stmt_blob(&q, 7, pack_progress(r, progress));
    ps_stmt_text(&q, 8, r->sources ? r->sources : "");
    st = ps_stmt_run(&q);
    if (!st && ps_stmt_changes(&q) == 0)
        st = ps_fail(PS_NOT_FOUND, "job %" PRIu64 " does not exist", r->id);
    return ps_stmt_end(&q, st);
}

ps_status ps_catalog_job_use(ps_catalog *catalog, uint64_t id, const char *version)
{
    ps_stmt q;
    ps_status st = ps_stmt_begin(&q, catalog, "UPDATE job SET model_version=?2 WHERE id=?1");
    if (st)
        return st;
    ps_stmt_u64(&q, 1, id);
    ps_stmt_text(&q, 2, version);
    return ps_stmt_end(&q, ps_stmt_run(&q));
}

static ps_status cancel(ps_catalog *catalog, uint64_t id, const char *reason)
{
    ps_stmt q;
    ps_status st = ps_stmt_begin(
        &q, catalog,
        "UPDATE job SET cancel=CASE cancel WHEN '' THEN ?2 ELSE cancel END WHERE id=?1");
    if (st)
        return st;
    ps_stmt_u64(&q, 1, id);
    ps_stmt_text(&q, 2, reason);
    st = ps_stmt_run(&q);
    if (!st && ps_stmt_changes(&q) == 0)
        st = ps_fail(PS_NOT_FOUND, "job %" PRIu64 " does not exist", id);
    return ps_stmt_end(&q, st);
}

ps_status ps_catalog_job_cancel(ps_catalog *catalog, uint64_t id, const char *reason)
{
    ps_status st;
    do
        st = cancel(catalog, id, reason);
    while (ps_db_made_room(catalog, st));
    return st;
}

static void read_others(ps_stmt *q, int column, ps_job_record *r)
{
    char *all = ps_stmt_get_text(q, column);
    size_t most = 1;
    for (const char *at = all; *at; at++)
        most += *at == '\n';
    r->others = ps_alloc_array(most, sizeof *r->others);
    for (const char *at = all; *at; at += *at == '\n') {
        size_t len = strcspn(at, "\n");
        r->others[r->n_others++] = ps_asprintf("%.*s", (int)len, at);
        at += len;
    }
    ps_free(&all);
}

/* Of a row that starts with COLUMNS; spec is column 14 where it was asked for. */
static ps_job_record *read_row(ps_stmt *q, bool with_spec)
{
    ps_job_record *r = ps_new(ps_job_record);
    r->id = ps_stmt_get_u64(q, 0);
    r->name = ps_stmt_get_text(q, 1);
    r->kind = ps_stmt_get_text(q, 2);
    int64_t state = ps_stmt_get_i64(q, 3);
    r->state =
        state > PS_JOB_NONE && state < PS_JOB_STATE_COUNT ? (ps_job_state)state : PS_JOB_FAILED;
    r->reason = ps_stmt_get_text(q, 4);
    r->submitter = ps_stmt_get_text(q, 5);
    r->submitted_ms = ps_stmt_get_i64(q, 6);
    r->started_ms = ps_stmt_get_i64(q, 7);
    r->ended_ms = ps_stmt_get_i64(q, 8);
    r->result = ps_stmt_get_text(q, 9);
    unpack_progress(ps_stmt_get_blob(q, 10), r);
    r->model_version = ps_stmt_get_text(q, 11);
    read_others(q, 12, r);
    r->cancel = ps_stmt_get_text(q, 13);
    r->spec = with_spec ? ps_stmt_get_text(q, 14) : ps_strdup("");
    r->sources = with_spec ? ps_stmt_get_text(q, 15) : NULL;
    return r;
}

static ps_status read_all(ps_stmt *q, bool with_spec, ps_job_record ***out)
{
    size_t n = 0;
    ps_job_record **all = ps_alloc_array(1, sizeof *all);
    ps_status st;
    while ((st = ps_stmt_row(q)) == PS_OK) {
        all = ps_realloc(all, (n + 2) * sizeof *all);
        all[n++] = read_row(q, with_spec);
        all[n] = NULL;
    }
    if (st != PS_END) {
        ps_job_records_free(&all);
        return st;
    }
    *out = all;
    return PS_OK;
}

ps_status ps_catalog_job_get(ps_catalog *catalog, uint64_t id, ps_job_record **out)
{
    ps_stmt q;
    ps_status st = ps_stmt_begin(&q, catalog, "SELECT " COLUMNS SPEC " FROM job WHERE id=?1");
    if (st)
        return st;
    ps_stmt_u64(&q, 1, id);
    st = ps_stmt_row(&q);
    if (!st)
        *out = read_row(&q, true);
    else if (st == PS_END)
        st = ps_fail(PS_NOT_FOUND, "job %" PRIu64 " does not exist", id);
    return ps_stmt_end(&q, st);
}

ps_status ps_catalog_job_list(ps_catalog *catalog, ps_job_state state, uint64_t before,
                              size_t limit, ps_job_record ***out)
{
    ps_stmt q;
    ps_status st = ps_stmt_begin(&q, catalog,
                                 "SELECT " COLUMNS " FROM job WHERE id<?3 AND (?1=0 OR state=?1)"
                                 " ORDER BY id DESC LIMIT ?2");
    if (st)
        return st;
    ps_stmt_i64(&q, 1, state);
    ps_stmt_i64(&q, 2, limit ? (int64_t)limit : -1);
    ps_stmt_i64(&q, 3, before && before < INT64_MAX ? (int64_t)before : INT64_MAX);
    return ps_stmt_end(&q, read_all(&q, false, out));
}

ps_status ps_catalog_job_unfinished(ps_catalog *catalog, ps_job_record ***out)
{
    ps_stmt q;
    ps_status st = ps_stmt_begin(
        &q, catalog, "SELECT " COLUMNS SPEC " FROM job WHERE state IN (1,2,3) ORDER BY id");
    if (st)
        return st;
    return ps_stmt_end(&q, read_all(&q, true, out));
}
