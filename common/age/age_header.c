/* Happy path: line by line to the MAC; every stanza of X25519 is looked at, and tried with each
 * identity until one opens; then the MAC says that nobody has changed the header since. */
#include "common/age/age_header.h"

#include "common/base/base64.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/security/aead.h"
#include "common/security/secret.h"

#define VERSION  PS_AGE_MARK "v1"
#define WRAP     "age-encryption.org/v1/X25519"
#define KIND     "X25519"
#define MAC_MARK "---"
enum { HASH = 32, WRAPPED = PS_AGE_FILE_KEY + PS_AEAD_TAG, FULL_LINE = 64 };

/* ---- both ways ---- */

/* The key that wraps the file key: of what two X25519 secrets have in common. */
static void derive_wrap(const uint8_t *shared, const uint8_t *share, const uint8_t *recipient,
                        uint8_t *wrap)
{
    uint8_t salt[2 * PS_X25519_BYTES];
    memcpy(salt, share, PS_X25519_BYTES);
    memcpy(salt + PS_X25519_BYTES, recipient, PS_X25519_BYTES);
    ps_hkdf_sha256(ps_slice_of(shared, PS_X25519_BYTES), ps_slice_of(salt, sizeof salt),
                   ps_slice_str(WRAP), wrap, HASH);
}

/* "The nonce is fixed as 12 0x00 bytes": the key is of this stanza alone. */
static ps_slice no_nonce(void)
{
    static const uint8_t zeros[PS_AEAD_NONCE];
    return ps_slice_of(zeros, sizeof zeros);
}

static void compute_mac(const uint8_t *file_key, ps_slice header, uint8_t *mac)
{
    uint8_t *key = ps_secret_alloc(HASH);
    ps_hkdf_sha256(ps_slice_of(file_key, PS_AGE_FILE_KEY), ps_slice_str(""), ps_slice_str("header"),
                   key, HASH);
    ps_hmac_sha256(ps_slice_of(key, HASH), header, mac);
    ps_secret_release(key);
}

/* ---- writing ---- */

static void write_stanza(const uint8_t *recipient, const uint8_t *key, ps_buf *out)
{
    ps_secret *secret = ps_secret_random();
    uint8_t *shared = ps_secret_alloc(PS_X25519_BYTES), *wrap = ps_secret_alloc(HASH);
    uint8_t share[PS_X25519_BYTES], wrapped[WRAPPED];
    ps_x25519_point(ps_secret_const(secret), share);
    PS_REQUIRE(!ps_x25519(ps_secret_const(secret), recipient, shared)); /* age_keys has looked */
    derive_wrap(shared, share, recipient, wrap);
    ps_aead *aead = ps_aead_new_chacha20(ps_slice_of(wrap, HASH));
    ps_aead_seal(aead, no_nonce(), ps_slice_of(NULL, 0), key, PS_AGE_FILE_KEY, wrapped);
    ps_aead_free(&aead);
    ps_secret_release(shared);
    ps_secret_release(wrap);
    ps_secret_free(&secret);
    ps_buf_puts(out, "-> " KIND " ");
    ps_base64_write_bare(out, ps_slice_of(share, sizeof share));
    ps_buf_putc(out, '\n');
    ps_base64_write_bare(out, ps_slice_of(wrapped, sizeof wrapped));
    ps_buf_putc(out, '\n');
}

void ps_age_header_write(const ps_age_recipients *recipients, const uint8_t *key, ps_buf *out)
{
    PS_REQUIRE(recipients->n && recipients->n <= PS_AGE_RECIPIENTS_MOST);
    const size_t begin = out->len;
    uint8_t mac[HASH];
    ps_buf_puts(out, VERSION "\n");
    for (size_t i = 0; i < recipients->n; i++)
        write_stanza(recipients->at[i], key, out);
    ps_buf_puts(out, MAC_MARK);
    compute_mac(key, ps_slice_of(out->data + begin, out->len - begin), mac);
    ps_buf_putc(out, ' ');
    ps_base64_write_bare(out, ps_slice_of(mac, sizeof mac));
    ps_buf_putc(out, '\n');
}

/* ---- reading: lines ---- */

typedef struct reader {
    ps_slice all;
    size_t at, line; /* where the next one begins, and the number of the last */
    const ps_age_identities *identities;
    uint8_t *key;
    bool opened;
    size_t stanzas;
    char other[40]; /* the kind of a stanza that is not known here; "": all are */
    bool ours;      /* there is one of X25519 */
} reader;

static ps_status bad(const reader *r, const char *what)
{
    return ps_fail(PS_CORRUPT, "the header of an age file is damaged, line %zu: %s", r->line, what);
}

static ps_status next_line(reader *r, ps_slice *line)
{
    const uint8_t *begin = r->all.data + r->at;
    const size_t left = r->all.len - r->at;
    const uint8_t *end = left ? memchr(begin, '\n', left) : NULL;
    r->line++;
    if (!end && r->all.len >= PS_AGE_HEADER_MOST)
        return ps_fail(PS_CORRUPT,
                       "the header of an age file of more than %d KiB (%zu recipients so far) is "
                       "not read",
                       PS_AGE_HEADER_MOST >> 10, r->stanzas);
    if (!end)
        return bad(r, "it ends there");
    *line = ps_slice_of(begin, (size_t)(end - begin));
    r->at += line->len + 1;
    return PS_OK;
}

/* Base64 of exactly len bytes. */
static bool decode(ps_slice text, uint8_t *out, size_t len)
{
    ps_buf bytes = PS_BUF_EMPTY;
    bool fine = !ps_base64_read_bare(text, &bytes) && bytes.len == len;
    if (fine)
        memcpy(out, bytes.data, len);
    ps_buf_free(&bytes);
    return fine;
}

/* ---- reading: stanzas ---- */

typedef struct stanza {
    ps_slice arguments[3]; /* the first few */
    size_t n;              /* all of them */
    uint8_t body[WRAPPED + 1];
    size_t body_len; /* all of it */
} stanza;

/* "argument = 1*VCHAR", a space between two. */
static ps_status read_arguments(const reader *r, ps_slice line, stanza *s)
{
    size_t begin = 0;
    for (size_t i = 0; i <= line.len; i++) {
        if (i < line.len && line.data[i] != ' ') {
            if (line.data[i] < 0x21 || line.data[i] > 0x7e)
                return bad(r, "a letter that has no place there");
            continue;
        }
        if (i == begin)
            return bad(r, "an empty word");
        if (s->n < sizeof s->arguments / sizeof *s->arguments)
            s->arguments[s->n] = ps_slice_of(line.data + begin, i - begin);
        s->n++;
        begin = i + 1;
    }
    return PS_OK;
}

/* "*full-line final-line": what is shorter than a full line is the last. */
static ps_status read_body(reader *r, stanza *s)
{
    ps_buf bytes = PS_BUF_EMPTY;
    ps_slice line = ps_slice_of(NULL, FULL_LINE);
    ps_status st = PS_OK;
    while (!st && line.len == FULL_LINE) {
        st = next_line(r, &line);
        ps_buf_clear(&bytes);
        if (!st && line.len > FULL_LINE)
            st = bad(r, "longer than 64 letters");
        if (!st && ps_base64_read_bare(line, &bytes))
            st = bad(r, "no base64 of the one form");
        for (size_t i = 0; !st && i < bytes.len; i++, s->body_len++)
            if (s->body_len < sizeof s->body)
                s->body[s->body_len] = bytes.data[i];
    }
    ps_buf_free(&bytes);
    return st;
}

/* With the first identity that it is for. */
static ps_status unwrap(reader *r, const stanza *s, const uint8_t *share)
{
    uint8_t *shared = ps_secret_alloc(PS_X25519_BYTES), *wrap = ps_secret_alloc(HASH);
    ps_status st = PS_OK;
    for (size_t i = 0; !st && !r->opened && i < ps_age_identities_count(r->identities); i++) {
        const uint8_t *secret = ps_age_identity_secret(r->identities, i);
        st = ps_x25519(secret, share, shared);
        if (st)
            break;
        derive_wrap(shared, share, ps_age_identity_point(r->identities, i), wrap);
        ps_aead *aead = ps_aead_new_chacha20(ps_slice_of(wrap, HASH));
        r->opened = !ps_aead_open(aead, no_nonce(), ps_slice_of(NULL, 0), s->body, WRAPPED, r->key);
        ps_aead_free(&aead);
    }
    ps_secret_release(shared);
    ps_secret_release(wrap);
    return st ? bad(r, "a share of low order") : PS_OK;
}

/* What is wrong with one stanza of X25519 is wrong with the header, whoever it is for. */
static ps_status take_x25519(reader *r, const stanza *s)
{
    uint8_t share[PS_X25519_BYTES];
    r->ours = true;
    if (s->n != 2 || !decode(s->arguments[1], share, sizeof share))
        return bad(r, "a stanza of X25519 has one share, of 32 bytes");
    if (s->body_len != WRAPPED)
        return bad(r, "a stanza of X25519 wraps 16 bytes");
    return r->opened ? PS_OK : unwrap(r, s, share);
}

/* "An scrypt stanza, if present, MUST be the only stanza in the header." */
static ps_status check_alone(const reader *r, bool passphrase)
{
    return passphrase && r->stanzas > 1 ? bad(r, "a passphrase beside other recipients") : PS_OK;
}

static ps_status read_stanza(reader *r, ps_slice line, bool *passphrase)
{
    stanza s = {.n = 0};
    ps_status st = read_arguments(r, line, &s);
    if (!st)
        st = read_body(r, &s);
    if (st)
        return st;
    r->stanzas++;
    *passphrase |= ps_slice_is(s.arguments[0], "scrypt");
    st = check_alone(r, *passphrase);
    if (st)
        return st;
    if (ps_slice_is(s.arguments[0], KIND))
        return take_x25519(r, &s);
    size_t n = s.arguments[0].len < sizeof r->other ? s.arguments[0].len : sizeof r->other - 1;
    memcpy(r->other, s.arguments[0].data, n);
    r->other[n] = '\0';
    return PS_OK;
}

/* ---- reading: all ---- */

static ps_status read_version(reader *r)
{
    ps_slice line;
    ps_status st = next_line(r, &line);
    if (st || ps_slice_is(line, VERSION))
        return st;
    size_t mark = strlen(PS_AGE_MARK);
    if (line.len <= mark || memcmp(line.data, PS_AGE_MARK, mark) != 0)
        return bad(r, "it does not begin with " VERSION);
    for (size_t i = mark; i < line.len; i++)
        if (line.data[i] < 0x21 || line.data[i] > 0x7e)
            return bad(r, "a version of other letters");
    return ps_fail(PS_FAILED_PRECONDITION, "an age file of version %.*s; v1 is known here",
                   (int)(line.len - mark < 20 ? line.len - mark : 20), line.data + mark);
}

/* line: the last, less "---". */
static ps_status check_mac(const reader *r, ps_slice line)
{
    uint8_t said[HASH], mac[HASH];
    if (!line.len || line.data[0] != ' ' ||
        !decode(ps_slice_of(line.data + 1, line.len - 1), said, sizeof said))
        return bad(r, "no MAC of 32 bytes");
    if (!r->stanzas)
        return bad(r, "there is no recipient");
    if (!r->opened)
        return PS_OK;
    compute_mac(r->key, ps_slice_of(r->all.data, (size_t)(line.data - r->all.data)), mac);
    return ps_secret_equal(mac, said, sizeof mac)
               ? PS_OK
               : ps_fail(PS_CORRUPT, "the header of an age file was changed: its MAC is another");
}

static ps_status not_for_us(const reader *r)
{
    size_t n = ps_age_identities_count(r->identities);
    if (!r->ours)
        return ps_fail(PS_FAILED_PRECONDITION,
                       "it is encrypted for recipients of kind %s, and those of X25519 are known "
                       "here: age -d opens it",
                       r->other);
    return ps_fail(PS_FAILED_PRECONDITION, "it is encrypted for others: %zu recipient%s, and %s",
                   r->stanzas, r->stanzas == 1 ? "" : "s",
                   n == 1 ? "the identity given is not one of them"
                          : "no identity given is one of them");
}

static ps_status read_all(reader *r)
{
    const size_t mark = strlen(MAC_MARK);
    bool passphrase = false;
    ps_slice line;
    ps_status st = read_version(r);
    while (!st && !(st = next_line(r, &line))) {
        if (line.len >= 3 && !memcmp(line.data, "-> ", 3)) {
            st = read_stanza(r, ps_slice_of(line.data + 3, line.len - 3), &passphrase);
        } else if (line.len >= mark && !memcmp(line.data, MAC_MARK, mark)) {
            st = check_mac(r, ps_slice_of(line.data + mark, line.len - mark));
            return !st && !r->opened ? not_for_us(r) : st;
        } else {
            st = bad(r, "neither a recipient nor the MAC");
        }
    }
    return st;
}

ps_status ps_age_header_read(ps_slice bytes, const ps_age_identities *identities, uint8_t *key,
                             size_t *len)
{
    PS_REQUIRE(bytes.len <= PS_AGE_HEADER_MOST);
    reader r = {.all = bytes, .identities = identities, .key = key, .opened = !identities};
    ps_status st = read_all(&r);
    if (st)
        ps_wipe(key, PS_AGE_FILE_KEY);
    else
        *len = r.at;
    return st;
}
