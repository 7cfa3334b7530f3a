/* Happy path: a read is served from `in`, which the layer below fills; a write is appended to
 * `out`. Failure: the status of the layer below is kept for ssl_outcome in tls.c, which knows
 * better than OpenSSL's "syscall". */
#include "common/transport/tls/tls_bio.h"

#include "common/base/mem.h"

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <pthread.h>

#define IN_CAPACITY (128u << 10) /* stays in the core's cache */

static int bio_read(BIO *b, char *data, size_t len, size_t *got)
{
    ps_tls_bio *bio = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    ps_status st = PS_OK;
    if (bio->in_off == bio->in_len) {
        bio->in_off = bio->in_len = 0;
        st = bio->below->ops->recv(bio->below, bio->in, IN_CAPACITY, &bio->in_len);
    }
    if (!st) {
        size_t left = bio->in_len - bio->in_off;
        *got = len < left ? len : left;
        memcpy(data, bio->in + bio->in_off, *got);
        bio->in_off += *got;
        return 1;
    }
    *got = 0;
    if (st == PS_AGAIN) {
        BIO_set_retry_read(b);
        return -1;
    }
    ps_error_save(&bio->error, st);
    return st == PS_END ? 0 : -1;
}

static int bio_write(BIO *b, const char *data, size_t len, size_t *written)
{
    ps_tls_bio *bio = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    *written = 0;
    if (bio->error.code && bio->error.code != PS_END)
        return -1;
    size_t room = ps_tls_bio_room(bio, bio->out_capacity);
    if (room < len && ps_tls_bio_flush(bio) == PS_OK)
        room = ps_tls_bio_room(bio, bio->out_capacity);
    if (room == 0) {
        BIO_set_retry_write(b);
        return -1;
    }
    size_t piece = len < room ? len : room;
    memcpy(bio->out + bio->out_len, data, piece);
    bio->out_len += piece;
    *written = piece;
    return 1;
}

static long bio_ctrl(BIO *b, int command, long number, void *pointer)
{
    (void)number, (void)pointer;
    const ps_tls_bio *bio = BIO_get_data(b);
    switch (command) {
    case BIO_CTRL_FLUSH: /* the layer flushes when its owner has no more to send */
    case BIO_CTRL_DUP:
        return 1;
    case BIO_CTRL_EOF:
        return bio->error.code == PS_END;
    default:
        return 0;
    }
}

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static void free_method(void)
{
    BIO_meth_free(method);
    method = NULL;
}

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "psd layer");
    if (!method)
        return;
    BIO_meth_set_read_ex(method, bio_read);
    BIO_meth_set_write_ex(method, bio_write);
    BIO_meth_set_ctrl(method, bio_ctrl);
    OPENSSL_atexit(free_method);
}

ps_status ps_tls_bio_init(ps_tls_bio *bio, ps_layer *below, size_t capacity, SSL *ssl)
{
    pthread_once(&method_once, make_method);
    BIO *b = method ? BIO_new(method) : NULL;
    if (!b)
        return ps_fail(PS_NO_MEMORY, "tls: out of memory");
    bio->out = ps_try_alloc_raw(capacity);
    bio->in = ps_try_alloc_raw(IN_CAPACITY);
    if (!bio->out || !bio->in) {
        BIO_free(b);
        ps_tls_bio_clear(bio);
        return ps_fail(PS_NO_MEMORY, "tls: no memory for the buffers of a connection");
    }
    bio->below = below;
    bio->out_capacity = capacity;
    BIO_set_data(b, bio);
    BIO_set_init(b, 1);
    SSL_set_bio(ssl, b, b);
    return PS_OK;
}

void ps_tls_bio_clear(ps_tls_bio *bio)
{
    ps_free(&bio->out);
    ps_free(&bio->in);
}

size_t ps_tls_bio_room(const ps_tls_bio *bio, size_t limit)
{
    return bio->out_len < limit ? limit - bio->out_len : 0;
}

ps_status ps_tls_bio_flush(ps_tls_bio *bio)
{
    if (bio->error.code && bio->error.code != PS_END)
        return ps_error_raise(&bio->error);
    while (bio->out_off < bio->out_len) {
        ps_slice left = ps_slice_of(bio->out + bio->out_off, bio->out_len - bio->out_off);
        size_t sent = 0;
        ps_status st = bio->below->ops->send(bio->below, &left, 1, &sent);
        if (st == PS_AGAIN)
            return st;
        if (st) {
            ps_error_save(&bio->error, st);
            return st;
        }
        bio->out_off += sent;
    }
    bio->out_off = bio->out_len = 0;
    return PS_OK;
}
