/* Happy path: a version of a model is one row and a row a tensor, written together; which version a
 * name means is a flag of the row. A shape is its dimensions as u64, little-endian; test metrics
 * are JSON. A row that cannot be read (a shape too long) is PS_CORRUPT. */
#include "server/catalog/models.h"

#include "common/base/mem.h"
#include "common/base/slice.h"
#include "server/catalog/db.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS                                                                             \
    "name,config,parameters,bytes,job_id,created_ms,has_test,loss,test_metrics,path,owner," \
    "forms,tensor_bytes,parent,parent_version"
#define VALUES                                                                              \
    "name,ps_open(config,'model.config',path),parameters,bytes,job_id,created_ms,"          \
    "has_test,ps_open(loss,'model.loss',path),"                                             \
    "ps_open(test_metrics,'model.test_metrics',path),path,owner,forms,tensor_bytes,parent," \
    "parent_version"

void ps_model_record_free(ps_model_record **record)
{
    ps_model_record *r = *record;
    if (!r)
        return;
    for (size_t i = 0; i < r->n_tensors; i++)
        free(r->tensors[i].name);
    free(r->tensors);
    free(r->name);
    free(r->config);
    free(r->path);
    free(r->owner);
    free(r->forms);
    free(r->parent);
    free(r->parent_version);
    free(r->lineage);
    ps_free(record);
}

void ps_model_records_free(ps_model_record ***records)
{
    if (!*records)
        return;
    for (ps_model_record **r = *records; *r; r++)
        ps_model_record_free(r);
    ps_free(records);
}

/* As it is stored: one that is no number (a training that diverged) is "". */
enum { LOSS_TEXT = 32 };
static const char *loss_text(double loss, char out[LOSS_TEXT])
{
    (void)snprintf(out, LOSS_TEXT, isnan(loss) ? "" : "%.17g", loss);
    return out;
}

static ps_status put_row(ps_catalog *catalog, const ps_model_record *r)
{
    ps_buf metrics = PS_BUF_EMPTY;
    ps_stmt q;
    ps_status st = ps_stmt_begin(&q, catalog,
                                 "INSERT INTO model_version(" COLUMNS ",current,lineage)"
                                 " SELECT ?1,ps_seal(?2,'model.config',?10),?3,?4,?5,?6,?7,"
                                 "ps_seal(?8,'model.loss',?10),"
                                 "ps_seal(?9,'model.test_metrics',?10),?10,?11,?12,?13,"
                                 "coalesce(p.name,?15),coalesce(j.model_version,?16),0,"
                                 "ps_seal(?14,'model.lineage',?10)"
                                 " FROM (SELECT 1) LEFT JOIN job AS j ON j.id=?5"
                                 " LEFT JOIN model_version AS p ON p.path=j.model_version");
    if (st)
        return st;
    ps_stmt_text(&q, 1, r->name);
    ps_stmt_text(&q, 2, r->config);
    ps_stmt_u64(&q, 3, r->parameters);
    ps_stmt_u64(&q, 4, r->bytes);
    ps_stmt_u64(&q, 5, r->job_id);
    ps_stmt_i64(&q, 6, r->created_ms);
    ps_stmt_i64(&q, 7, r->has_test);
    char loss[LOSS_TEXT];
    ps_stmt_text(&q, 8, loss_text(r->test_loss, loss));
    ps_metric_list_format(&r->test_metrics, &metrics);
    ps_stmt_text(&q, 9, ps_buf_cstr(&metrics));
    ps_stmt_text(&q, 10, r->path);
    ps_stmt_text(&q, 11, r->owner ? r->owner : "");
    ps_stmt_text(&q, 12, r->forms ? r->forms : "float32");
    ps_stmt_u64(&q, 13, r->tensor_bytes);
    ps_stmt_text(&q, 14, r->lineage ? r->lineage : "");
    ps_stmt_text(&q, 15, r->parent ? r->parent : "");
    ps_stmt_text(&q, 16, r->parent_version ? r->parent_version : "");
    st = ps_stmt_end(&q, ps_stmt_run(&q));
    ps_buf_free(&metrics);
    return st;
}

static ps_status put_tensor(ps_catalog *catalog, const char *path, size_t position,
                            const ps_model_tensor *t)
{
    char form[PS_FORM_TEXT] = "float32";
    if (t->form.row)
        (void)ps_form_text(t->form, form);
    uint8_t shape[PS_MODEL_RANK_MAX * 8];
    for (uint32_t d = 0; d < t->rank && d < PS_MODEL_RANK_MAX; d++)
        ps_put_u64le(&shape[8 * d], t->shape[d]);
    ps_stmt q;
    ps_status st = ps_stmt_begin(
        &q, catalog,
        "INSERT INTO model_version_tensor(path,position,name,shape,form) VALUES(?1,?2,?3,?4,?5)");
    if (st)
        return st;
    ps_stmt_text(&q, 1, path);
    ps_stmt_u64(&q, 2, position);
    ps_stmt_text(&q, 3, t->name);
    ps_stmt_blob(&q, 4, ps_slice_of(shape, (size_t)t->rank * 8));
    ps_stmt_text(&q, 5, form);
    return ps_stmt_end(&q, ps_stmt_run(&q));
}

/* One statement with one text; *changed rows of it. */
static ps_status change(ps_catalog *catalog, const char *sql, const char *text, int *changed)
{
    ps_stmt q;
    ps_status st = ps_stmt_begin(&q, catalog, sql);
    if (st)
        return st;
    ps_stmt_text(&q, 1, text);
    st = ps_stmt_run(&q);
    *changed = ps_stmt_changes(&q);
    return ps_stmt_end(&q, st);
}

static ps_status unname(ps_catalog *catalog, const char *name, int *changed)
{
    return change(catalog, "UPDATE model_version SET current=0 WHERE name=?1 AND current", name,
                  changed);
}

ps_status ps_catalog_model_add(ps_catalog *catalog, const ps_model_record *record)
{
    for (size_t i = 0; i < record->n_tensors; i++)
        if (record->tensors[i].rank > PS_MODEL_RANK_MAX)
            return ps_fail(PS_INVALID_ARGUMENT, "tensor %s: rank %u, at most %d",
                           record->tensors[i].name, record->tensors[i].rank, PS_MODEL_RANK_MAX);
    ps_status st = ps_db_transaction(catalog);
    if (st)
        return st;
    st = put_row(catalog, record);
    for (size_t i = 0; !st && i < record->n_tensors; i++)
        st = put_tensor(catalog, record->path, i, &record->tensors[i]);
    st = ps_db_transaction_end(catalog, st);
    return st ? ps_wrap(st, "model '%s'", record->name) : PS_OK;
}

ps_status ps_catalog_model_tested(ps_catalog *catalog, const char *path, double loss,
                                  const ps_metric_list *metrics)
{
    ps_stmt q;
    ps_buf text = PS_BUF_EMPTY;
    ps_status st = ps_stmt_begin(&q, catalog,
                                 "UPDATE model_version SET has_test=1,"
                                 "loss=ps_seal(?2,'model.loss',path),"
                                 "test_metrics=ps_seal(?3,'model.test_metrics',path)"
                                 " WHERE path=?1");
    if (st)
        return st;
    ps_metric_list_format(metrics, &text);
    ps_stmt_text(&q, 1, path);
    char number[LOSS_TEXT];
    ps_stmt_text(&q, 2, loss_text(loss, number));
    ps_stmt_text(&q, 3, ps_buf_cstr(&text));
    st = ps_stmt_end(&q, ps_stmt_run(&q));
    ps_buf_free(&text);
    return st;
}

ps_status ps_catalog_model_publish(ps_catalog *catalog, const char *name, const char *path)
{
    int changed = 0;
    ps_status st = ps_db_transaction(catalog);
    if (st)
        return st;
    st = unname(catalog, name, &changed);
    if (!st)
        st = change(catalog, "UPDATE model_version SET current=1 WHERE path=?1", path, &changed);
    if (!st && changed == 0)
        st = ps_fail(PS_NOT_FOUND, "there is no version %s", path);
    st = ps_db_transaction_end(catalog, st);
    return st ? ps_wrap(st, "model '%s'", name) : PS_OK;
}

static ps_status read_row(ps_stmt *q, ps_model_record **out)
{
    ps_model_record *r = ps_new(ps_model_record);
    r->name = ps_stmt_get_text(q, 0);
    r->config = ps_stmt_get_text(q, 1);
    r->parameters = ps_stmt_get_u64(q, 2);
    r->bytes = ps_stmt_get_u64(q, 3);
    r->job_id = ps_stmt_get_u64(q, 4);
    r->created_ms = ps_stmt_get_i64(q, 5);
    r->has_test = ps_stmt_get_i64(q, 6) != 0;
    char *loss = ps_stmt_get_text(q, 7);
    r->test_loss = *loss ? strtod(loss, NULL) : NAN;
    ps_free(&loss);
    r->path = ps_stmt_get_text(q, 9);
    r->owner = ps_stmt_get_text(q, 10);
    r->forms = ps_stmt_get_text(q, 11);
    r->tensor_bytes = ps_stmt_get_u64(q, 12);
    r->parent = ps_stmt_get_text(q, 13);
    r->parent_version = ps_stmt_get_text(q, 14);
    char *metrics = ps_stmt_get_text(q, 8);
    ps_status st = ps_metric_list_parse(ps_slice_str(metrics), &r->test_metrics);
    ps_free(&metrics);
    if (st) {
        st = ps_wrap(st, "catalog: model '%s'", r->name);
        ps_model_record_free(&r);
        return st;
    }
    *out = r;
    return PS_OK;
}

/* A later psd's forms are in a later schema. */
static ps_status read_form(ps_stmt *q, const ps_model_record *r, ps_model_tensor *t)
{
    char *text = ps_stmt_get_text(q, 2);
    bool known = !strcmp(text, "float32") || ps_form_parse_stored(text, &t->form);
    ps_free(&text);
    return known ? PS_OK
                 : ps_fail(PS_CORRUPT, "catalog: model '%s': tensor %s has no valid form", r->name,
                           t->name);
}

static ps_status read_tensor(ps_stmt *q, ps_model_record *r)
{
    ps_slice shape = ps_stmt_get_blob(q, 1);
    if (shape.len % 8 != 0 || shape.len / 8 > PS_MODEL_RANK_MAX)
        return ps_fail(PS_CORRUPT, "catalog: model '%s': tensor %zu has no valid shape", r->name,
                       r->n_tensors);
    r->tensors = ps_realloc(r->tensors, (r->n_tensors + 1) * sizeof *r->tensors);
    ps_model_tensor *t = &r->tensors[r->n_tensors++];
    *t = (ps_model_tensor){.name = ps_stmt_get_text(q, 0), .rank = (uint32_t)(shape.len / 8)};
    ps_cursor c = ps_cursor_of(shape);
    for (uint32_t d = 0; d < t->rank; d++)
        t->shape[d] = ps_read_u64le(&c);
    return read_form(q, r, t);
}

static ps_status read_tensors(ps_catalog *catalog, ps_model_record *r)
{
    ps_stmt q;
    ps_status st = ps_stmt_begin(
        &q, catalog,
        "SELECT name,shape,form FROM model_version_tensor WHERE path=?1 ORDER BY position");
    if (st)
        return st;
    ps_stmt_text(&q, 1, r->path);
    while ((st = ps_stmt_row(&q)) == PS_OK) {
        st = read_tensor(&q, r);
        if (st)
            break;
    }
    return ps_stmt_end(&q, st == PS_END ? PS_OK : st);
}

/* The row that the statement finds with these texts (the second may be NULL), with its tensors.
 * PS_END: none. */
static ps_status get(ps_catalog *catalog, const char *sql, const char *first, const char *second,
                     ps_model_record **out)
{
    ps_model_record *r = NULL;
    ps_stmt q;
    ps_status st = ps_stmt_begin(&q, catalog, sql);
    if (st)
        return st;
    ps_stmt_text(&q, 1, first);
    if (second)
        ps_stmt_text(&q, 2, second);
    st = ps_stmt_row(&q);
    if (!st)
        st = read_row(&q, &r);
    if (!st)
        st = read_tensors(catalog, r); /* the mutex is held: of one moment */
    st = ps_stmt_end(&q, st);
    if (st)
        ps_model_record_free(&r);
    else
        *out = r;
    return st;
}

ps_status ps_catalog_model_get(ps_catalog *catalog, const char *name, ps_model_record **out)
{
    ps_status st = get(catalog, "SELECT " VALUES " FROM model_version WHERE name=?1 AND current",
                       name, NULL, out);
    return st == PS_END
               ? ps_fail(PS_NOT_FOUND,
                         "model '%s' does not exist; psctl models lists those that do", name)
               : st;
}

ps_status ps_catalog_model_version(ps_catalog *catalog, const char *name, const char *version,
                                   ps_model_record **out)
{
    if (!*version)
        return ps_catalog_model_get(catalog, name, out);
    ps_status st = get(catalog, "SELECT " VALUES " FROM model_version WHERE path=?1 AND name=?2",
                       version, name, out);
    return st == PS_END ? ps_fail(PS_NOT_FOUND,
                                  "model '%s' has no version %s (any more): it was replaced or "
                                  "deleted",
                                  name, version)
                        : st;
}

ps_status ps_catalog_model_count(ps_catalog *catalog, uint64_t *out)
{
    ps_stmt q;
    ps_status st = ps_stmt_begin(&q, catalog, "SELECT COUNT(*) FROM model_version WHERE current");
    if (st)
        return st;
    st = ps_stmt_row(&q);
    if (!st)
        *out = ps_stmt_get_u64(&q, 0);
    return ps_stmt_end(&q, st);
}

ps_status ps_catalog_model_list(ps_catalog *catalog, const char *after, size_t limit,
                                ps_model_record ***out)
{
    ps_stmt q;
    ps_status st = ps_stmt_begin(
        &q, catalog,
        "SELECT " VALUES " FROM model_version WHERE current AND name>?1 ORDER BY name LIMIT ?2");
    if (st)
        return st;
    ps_stmt_text(&q, 1, after);
    ps_stmt_i64(&q, 2, limit ? (int64_t)limit : -1);
    size_t n = 0;
    ps_model_record **all = ps_alloc_array(1, sizeof *all);
    while ((st = ps_stmt_row(&q)) == PS_OK) {
        all = ps_realloc(all, (n + 2) * sizeof *all);
        all[n] = all[n + 1] = NULL;
        st = read_row(&q, &all[n]);
        if (st)
            break;
        n++;
    }
    if (st != PS_END) {
        ps_model_records_free(&all);
        return ps_stmt_end(&q, st);
    }
    *out = all;
    return ps_stmt_end(&q, PS_OK);
}

ps_status ps_catalog_model_delete(ps_catalog *catalog, const char *name)
{
    int changed = 0;
    ps_status st;
    do
        st = unname(catalog, name, &changed);
    while (ps_db_made_room(catalog, st));
    if (!st && changed == 0)
        return ps_fail(PS_NOT_FOUND, "model '%s' does not exist; psctl models lists those that do",
                       name);
    return st;
}

ps_status ps_catalog_model_unused(ps_catalog *catalog, const char *after, char **path)
{
    ps_stmt q;
    ps_status st = ps_stmt_begin(&q, catalog,
                                 "SELECT path FROM model_version WHERE NOT current AND path>?1"
                                 " AND path NOT IN"
                                 " (SELECT model_version FROM job WHERE state IN (1,2,3))"
                                 " AND path NOT IN"
                                 " (SELECT version FROM job_model JOIN job ON job.id=job_id"
                                 "  WHERE state IN (1,2,3))"
                                 " AND rowid NOT IN"
                                 " (SELECT max(v.rowid) FROM model_version AS v"
                                 "  JOIN job ON job.id=v.job_id"
                                 "  WHERE job.kind='compress' AND job.state IN (1,2,3)"
                                 "  GROUP BY v.job_id, v.name)"
                                 " ORDER BY path LIMIT 1");
    if (st)
        return st;
    ps_stmt_text(&q, 1, after);
    st = ps_stmt_row(&q);
    if (!st)
        *path = ps_stmt_get_text(&q, 0);
    return ps_stmt_end(&q, st);
}

ps_status ps_catalog_model_forget(ps_catalog *catalog, const char *path)
{
    int changed = 0;
    ps_status st;
    do
        st = change(catalog, "DELETE FROM model_version WHERE path=?1 AND NOT current", path,
                    &changed);
    while (ps_db_made_room(catalog, st));
    return st;
}

ps_status ps_catalog_model_known(ps_catalog *catalog, const char *path, bool *known)
{
    ps_stmt q;
    ps_status st = ps_stmt_begin(&q, catalog, "SELECT 1 FROM model_version WHERE path=?1");
    if (st)
        return st;
    ps_stmt_text(&q, 1, path);
    st = ps_stmt_row(&q);
    *known = st == PS_OK;
    return ps_stmt_end(&q, st == PS_END ? PS_OK : st);
}

/* "[784, 10]" */
static void shape_text(const ps_model_tensor *t, char *out, size_t size)
{
    size_t at = (size_t)snprintf(out, size, "[");
    for (uint32_t d = 0; d < t->rank && at < size; d++)
        at += (size_t)snprintf(out + at, size - at, "%s%" PRIu64, d ? ", " : "", t->shape[d]);
    if (at < size)
        (void)snprintf(out + at, size - at, "]");
}

static const ps_model_tensor *find_tensor(const ps_model_record *r, const char *name)
{
    for (size_t i = 0; i < r->n_tensors; i++)
        if (strcmp(r->tensors[i].name, name) == 0)
            return &r->tensors[i];
    return NULL;
}

static ps_status fits(const ps_model_record *stored, const ps_model_tensor *tensors, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const ps_model_tensor *mine = &tensors[i];
        const ps_model_tensor *there = find_tensor(stored, mine->name);
        if (!there)
            return ps_fail(PS_FAILED_PRECONDITION,
                           "model '%s' exists and has no tensor %s; use another name or delete it",
                           stored->name, mine->name);
        if (there->rank == mine->rank &&
            memcmp(there->shape, mine->shape, mine->rank * sizeof *mine->shape) == 0)
            continue;
        char is[192], wants[192];
        shape_text(there, is, sizeof is);
        shape_text(mine, wants, sizeof wants);
        return ps_fail(PS_FAILED_PRECONDITION,
                       "model '%s' exists with other shapes: tensor %s is %s there and %s in this "
                       "job; use another name or delete it",
                       stored->name, mine->name, is, wants);
    }
    if (stored->n_tensors != n)
        return ps_fail(PS_FAILED_PRECONDITION,
                       "model '%s' exists with %zu tensors, this job has %zu; use another name or "
                       "delete it",
                       stored->name, stored->n_tensors, n);
    return PS_OK;
}

ps_status ps_catalog_model_fits(ps_catalog *catalog, const char *name,
                                const ps_model_tensor *tensors, size_t n)
{
    ps_model_record *stored = NULL;
    ps_status st = ps_catalog_model_get(catalog, name, &stored);
    if (st == PS_NOT_FOUND)
        return PS_OK;
    if (st)
        return st;
    st = fits(stored, tensors, n);
    ps_model_record_free(&stored);
    return st;
}
