/* manifest: what a signature of a model is about: its files, or pieces of them, each with its
 * SHA-256 (OpenSSF Model Signing v1.0, section 5.2: the predicate).
 *
 * method "files": a resource a file. method "shards": a resource a piece of at most shard_size
 * bytes, so that a large file is hashed on several threads; empty files have no resource then.
 * One thread at a time (not asserted: plain data of whoever has it). */
#ifndef PS_SIGNING_MANIFEST_H
#define PS_SIGNING_MANIFEST_H

#include "common/base/status.h"
#include "common/security/digest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PS_MANIFEST_FILES_MOST = 100000,                    /* resources */
    PS_MANIFEST_PATH_MOST = 4096,                       /* bytes of a path */
    PS_MANIFEST_NAME_MOST = PS_MANIFEST_PATH_MOST + 48, /* of a resource's name */
};

typedef struct ps_resource {
    char *path;          /* of the file, below the model's folder: "tokenizer/vocab.json" */
    uint64_t begin, end; /* shards: bytes of it; files: both 0 */
    char sha256[PS_DIGEST_TEXT];
} ps_resource;

typedef struct ps_manifest {
    char *name;          /* of the folder; says nothing: informational */
    uint64_t shard_size; /* 0: method "files" */
    ps_resource *resources;
    size_t n_resources;
    char **ignored; /* paths that the signer has left out, a NULL behind the last; may be NULL */
    char root[PS_DIGEST_TEXT];
} ps_manifest;

void ps_manifest_free(ps_manifest *manifest);
/* What a resource is called: its path, or of a shard "path:begin:end". */
void ps_manifest_name(const ps_resource *resource, bool shard, char out[PS_MANIFEST_NAME_MOST]);
/* A copy of the resources, by path, shards of a file in the order in which they follow each other.
 * Freed by ps_free; the paths are the manifest's. */
ps_resource *ps_manifest_by_place(const ps_manifest *manifest);
/* A path that a model may have: UTF-8, relative, without "." and "..", without empty parts.
 * PS_INVALID_ARGUMENT says what is wrong with it. */
PS_MUST_CHECK ps_status ps_manifest_check_path(const char *path, size_t len);
/* Puts the resources in order, by name as code points (of a shard: "path:begin:end"), and sets
 * root: SHA-256 of their digests one after the other. */
void ps_manifest_settle(ps_manifest *manifest);
/* root of the resources in the order in which they are. */
void ps_manifest_root(const ps_manifest *manifest, char out[PS_DIGEST_TEXT]);
/* No path is there twice; shards of a file begin at 0, follow each other, and all but the last have
 * shard_size bytes. PS_CORRUPT names the path. Reorders a copy, not the manifest. */
PS_MUST_CHECK ps_status ps_manifest_check(const ps_manifest *manifest);

#endif
