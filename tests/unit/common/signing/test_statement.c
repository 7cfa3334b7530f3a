/* statement, bundle: the specification's vectors, and what a hostile signer might write. */
#include "common/signing/statement.h"

#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/signing/bundle.h"
#include "tests/lib/check_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGEST "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"

/* ---- vectors ---- */

static ps_status read_vector(const char *name, ps_bundle *bundle, ps_manifest *manifest)
{
    ps_buf text = PS_BUF_EMPTY;
    char *path =
        ps_asprintf("%s/tests/golden/signing/spec/%s.bundle.json", getenv("PSD_SOURCE_ROOT"), name);
    ck_ok(ps_disk_read_file(&ps_disk_system, path, 1 << 20, &text));
    *manifest = (ps_manifest){0};
    ps_status st = ps_bundle_read(ps_buf_slice(&text), bundle);
    if (!st)
        st = ps_statement_read(ps_buf_slice(&bundle->payload), manifest);
    ps_buf_free(&text);
    ps_free(&path);
    return st;
}

START_TEST(the_specifications_valid_vectors_are_read)
{
    static const struct {
        const char *name;
        ps_bundle_method method;
        size_t certificates, resources;
    } vectors[] = {
        {"valid-key", PS_BUNDLE_KEY, 0, 2},
        {"valid-certificate", PS_BUNDLE_CERTIFICATE, 2, 2},
        {"valid-sigstore", PS_BUNDLE_SIGSTORE, 1, 2},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        ps_bundle b;
        ps_manifest m;
        ps_status st = read_vector(vectors[i].name, &b, &m);
        ck_assert_msg(!st, "%s: %s", vectors[i].name, ps_error_message());
        ck_assert_int_eq(b.method, vectors[i].method);
        ck_assert_uint_eq(b.n_certificates, vectors[i].certificates);
        ck_assert_uint_eq(m.n_resources, vectors[i].resources);
        ck_assert_uint_eq(m.shard_size, 0);
        ck_assert_str_eq(m.resources[0].path, "signme-1");
        ps_manifest_free(&m);
        ps_bundle_free(&b);
    }
}
END_TEST

START_TEST(the_specifications_invalid_vectors_are_refused)
{
    static const struct {
        const char *name, *why;
    } vectors[] = {
        {"invalid-empty", "no bundle of a signature"},
        {"invalid-missing-envelope", "dsseEnvelope is missing"},
        {"invalid-missing-tlog-entries", "tlogEntries is missing"},
        {"invalid-missing-verification-material", "verificationMaterial is missing"},
        {"invalid-payload-wrong-predicate", "predicateType: it is not https://model_signing/"},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        ps_bundle b;
        ps_manifest m;
        ck_assert_int_eq(read_vector(vectors[i].name, &b, &m), PS_CORRUPT);
        ck_assert_msg(strstr(ps_error_message(), vectors[i].why), "%s: %s", vectors[i].name,
                      ps_error_message());
        ps_bundle_free(&b);
    }
}
END_TEST

/* ---- what a signer might write ---- */

typedef struct piece {
    const char *path;
    uint64_t begin, end;
} piece;

/* A statement of these pieces, with the root that belongs to them; nothing else is looked at. */
static void write_pieces(const piece *pieces, size_t n, uint64_t shard_size, ps_buf *out)
{
    ps_resource resources[8];
    for (size_t i = 0; i < n; i++) {
        resources[i] = (ps_resource){.path = (char *)(uintptr_t)pieces[i].path,
                                     .begin = pieces[i].begin,
                                     .end = pieces[i].end,
                                     .sha256 = DIGEST};
    }
    ps_manifest m = {.name = (char *)(uintptr_t) "m",
                     .shard_size = shard_size,
                     .resources = resources,
                     .n_resources = n};
    ps_manifest_root(&m, m.root);
    ps_statement_write(&m, out);
}

static void expect(const ps_buf *text, const char *why)
{
    ps_manifest m;
    ps_status st = ps_statement_read(ps_buf_slice(text), &m);
    if (!why) {
        ck_assert_msg(!st, "%s", ps_error_message());
        ps_manifest_free(&m);
        return;
    }
    ck_assert_msg(st == PS_CORRUPT && strstr(ps_error_message(), why), "wanted %s, status %s, %s",
                  why, ps_status_name(st), ps_error_message());
}

START_TEST(names_that_leave_the_folder_or_mean_two_things_are_refused)
{
    static const struct {
        const char *name, *why;
    } names[] = {
        {"sub/weights.bin", NULL},
        {"a:b", NULL},
        {"..", "leads out of the folder"},
        {"../weights.bin", "leads out of the folder"},
        {"sub/../weights.bin", "leads out of the folder"},
        {"/weights.bin", "is absolute"},
        {"./weights.bin", "has a part \".\""},
        {"sub//weights.bin", "has an empty part"},
        {"sub/", "has an empty part"},
        {"a\nb", "has control characters"},
        {"a\xe2\x80\xae"
         "b",
         "has control characters"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ps_buf text = PS_BUF_EMPTY;
        write_pieces(&(piece){names[i].name, 0, 0}, 1, 0, &text);
        expect(&text, names[i].why);
        ps_buf_free(&text);
    }
}
END_TEST

START_TEST(a_file_is_signed_once_and_shards_are_all_of_it)
{
    static const struct {
        piece pieces[3];
        size_t n;
        uint64_t shard_size;
        const char *why;
    } cases[] = {
        {{{"a", 0, 0}, {"b", 0, 0}}, 2, 0, NULL},
        {{{"a", 0, 0}, {"a", 0, 0}}, 2, 0, "a is signed twice"},
        {{{"a", 0, 10}, {"a", 10, 20}, {"a", 20, 21}}, 3, 10, NULL},
        {{{"a", 20, 21}, {"a", 0, 10}, {"a", 10, 20}}, 3, 10, NULL},
        {{{"a", 0, 10}, {"a", 20, 21}}, 2, 10, "a has a gap: no shard begins at byte 10"},
        {{{"a", 10, 20}}, 1, 10, "a has a gap: no shard begins at byte 0"},
        {{{"a", 0, 10}, {"b", 10, 20}}, 2, 10, "b has a gap: no shard begins at byte 0"},
        {{{"a", 0, 10}, {"a", 0, 10}}, 2, 10, "a is signed twice"},
        {{{"a", 0, 10}, {"a", 5, 15}}, 2, 10, "no shard begins at byte 10"},
        {{{"a", 0, 5}, {"a", 5, 15}}, 2, 10, "too short before byte 5"},
        {{{"a", 0, 11}}, 1, 10, "shards have at most 10"},
        {{{"a", 0, 0}}, 1, 10, "a has a shard of bytes 0 to 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ps_buf text = PS_BUF_EMPTY;
        write_pieces(cases[i].pieces, cases[i].n, cases[i].shard_size, &text);
        expect(&text, cases[i].why);
        ps_buf_free(&text);
    }
}
END_TEST

/* The good one with one word replaced, once. */
static void expect_edit(const ps_buf *good, const char *from, const char *to, const char *why)
{
    ps_buf text = PS_BUF_EMPTY;
    const uint8_t *at = memmem(good->data, good->len, from, strlen(from));
    ck_assert_msg(at, "%s is not there", from);
    size_t before = (size_t)(at - good->data), behind = before + strlen(from);
    ps_buf_append(&text, good->data, before);
    ps_buf_puts(&text, to);
    ps_buf_append(&text, good->data + behind, good->len - behind);
    expect(&text, why);
    ps_buf_free(&text);
}

START_TEST(a_statement_says_what_its_schema_has_and_no_more)
{
    ps_buf good = PS_BUF_EMPTY;
    write_pieces((piece[]){{"a", 0, 0}, {"b", 0, 0}}, 2, 0, &good);
    expect(&good, NULL);
    expect_edit(&good, "Statement/v1", "Statement/v2", "_type");
    expect_edit(&good, "signature/v1.0", "signature/v1.1", "predicateType");
    expect_edit(&good, "\"serialization\"", "\"more\":1,\"serialization\"", "is not known");
    expect_edit(&good, "\"method\"", "\"more\":1,\"method\"", "serialization: it has a member");
    expect_edit(&good, "\"_type\"", "\"_type\":\"\",\"_type\"", "_type");
    expect_edit(&good, "\"predicate\"", "\"predicate\":{},\"predicate\"", "predicate");
    expect_edit(&good, "\"resources\":[", "\"resources\":[],\"resources\":[", "resources");
    expect_edit(&good, "\"files\"", "\"pieces\"", "neither files nor shards");
    expect_edit(&good, "\"files\"", "\"shards\"", "shard_size belongs to method shards");
    expect_edit(&good, "\"files\"", "\"files\",\"shard_size\":10", "shard_size belongs to");
    expect_edit(&good, "\"allow_symlinks\":false", "\"allow_symlinks\":true", "follows no links");
    expect_edit(&good, "\"hash_type\":\"sha256\"", "\"hash_type\":\"blake3\"", "it is not sha256");
    expect_edit(&good, "\"algorithm\":\"sha256\"", "\"algorithm\":\"blake3\"", "it is not sha256");
    expect_edit(&good, "\"algorithm\":\"sha256\"", "\"algorithm\":\"sha256-sharded-10\"",
                "shards of another size");
    expect_edit(&good, "\"algorithm\":\"sha256\"", "\"algorithm\":\"sha256-sharded-0\"",
                "it is not sha256");
    expect_edit(&good, "\"digest\":\"5", "\"digest\":\"F", "no SHA-256");
    expect_edit(&good, "\"digest\":\"58", "\"digest\":\"59", "not that of its resources");
    expect_edit(&good, "\"name\":\"a\"", "\"name\":\"\\u0000\"", "a text of 1 to");
    expect_edit(&good, "\"name\":\"a\"", "\"name\":\"\xff\"", "UTF-8");
    expect_edit(&good, "\"name\":\"a\",", "\"name\":\"a\",\"name\":\"b\",", "name is there twice");
    expect_edit(&good, "\"name\":\"a\",", "\"name\":\"a\",\"uri\":\"x\",", NULL);
    expect_edit(&good, "\"ignore_paths\":[]", "\"ignore_paths\":[\"../x\"]", "leads out");
    ps_buf_puts(&good, " {}");
    expect(&good, "statement");
    ps_buf_free(&good);
}
END_TEST

START_TEST(a_bundle_names_one_key_and_has_one_signature)
{
    static const char good[] =
        "{\"mediaType\":\"application/"
        "vnd.dev.sigstore.bundle.v0.3+json\",\"verificationMaterial\":{"
        "\"publicKey\":{\"hint\":\"x\"}},\"dsseEnvelope\":{\"payload\":\"e30=\",\"payloadType\":"
        "\"application/vnd.in-toto+json\",\"signatures\":[{\"sig\":\"AAAA\",\"keyid\":null}]}}";
    static const struct {
        const char *from, *to, *why;
    } edits[] = {
        {"x", "x", NULL},
        {"\"keyid\":null", "\"keyid\":\"\"", NULL},
        {",\"keyid\":null", "", NULL},
        {"{\"hint\":\"x\"}", "{\"rawBytes\":\"x\"}", NULL},
        {"v0.3", "v0.9", "mediaType"},
        {"\"publicKey\":{\"hint\":\"x\"}", "", "one of publicKey, x509CertificateChain"},
        {"\"publicKey\":{\"hint\":\"x\"}",
         "\"publicKey\":{},\"x509CertificateChain\":{\"certificates\":[{\"rawBytes\":\"AAAA\"}]}",
         "one of publicKey"},
        {"\"publicKey\":{\"hint\":\"x\"}", "\"x509CertificateChain\":{\"certificates\":[]}",
         "there is none"},
        {"in-toto+json", "in-toto+yaml", "payloadType"},
        {"\"e30=\"", "\"e30\"", "payload"},
        {"{\"sig\":\"AAAA\",\"keyid\":null}", "{\"sig\":\"AAAA\"},{\"sig\":\"AAAA\"}",
         "there is more than one"},
        {"{\"sig\":\"AAAA\",\"keyid\":null}", "", "there is none"},
        {"\"sig\":\"AAAA\"", "\"sig\":\"AAAA\",\"sig\":\"AAAB\"", "sig is there twice"},
        {"\"payload\":", "\"payload\":\"e30=\",\"payload\":", "payload is there twice"},
        {"{\"mediaType\"", "{\"more\":1,\"mediaType\"", "is not known"},
    };
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        ps_buf text = PS_BUF_EMPTY;
        ps_bundle b;
        const char *at = strstr(good, edits[i].from);
        ck_assert_ptr_nonnull(at);
        ps_buf_append(&text, good, (size_t)(at - good));
        ps_buf_puts(&text, edits[i].to);
        ps_buf_puts(&text, at + strlen(edits[i].from));
        ps_status st = ps_bundle_read(ps_buf_slice(&text), &b);
        ck_assert_msg(edits[i].why ? st == PS_CORRUPT && strstr(ps_error_message(), edits[i].why)
                                   : st == PS_OK,
                      "edit %zu: %s", i, ps_error_message());
        if (!st)
            ps_bundle_free(&b);
        ps_buf_free(&text);
    }
}
END_TEST

static const ps_check_case cases[] = {
    {&the_specifications_valid_vectors_are_read},
    {&the_specifications_invalid_vectors_are_refused},
    {&names_that_leave_the_folder_or_mean_two_things_are_refused},
    {&a_file_is_signed_once_and_shards_are_all_of_it},
    {&a_statement_says_what_its_schema_has_and_no_more},
    {&a_bundle_names_one_key_and_has_one_signature},
    {0},
};

int main(void)
{
    return ps_check_main("common/signing/statement", cases);
}
