/* tls_bio: what OpenSSL reads from and writes to: the layer below, with a buffer for what is
 * written, so that records leave in large pieces, and one for what is read, so that they come in
 * such. OpenSSL's own read-ahead is not used: it moves all that it holds to the front of its buffer
 * for every record, several times what it reads when the buffer is large (ssl3_read_n).
 *
 * Inside the TLS layer only.
 */
#ifndef PS_TRANSPORT_TLS_TLS_BIO_H
#define PS_TRANSPORT_TLS_TLS_BIO_H

#include "common/transport/tcp/layer.h"

struct ssl_st;

typedef struct ps_tls_bio {
    ps_layer *below;
    uint8_t *out; /* bytes [out_off, out_len) wait for the layer below */
    size_t out_off, out_len, out_capacity;
    uint8_t *in; /* bytes [in_off, in_len) were received and not yet asked for */
    size_t in_off, in_len;
    ps_error error; /* the last failure below; code PS_OK: none */
} ps_tls_bio;

/* Gives the SSL a BIO of this kind; bio stays where it is until the SSL is freed. */
PS_MUST_CHECK ps_status ps_tls_bio_init(ps_tls_bio *bio, ps_layer *below, size_t capacity,
                                        struct ssl_st *ssl);
void ps_tls_bio_clear(ps_tls_bio *bio);
/* Bytes that can be written before the buffer holds `limit`. */
size_t ps_tls_bio_room(const ps_tls_bio *bio, size_t limit);
/* Passes on what is held. PS_AGAIN when the layer below did not take all. */
PS_MUST_CHECK ps_status ps_tls_bio_flush(ps_tls_bio *bio);

#endif
