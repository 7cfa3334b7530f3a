/* Happy path of writing: the text is signed, and goes into the line with who signed it. Of
 * checking: the line's head is the line before, its signer's certificate is known from this anchor
 * or one before, is trusted at the time that is signed with it, and its key has signed this text.
 */
#include "common/security/audit_anchor.h"

#include "common/base/base64.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/security/certificate.h"
#include "common/security/certificate_build.h"
#include "common/security/certificate_check.h"
#include "common/security/crypto_error.h"
#include "common/security/pem_file.h"

#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <time.h>

enum { SIGNATURE_MOST = 1024, ABOVE_MOST = 4 };

static void id_of(X509 *certificate, char out[PS_DIGEST_TEXT])
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    int done = X509_digest(certificate, EVP_sha256(), bytes, &n);
    PS_REQUIRE(done == 1 && n == PS_DIGEST_BYTES);
    ps_digest_text(bytes, out);
}

void ps_anchor_signer_id(const ps_anchor_signer *signer, char out[PS_DIGEST_TEXT])
{
    id_of(signer->certificate, out);
}

/* What is signed. */
static size_t text_of(const char *time, const ps_audit_head *head, char *out, size_t size)
{
    char last[PS_AUDIT_HEAD_TEXT];
    ps_audit_head_text(head, last);
    int n = snprintf(out, size, "psd audit anchor\n%s\n%s\n", time, last);
    PS_REQUIRE(n > 0 && (size_t)n < size);
    return (size_t)n;
}

/* ---- writing ---- */

static bool sign(EVP_PKEY *key, ps_slice text, ps_buf *out)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t n = SIGNATURE_MOST;
    ps_buf_reserve(out, n);
    bool done = context &&
                EVP_DigestSignInit(context, NULL, ps_certificate_digest_for(key), NULL, key) == 1 &&
                EVP_DigestSign(context, out->data, &n, text.data, text.len) == 1;
    out->len = done ? n : 0;
    EVP_MD_CTX_free(context);
    return done;
}

/* As long as the line can be read. */
static void put_certificate(ps_json_writer *w, X509 *certificate)
{
    unsigned char *der = NULL;
    int n = i2d_X509(certificate, &der);
    if (n > 0 && w->out->len + (size_t)n / 3 * 4 < PS_AUDIT_LINE_MOST - 512)
        ps_json_base64(w, ps_slice_of(der, (size_t)n));
    OPENSSL_free(der);
}

/* A root that stands among them is no use: who checks has it, or does not believe it. */
static void put_certificates(ps_json_writer *w, const ps_anchor_signer *signer)
{
    ps_json_key(w, "certificates");
    ps_json_array(w);
    put_certificate(w, signer->certificate);
    for (int i = 0; i < sk_X509_num(signer->above) && i < ABOVE_MOST; i++)
        if (X509_self_signed(sk_X509_value(signer->above, i), 0) != 1)
            put_certificate(w, sk_X509_value(signer->above, i));
    ps_json_array_end(w);
}

ps_status ps_anchor_write(const ps_anchor_signer *signer, const char *time,
                          const ps_audit_head *head, bool show, ps_json_writer *w)
{
    char text[256], last[PS_AUDIT_HEAD_TEXT], id[PS_DIGEST_TEXT];
    ps_buf signature = PS_BUF_EMPTY;
    size_t n = text_of(time, head, text, sizeof text);
    if (!sign(signer->key, ps_slice_of(text, n), &signature)) {
        ps_buf_free(&signature);
        return ps_crypto_fail(PS_INTERNAL, "the key of the certificate does not sign");
    }
    ps_json_put_string(w, "event", "anchor");
    ps_audit_head_text(head, last);
    ps_json_put_string(w, "head", last);
    ps_anchor_signer_id(signer, id);
    ps_json_put_string(w, "signer", id);
    ps_json_key(w, "sig");
    ps_json_base64(w, ps_buf_slice(&signature));
    if (show)
        put_certificates(w, signer);
    ps_buf_free(&signature);
    return PS_OK;
}

/* ---- checking ---- */

/* A certificate that an anchor showed. */
typedef struct known {
    char id[PS_DIGEST_TEXT];
    X509 *certificate;
    STACK_OF(X509) * above;
    bool trusted;        /* by the CA: */
    int64_t from, until; /* between these times, seconds since 1970 */
    bool signs;          /* is counted */
} known;

struct ps_anchor_check {
    X509_STORE *ca; /* NULL: not asked for */
    X509 *pinned;   /* likewise */
    known *all;
    size_t n, room;
    ps_anchor_found found;
};

static ps_status read_ca(ps_anchor_check *c, const char *path)
{
    STACK_OF(X509) *list = NULL;
    ps_status st = ps_pem_read_certificates(path, "CA file", &list);
    if (st)
        return st;
    c->ca = X509_STORE_new();
    PS_REQUIRE(c->ca);
    for (int i = 0; !st && i < sk_X509_num(list); i++)
        if (X509_STORE_add_cert(c->ca, sk_X509_value(list, i)) != 1)
            st = ps_crypto_fail(PS_INVALID_ARGUMENT, "CA file %s", path);
    sk_X509_pop_free(list, X509_free);
    return st;
}

ps_status ps_anchor_check_new(const ps_anchor_trust *trust, ps_anchor_check **out)
{
    ps_anchor_check *c = ps_new(ps_anchor_check);
    ps_status st = trust->ca ? read_ca(c, trust->ca) : PS_OK;
    if (!st && trust->certificate)
        st = ps_pem_read_certificate(trust->certificate, "certificate", &c->pinned);
    if (st) {
        ps_anchor_check_free(&c);
        return st;
    }
    *out = c;
    return PS_OK;
}

void ps_anchor_check_free(ps_anchor_check **check)
{
    ps_anchor_check *c = *check;
    if (!c)
        return;
    for (size_t i = 0; i < c->n; i++) {
        X509_free(c->all[i].certificate);
        sk_X509_pop_free(c->all[i].above, X509_free);
    }
    ps_free(&c->all);
    X509_STORE_free(c->ca);
    X509_free(c->pinned);
    ps_free(check);
}

/* What an anchor says of itself. */
typedef struct anchor {
    bool is_one;
    char time[40], head[PS_AUDIT_HEAD_TEXT], signer[PS_DIGEST_TEXT];
    ps_buf signature;
    STACK_OF(X509) * certificates;
} anchor;

static void anchor_free(anchor *a)
{
    ps_buf_free(&a->signature);
    sk_X509_pop_free(a->certificates, X509_free);
}

static void take(ps_slice text, char *out, size_t size)
{
    if (text.len < size && !memchr(text.data, 0, text.len)) {
        memcpy(out, text.data, text.len);
        out[text.len] = 0;
    }
}

static ps_status read_certificate(anchor *a, ps_slice text)
{
    ps_buf der = PS_BUF_EMPTY;
    ps_status st = ps_base64_read(text, &der);
    const unsigned char *at = der.data;
    X509 *one = st ? NULL : d2i_X509(NULL, &at, (long)der.len);
    if (!st && (!one || at != der.data + der.len || sk_X509_num(a->certificates) > ABOVE_MOST))
        st = ps_crypto_fail(PS_CORRUPT, "what it shows is no certificate");
    if (st || sk_X509_push(a->certificates, one) <= 0)
        X509_free(one);
    ps_buf_free(&der);
    return st;
}

static ps_status read_certificates(ps_json_reader *r, anchor *a)
{
    ps_json_token token;
    ps_status st = ps_json_expect(r, PS_JSON_ARRAY, &token);
    while (!st && !(st = ps_json_next(r, &token)) && token.kind == PS_JSON_STRING)
        st = read_certificate(a, token.text);
    return st || token.kind == PS_JSON_ARRAY_END
               ? st
               : ps_fail(PS_CORRUPT, "what it shows is no certificate");
}

static ps_status read_text(anchor *a, ps_slice key, ps_slice text)
{
    if (ps_slice_is(key, "event"))
        a->is_one = ps_slice_is(text, "anchor");
    else if (ps_slice_is(key, "time"))
        take(text, a->time, sizeof a->time);
    else if (ps_slice_is(key, "head"))
        take(text, a->head, sizeof a->head);
    else if (ps_slice_is(key, "signer"))
        take(text, a->signer, sizeof a->signer);
    else if (ps_slice_is(key, "sig")) {
        ps_buf_clear(&a->signature);
        return ps_base64_read(text, &a->signature);
    }
    return PS_OK;
}

static ps_status read_member(ps_json_reader *r, anchor *a, ps_slice key)
{
    char name[16] = "";
    ps_json_token value;
    take(key, name, sizeof name);
    if (!strcmp(name, "certificates"))
        return read_certificates(r, a);
    static const char *const texts[] = {"event", "time", "head", "signer", "sig"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!strcmp(name, texts[i])) {
            ps_status st = ps_json_expect(r, PS_JSON_STRING, &value);
            return st ? st : read_text(a, ps_slice_str(name), value.text);
        }
    return ps_json_skip(r);
}

static ps_status read_anchor(ps_slice line, anchor *a)
{
    ps_json_reader r;
    ps_json_token key;
    ps_json_reader_init(&r, line);
    a->certificates = sk_X509_new_null();
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &key);
    while (ps_json_member(&r, &key, &st))
        st = read_member(&r, a, key.text);
    ps_json_reader_free(&r);
    return st;
}

/* Exactly as it is written: it is shown to people, too. */
static ps_status read_time(const char *text, int64_t *seconds)
{
    static const char form[] = "0000-00-00T00:00:00.000Z";
    struct tm t = {0};
    bool right = strlen(text) == sizeof form - 1;
    for (size_t i = 0; right && form[i]; i++)
        right = form[i] == '0' ? text[i] >= '0' && text[i] <= '9' : text[i] == form[i];
    if (!right || !strptime(text, "%Y-%m-%dT%H:%M:%S", &t))
        return ps_fail(PS_CORRUPT, "it has no time");
    *seconds = (int64_t)timegm(&t);
    return PS_OK;
}

/* Both are taken over. */
static void remember(ps_anchor_check *c, X509 *certificate, STACK_OF(X509) * above)
{
    if (c->n == c->room) {
        c->room = c->room ? 2 * c->room : 4;
        c->all = ps_realloc(c->all, c->room * sizeof *c->all);
    }
    known *k = &c->all[c->n++];
    *k = (known){.certificate = certificate, .above = above};
    id_of(k->certificate, k->id);
}

/* The newest first: it is nearly always that one. */
static known *find(ps_anchor_check *c, const char *id)
{
    for (size_t i = c->n; i-- > 0;)
        if (!strcmp(c->all[i].id, id))
            return &c->all[i];
    return NULL;
}

/* Between which times all certificates of the chain are in force. */
static void note_window(X509_STORE_CTX *store, known *k)
{
    const STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);
    k->from = INT64_MIN;
    k->until = INT64_MAX;
    for (int i = 0; i < sk_X509_num(chain); i++) {
        int64_t from = ps_certificate_not_before(sk_X509_value(chain, i));
        int64_t until = ps_certificate_not_after(sk_X509_value(chain, i));
        k->from = from > k->from ? from : k->from;
        k->until = until < k->until ? until : k->until;
    }
    k->trusted = true;
}

static ps_status verify_chain(ps_anchor_check *c, known *k, int64_t at)
{
    char why[PS_ERROR_MAX];
    ps_status st = PS_OK;
    X509_STORE_CTX *store = X509_STORE_CTX_new();
    PS_REQUIRE(store);
    if (X509_STORE_CTX_init(store, c->ca, k->certificate, k->above) != 1) {
        st = ps_crypto_fail(PS_NO_MEMORY, "certificate of an anchor");
    } else {
        X509_STORE_CTX_set_default(store, "ssl_server");
        X509_STORE_CTX_set_time(store, 0, (time_t)at);
        if (X509_verify_cert(store) != 1) {
            ps_certificate_explain(store, PS_CERTIFICATE_FOR_SERVER, NULL, why, sizeof why);
            st = ps_crypto_fail(PS_CORRUPT, "%s", why);
        } else {
            note_window(store, k);
        }
    }
    X509_STORE_CTX_free(store);
    return st;
}

/* By the CA, at the time that the anchor says. */
static ps_status trust_ca(ps_anchor_check *c, known *k, int64_t at)
{
    ps_identity who;
    ps_status st = PS_OK;
    if (!(k->trusted && at >= k->from && at <= k->until))
        st = verify_chain(c, k, at);
    if (!st && ps_certificate_check(k->certificate, PS_CERTIFICATE_FOR_SERVER, NULL,
                                    PS_ROLE_BIT(PS_ROLE_SERVER), &who))
        st = ps_wrap(PS_CORRUPT, "its signer is no server");
    return st;
}

static ps_status trust_pinned(const ps_anchor_check *c, const known *k)
{
    if (EVP_PKEY_eq(X509_get0_pubkey(c->pinned), X509_get0_pubkey(k->certificate)) == 1)
        return PS_OK;
    ERR_clear_error();
    return ps_fail(PS_CORRUPT, "another key signed it, of certificate %.16s…", k->id);
}

static ps_status verify(const known *k, const anchor *a, const ps_audit_head *before)
{
    char text[256];
    EVP_PKEY *key = X509_get0_pubkey(k->certificate);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t n = text_of(a->time, before, text, sizeof text);
    bool right =
        key && context &&
        EVP_DigestVerifyInit(context, NULL, ps_certificate_digest_for(key), NULL, key) == 1 &&
        EVP_DigestVerify(context, a->signature.data, a->signature.len, (const unsigned char *)text,
                         n) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return right ? PS_OK
                 : ps_fail(PS_CORRUPT, "its signature is not of the lines before it: they, or the "
                                       "anchor, were made anew");
}

/* The certificate that signed: one that the file shows, or the one that is asked for. */
static ps_status find_signer(ps_anchor_check *c, anchor *a, known **out)
{
    if (sk_X509_num(a->certificates) > 0 && !find(c, a->signer)) {
        remember(c, sk_X509_shift(a->certificates), a->certificates);
        a->certificates = NULL;
    }
    *out = find(c, a->signer);
    if (*out)
        return PS_OK;
    char id[PS_DIGEST_TEXT];
    if (c->pinned)
        id_of(c->pinned, id);
    if (!c->pinned || strcmp(id, a->signer) != 0)
        return ps_fail(PS_CORRUPT,
                       "no line before it shows the certificate that signed it, %.16s…: name the "
                       "file before, too",
                       a->signer);
    X509_up_ref(c->pinned);
    remember(c, c->pinned, NULL);
    *out = find(c, a->signer);
    return PS_OK;
}

static void note(ps_anchor_check *c, known *k, const anchor *a, const ps_audit_head *before)
{
    ps_anchor_found *f = &c->found;
    f->signers += !k->signs;
    k->signs = true;
    f->anchors++;
    f->signed_to = before->seq;
    memcpy(f->time, a->time, sizeof f->time);
    memcpy(f->signer_id, k->id, sizeof f->signer_id);
    if (ps_certificate_identity(k->certificate, &f->signer))
        f->signer = (ps_identity){0};
}

static ps_status check_anchor(ps_anchor_check *c, anchor *a, const ps_audit_head *before)
{
    known *k = NULL;
    ps_audit_head said;
    int64_t at = 0;
    if (strlen(a->signer) != PS_DIGEST_TEXT - 1 ||
        strspn(a->signer, "0123456789abcdef") != PS_DIGEST_TEXT - 1)
        return ps_fail(PS_CORRUPT, "it names no certificate");
    if (ps_audit_head_parse(a->head, &said) || said.seq != before->seq ||
        strcmp(said.sha256, before->sha256) != 0)
        return ps_fail(PS_CORRUPT,
                       "it signs for another line than the one before it: they were made anew");
    ps_status st = read_time(a->time, &at);
    if (!st)
        st = find_signer(c, a, &k);
    if (!st && c->ca)
        st = trust_ca(c, k, at);
    if (!st && c->pinned)
        st = trust_pinned(c, k);
    if (!st)
        st = verify(k, a, before);
    if (!st)
        note(c, k, a, before);
    return st;
}

ps_status ps_anchor_check_line(ps_anchor_check *check, ps_slice line, const ps_audit_head *before)
{
    anchor a = {0};
    if (!memmem(line.data, line.len, "\"anchor\"", strlen("\"anchor\"")))
        return PS_OK;
    ps_status st = read_anchor(line, &a);
    if (!a.is_one)
        st = PS_OK;
    else if (st)
        st = ps_wrap(PS_CORRUPT, "anchor");
    else if ((st = check_anchor(check, &a, before)))
        st = ps_wrap(st, "anchor");
    anchor_free(&a);
    return st;
}

void ps_anchor_check_found(const ps_anchor_check *check, ps_anchor_found *out)
{
    *out = check->found;
}
