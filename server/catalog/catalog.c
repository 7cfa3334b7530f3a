/* Happy path: open, check that the file is whole, bring its schema up to date, and keep the
 * connection. A file that is not a catalog, is damaged, is of a newer psd or in use is refused
 * before anything is written to it. */
#include "server/catalog/catalog.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "server/catalog/values.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Step i brings a catalog of version i to i + 1. Never change one that has been released: add. */
static const char *const migrations[] = {
    "CREATE TABLE job ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, kind TEXT NOT NULL,"
    "  state INTEGER NOT NULL, reason TEXT NOT NULL, submitter TEXT NOT NULL,"
    "  submitted_ms INTEGER NOT NULL, started_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL,"
    "  spec TEXT NOT NULL, result TEXT NOT NULL, progress BLOB NOT NULL) STRICT;"
    "CREATE INDEX job_state ON job(state);"
    "CREATE TABLE model ("
    "  name TEXT PRIMARY KEY, config TEXT NOT NULL, parameters INTEGER NOT NULL,"
    "  bytes INTEGER NOT NULL, job_id INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
    "  has_test INTEGER NOT NULL, test_loss REAL, test_accuracy REAL,"
    "  path TEXT NOT NULL) STRICT;"
    "CREATE TABLE model_tensor ("
    "  model TEXT NOT NULL REFERENCES model(name) ON DELETE CASCADE, position INTEGER NOT NULL,"
    "  name TEXT NOT NULL, shape BLOB NOT NULL, PRIMARY KEY (model, position)) STRICT;"
    "CREATE TABLE artifact ("
    "  job_id INTEGER NOT NULL REFERENCES job(id), name TEXT NOT NULL, bytes INTEGER NOT NULL,"
    "  created_ms INTEGER NOT NULL, path TEXT NOT NULL, PRIMARY KEY (job_id, name)) STRICT;",
    /* a model's test metrics: {"accuracy":0.9} */
    "ALTER TABLE model ADD COLUMN test_metrics TEXT NOT NULL DEFAULT '{}';"
    "UPDATE model SET test_metrics=json_object('accuracy',test_accuracy) WHERE has_test;"
    "ALTER TABLE model DROP COLUMN test_accuracy;",
    /* who may replace and delete a model; '' (imported before): an admin */
    "ALTER TABLE model ADD COLUMN owner TEXT NOT NULL DEFAULT '';"
    "UPDATE model SET owner=coalesce((SELECT submitter FROM job WHERE job.id=model.job_id),'');",
    /* a row a version of a model, and which one a job works on ('': on none) */
    "CREATE TABLE model_version ("
    "  path TEXT PRIMARY KEY, name TEXT NOT NULL, current INTEGER NOT NULL, config TEXT NOT NULL,"
    "  parameters INTEGER NOT NULL, bytes INTEGER NOT NULL, job_id INTEGER NOT NULL,"
    "  created_ms INTEGER NOT NULL, has_test INTEGER NOT NULL, test_loss REAL,"
    "  test_metrics TEXT NOT NULL, owner TEXT NOT NULL) STRICT;"
    "CREATE UNIQUE INDEX model_version_current ON model_version(name) WHERE current;"
    "INSERT INTO model_version SELECT path,name,1,config,parameters,bytes,job_id,created_ms,"
    "  has_test,test_loss,test_metrics,owner FROM model;"
    "CREATE TABLE model_version_tensor ("
    "  path TEXT NOT NULL REFERENCES model_version(path) ON DELETE CASCADE,"
    "  position INTEGER NOT NULL, name TEXT NOT NULL, shape BLOB NOT NULL,"
    "  PRIMARY KEY (path, position)) STRICT;"
    "INSERT INTO model_version_tensor SELECT model.path,position,model_tensor.name,shape"
    "  FROM model_tensor JOIN model ON model.name=model_tensor.model;"
    "DROP TABLE model_tensor; DROP TABLE model;"
    "ALTER TABLE job ADD COLUMN model_version TEXT NOT NULL DEFAULT '';",
    /* that a job is to be cancelled, and why; what an operator has set */
    "ALTER TABLE job ADD COLUMN cancel TEXT NOT NULL DEFAULT '';"
    "CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;",
    /* what was said of a job; files whose rows are gone, until they are */
    "CREATE TABLE job_line ("
    "  job_id INTEGER NOT NULL REFERENCES job(id) ON DELETE CASCADE, number INTEGER NOT NULL,"
    "  time_ms INTEGER NOT NULL, level INTEGER NOT NULL, source TEXT NOT NULL, text TEXT NOT NULL,"
    "  PRIMARY KEY (job_id, number)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE doomed_file (path TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;"
    "CREATE INDEX artifact_made ON artifact(created_ms);"
    "CREATE INDEX job_ended ON job(ended_ms);"
    "CREATE INDEX model_job ON model_version(job_id);",
    /* what tensors are stored as */
    "ALTER TABLE model_version ADD COLUMN forms TEXT NOT NULL DEFAULT 'float32';"
    "ALTER TABLE model_version ADD COLUMN tensor_bytes INTEGER NOT NULL DEFAULT 0;"
    "UPDATE model_version SET tensor_bytes=4*parameters;"
    "ALTER TABLE model_version_tensor ADD COLUMN form TEXT NOT NULL DEFAULT 'float32';",
    /* which model, of which version, the job had that made this one */
    "ALTER TABLE model_version ADD COLUMN parent TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE model_version ADD COLUMN parent_version TEXT NOT NULL DEFAULT '';"
    "UPDATE model_version SET parent_version=coalesce("
    "  (SELECT job.model_version FROM job WHERE job.id=model_version.job_id),'');"
    "UPDATE model_version SET parent=coalesce("
    "  (SELECT p.name FROM model_version AS p WHERE p.path=model_version.parent_version),'');",
    /* the version of the model that teaches a job ('': none does) */
    "ALTER TABLE job ADD COLUMN teacher_version TEXT NOT NULL DEFAULT '';",
    /* likewise of as many models as a job uses beside its own, in the order of its file */
    "CREATE TABLE job_model ("
    "  job_id INTEGER NOT NULL REFERENCES job(id) ON DELETE CASCADE, position INTEGER NOT NULL,"
    "  version TEXT NOT NULL, PRIMARY KEY (job_id, position)) STRICT, WITHOUT ROWID;"
    "INSERT INTO job_model SELECT id,0,teacher_version FROM job WHERE teacher_version!='';"
    "ALTER TABLE job DROP COLUMN teacher_version;",
    /* a model's loss as text, which can be sealed ('': none, or no number) */
    "ALTER TABLE model_version ADD COLUMN loss TEXT NOT NULL DEFAULT '';"
    "UPDATE model_version SET loss=printf('%!.17g',test_loss) WHERE test_loss IS NOT NULL;"
    "ALTER TABLE model_version DROP COLUMN test_loss;",
    /* where a model comes from (lineage.h), and which files of data workers have read for a job */
    "ALTER TABLE model_version ADD COLUMN lineage TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE job ADD COLUMN sources TEXT NOT NULL DEFAULT '';",
};
enum { SCHEMA_VERSION = sizeof migrations / sizeof *migrations };

/* The lock is kept as long as the catalog is open: two psd on one file would run every job twice.
 */
static const char *const exclusive = "PRAGMA locking_mode=EXCLUSIVE";
static const char *const settings =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
    "PRAGMA trusted_schema=OFF;"
    "PRAGMA temp_store=MEMORY;"; /* what is sorted is nowhere on the disk as it is */

/* One number that a pragma answers with, or a query. */
static ps_status pragma_number(ps_catalog *c, const char *sql, int64_t *out)
{
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(c->db, sql, -1, &stmt, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(stmt);
    ps_status st = PS_OK;
    if (code == SQLITE_ROW)
        *out = sqlite3_column_int64(stmt, 0);
    else
        st = ps_db_fail(c, code);
    (void)sqlite3_finalize(stmt);
    return st;
}

/* What quick_check says; a file that could not be read is damage to it. */
static ps_status judge(ps_catalog *c, const char *said)
{
    if (said && strcmp(said, "ok") == 0)
        return PS_OK;
    ps_status st = ps_db_storage_failed(c);
    return st ? st
              : ps_fail(PS_CORRUPT, "catalog %s: is damaged (%s); restore it from a backup",
                        c->path, said ? said : "no answer");
}

/* Pages, records and their order; not the indexes' every entry, so it stays fast when large. */
static ps_status check_whole(ps_catalog *c)
{
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(c->db, "PRAGMA quick_check(1)", -1, &stmt, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(stmt);
    ps_status st = code == SQLITE_ROW ? judge(c, (const char *)sqlite3_column_text(stmt, 0))
                                      : ps_db_fail(c, code);
    (void)sqlite3_finalize(stmt);
    return st;
}

static ps_status migrate_step(ps_catalog *c, int64_t from)
{
    char version[64];
    (void)sqlite3_snprintf(sizeof version, version, "PRAGMA user_version=%d", (int)from + 1);
    ps_status st = ps_db_transaction(c);
    if (st)
        return st;
    st = ps_db_exec(c, migrations[from]);
    if (!st)
        st = ps_db_exec(c, version);
    return ps_db_transaction_end(c, st);
}

/* A file of somebody else's has version 0 and tables, and is left alone. */
static ps_status check_empty(ps_catalog *c)
{
    int64_t tables = 0;
    ps_status st = pragma_number(c, "SELECT count(*) FROM sqlite_master", &tables);
    if (!st && tables > 0)
        return ps_fail(PS_CORRUPT, "catalog %s: is not a catalog of psd; move it away", c->path);
    return st;
}

static ps_status migrate(ps_catalog *c)
{
    int64_t version = 0;
    ps_status st = ps_db_exec(c, exclusive);
    if (!st)
        st = pragma_number(c, "PRAGMA user_version", &version);
    if (st)
        return st;
    if (version < 0 || version > SCHEMA_VERSION)
        return ps_fail(PS_FAILED_PRECONDITION,
                       "catalog %s: schema %lld is of a newer psd, this one knows up to %d; "
                       "start that newer psd",
                       c->path, (long long)version, SCHEMA_VERSION);
    st = version == 0 ? check_empty(c) : check_whole(c);
    if (!st) /* WAL is a property of the file: only set once it is known to be ours */
        st = ps_db_exec(c, settings);
    for (; !st && version < SCHEMA_VERSION; version++) {
        st = migrate_step(c, version);
        if (!st)
            ps_log_info("catalog", "schema=%lld -> %lld path=%s", (long long)version,
                        (long long)version + 1, c->path);
    }
    return st;
}

/* SQLite would make the file with the umask's rights; specs and paths are nobody else's. */
static ps_status make_private(const char *path)
{
    if (strcmp(path, ":memory:") == 0)
        return PS_OK;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return ps_fail_errno(errno, "catalog %s", path);
    close(fd);
    return PS_OK;
}

static ps_status connect_file(ps_catalog *c)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    int code = sqlite3_open_v2(c->path, &c->db, flags, c->vfs ? ps_vfs_name(c->vfs) : NULL);
    if (code != SQLITE_OK)
        return ps_db_fail(c, code);
    (void)sqlite3_extended_result_codes(c->db, 1);
    (void)sqlite3_busy_timeout(c->db, 1000);
    (void)sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    ps_status st = ps_values_create(c->db, &c->values);
    if (st)
        return st;
    ps_db_lock(c);
    st = migrate(c);
    ps_db_unlock(c);
    return st;
}

/* Pages that were free before values were sealed have old ones, too. Until they are gone the file
 * says so itself: this may fail on a full disk, and be cut by a crash. */
static ps_status wipe_what_was_plain(ps_catalog *c)
{
    int64_t left = 0;
    ps_status st = pragma_number(c, "PRAGMA application_id", &left);
    if (st || !left)
        return st;
    st = ps_db_exec(c, "VACUUM; PRAGMA wal_checkpoint(TRUNCATE);"
                       "PRAGMA application_id=0; PRAGMA wal_checkpoint(TRUNCATE)");
    if (!st)
        ps_log_notice("catalog", "sealed what was plain path=%s", c->path);
    return st;
}

ps_status ps_catalog_seal(ps_catalog *c, const ps_secret *key, const char *about)
{
    ps_db_lock(c);
    ps_values_set_key(c->values, key, about);
    ps_status st = ps_db_exec(c, "PRAGMA secure_delete=ON"); /* what is replaced is overwritten */
    st = st ? st : ps_values_seal_plain(c);
    st = st ? st : wipe_what_was_plain(c);
    ps_db_unlock(c);
    return st;
}

ps_status ps_catalog_is_sealed(ps_catalog *c, bool *is)
{
    int64_t found = 0;
    ps_db_lock(c);
    ps_status st =
        pragma_number(c,
                      "SELECT EXISTS(SELECT 1 FROM job WHERE substr(spec,1,1)=char(2)) OR EXISTS("
                      "SELECT 1 FROM model_version WHERE substr(config,1,1)=char(2))",
                      &found);
    ps_db_unlock(c);
    *is = found != 0;
    return st;
}

ps_status ps_catalog_open_in(const ps_catalog_storage *storage, const char *path, ps_catalog **out)
{
    ps_status st = make_private(path);
    if (st)
        return st;
    ps_catalog *c = ps_new(ps_catalog);
    c->path = ps_strdup(path);
    c->writes_left = PS_CATALOG_ALL;
    ps_mutex_init(&c->mutex);
    if (storage)
        st = ps_vfs_create(storage, &c->vfs);
    if (!st)
        st = connect_file(c);
    if (st)
        ps_catalog_close(&c);
    else
        *out = c;
    return st;
}

ps_status ps_catalog_open(const char *path, ps_catalog **out)
{
    return ps_catalog_open_in(NULL, path, out);
}

void ps_catalog_close(ps_catalog **catalog)
{
    ps_catalog *c = *catalog;
    if (!c)
        return;
    for (size_t i = 0; i < c->n_kept; i++)
        (void)sqlite3_finalize(c->kept[i].stmt);
    (void)sqlite3_close(c->db);
    ps_values_free(&c->values);
    ps_vfs_free(&c->vfs);
    ps_mutex_destroy(&c->mutex);
    ps_free(&c->path);
    ps_free(catalog);
}

void ps_catalog_set_make_room(ps_catalog *catalog, bool (*make_room)(void *), void *user)
{
    catalog->make_room = make_room;
    catalog->user = user;
}

void ps_catalog_limit_pages(ps_catalog *catalog, unsigned pages)
{
    char sql[64];
    (void)sqlite3_snprintf(sizeof sql, sql, "PRAGMA max_page_count=%u",
                           pages ? pages : 0xfffffffeu);
    ps_db_lock(catalog);
    if (ps_db_exec(catalog, sql))
        ps_log_warning("catalog", "%s", ps_error_message());
    ps_db_unlock(catalog);
}

void ps_catalog_limit_writes(ps_catalog *catalog, uint64_t writes)
{
    ps_db_lock(catalog);
    catalog->writes_left = writes;
    ps_db_unlock(catalog);
}
