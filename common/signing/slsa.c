/* Happy path: the members of the record that are wanted are read by tables (json_rows.h); lists are
 * kept as they are, and written element by element. */
#include "common/signing/slsa.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/json/json_rows.h"
#include "common/signing/model_sign.h"
#include "common/signing/statement.h"

#include <string.h>

enum { WORD_MOST = 4096, JOB_FILE_MOST = 8 << 20 };

/* ---- reading the record ---- */

typedef struct record {
    ps_buf psd, cluster, server, audit_head, model, how, job_file;
    uint64_t job, started_ms, written_ms;
    bool has_format;
    ps_slice began_from, data, contributors; /* JSON, in the record's bytes */
} record;

static void free_record(record *l)
{
    ps_buf *all[] = {&l->psd,   &l->cluster, &l->server,  &l->audit_head,
                     &l->model, &l->how,     &l->job_file};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ps_buf_free(all[i]);
}

/* A text, "" or null: what is not known is empty. */
static ps_status read_text(ps_json_reader *r, size_t most, ps_buf *out)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    if (st || token.kind == PS_JSON_NULL)
        return st;
    if (token.kind != PS_JSON_STRING || token.text.len > most ||
        memchr(token.text.data, 0, token.text.len))
        return ps_fail(PS_CORRUPT, "a text of at most %zu bytes is expected", most);
    ps_buf_append(out, token.text.data, token.text.len);
    return PS_OK;
}

static ps_status read_count(ps_json_reader *r, uint64_t *out)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    *out = token.u64;
    return st || token.is_u64 ? st : ps_fail(PS_CORRUPT, "it is no count");
}

#define TEXT(type, member, most)                                  \
    static ps_status read_##member(ps_json_reader *r, void *user) \
    {                                                             \
        return read_text(r, most, &((type *)user)->member);       \
    }
#define COUNT(type, member)                                       \
    static ps_status read_##member(ps_json_reader *r, void *user) \
    {                                                             \
        return read_count(r, &((type *)user)->member);            \
    }
#define JSON(type, member)                                        \
    static ps_status read_##member(ps_json_reader *r, void *user) \
    {                                                             \
        return ps_json_value(r, &((type *)user)->member);         \
    }
TEXT(record, psd, WORD_MOST)
TEXT(record, cluster, WORD_MOST)
TEXT(record, server, WORD_MOST)
TEXT(record, audit_head, WORD_MOST)
TEXT(record, model, WORD_MOST)
TEXT(record, how, WORD_MOST)
TEXT(record, job_file, JOB_FILE_MOST)
COUNT(record, job)
COUNT(record, started_ms)
COUNT(record, written_ms)
JSON(record, began_from)
JSON(record, data)
JSON(record, contributors)

static ps_status read_format(ps_json_reader *r, void *user)
{
    record *l = user;
    ps_json_token token;
    ps_status st = ps_json_expect(r, PS_JSON_STRING, &token);
    l->has_format = !st && !strncmp((const char *)token.text.data, PS_PROVENANCE_FORMAT,
                                    strlen(PS_PROVENANCE_FORMAT));
    return st || l->has_format ? st : ps_fail(PS_CORRUPT, "it is not " PS_PROVENANCE_FORMAT "1");
}

static ps_status read_model_object(ps_json_reader *r, void *user)
{
    static const ps_json_row rows[] = {{"name", read_model, true}, {0}};
    return ps_json_rows_read(r, rows, PS_JSON_SKIP_OTHERS, user);
}

static ps_status read_made(ps_json_reader *r, void *user)
{
    static const ps_json_row rows[] = {{"how", read_how, true},
                                       {"job", read_job, false},
                                       {"started_ms", read_started_ms, false},
                                       {"written_ms", read_written_ms, false},
                                       {0}};
    return ps_json_rows_read(r, rows, PS_JSON_SKIP_OTHERS, user);
}

static ps_status read_job_object(ps_json_reader *r, void *user)
{
    static const ps_json_row rows[] = {{"text", read_job_file, true}, {0}};
    return ps_json_rows_read(r, rows, PS_JSON_SKIP_OTHERS, user);
}

/* It becomes part of a URI. */
static ps_status check_how(record *l)
{
    const char *how = ps_buf_cstr(&l->how);
    return l->how.len && strspn(how, "abcdefghijklmnopqrstuvwxyz0123456789-_") == l->how.len
               ? PS_OK
               : ps_fail(PS_CORRUPT, "made: how is no word");
}

static ps_status read_record(ps_slice bytes, record *l)
{
    static const ps_json_row rows[] = {{"format", read_format, true},
                                       {"psd", read_psd, false},
                                       {"cluster", read_cluster, false},
                                       {"server", read_server, false},
                                       {"audit_head", read_audit_head, false},
                                       {"model", read_model_object, true},
                                       {"made", read_made, true},
                                       {"job_file", read_job_object, false},
                                       {"began_from", read_began_from, false},
                                       {"data", read_data, false},
                                       {"contributors", read_contributors, false},
                                       {0}};
    ps_status st = ps_json_rows_read_bytes(bytes, rows, PS_JSON_SKIP_OTHERS, l);
    return st ? st : check_how(l);
}

/* ---- what it was made of ---- */

/* An element of began_from or data. */
typedef struct source {
    ps_buf as, name, version; /* a model's */
    ps_buf path, read_by;     /* of data */
    ps_buf sha256;
    uint64_t bytes;
} source;

TEXT(source, as, WORD_MOST)
TEXT(source, name, WORD_MOST)
TEXT(source, version, WORD_MOST)
TEXT(source, path, WORD_MOST)
TEXT(source, read_by, WORD_MOST)
TEXT(source, sha256, PS_DIGEST_TEXT - 1)
COUNT(source, bytes)

static void free_source(source *s)
{
    ps_buf *all[] = {&s->as, &s->name, &s->version, &s->path, &s->read_by, &s->sha256};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ps_buf_free(all[i]);
}

/* RFC 3986: all but what stands for itself, and slashes. */
static void put_escaped(ps_buf *out, ps_buf *text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
    for (const char *p = ps_buf_cstr(text); *p; p++) {
        if (strchr(plain, *p))
            ps_buf_putc(out, *p);
        else
            ps_buf_printf(out, "%%%02X", (unsigned char)*p);
    }
}

static void put_digest(ps_json_writer *w, const char *sha256)
{
    ps_json_key(w, "digest");
    ps_json_object(w);
    ps_json_put_string(w, "sha256", sha256);
    ps_json_object_end(w);
}

static void put_known(ps_json_writer *w, const char *key, ps_buf *text)
{
    if (text->len)
        ps_json_put_string(w, key, ps_buf_cstr(text));
}

static void put_source(ps_json_writer *w, record *l, source *s)
{
    ps_buf uri = PS_BUF_EMPTY;
    if (s->path.len) {
        ps_buf_puts(&uri, *ps_buf_cstr(&s->path) == '/' ? "file://" : "file:");
        put_escaped(&uri, &s->path);
    } else {
        ps_buf_puts(&uri, "psd://");
        put_escaped(&uri, &l->cluster);
        ps_buf_puts(&uri, "/model/");
        put_escaped(&uri, &s->name);
        ps_buf_putc(&uri, '/');
        put_escaped(&uri, &s->version);
    }
    ps_json_object(w);
    ps_json_put_string(w, "name", ps_buf_cstr(s->path.len ? &s->path : &s->name));
    ps_json_put_string(w, "uri", ps_buf_cstr(&uri));
    if (s->sha256.len)
        put_digest(w, ps_buf_cstr(&s->sha256));
    ps_json_key(w, "annotations");
    ps_json_object(w);
    put_known(w, "as", &s->as);
    put_known(w, "read_by", &s->read_by);
    if (s->path.len)
        ps_json_put_uint(w, "bytes", s->bytes);
    ps_json_object_end(w);
    ps_json_object_end(w);
    ps_buf_free(&uri);
}

static ps_status check_source(source *s)
{
    if (!s->path.len == !s->name.len)
        return ps_fail(PS_CORRUPT, "it has neither name nor path, or both");
    const char *sha256 = ps_buf_cstr(&s->sha256);
    return !s->sha256.len || strspn(sha256, "0123456789abcdef") == PS_DIGEST_TEXT - 1
               ? PS_OK
               : ps_fail(PS_CORRUPT, "sha256 has no 64 hexadecimal digits");
}

static ps_status put_sources(ps_json_writer *w, record *l, ps_slice list, const char *what)
{
    static const ps_json_row rows[] = {
        {"as", read_as, false},           {"name", read_name, false},
        {"version", read_version, false}, {"path", read_path, false},
        {"read_by", read_read_by, false}, {"sha256", read_sha256, false},
        {"bytes", read_bytes, false},     {0}};
    ps_json_reader r;
    ps_json_token token;
    ps_slice one;
    if (!list.len)
        return PS_OK;
    ps_json_reader_init(&r, list);
    ps_status st = ps_json_expect(&r, PS_JSON_ARRAY, &token);
    while (ps_json_element(&r, &one, &st)) {
        source s = {.as = PS_BUF_EMPTY};
        st = ps_json_rows_read_bytes(one, rows, PS_JSON_SKIP_OTHERS, &s);
        if (!st)
            st = check_source(&s);
        if (!st)
            put_source(w, l, &s);
        free_source(&s);
    }
    ps_json_reader_free(&r);
    return st ? ps_wrap(st, "%s", what) : PS_OK;
}

/* ---- the predicate ---- */

static ps_status put_definition(ps_json_writer *w, record *l)
{
    char *type = ps_asprintf("https://psd/%s/v1", ps_buf_cstr(&l->how));
    ps_json_key(w, "buildDefinition");
    ps_json_object(w);
    ps_json_put_string(w, "buildType", type);
    ps_json_key(w, "externalParameters");
    ps_json_object(w);
    ps_json_put_string(w, "model", ps_buf_cstr(&l->model));
    put_known(w, "job_file", &l->job_file);
    ps_json_object_end(w);
    ps_json_key(w, "resolvedDependencies");
    ps_json_array(w);
    ps_status st = put_sources(w, l, l->began_from, "began_from");
    if (!st)
        st = put_sources(w, l, l->data, "data");
    ps_json_array_end(w);
    ps_json_object_end(w);
    ps_free(&type);
    return st;
}

/* A record from before psd noted its server's identity: servers are called psd. */
static void put_builder(ps_json_writer *w, record *l)
{
    char *id = l->server.len ? ps_strdup(ps_buf_cstr(&l->server))
                             : ps_asprintf("spiffe://%s/server/psd", ps_buf_cstr(&l->cluster));
    ps_json_key(w, "builder");
    ps_json_object(w);
    ps_json_put_string(w, "id", id);
    ps_json_key(w, "version");
    ps_json_object(w);
    put_known(w, "psd", &l->psd);
    ps_json_object_end(w);
    ps_json_object_end(w);
    ps_free(&id);
}

static void put_time(ps_json_writer *w, const char *key, uint64_t ms)
{
    char text[PS_CLOCK_TEXT];
    if (ms && ms <= PS_CLOCK_TEXT_MOST_MS)
        ps_json_put_string(w, key, ps_clock_text((int64_t)ms, text));
}

static void put_metadata(ps_json_writer *w, record *l)
{
    ps_json_key(w, "metadata");
    ps_json_object(w);
    if (l->job) {
        char *id = ps_asprintf("%llu", (unsigned long long)l->job);
        ps_json_put_string(w, "invocationId", id);
        ps_free(&id);
    }
    put_time(w, "startedOn", l->started_ms);
    put_time(w, "finishedOn", l->written_ms);
    ps_json_object_end(w);
}

/* The record itself: it is one of the files that are signed. */
static void put_byproducts(ps_json_writer *w, ps_slice bytes, record *l)
{
    char sha256[PS_DIGEST_TEXT];
    ps_digest *digest = ps_digest_new();
    ps_digest_add(digest, bytes.data, bytes.len);
    ps_digest_end(&digest, sha256);
    ps_json_key(w, "byproducts");
    ps_json_array(w);
    ps_json_object(w);
    ps_json_put_string(w, "name", PS_MODEL_PROVENANCE);
    put_digest(w, sha256);
    ps_json_put_string(w, "mediaType", "application/json");
    ps_json_key(w, "annotations");
    ps_json_object(w);
    if (l->contributors.len) {
        ps_json_key(w, "contributors");
        ps_json_embed_n(w, l->contributors);
    }
    put_known(w, "audit_head", &l->audit_head);
    ps_json_object_end(w);
    ps_json_object_end(w);
    ps_json_array_end(w);
}

ps_status ps_slsa_write(const ps_manifest *m, ps_slice bytes, ps_buf *out)
{
    record l = {.has_format = false};
    PS_REQUIRE(m->name && *m->root);
    ps_status st = read_record(bytes, &l);
    if (!st) {
        ps_json_writer w = ps_json_writer_to(out);
        ps_json_object(&w);
        ps_statement_put_head(&w, m, PS_SLSA_PREDICATE);
        ps_json_key(&w, "predicate");
        ps_json_object(&w);
        st = put_definition(&w, &l);
        ps_json_key(&w, "runDetails");
        ps_json_object(&w);
        put_builder(&w, &l);
        put_metadata(&w, &l);
        put_byproducts(&w, bytes, &l);
        ps_json_object_end(&w);
        ps_json_object_end(&w);
        ps_json_object_end(&w);
    }
    free_record(&l);
    return st ? ps_wrap(PS_CORRUPT, PS_MODEL_PROVENANCE) : PS_OK;
}
