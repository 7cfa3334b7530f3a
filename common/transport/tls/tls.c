/* Happy path: SSL_read pulls from the layer below through tls_bio; SSL_write encrypts records of
 * 16 KiB into `out`, which goes below in one piece when it is full or flushed. SSL_write is only
 * called with room for what it will produce, so it never has to be repeated with the same bytes.
 *
 * Failure: OpenSSL's errors become one line (ps_tls_session_failure); an alert of ours is still
 * sent before the layer is closed. AES-GCM keys wear out (RFC 8446 section 5.5) and OpenSSL never
 * replaces them by itself: SSL_key_update after `rekey` bytes. */
#include "common/transport/tls/tls.h"

#include "common/base/list.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/transport/tls/tls_bio.h"
#include "common/transport/tls/tls_session.h"
#include "common/transport/tls/tls_verify.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#define RECORD         16384u
#define RECORD_SEALED  (RECORD + 64u)
#define OUT_CAPACITY   (16u * RECORD_SEALED)
#define REKEY_BYTES    (64ull << 30)
#define HANDSHAKE_ROOM (32u * 1024u) /* certificates, tickets, alerts beside full records */

typedef struct tls {
    ps_layer layer;
    SSL *ssl;
    ps_tls_bio bio;
    uint8_t *stage; /* less than a record, not yet encrypted */
    size_t stage_len;
    uint64_t sealed, rekey;
    bool established, failed;
    ps_identity peer;
} tls;

static tls *of(ps_layer *layer)
{
    return ps_container(layer, tls, layer);
}

static void below_ready(void *above, unsigned events)
{
    tls *t = above;
    if (t->layer.on_ready)
        t->layer.on_ready(t->layer.above, events);
}

/* Why an SSL function did not succeed: PS_AGAIN, PS_END, or a failure. */
static ps_status ssl_outcome(tls *t, int rc)
{
    int error = SSL_get_error(t->ssl, rc);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return PS_AGAIN;
    if (error == SSL_ERROR_ZERO_RETURN)
        return ps_fail(PS_END, "closed by the peer");
    t->failed = true;
    if (t->bio.error.code && t->bio.error.code != PS_END && error == SSL_ERROR_SYSCALL)
        return ps_error_raise(&t->bio.error);
    return ps_tls_session_failure(t->ssl, error);
}

static ps_status tls_handshake(ps_layer *layer)
{
    tls *t = of(layer);
    if (t->established)
        return PS_OK;
    ERR_clear_error();
    int rc = SSL_do_handshake(t->ssl);
    ps_status st = rc == 1 ? PS_OK : ssl_outcome(t, rc);
    if (!st) {
        st = ps_tls_session_established(t->ssl, &t->peer);
        t->established = !st;
    }
    ps_error kept;
    ps_error_save(&kept, st);
    ps_status flushed = ps_tls_bio_flush(&t->bio); /* our alert as well */
    layer->below->ops->want(layer->below,
                            PS_LAYER_READABLE | (flushed == PS_AGAIN ? PS_LAYER_WRITABLE : 0));
    return st ? ps_error_raise(&kept) : PS_OK;
}

static ps_status tls_recv(ps_layer *layer, void *data, size_t len, size_t *got)
{
    tls *t = of(layer);
    ERR_clear_error();
    int rc = SSL_read_ex(t->ssl, data, len, got);
    return rc == 1 ? PS_OK : ssl_outcome(t, rc);
}

/* Encrypts up to len bytes, as far as records find room; *done of them. */
static ps_status seal(tls *t, const uint8_t *data, size_t len, size_t *done)
{
    *done = 0;
    while (*done < len) {
        size_t records = ps_tls_bio_room(&t->bio, OUT_CAPACITY) / RECORD_SEALED;
        if (records == 0) {
            ps_status st = ps_tls_bio_flush(&t->bio);
            if (st && st != PS_AGAIN)
                return st;
            records = ps_tls_bio_room(&t->bio, OUT_CAPACITY) / RECORD_SEALED;
            if (records == 0)
                return PS_AGAIN;
        }
        size_t piece = len - *done < records * RECORD ? len - *done : records * RECORD;
        size_t written = 0;
        ERR_clear_error();
        int rc = SSL_write_ex(t->ssl, data + *done, piece, &written);
        if (rc != 1)
            return ssl_outcome(t, rc);
        *done += written;
        t->sealed += written;
    }
    if (t->sealed >= t->rekey) {
        t->sealed = 0;
        SSL_key_update(t->ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
    }
    return PS_OK;
}

static ps_status seal_stage(tls *t)
{
    size_t done = 0;
    ps_status st = seal(t, t->stage, t->stage_len, &done);
    if (done < t->stage_len && done)
        memmove(t->stage, t->stage + done, t->stage_len - done);
    t->stage_len -= done;
    return st;
}

/* Takes bytes of one slice: large pieces straight, the rest into the stage. */
static ps_status take(tls *t, ps_slice slice, size_t *taken)
{
    *taken = 0;
    while (*taken < slice.len) {
        const uint8_t *at = slice.data + *taken;
        size_t left = slice.len - *taken, done = 0;
        if (t->stage_len == 0 && left >= RECORD) {
            ps_status st = seal(t, at, left - left % RECORD, &done);
            *taken += done;
            if (st)
                return st;
            continue;
        }
        size_t piece = left < RECORD - t->stage_len ? left : RECORD - t->stage_len;
        memcpy(t->stage + t->stage_len, at, piece);
        t->stage_len += piece;
        *taken += piece;
        if (t->stage_len == RECORD) {
            ps_status st = seal_stage(t);
            if (st)
                return st;
        }
    }
    return PS_OK;
}

static ps_status tls_send(ps_layer *layer, const ps_slice *slices, size_t n, size_t *sent)
{
    tls *t = of(layer);
    size_t total = 0;
    ps_status st = PS_OK;
    if (t->stage_len == RECORD)
        st = seal_stage(t);
    for (size_t i = 0; i < n && !st; i++) {
        size_t taken = 0;
        st = take(t, slices[i], &taken);
        total += taken;
    }
    if (st && st != PS_AGAIN)
        return st;
    if (total == 0)
        return st;
    *sent = total;
    return PS_OK;
}

static ps_status tls_flush(ps_layer *layer)
{
    tls *t = of(layer);
    ps_status st = t->stage_len ? seal_stage(t) : PS_OK;
    return st ? st : ps_tls_bio_flush(&t->bio);
}

static void tls_want(ps_layer *layer, unsigned events)
{
    layer->below->ops->want(layer->below, events);
}

static void tls_close(ps_layer *layer)
{
    tls *t = of(layer);
    if (t->established && !t->failed) {
        ERR_clear_error();
        SSL_shutdown(t->ssl); /* our close_notify; the peer's is not waited for */
        ERR_clear_error();
    }
    ps_status st = ps_tls_bio_flush(&t->bio); /* as much as goes at once */
    (void)st;
    SSL_free(t->ssl);
    ps_tls_bio_clear(&t->bio);
    layer->below->ops->close(layer->below);
    ps_wipe(t->stage, RECORD);
    free(t->stage);
    free(t);
}

static const ps_layer_ops tls_ops = {
    .name = "tls",
    .handshake = tls_handshake,
    .recv = tls_recv,
    .send = tls_send,
    .flush = tls_flush,
    .want = tls_want,
    .close = tls_close,
};

ps_status ps_tls_layer_create(ps_layer *below, ps_tls_context *context, const char *host,
                              ps_layer **out)
{
    PS_REQUIRE(below && context);
    SSL *ssl = NULL;
    ps_status st = ps_tls_session_new(context, host, &ssl);
    if (st)
        goto close_below;
    SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_set_read_ahead(ssl, 0); /* see tls_bio.h */
    tls *t = ps_new(tls);
    st = ps_tls_bio_init(&t->bio, below, OUT_CAPACITY + HANDSHAKE_ROOM, ssl);
    if (st)
        goto free_ssl;
    t->layer = (ps_layer){.ops = &tls_ops, .below = below};
    t->ssl = ssl;
    t->stage = ps_alloc(RECORD);
    t->rekey = REKEY_BYTES;
    below->on_ready = below_ready;
    below->above = t;
    *out = &t->layer;
    return PS_OK;
free_ssl:
    free(t);
    SSL_free(ssl);
close_below:
    below->ops->close(below);
    return st;
}

static const tls *seen(const ps_layer *layer)
{
    return (const void *)((const char *)layer - offsetof(tls, layer));
}

const ps_identity *ps_tls_layer_peer(const ps_layer *layer)
{
    return &seen(layer)->peer;
}

X509 *ps_tls_layer_certificate(const ps_layer *layer)
{
    const tls *t = seen(layer);
    return t->established ? SSL_get0_peer_certificate(t->ssl) : NULL;
}

int64_t ps_tls_layer_peer_not_after(const ps_layer *layer)
{
    return ps_tls_peer_not_after(seen(layer)->ssl);
}

const char *ps_tls_layer_group(ps_layer *layer)
{
    return layer->ops == &tls_ops ? ps_tls_session_group(of(layer)->ssl) : "";
}

ps_status ps_tls_layer_verify_again(ps_layer *layer, const ps_tls_context *context, bool *revoked)
{
    return ps_tls_verify_again(of(layer)->ssl, context, revoked);
}

const char *ps_tls_layer_claim(const ps_layer *layer)
{
    return ps_tls_peer_claim(seen(layer)->ssl);
}

void ps_tls_layer_set_rekey(ps_layer *layer, uint64_t bytes)
{
    of(layer)->rekey = bytes ? bytes : REKEY_BYTES;
}
