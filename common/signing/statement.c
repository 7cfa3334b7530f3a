/* Happy path: tables of members (json_rows.h), a level each; then what they say together. Writing
 * cannot fail. */
#include "common/signing/statement.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/json/json_rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STATEMENT_TYPE "https://in-toto.io/Statement/v1"
#define PREDICATE_TYPE "https://model_signing/signature/v1.0"

enum { IGNORED_MOST = 1000 };

/* ---- writing ---- */

static void put_serialization(ps_json_writer *w, const ps_manifest *m)
{
    ps_json_key(w, "serialization");
    ps_json_object(w);
    ps_json_put_string(w, "method", m->shard_size ? "shards" : "files");
    ps_json_put_string(w, "hash_type", "sha256");
    if (m->shard_size)
        ps_json_put_uint(w, "shard_size", m->shard_size);
    ps_json_put_bool(w, "allow_symlinks", false);
    ps_json_key(w, "ignore_paths");
    ps_json_array(w);
    for (char **path = m->ignored; path && *path; path++)
        ps_json_string(w, *path);
    ps_json_array_end(w);
    ps_json_object_end(w);
}

static void put_resource(ps_json_writer *w, const ps_manifest *m, const ps_resource *r)
{
    char name[PS_MANIFEST_NAME_MOST];
    ps_manifest_name(r, m->shard_size > 0, name);
    ps_json_object(w);
    ps_json_put_string(w, "name", name);
    ps_json_put_string(w, "digest", r->sha256);
    ps_json_put_string(w, "algorithm", "sha256");
    ps_json_object_end(w);
}

static void put_subject(ps_json_writer *w, const ps_manifest *m)
{
    ps_json_key(w, "subject");
    ps_json_array(w);
    ps_json_object(w);
    ps_json_put_string(w, "name", m->name);
    ps_json_key(w, "digest");
    ps_json_object(w);
    ps_json_put_string(w, "sha256", m->root);
    ps_json_object_end(w);
    ps_json_object_end(w);
    ps_json_array_end(w);
}

void ps_statement_put_head(ps_json_writer *w, const ps_manifest *m, const char *predicate_type)
{
    PS_REQUIRE(m->name && *m->root);
    ps_json_put_string(w, "_type", STATEMENT_TYPE);
    put_subject(w, m);
    ps_json_put_string(w, "predicateType", predicate_type);
}

void ps_statement_write(const ps_manifest *m, ps_buf *out)
{
    PS_REQUIRE(m->n_resources);
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    ps_statement_put_head(&w, m, PREDICATE_TYPE);
    ps_json_key(&w, "predicate");
    ps_json_object(&w);
    put_serialization(&w, m);
    ps_json_key(&w, "resources");
    ps_json_array(&w);
    for (size_t i = 0; i < m->n_resources; i++)
        put_resource(&w, m, &m->resources[i]);
    ps_json_array_end(&w);
    ps_json_object_end(&w);
    ps_json_object_end(&w);
}

/* ---- reading: the subject ---- */

static ps_status read_digest_text(ps_json_reader *r, char out[PS_DIGEST_TEXT])
{
    ps_json_token token;
    ps_status st = ps_json_expect(r, PS_JSON_STRING, &token);
    if (st)
        return st;
    const char *text = (const char *)token.text.data;
    if (token.text.len != PS_DIGEST_TEXT - 1 || strspn(text, "0123456789abcdef") != token.text.len)
        return ps_fail(PS_CORRUPT, "it is no SHA-256 in 64 hexadecimal digits");
    memcpy(out, text, PS_DIGEST_TEXT);
    return PS_OK;
}

static ps_status read_root(ps_json_reader *r, void *user)
{
    return read_digest_text(r, ((ps_manifest *)user)->root);
}

static ps_status read_subject_name(ps_json_reader *r, void *user)
{
    ps_manifest *m = user;
    ps_buf text = PS_BUF_EMPTY;
    ps_status st = ps_json_rows_text(r, PS_MANIFEST_PATH_MOST, &text);
    if (!st)
        m->name = ps_strdup(ps_buf_cstr(&text));
    ps_buf_free(&text);
    return st;
}

static ps_status read_subject_digest(ps_json_reader *r, void *user)
{
    static const ps_json_row rows[] = {{"sha256", read_root, true}, {0}};
    return ps_json_rows_read(r, rows, PS_JSON_SKIP_OTHERS, user);
}

static ps_status read_subject(ps_json_reader *r, void *user)
{
    static const ps_json_row rows[] = {
        {"name", read_subject_name, true}, {"digest", read_subject_digest, true}, {0}};
    ps_json_token token;
    ps_slice one;
    size_t n = 0;
    ps_status st = ps_json_expect(r, PS_JSON_ARRAY, &token);
    while (ps_json_element(r, &one, &st)) {
        st = n++ ? ps_fail(PS_CORRUPT, "it has more than one entry")
                 : ps_json_rows_read_bytes(one, rows, PS_JSON_SKIP_OTHERS, user);
    }
    return st || n ? st : ps_fail(PS_CORRUPT, "it is empty");
}

/* ---- serialization ---- */

typedef struct serialization {
    bool shards, has_size;
    uint64_t size;
    ps_manifest *manifest;
} serialization;

static ps_status read_method(ps_json_reader *r, void *user)
{
    serialization *s = user;
    ps_json_token token;
    ps_status st = ps_json_expect(r, PS_JSON_STRING, &token);
    if (st)
        return st;
    s->shards = ps_slice_is(token.text, "shards");
    return s->shards || ps_slice_is(token.text, "files")
               ? PS_OK
               : ps_fail(PS_CORRUPT, "it is neither files nor shards");
}

static ps_status read_sha256(ps_json_reader *r, void *user)
{
    (void)user;
    return ps_json_rows_word(r, "sha256");
}

static ps_status read_links(ps_json_reader *r, void *user)
{
    (void)user;
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    if (!st && token.kind != PS_JSON_FALSE)
        st = ps_fail(PS_CORRUPT, "it is not false: psd follows no links");
    return st;
}

/* model-signing 1.1.1 writes it as 1000000.0. */
static ps_status read_shard_size(ps_json_reader *r, void *user)
{
    serialization *s = user;
    ps_json_token token;
    ps_status st = ps_json_expect(r, PS_JSON_NUMBER, &token);
    if (!st &&
        (!(token.number >= 1 && token.number <= 0x1p53) || floor(token.number) != token.number))
        st = ps_fail(PS_CORRUPT, "it is no number of bytes");
    s->has_size = true;
    s->size = st ? 0 : (uint64_t)token.number;
    return st;
}

static ps_status read_ignored(ps_json_reader *r, void *user)
{
    ps_manifest *m = ((serialization *)user)->manifest;
    ps_json_token token;
    size_t n = 0;
    ps_status st = ps_json_expect(r, PS_JSON_ARRAY, &token);
    while (!st && !(st = ps_json_next(r, &token)) && token.kind != PS_JSON_ARRAY_END) {
        if (token.kind != PS_JSON_STRING || n == IGNORED_MOST)
            st = ps_fail(PS_CORRUPT, "it is a list of at most %d paths", IGNORED_MOST);
        else
            st = ps_manifest_check_path((const char *)token.text.data, token.text.len);
        if (st)
            break;
        m->ignored = ps_realloc(m->ignored, (n + 2) * sizeof *m->ignored);
        m->ignored[n++] = ps_strdup((const char *)token.text.data);
        m->ignored[n] = NULL;
    }
    return st;
}

static ps_status read_serialization(ps_json_reader *r, void *user)
{
    static const ps_json_row rows[] = {
        {"method", read_method, true},         {"hash_type", read_sha256, true},
        {"allow_symlinks", read_links, true},  {"shard_size", read_shard_size, false},
        {"ignore_paths", read_ignored, false}, {0}};
    serialization s = {.manifest = user};
    ps_status st = ps_json_rows_read(r, rows, PS_JSON_NO_OTHERS, &s);
    if (!st && s.shards != s.has_size)
        st = ps_fail(PS_CORRUPT, "shard_size belongs to method shards");
    s.manifest->shard_size = s.size;
    return st;
}

/* ---- resources ---- */

typedef struct resource {
    ps_buf name;
    char sha256[PS_DIGEST_TEXT];
    uint64_t shards; /* of this size: see read_algorithm; 0: not said */
} resource;

static ps_status read_name(ps_json_reader *r, void *user)
{
    return ps_json_rows_text(r, PS_MANIFEST_NAME_MOST, &((resource *)user)->name);
}

static ps_status read_digest(ps_json_reader *r, void *user)
{
    return read_digest_text(r, ((resource *)user)->sha256);
}

/* model-signing 1.1.1 says "sha256-sharded-SIZE" where the specification has "sha256". */
static ps_status read_algorithm(ps_json_reader *r, void *user)
{
    static const char sharded[] = "sha256-sharded-";
    ps_json_token token;
    ps_status st = ps_json_expect(r, PS_JSON_STRING, &token);
    if (st || ps_slice_is(token.text, "sha256"))
        return st;
    const char *text = (const char *)token.text.data, *size = text + strlen(sharded);
    if (strncmp(text, sharded, strlen(sharded)) != 0 || *size < '1' || *size > '9' ||
        strlen(size) > 18 || size[strspn(size, "0123456789")])
        return ps_fail(PS_CORRUPT, "it is not sha256");
    ((resource *)user)->shards = strtoull(size, NULL, 10);
    return PS_OK;
}

/* The list may come before it is known how names are to be read: they are split behind all. */
static ps_status add_resource(ps_manifest *m, ps_slice bytes)
{
    static const ps_json_row rows[] = {{"name", read_name, true},
                                       {"digest", read_digest, true},
                                       {"algorithm", read_algorithm, true},
                                       {0}};
    resource one = {.name = PS_BUF_EMPTY};
    ps_status st = m->n_resources < PS_MANIFEST_FILES_MOST
                       ? ps_json_rows_read_bytes(bytes, rows, PS_JSON_SKIP_OTHERS, &one)
                       : ps_fail(PS_CORRUPT, "more than %d", PS_MANIFEST_FILES_MOST);
    if (!st) {
        if (!(m->n_resources & (m->n_resources - 1))) /* a power of two, or 0: it is full */
            m->resources = ps_realloc(m->resources, (m->n_resources ? 2 * m->n_resources : 1) *
                                                        sizeof *m->resources);
        ps_resource *to = &m->resources[m->n_resources++];
        *to = (ps_resource){.path = ps_strdup(ps_buf_cstr(&one.name)), .end = one.shards};
        memcpy(to->sha256, one.sha256, sizeof to->sha256);
    }
    ps_buf_free(&one.name);
    return st;
}

static ps_status read_resources(ps_json_reader *r, void *user)
{
    ps_manifest *m = user;
    ps_json_token token;
    ps_slice one;
    ps_status st = ps_json_expect(r, PS_JSON_ARRAY, &token);
    while (ps_json_element(r, &one, &st))
        st = add_resource(m, one);
    if (!st && !m->n_resources)
        st = ps_fail(PS_CORRUPT, "it is empty: nothing is signed");
    return st;
}

/* ---- the whole ---- */

static ps_status read_predicate(ps_json_reader *r, void *user)
{
    static const ps_json_row rows[] = {
        {"serialization", read_serialization, true}, {"resources", read_resources, true}, {0}};
    return ps_json_rows_read(r, rows, PS_JSON_NO_OTHERS, user);
}

static ps_status read_type(ps_json_reader *r, void *user)
{
    (void)user;
    return ps_json_rows_word(r, STATEMENT_TYPE);
}

static ps_status read_predicate_type(ps_json_reader *r, void *user)
{
    (void)user;
    return ps_json_rows_word(r, PREDICATE_TYPE);
}

/* Cuts ":N" off the end of the name: decimal, without zeros in front. */
static bool cut_number(char *name, uint64_t *out)
{
    char *colon = strrchr(name, ':'), *end;
    if (!colon || colon[1] < '0' || colon[1] > '9' || (colon[1] == '0' && colon[2]) ||
        strlen(colon + 1) > 18)
        return false;
    *out = strtoull(colon + 1, &end, 10);
    *colon = *end ? *colon : '\0';
    return !*colon;
}

/* "PATH:BEGIN:END": the last two colons, since a path may have some, too. */
static ps_status split_names(ps_manifest *m)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < m->n_resources; i++) {
        ps_resource *r = &m->resources[i];
        if (r->end && r->end != m->shard_size)
            return ps_fail(PS_CORRUPT, "resource %zu is of shards of another size", i);
        if (m->shard_size && (!cut_number(r->path, &r->end) || !cut_number(r->path, &r->begin)))
            st = ps_fail(PS_CORRUPT, "resource %zu is no shard, PATH:BEGIN:END", i);
        if (!st)
            st = ps_manifest_check_path(r->path, strlen(r->path)) ? PS_CORRUPT : PS_OK;
    }
    return st;
}

static ps_status check_root(const ps_manifest *m)
{
    char root[PS_DIGEST_TEXT];
    ps_manifest_root(m, root);
    return strcmp(root, m->root) ? ps_fail(PS_CORRUPT, "its digest is not that of its resources")
                                 : PS_OK;
}

ps_status ps_statement_read(ps_slice json, ps_manifest *out)
{
    static const ps_json_row rows[] = {{"_type", read_type, true},
                                       {"predicateType", read_predicate_type, true},
                                       {"subject", read_subject, true},
                                       {"predicate", read_predicate, true},
                                       {0}};
    *out = (ps_manifest){0};
    ps_status st = ps_json_rows_read_bytes(json, rows, PS_JSON_NO_OTHERS, out);
    if (!st)
        st = split_names(out);
    if (!st)
        st = ps_manifest_check(out);
    if (!st)
        st = check_root(out);
    if (st) {
        ps_manifest_free(out);
        return ps_wrap(PS_CORRUPT, "statement");
    }
    return PS_OK;
}

/* ---- the head alone ---- */

typedef struct head {
    const char *predicate_type;
    ps_manifest *manifest;
} head;

static ps_status read_head_predicate_type(ps_json_reader *r, void *user)
{
    return ps_json_rows_word(r, ((const head *)user)->predicate_type);
}

static ps_status read_head_subject(ps_json_reader *r, void *user)
{
    return read_subject(r, ((head *)user)->manifest);
}

static ps_status read_over(ps_json_reader *r, void *user)
{
    (void)user;
    return ps_json_skip(r);
}

ps_status ps_statement_read_head(ps_slice json, const char *predicate_type, ps_manifest *out)
{
    static const ps_json_row rows[] = {{"_type", read_type, true},
                                       {"predicateType", read_head_predicate_type, true},
                                       {"subject", read_head_subject, true},
                                       {"predicate", read_over, true},
                                       {0}};
    head h = {.predicate_type = predicate_type, .manifest = out};
    *out = (ps_manifest){0};
    ps_status st = ps_json_rows_read_bytes(json, rows, PS_JSON_NO_OTHERS, &h);
    if (!st)
        return PS_OK;
    ps_manifest_free(out);
    return ps_wrap(PS_CORRUPT, "statement");
}
