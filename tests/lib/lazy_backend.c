#include "tests/lib/lazy_backend.h"

#include "common/base/mem.h"
#include "tests/lib/ck_ok.h"
#include "tests/lib/fault.h"
#include "tests/lib/lazy_ops.h"

#include <check.h>
#include <pthread.h>
#include <string.h>

typedef struct lazy_stream lazy_stream;

/* One thing to be done. */
typedef struct call {
    struct call *next;
    ps_test_lazy_run *run;
    _Alignas(16) char arguments[];
} call;

typedef struct lazy_backend {
    ps_backend base;
    ps_backend *inner;
    pthread_mutex_t lock; /* of all that follows and of all streams */
    pthread_cond_t moved;
    lazy_stream *streams; /* also of those that were freed: an event may name them */
    unsigned done;
    fault loses;
    bool lost;
    bool full; /* that is what it has lost by */
} lazy_backend;

struct lazy_stream {
    ps_stream base;
    ps_stream *inner;
    lazy_stream *next;
    pthread_t thread;
    call *first, **last;
    uint64_t enqueued, wanted, done;
    bool quit;
};

typedef struct lazy_event {
    ps_event base;
    lazy_stream *stream; /* NULL: never recorded */
    uint64_t point;
} lazy_event;

static lazy_backend *backend_of(const lazy_stream *s)
{
    return (lazy_backend *)s->base.backend;
}

/* ---- the queue ---- */

static void run(lazy_stream *s, call *c)
{
    lazy_backend *b = backend_of(s);
    pthread_mutex_lock(&b->lock);
    b->done++;
    b->lost |= fault_strikes(&b->loses);
    bool lost = b->lost;
    pthread_mutex_unlock(&b->lock);
    if (!lost)
        c->run(s->inner, c->arguments);
    ps_free(&c);
}

static void *stream_main(void *argument)
{
    lazy_stream *s = argument;
    lazy_backend *b = backend_of(s);
    pthread_mutex_lock(&b->lock);
    while (!s->quit || s->done < s->enqueued) {
        if (s->done == s->enqueued || (s->done >= s->wanted && !s->quit)) {
            pthread_cond_wait(&b->moved, &b->lock);
            continue;
        }
        call *c = s->first;
        s->first = c->next;
        if (!s->first)
            s->last = &s->first;
        pthread_mutex_unlock(&b->lock);
        run(s, c);
        pthread_mutex_lock(&b->lock);
        s->done++;
        pthread_cond_broadcast(&b->moved);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

void ps_test_lazy_enqueue(ps_stream *stream, ps_test_lazy_run *what, const void *arguments,
                          size_t size)
{
    lazy_stream *s = (lazy_stream *)stream;
    lazy_backend *b = backend_of(s);
    call *c = ps_alloc(sizeof *c + size);
    c->next = NULL;
    c->run = what;
    memcpy(c->arguments, arguments, size);
    pthread_mutex_lock(&b->lock);
    *s->last = c;
    s->last = &c->next;
    s->enqueued++;
    pthread_mutex_unlock(&b->lock);
}

static void reach(lazy_stream *s, uint64_t point)
{
    lazy_backend *b = backend_of(s);
    pthread_mutex_lock(&b->lock);
    if (s->wanted < point)
        s->wanted = point;
    pthread_cond_broadcast(&b->moved);
    while (s->done < point)
        pthread_cond_wait(&b->moved, &b->lock);
    pthread_mutex_unlock(&b->lock);
}

static ps_status check_lost(lazy_backend *b)
{
    pthread_mutex_lock(&b->lock);
    bool lost = b->lost, full = b->full;
    pthread_mutex_unlock(&b->lock);
    if (!lost)
        return PS_OK;
    return full ? ps_fail(PS_NO_MEMORY, "the device is full")
                : ps_fail(PS_INTERNAL, "the device was lost");
}

/* ---- streams and events ---- */

static ps_status open_stream(ps_backend *backend, bool computes, ps_stream **out)
{
    lazy_backend *b = (lazy_backend *)backend;
    ps_stream *inner;
    ps_status st =
        computes ? ps_stream_new(b->inner, &inner) : ps_stream_new_copies(b->inner, &inner);
    if (st)
        return st;
    pthread_mutex_lock(&b->lock);
    b->lost &= !b->full;
    pthread_mutex_unlock(&b->lock);
    lazy_stream *s = ps_new(lazy_stream);
    s->base.backend = backend;
    s->inner = inner;
    s->last = &s->first;
    ck_assert_int_eq(pthread_create(&s->thread, NULL, stream_main, s), 0);
    s->next = b->streams;
    b->streams = s;
    *out = &s->base;
    return PS_OK;
}

static ps_status stream_new(ps_backend *b, ps_stream **out)
{
    return open_stream(b, true, out);
}

static ps_status stream_new_copies(ps_backend *b, ps_stream **out)
{
    return open_stream(b, false, out);
}

static void stream_free(ps_stream *stream)
{
    lazy_stream *s = (lazy_stream *)stream;
    lazy_backend *b = backend_of(s);
    pthread_mutex_lock(&b->lock);
    s->quit = true;
    pthread_cond_broadcast(&b->moved);
    pthread_mutex_unlock(&b->lock);
    pthread_join(s->thread, NULL);
    ps_stream_free(&s->inner);
}

static ps_status stream_sync(ps_stream *stream)
{
    lazy_stream *s = (lazy_stream *)stream;
    reach(s, s->enqueued);
    ps_status st = check_lost(backend_of(s));
    if (!st)
        st = ps_stream_sync(s->inner);
    if (st)
        ps_stream_fail(stream, st);
    return st;
}

static ps_status event_new(ps_backend *b, ps_event **out)
{
    (void)b;
    *out = &ps_new(lazy_event)->base;
    return PS_OK;
}

static void event_free(ps_backend *b, ps_event *e)
{
    (void)b;
    ps_free(&e);
}

static void event_record(ps_stream *stream, ps_event *event)
{
    lazy_event *e = (lazy_event *)event;
    e->stream = (lazy_stream *)stream;
    e->point = e->stream->enqueued;
}

static void run_wait(ps_stream *inner, void *arguments)
{
    (void)inner;
    const lazy_event *e = arguments;
    reach(e->stream, e->point);
}

static void event_wait(ps_stream *s, ps_event *e)
{
    if (((lazy_event *)e)->stream)
        ps_test_lazy_enqueue(s, run_wait, e, sizeof(lazy_event));
}

static ps_status event_sync(ps_backend *b, ps_event *event)
{
    lazy_event *e = (lazy_event *)event;
    if (e->stream)
        reach(e->stream, e->point);
    return check_lost((lazy_backend *)b);
}

/* ---- memory ---- */

static ps_status buffer_new(ps_backend *b, size_t bytes, ps_buffer **out)
{
    return ps_buffer_new(((lazy_backend *)b)->inner, bytes, out);
}

static void buffer_free(ps_backend *b, ps_buffer *buffer)
{
    ps_buffer_free(((lazy_backend *)b)->inner, &buffer);
}

static ps_status host_new(ps_backend *b, size_t bytes, void **out)
{
    return ps_host_new(((lazy_backend *)b)->inner, bytes, out);
}

static void host_free(ps_backend *b, void *memory)
{
    ps_host_free(((lazy_backend *)b)->inner, &memory);
}

typedef struct copying {
    ps_tensor device, other;
    const void *src;
    void *dst;
    size_t bytes;
} copying;

static void run_to_device(ps_stream *inner, void *arguments)
{
    const copying *c = arguments;
    ps_copy_to_device(inner, c->device, c->src, c->bytes);
}

static void copy_to_device(ps_stream *s, ps_tensor dst, const void *src, size_t bytes)
{
    copying c = {.device = dst, .src = src, .bytes = bytes};
    ps_test_lazy_enqueue(s, run_to_device, &c, sizeof c);
}

static void run_to_host(ps_stream *inner, void *arguments)
{
    const copying *c = arguments;
    ps_copy_to_host_async(inner, c->dst, c->device, c->bytes);
}

static void copy_to_host_async(ps_stream *s, void *dst, ps_tensor src, size_t bytes)
{
    memset(dst, 0xFF, bytes);
    copying c = {.device = src, .dst = dst, .bytes = bytes};
    ps_test_lazy_enqueue(s, run_to_host, &c, sizeof c);
}

static ps_status copy_to_host(ps_stream *s, void *dst, ps_tensor src, size_t bytes)
{
    copy_to_host_async(s, dst, src, bytes);
    return stream_sync(s);
}

static void run_copy(ps_stream *inner, void *arguments)
{
    const copying *c = arguments;
    ps_copy(inner, c->device, c->other);
}

static void copy(ps_stream *s, ps_tensor dst, ps_tensor src, size_t bytes)
{
    copying c = {.device = dst, .other = src, .bytes = bytes};
    ps_test_lazy_enqueue(s, run_copy, &c, sizeof c);
}

/* ---- the row ---- */

static void close_backend(ps_backend *backend)
{
    lazy_backend *b = (lazy_backend *)backend;
    while (b->streams) {
        lazy_stream *s = b->streams;
        ck_assert_msg(!s->inner, "a stream was not freed");
        b->streams = s->next;
        ps_free(&s);
    }
    ps_backend_close(&b->inner);
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->moved);
    ps_free(&b);
}

static const ps_backend_ops lazy_ops = {.close = close_backend,
                                        .buffer_new = buffer_new,
                                        .buffer_free = buffer_free,
                                        .host_new = host_new,
                                        .host_free = host_free,
                                        .stream_new = stream_new,
                                        .stream_new_copies = stream_new_copies,
                                        .stream_free = stream_free,
                                        .stream_sync = stream_sync,
                                        .event_new = event_new,
                                        .event_free = event_free,
                                        .event_record = event_record,
                                        .event_wait = event_wait,
                                        .event_sync = event_sync,
                                        .copy_to_device = copy_to_device,
                                        .copy_to_host = copy_to_host,
                                        .copy_to_host_async = copy_to_host_async,
                                        .copy = copy,
#define X(name) .name = ps_test_lazy_##name,
                                        PS_TEST_LAZY_OPERATIONS(X)
#undef X
};

void ps_test_lazy_open(ps_backend **out)
{
    lazy_backend *b = ps_new(lazy_backend);
    ck_ok(ps_backend_open("cpu", &(ps_backend_options){.threads = 1}, &b->inner));
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->moved, NULL);
    b->base.ops = &lazy_ops;
    b->base.info = b->inner->info;
    b->base.info.name = "lazy";
    b->base.info.host_addressable = false;
    *out = &b->base;
}

static void fail_after(ps_backend *backend, unsigned n, bool full)
{
    lazy_backend *b = (lazy_backend *)backend;
    pthread_mutex_lock(&b->lock);
    fault_at(&b->loses, n);
    b->lost = false;
    b->full = full;
    pthread_mutex_unlock(&b->lock);
}

void ps_test_lazy_lose_after(ps_backend *backend, unsigned n)
{
    fail_after(backend, n, false);
}

void ps_test_lazy_fill_after(ps_backend *backend, unsigned n)
{
    fail_after(backend, n, true);
}

unsigned ps_test_lazy_done(ps_backend *backend)
{
    lazy_backend *b = (lazy_backend *)backend;
    pthread_mutex_lock(&b->lock);
    unsigned done = b->done;
    pthread_mutex_unlock(&b->lock);
    return done;
}
