/* model.sig, and the statement in it, out of any bytes: refused, or ones that are written again and
 * read the same; and no name of a statement that is read leaves the folder. psd-provenance.json out
 * of any bytes: refused, or said in SLSA's words about the model that it belongs to. */
#include "common/signing/bundle.h"
#include "common/signing/slsa.h"
#include "common/signing/statement.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void same_resources(const ps_manifest *a, const ps_manifest *b)
{
    require(a->n_resources == b->n_resources && a->shard_size == b->shard_size);
    for (size_t i = 0; i < a->n_resources; i++) {
        const ps_resource *x = &a->resources[i], *y = &b->resources[i];
        require(!strcmp(x->path, y->path) && !strcmp(x->sha256, y->sha256));
        require(x->begin == y->begin && x->end == y->end);
        require(x->path[0] != '/' && strcmp(x->path, "..") != 0 &&
                strncmp(x->path, "../", 3) != 0 && !strstr(x->path, "/../"));
    }
}

static void statement(ps_slice bytes)
{
    ps_manifest first, again;
    ps_buf out = PS_BUF_EMPTY;
    if (ps_statement_read(bytes, &first))
        return;
    ps_statement_write(&first, &out);
    require(!ps_statement_read(ps_buf_slice(&out), &again));
    same_resources(&first, &again);
    ps_manifest_free(&again);
    ps_manifest_settle(&first); /* in whatever order they came */
    require(!ps_manifest_check(&first));
    ps_manifest_free(&first);
    ps_buf_free(&out);
}

static void bundle(ps_slice bytes)
{
    ps_bundle first, again;
    ps_buf out = PS_BUF_EMPTY;
    if (ps_bundle_read(bytes, &first))
        return;
    statement(ps_buf_slice(&first.payload));
    if (first.method != PS_BUNDLE_SIGSTORE && (first.method != PS_BUNDLE_KEY || first.hint.len)) {
        ps_bundle_write(&first, &out);
        require(!ps_bundle_read(ps_buf_slice(&out), &again));
        require(again.payload.len == first.payload.len && again.method == first.method);
        require(!memcmp(again.payload.data, first.payload.data, first.payload.len));
        require(again.n_certificates == first.n_certificates);
        ps_bundle_free(&again);
    }
    ps_bundle_free(&first);
    ps_buf_free(&out);
}

static void record(ps_slice bytes)
{
    static char name[] = "model";
    static const ps_manifest model = {
        .name = name, .root = "0000000000000000000000000000000000000000000000000000000000000000"};
    ps_manifest head;
    ps_buf out = PS_BUF_EMPTY;
    if (!ps_slsa_write(&model, bytes, &out)) {
        require(!ps_statement_read_head(ps_buf_slice(&out), PS_SLSA_PREDICATE, &head));
        require(!strcmp(head.name, model.name) && !strcmp(head.root, model.root));
        ps_manifest_free(&head);
    } else if (!ps_statement_read_head(bytes, PS_SLSA_PREDICATE, &head)) {
        ps_manifest_free(&head);
    }
    ps_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    record(ps_slice_of(data, size));
    bundle(ps_slice_of(data, size));
    statement(ps_slice_of(data, size));
    return 0;
}
