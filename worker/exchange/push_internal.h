/* push_internal: what push.c (the task's thread) and push_send.c (the loop's) share.
 *
 *     IDLE ─ first piece ready ─▶ OPEN ─ all sent ─▶ SENT ─ acknowledged ─▶ DONE
 *      ▲ ▲                         │ broken           │ broken               │
 *      │ ╰──────── timer ─────── WAITING ◀────────────╯                      │
 *      ╰───────────────────────────── next step ─────────────────────────────╯
 *
 * Any other failure, with the pusher's error, and a stop: from all of them to DONE.
 *
 * Legal moves: push_send.c. A step is over when its buckets are DONE and no payload is held by the
 * transport any more. */
#ifndef PS_EXCHANGE_PUSH_INTERNAL_H
#define PS_EXCHANGE_PUSH_INTERNAL_H

#include "worker/exchange/chunk.h"
#include "worker/exchange/push.h"

#include <stdatomic.h>

typedef enum ps_push_send_state {
    PS_SEND_IDLE,
    PS_SEND_OPEN,
    PS_SEND_SENT,
    PS_SEND_WAITING,
    PS_SEND_DONE,
    PS_SEND_STATES,
} ps_push_send_state;

/* psd keeps the answers to so many of a client's last sequences (PS_PUSH_WINDOW there): a push that
 * is made again must still be among them, so no push leaves that is so much younger than the oldest
 * one without an answer. */
enum { PS_PUSH_AHEAD = 256 };

/* Calls at a time: psd holds what comes until a push is whole, for one connection 64 MiB by
 * default, and a push that begins when all of that is given away is refused. So many of
 * PS_BUCKET_BYTES keep a connection busy, and leave room for the worker's other slots. */
enum { PS_PUSH_OPEN = 8 };

struct ps_push_step;

/* One bucket of one step. */
typedef struct ps_push_send {
    ps_pusher *pusher;
    struct ps_push_step *step;
    const ps_bucket *bucket;
    uint64_t sequence;
    /* under the gate's lock */
    bool acked;
    unsigned held;     /* payloads not yet released */
    atomic_uint state; /* the loop's, but for begin, which makes a DONE one IDLE */
    /* the loop's */
    ps_call *call;
    size_t piece;      /* what leaves next is of this one, */
    size_t chunk, end; /* whose chunks begin at this one and end before that */
    bool has_reply;
    bool duplicate;
    uint64_t staleness, version; /* of the reply */
} ps_push_send;

typedef struct ps_push_step {
    ps_pusher_step about;
    bool busy;           /* under the gate's lock */
    size_t open;         /* sends that are not over; likewise */
    ps_push_send *sends; /* [buckets.count] */
    float **gradients;   /* [maps->count]: in the model's order */
    float **wire;        /* [maps->count]: in wire order; the same memory where that is the same */
    uint8_t *encoded;    /* of a codec that is not the identity: the payload of every chunk, */
    uint32_t *lengths;   /* and its bytes; what is made again is sent again as it was */
    atomic_bool *ready;
    void *memory; /* what gradients and wire point to, unless it is the model's */
} ps_push_step;

struct ps_pusher {
    ps_remote remote;
    uint64_t job_id, incarnation;
    uint64_t *sequence;
    const ps_tensor_maps *maps;
    const ps_spec_train *train;
    const ps_codec *codec;
    uint8_t *codec_state; /* of all tensors, one after the other in wire order; NULL: it has none */
    ps_backend *backend;
    uint64_t *elements, *offsets; /* [maps->count]: of each tensor, and of those before it */
    void *unordered; /* gradients that are not sent in the model's order and come by themselves: of
                        all steps, since they are put in wire order at once */
    ps_chunks chunks;
    ps_pieces pieces;
    ps_buckets buckets;
    bool whole; /* a stage needs all gradients */
    ps_push_step *steps;
    unsigned sets, next; /* steps[next] is used by the next begin */
    ps_push_step *current;
    bool given; /* a gradient of it, to the loop */
    ps_loop_task wake_job;

    /* under the gate's lock */
    bool wake_posted;
    bool stopping;
    unsigned live; /* calls whose end has not come */
    ps_error error;
    uint64_t position; /* after the last step that was begun */
    ps_pusher_stats stats;

    /* the loop's */
    ps_timer *timer;
    ps_retry retry;
    uint64_t oldest; /* sequence without an answer, when the sends were last looked at */
    unsigned open;   /* calls; at most PS_PUSH_OPEN */
    bool held_back;  /* by one of the two: look again when an answer has come */
    bool told;       /* by psd to come again later: until the timer fires no push leaves */
};

void ps_push_send_move(ps_push_send *send, ps_push_send_state to); /* says who may */

/* On the loop. */
void ps_pusher_wake_cb(ps_loop_task *job); /* tensors have become ready */
void ps_pusher_retry_cb(void *user);       /* of the timer */
void ps_pusher_stop_sends(void *pusher);   /* their ends come later */

#endif
