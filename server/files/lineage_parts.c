/* Lists of contributors are short (a worker each) and are looked through from front to back.
 * Writing cannot fail; what cannot be read is as if it were not there. */
#include "server/files/lineage_parts.h"

#include "common/base/mem.h"
#include "common/security/identity.h"
#include "server/guard/audit.h"
#include "server/params/push.h"
#include "server/sched/sources.h"

#include <inttypes.h>
#include <string.h>

enum { CONTRIBUTORS_MOST = 4096 }; /* a record goes in one message */

void ps_lineage_put_host(const ps_stored_host *host, ps_json_writer *w)
{
    if (!host)
        return;
    ps_json_put_string(w, "psd", host->psd);
    ps_json_put_string(w, "cluster", host->cluster);
    ps_json_put_string(w, "server", host->server);
}

void ps_lineage_put_job(const ps_job_record *job, const ps_model_record *model, ps_json_writer *w)
{
    char sha256[PS_DIGEST_TEXT];
    ps_json_key(w, "made");
    ps_json_object(w);
    ps_json_put_string(w, "by", model->owner);
    ps_json_put_string(w, "how", job ? job->kind : model->job_id ? "job" : "import");
    if (model->job_id)
        ps_json_put_uint(w, "job", model->job_id);
    if (job) {
        ps_json_put_int(w, "submitted_ms", job->submitted_ms);
        ps_json_put_int(w, "started_ms", job->started_ms);
    }
    ps_json_put_int(w, "written_ms", model->created_ms);
    ps_json_object_end(w);
    if (!job)
        return;
    ps_digest *digest = ps_digest_new();
    ps_digest_add(digest, job->spec, strlen(job->spec));
    ps_digest_end(&digest, sha256);
    ps_json_key(w, "job_file");
    ps_json_object(w);
    ps_json_put_string(w, "sha256", sha256);
    ps_json_put_string(w, "text", job->spec);
    ps_json_object_end(w);
}

/* "spiffe://lab/worker/NAME", the caller's; without a cluster, of a test, the name alone. */
static char *worker_text(const ps_stored_host *host, ps_slice name)
{
    return host ? ps_asprintf("spiffe://%s/%s/%.*s", host->cluster, ps_role_name(PS_ROLE_WORKER),
                              (int)name.len, name.data)
                : ps_asprintf("%.*s", (int)name.len, name.data);
}

void ps_lineage_put_data(const ps_stored_host *host, const ps_job_record *job, ps_json_writer *w)
{
    ps_slice left = ps_slice_str(job && job->sources ? job->sources : "");
    ps_source source;
    bool more = false;
    ps_json_key(w, "data");
    ps_json_array(w);
    while (ps_sources_next(&left, &source)) {
        more |= source.more;
        if (source.more)
            continue;
        ps_json_object(w);
        ps_json_key(w, "path");
        ps_json_string_n(w, source.path);
        ps_json_put_uint(w, "bytes", source.bytes);
        ps_json_put_string(w, "sha256", *source.sha256 ? source.sha256 : NULL);
        char *worker = worker_text(host, source.worker);
        ps_json_put_string(w, "read_by", worker);
        ps_free(&worker);
        ps_json_object_end(w);
    }
    ps_json_array_end(w);
    if (more)
        ps_json_put_bool(w, "data_complete", false);
}

void ps_lineage_put_audit(const ps_stored_host *host, ps_json_writer *w)
{
    char text[PS_AUDIT_HEAD_TEXT];
    if (!host || !host->audit)
        return;
    ps_audit_head head = ps_audit_get_head(host->audit);
    ps_audit_head_text(&head, text);
    ps_json_put_string(w, "audit_head", text);
}

/* ---- contributors ---- */

typedef struct contributor {
    char *identity;
    uint64_t pushes, refused;
} contributor;

typedef struct contributors {
    const ps_stored_host *host;
    contributor *at;
    size_t n;
} contributors;

static void count(contributors *c, const char *identity, uint64_t pushes, uint64_t refused)
{
    size_t i = 0;
    while (i < c->n && strcmp(c->at[i].identity, identity) != 0)
        i++;
    if (i == c->n) {
        c->at = ps_realloc(c->at, (c->n + 1) * sizeof *c->at);
        c->at[c->n++] = (contributor){.identity = ps_strdup(identity)};
    }
    c->at[i].pushes += pushes;
    c->at[i].refused += refused;
}

static void count_client(void *user, const char *client, uint64_t pushes, uint64_t refused)
{
    contributors *c = user;
    char *identity = worker_text(c->host, ps_slice_str(client));
    count(c, identity, pushes, refused);
    ps_free(&identity);
}

/* {"identity":…,"pushes":N,"refused":N} */
static void count_element(void *all, ps_slice element)
{
    ps_json_reader in;
    ps_json_token token;
    char *identity = NULL;
    uint64_t pushes = 0, refused = 0;
    ps_json_reader_init(&in, element);
    ps_status st = ps_json_expect(&in, PS_JSON_OBJECT, &token);
    while (ps_json_member(&in, &token, &st)) {
        bool is_name = ps_slice_is(token.text, "identity");
        uint64_t *to = ps_slice_is(token.text, "pushes")    ? &pushes
                       : ps_slice_is(token.text, "refused") ? &refused
                                                            : NULL;
        st = ps_json_next(&in, &token);
        if (!st && is_name && token.kind == PS_JSON_STRING && !identity)
            identity = ps_asprintf("%s", (const char *)token.text.data);
        else if (!st && to && token.is_u64)
            *to = token.u64;
    }
    if (!st && identity)
        count(all, identity, pushes, refused);
    ps_free(&identity);
    ps_json_reader_free(&in);
}

/* ---- reading ---- */

/* The value of that key of an object; an empty slice: there is none. */
static ps_slice member(ps_slice object, const char *key)
{
    ps_json_reader in;
    ps_json_token token;
    ps_slice value = {0}, found = {0};
    ps_json_reader_init(&in, object);
    ps_status st = ps_json_expect(&in, PS_JSON_OBJECT, &token);
    while (ps_json_member(&in, &token, &st)) {
        bool is = ps_slice_is(token.text, key);
        st = ps_json_value(&in, &value);
        if (!st && is)
            found = value;
    }
    ps_json_reader_free(&in);
    return st ? (ps_slice){0} : found;
}

/* Calls each with every value of that list, at most `most`; how many. */
static size_t each_element(const char *lineage, const char *key, size_t most,
                           void (*each)(void *user, ps_slice element), void *user)
{
    ps_json_reader in;
    ps_json_token token;
    ps_slice element;
    size_t n = 0;
    ps_json_reader_init(&in, member(ps_slice_str(lineage), key));
    ps_status st = ps_json_expect(&in, PS_JSON_ARRAY, &token);
    while (n < most && ps_json_element(&in, &element, &st)) {
        each(user, element);
        n++;
    }
    ps_json_reader_free(&in);
    return n;
}

static void copy_json(void *writer, ps_slice json)
{
    ps_json_embed_n(writer, json);
}

size_t ps_lineage_copy_list(const char *lineage, const char *key, size_t most, ps_json_writer *w)
{
    return each_element(lineage, key, most, copy_json, w);
}

void ps_lineage_sha256(const char *lineage, char out[PS_DIGEST_TEXT])
{
    ps_slice text = member(member(ps_slice_str(lineage), "model"), "sha256");
    *out = 0;
    if (text.len != PS_DIGEST_TEXT + 1) /* between quotation marks */
        return;
    memcpy(out, text.data + 1, PS_DIGEST_TEXT - 1);
    out[PS_DIGEST_TEXT - 1] = 0;
}

uint64_t ps_lineage_job(const char *lineage)
{
    ps_json_reader in;
    ps_json_token token = {0};
    ps_json_reader_init(&in, member(member(ps_slice_str(lineage), "made"), "job"));
    ps_status st = ps_json_next(&in, &token);
    ps_json_reader_free(&in);
    return !st && token.is_u64 ? token.u64 : 0;
}

ps_status ps_lineage_copy_others(const char *lineage, ps_json_writer *w)
{
    ps_json_reader in;
    ps_json_token token;
    ps_slice value;
    ps_json_reader_init(&in, ps_slice_str(lineage));
    ps_status st = ps_json_expect(&in, PS_JSON_OBJECT, &token);
    while (ps_json_member(&in, &token, &st)) {
        bool skip = ps_slice_is(token.text, "data") || ps_slice_is(token.text, "data_complete") ||
                    ps_slice_is(token.text, "audit_head");
        char *key = ps_strdup((const char *)token.text.data);
        st = ps_json_value(&in, &value);
        if (!st && !skip) {
            ps_json_key(w, key);
            copy_json(w, value);
        }
        ps_free(&key);
    }
    ps_json_reader_free(&in);
    return st;
}

void ps_lineage_put_contributors(const ps_stored_host *host, ps_param_store *store,
                                 const char *earlier, ps_json_writer *w)
{
    contributors all = {.host = host};
    (void)each_element(earlier, "contributors", SIZE_MAX, count_element, &all);
    if (store)
        ps_push_contributors(store, count_client, &all);
    ps_json_key(w, "contributors");
    ps_json_array(w);
    for (size_t i = 0; i < all.n && i < CONTRIBUTORS_MOST; i++) {
        ps_json_object(w);
        ps_json_put_string(w, "identity", all.at[i].identity);
        ps_json_put_uint(w, "pushes", all.at[i].pushes);
        ps_json_put_uint(w, "refused", all.at[i].refused);
        ps_json_object_end(w);
    }
    ps_json_array_end(w);
    if (all.n > CONTRIBUTORS_MOST)
        ps_json_put_bool(w, "contributors_complete", false);
    for (size_t i = 0; i < all.n; i++)
        free(all.at[i].identity);
    free(all.at);
}
