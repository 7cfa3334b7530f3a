/* Happy path: tables of members, a level each; base64 becomes bytes on the way. Writing cannot
 * fail. */
#include "common/signing/bundle.h"

#include "common/base/base64.h"
#include "common/base/require.h"
#include "common/json/json_rows.h"

#include <string.h>

#define MEDIA_TYPE   "application/vnd.dev.sigstore.bundle.v0.3+json"
#define PAYLOAD_TYPE "application/vnd.in-toto+json"

enum { HINT_MOST = 1024, SIGNATURE_MOST = 1024, CERTIFICATE_MOST = 64 << 10 };

void ps_bundle_free(ps_bundle *b)
{
    ps_buf_free(&b->hint);
    for (size_t i = 0; i < PS_BUNDLE_CERTIFICATES; i++)
        ps_buf_free(&b->certificates[i]);
    ps_buf_free(&b->payload);
    ps_buf_free(&b->signature);
    *b = (ps_bundle){0};
}

void ps_bundle_signed(ps_slice payload, ps_buf *out)
{
    ps_buf_printf(out, "DSSEv1 %zu " PAYLOAD_TYPE " %zu ", strlen(PAYLOAD_TYPE), payload.len);
    ps_buf_append(out, payload.data, payload.len);
}

/* ---- writing ---- */

static void put_base64(ps_json_writer *w, const char *key, const ps_buf *bytes)
{
    ps_json_key(w, key);
    ps_json_base64(w, ps_buf_slice(bytes));
}

static void put_certificates(ps_json_writer *w, const ps_bundle *b)
{
    ps_json_key(w, "x509CertificateChain");
    ps_json_object(w);
    ps_json_key(w, "certificates");
    ps_json_array(w);
    for (size_t i = 0; i < b->n_certificates; i++) {
        ps_json_object(w);
        put_base64(w, "rawBytes", &b->certificates[i]);
        ps_json_object_end(w);
    }
    ps_json_array_end(w);
    ps_json_object_end(w);
}

static void put_material(ps_json_writer *w, const ps_bundle *b)
{
    ps_json_key(w, "verificationMaterial");
    ps_json_object(w);
    if (b->method == PS_BUNDLE_CERTIFICATE) {
        put_certificates(w, b);
    } else {
        ps_json_key(w, "publicKey");
        ps_json_object(w);
        ps_json_key(w, "hint");
        ps_json_string_n(w, ps_buf_slice(&b->hint));
        ps_json_object_end(w);
    }
    ps_json_key(w, "tlogEntries");
    ps_json_array(w);
    ps_json_array_end(w);
    ps_json_object_end(w);
}

static void put_envelope(ps_json_writer *w, const ps_bundle *b)
{
    ps_json_key(w, "dsseEnvelope");
    ps_json_object(w);
    put_base64(w, "payload", &b->payload);
    ps_json_put_string(w, "payloadType", PAYLOAD_TYPE);
    ps_json_key(w, "signatures");
    ps_json_array(w);
    ps_json_object(w);
    put_base64(w, "sig", &b->signature);
    ps_json_put_string(w, "keyid", "");
    ps_json_object_end(w);
    ps_json_array_end(w);
    ps_json_object_end(w);
}

void ps_bundle_write(const ps_bundle *b, ps_buf *out)
{
    PS_REQUIRE(b->method != PS_BUNDLE_SIGSTORE && b->payload.len && b->signature.len);
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    ps_json_put_string(&w, "mediaType", MEDIA_TYPE);
    put_material(&w, b);
    put_envelope(&w, b);
    ps_json_object_end(&w);
    ps_buf_putc(out, '\n');
}

/* ---- reading ---- */

static ps_status read_base64(ps_json_reader *r, size_t most, ps_buf *out)
{
    ps_json_token token;
    ps_status st = ps_json_expect(r, PS_JSON_STRING, &token);
    if (st)
        return st;
    if (!token.text.len || token.text.len / 4 * 3 > most)
        return ps_fail(PS_CORRUPT, "base64 of 1 to %zu bytes is expected", most);
    return ps_base64_read(token.text, out);
}

static ps_status read_media_type(ps_json_reader *r, void *user)
{
    (void)user;
    return ps_json_rows_word(r, MEDIA_TYPE);
}

/* What of the material is there: exactly one of the three. */
typedef struct material {
    ps_bundle *bundle;
    unsigned methods, log_entries;
} material;

static void found(material *m, ps_bundle_method method)
{
    m->bundle->method = method;
    m->methods++;
}

static ps_status read_hint(ps_json_reader *r, void *user)
{
    return ps_json_rows_text(r, HINT_MOST, &((ps_bundle *)user)->hint);
}

/* Before hints there were the key's bytes: which key it is, whoever checks says himself. */
static ps_status read_key(ps_json_reader *r, void *user)
{
    static const ps_json_row rows[] = {{"hint", read_hint, false}, {0}};
    material *m = user;
    found(m, PS_BUNDLE_KEY);
    return ps_json_rows_read(r, rows, PS_JSON_SKIP_OTHERS, m->bundle);
}

static ps_status read_raw(ps_json_reader *r, void *user)
{
    ps_bundle *b = user;
    if (b->n_certificates == PS_BUNDLE_CERTIFICATES)
        return ps_fail(PS_CORRUPT, "more than %d certificates", PS_BUNDLE_CERTIFICATES);
    return read_base64(r, CERTIFICATE_MOST, &b->certificates[b->n_certificates++]);
}

static const ps_json_row certificate_rows[] = {{"rawBytes", read_raw, true}, {0}};

static ps_status read_certificates(ps_json_reader *r, void *user)
{
    ps_json_token token;
    ps_slice one;
    size_t n = 0;
    ps_status st = ps_json_expect(r, PS_JSON_ARRAY, &token);
    for (; ps_json_element(r, &one, &st); n++)
        st = ps_json_rows_read_bytes(one, certificate_rows, PS_JSON_SKIP_OTHERS, user);
    return st || n ? st : ps_fail(PS_CORRUPT, "there is none");
}

static ps_status read_chain(ps_json_reader *r, void *user)
{
    static const ps_json_row rows[] = {{"certificates", read_certificates, true}, {0}};
    material *m = user;
    found(m, PS_BUNDLE_CERTIFICATE);
    return ps_json_rows_read(r, rows, PS_JSON_SKIP_OTHERS, m->bundle);
}

static ps_status read_one_certificate(ps_json_reader *r, void *user)
{
    material *m = user;
    found(m, PS_BUNDLE_SIGSTORE);
    return ps_json_rows_read(r, certificate_rows, PS_JSON_SKIP_OTHERS, m->bundle);
}

static ps_status read_log_entries(ps_json_reader *r, void *user)
{
    material *m = user;
    ps_json_token token;
    ps_slice one;
    ps_status st = ps_json_expect(r, PS_JSON_ARRAY, &token);
    while (ps_json_element(r, &one, &st))
        m->log_entries++;
    return st;
}

static ps_status read_material(ps_json_reader *r, void *user)
{
    static const ps_json_row rows[] = {{"publicKey", read_key, false},
                                       {"x509CertificateChain", read_chain, false},
                                       {"certificate", read_one_certificate, false},
                                       {"tlogEntries", read_log_entries, false},
                                       {0}};
    material m = {.bundle = user};
    ps_status st = ps_json_rows_read(r, rows, PS_JSON_SKIP_OTHERS, &m);
    if (!st && m.methods != 1)
        st = ps_fail(PS_CORRUPT, "one of publicKey, x509CertificateChain and certificate is "
                                 "expected");
    if (!st && m.bundle->method == PS_BUNDLE_SIGSTORE && !m.log_entries)
        st = ps_fail(PS_CORRUPT, "tlogEntries is missing, which belongs to certificate");
    return st;
}

static ps_status read_payload(ps_json_reader *r, void *user)
{
    return read_base64(r, PS_BUNDLE_MOST, &((ps_bundle *)user)->payload);
}

static ps_status read_payload_type(ps_json_reader *r, void *user)
{
    (void)user;
    return ps_json_rows_word(r, PAYLOAD_TYPE);
}

static ps_status read_signature(ps_json_reader *r, void *user)
{
    return read_base64(r, SIGNATURE_MOST, &((ps_bundle *)user)->signature);
}

/* A text, or null: of no use here. */
static ps_status read_key_id(ps_json_reader *r, void *user)
{
    (void)user;
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    if (!st && token.kind != PS_JSON_STRING && token.kind != PS_JSON_NULL)
        st = ps_fail(PS_CORRUPT, "it is no text");
    return st;
}

static ps_status read_signatures(ps_json_reader *r, void *user)
{
    static const ps_json_row rows[] = {
        {"sig", read_signature, true}, {"keyid", read_key_id, false}, {0}};
    ps_json_token token;
    ps_slice one;
    size_t n = 0;
    ps_status st = ps_json_expect(r, PS_JSON_ARRAY, &token);
    for (; ps_json_element(r, &one, &st); n++)
        st = n ? ps_fail(PS_CORRUPT, "there is more than one")
               : ps_json_rows_read_bytes(one, rows, PS_JSON_NO_OTHERS, user);
    return st || n ? st : ps_fail(PS_CORRUPT, "there is none");
}

static ps_status read_envelope(ps_json_reader *r, void *user)
{
    static const ps_json_row rows[] = {{"payload", read_payload, true},
                                       {"payloadType", read_payload_type, true},
                                       {"signatures", read_signatures, true},
                                       {0}};
    return ps_json_rows_read(r, rows, PS_JSON_NO_OTHERS, user);
}

ps_status ps_bundle_read(ps_slice json, ps_bundle *out)
{
    static const ps_json_row rows[] = {{"mediaType", read_media_type, true},
                                       {"verificationMaterial", read_material, true},
                                       {"dsseEnvelope", read_envelope, true},
                                       {0}};
    *out = (ps_bundle){0};
    ps_status st = ps_json_rows_read_bytes(json, rows, PS_JSON_NO_OTHERS, out);
    if (!st)
        return PS_OK;
    ps_bundle_free(out);
    return ps_wrap(PS_CORRUPT, "no bundle of a signature");
}
