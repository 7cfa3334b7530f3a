/* Happy path: the value, its column and its row go through AES-GCM, and what comes out is text. */
#include "server/catalog/values.h"

#include "common/base/base64.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/security/aead.h"

#include <string.h>

enum { MARK = 2 }; /* no text that is stored plain begins with it, and no message of protobuf's */

struct ps_values {
    ps_aead *aead; /* NULL: values are plain */
    char *about;
};

static ps_slice text_of(sqlite3_value *value)
{
    const void *data = sqlite3_value_blob(value);
    return ps_slice_of(data, (size_t)sqlite3_value_bytes(value));
}

/* "ABOUT COLUMN ROW" */
static void associated(const ps_values *v, sqlite3_value **arguments, ps_buf *out)
{
    ps_buf_puts(out, v->about);
    for (int i = 1; i < 3; i++) {
        ps_slice part = text_of(arguments[i]);
        ps_buf_putc(out, ' ');
        ps_buf_append(out, part.data, part.len);
    }
}

static void give(sqlite3_context *context, sqlite3_value *value, const ps_buf *bytes)
{
    if (sqlite3_value_type(value) == SQLITE_BLOB)
        sqlite3_result_blob64(context, bytes->len ? (const void *)bytes->data : "", bytes->len,
                              SQLITE_TRANSIENT);
    else
        sqlite3_result_text64(context, bytes->len ? (const char *)bytes->data : "", bytes->len,
                              SQLITE_TRANSIENT, SQLITE_UTF8);
}

static void seal(const ps_values *v, ps_slice plain, ps_slice aad, ps_buf *out)
{
    size_t len = PS_AEAD_NONCE + plain.len + PS_AEAD_TAG;
    uint8_t *sealed = ps_alloc(len);
    ps_random_public(sealed, PS_AEAD_NONCE);
    ps_aead_seal(v->aead, ps_slice_of(sealed, PS_AEAD_NONCE), aad, plain.data, plain.len,
                 sealed + PS_AEAD_NONCE);
    ps_buf_putc(out, MARK);
    ps_base64_write(out, ps_slice_of(sealed, len));
    ps_free(&sealed);
}

static bool is_sealed(ps_slice stored)
{
    return stored.len && stored.data[0] == MARK;
}

static ps_status open_value(const ps_values *v, ps_slice stored, ps_slice aad, ps_buf *out)
{
    if (!v->aead)
        return ps_fail(PS_CORRUPT, "it is sealed, and sealing.kek names no key");
    ps_buf sealed = PS_BUF_EMPTY;
    ps_status st = ps_base64_read(ps_slice_of(stored.data + 1, stored.len - 1), &sealed);
    if (!st && sealed.len < PS_AEAD_NONCE + PS_AEAD_TAG)
        st = ps_fail(PS_CORRUPT, "it is too short");
    if (!st) {
        size_t len = sealed.len - PS_AEAD_NONCE;
        ps_buf_reserve(out, len);
        st = ps_aead_open(v->aead, ps_slice_of(sealed.data, PS_AEAD_NONCE), aad,
                          sealed.data + PS_AEAD_NONCE, len, out->data);
        out->len = st ? 0 : len - PS_AEAD_TAG;
    }
    ps_buf_free(&sealed);
    return st;
}

static void refuse(sqlite3_context *context, sqlite3_value **arguments)
{
    ps_slice column = text_of(arguments[1]), row = text_of(arguments[2]);
    char *text = ps_asprintf("%.*s of %.*s: %s", (int)column.len, (const char *)column.data,
                             (int)row.len, (const char *)row.data, ps_error_message());
    sqlite3_result_error(context, text, -1);
    sqlite3_result_error_code(context, SQLITE_CORRUPT);
    ps_free(&text);
}

static void seal_function(sqlite3_context *context, int n, sqlite3_value **arguments)
{
    (void)n;
    const ps_values *v = sqlite3_user_data(context);
    ps_slice plain = text_of(arguments[0]);
    if (!v->aead && !is_sealed(plain)) {
        sqlite3_result_value(context, arguments[0]);
        return;
    }
    ps_buf aad = PS_BUF_EMPTY, out = PS_BUF_EMPTY;
    if (v->aead) {
        associated(v, arguments, &aad);
        seal(v, plain, ps_buf_slice(&aad), &out);
    } else { /* a worker's words, which must not read as sealed ones */
        ps_buf_putc(&out, '?');
        ps_buf_append(&out, plain.data + 1, plain.len - 1);
    }
    give(context, arguments[0], &out);
    ps_buf_free(&aad);
    ps_buf_free(&out);
}

static void open_function(sqlite3_context *context, int n, sqlite3_value **arguments)
{
    (void)n;
    const ps_values *v = sqlite3_user_data(context);
    ps_slice stored = text_of(arguments[0]);
    if (!is_sealed(stored)) {
        sqlite3_result_value(context, arguments[0]);
        return;
    }
    ps_buf aad = PS_BUF_EMPTY, out = PS_BUF_EMPTY;
    if (v->about)
        associated(v, arguments, &aad);
    if (open_value(v, stored, ps_buf_slice(&aad), &out))
        refuse(context, arguments);
    else
        give(context, arguments[0], &out);
    ps_buf_free(&aad);
    ps_buf_free(&out);
}

ps_status ps_values_create(sqlite3 *db, ps_values **out)
{
    const int flags = SQLITE_UTF8 | SQLITE_DIRECTONLY;
    ps_values *v = ps_new(ps_values);
    int code =
        sqlite3_create_function_v2(db, "ps_seal", 3, flags, v, seal_function, NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code =
            sqlite3_create_function_v2(db, "ps_open", 3, flags, v, open_function, NULL, NULL, NULL);
    if (code != SQLITE_OK) {
        ps_free(&v);
        return ps_fail(PS_NO_MEMORY, "catalog: %s", sqlite3_errstr(code));
    }
    *out = v;
    return PS_OK;
}

void ps_values_free(ps_values **values)
{
    if (!*values)
        return;
    ps_aead_free(&(*values)->aead);
    ps_free(&(*values)->about);
    ps_free(values);
}

void ps_values_set_key(ps_values *v, const ps_secret *key, const char *about)
{
    PS_REQUIRE(!v->aead);
    v->aead = ps_aead_new(ps_slice_of(ps_secret_const(key), PS_SECRET_BYTES));
    v->about = ps_strdup(about);
}

/* ---- what was plain ---- */

/* What is sealed; the same columns, with the same words, as in the statements of this folder. */
static const char *const seal_all[] = {
    "UPDATE job SET spec=ps_seal(spec,'job.spec',id),reason=ps_seal(reason,'job.reason',id),"
    "result=ps_seal(result,'job.result',id),progress=ps_seal(progress,'job.progress',id),"
    "sources=ps_seal(sources,'job.sources',id)"
    " WHERE substr(spec,1,1)!=char(2)",
    "UPDATE job_line SET text=ps_seal(text,'line.text',job_id||'.'||number)"
    " WHERE substr(text,1,1)!=char(2)",
    "UPDATE model_version SET config=ps_seal(config,'model.config',path),"
    "loss=ps_seal(loss,'model.loss',path),"
    "test_metrics=ps_seal(test_metrics,'model.test_metrics',path),"
    "lineage=ps_seal(lineage,'model.lineage',path)"
    " WHERE substr(config,1,1)!=char(2)",
};

ps_status ps_values_seal_plain(ps_catalog *c)
{
    ps_status st = ps_db_transaction(c);
    if (st)
        return st;
    int before = sqlite3_total_changes(c->db);
    for (size_t i = 0; !st && i < sizeof seal_all / sizeof *seal_all; i++)
        st = ps_db_exec(c, seal_all[i]);
    if (!st && sqlite3_total_changes(c->db) != before)
        st = ps_db_exec(c, "PRAGMA application_id=" PS_VALUES_LEFT);
    return ps_db_transaction_end(c, st);
}
