/* layer: one layer of a connection, which knows only the next one below it.
 *
 * From the top: http2 -> tls -> tcp. Data is pulled: a layer asks the one below to recv into its
 * own buffer or to send its bytes, and gets PS_AGAIN when that would block; readiness is told from
 * below with on_ready. So bytes are not copied between layers, and a layer for tests (an in-memory
 * pipe with faults) is one more row.
 *
 * All on the connection's loop. ps_layer_ops are never called inside an on_ready of a freed layer.
 */
#ifndef PS_TRANSPORT_TCP_LAYER_H
#define PS_TRANSPORT_TCP_LAYER_H

#include "common/base/slice.h"
#include "common/base/status.h"

typedef struct ps_layer ps_layer;

enum { PS_LAYER_READABLE = 1, PS_LAYER_WRITABLE = 2 };

typedef struct ps_layer_ops {
    const char *name;
    /* Drives what must happen before data flows (connect, TLS handshake). PS_AGAIN until it is
     * done; then PS_OK at once, every time. */
    ps_status (*handshake)(ps_layer *layer);
    /* Up to len bytes; *got > 0 with PS_OK. PS_AGAIN: nothing now. PS_END: the peer has closed. */
    ps_status (*recv)(ps_layer *layer, void *data, size_t len, size_t *got);
    /* Takes some or all of the bytes of n slices in order, returns how many. PS_AGAIN: none now. */
    ps_status (*send)(ps_layer *layer, const ps_slice *slices, size_t n, size_t *sent);
    /* Pushes on what a layer holds back to fill records or packets. PS_AGAIN if not all went. */
    ps_status (*flush)(ps_layer *layer);
    /* Which readiness the layer above wants to hear of (a set of PS_LAYER_*). */
    void (*want)(ps_layer *layer, unsigned events);
    /* Closes and frees this layer and those below; no callback afterwards. */
    void (*close)(ps_layer *layer);
} ps_layer_ops;

struct ps_layer {
    const ps_layer_ops *ops;
    ps_layer *below; /* NULL at the bottom */
    /* Set by the layer above. */
    void (*on_ready)(void *above, unsigned events);
    void *above;
};

#endif
