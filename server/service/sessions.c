/* A session has two holders: the table (until closed) and a hop that is under way; the last frees
 * it, on the loop. */
#include "server/service/sessions.h"

#include "common/base/list.h"
#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "server/service/task_message.h"

#include <string.h>

typedef struct outgoing {
    ps_list link;
    ProtobufCMessage *message; /* NULL: end the stream */
    char *reason;
} outgoing;

typedef struct session {
    ps_list link;
    ps_sessions *table;
    uint64_t number;
    ps_call *call;
    ps_loop *loop;
    ps_loop_task hop;
    ps_list queue; /* of outgoing; under the table's lock */
    bool posted;   /* likewise */
    bool closed;   /* likewise */
} session;

struct ps_sessions {
    ps_mutex lock;
    ps_list all;
    uint64_t last;
    unsigned count;
    char *dropped; /* why there are to be no more; NULL: there are */
};

ps_sessions *ps_sessions_create(void)
{
    ps_sessions *s = ps_new(ps_sessions);
    ps_mutex_init(&s->lock);
    ps_list_init(&s->all);
    return s;
}

void ps_sessions_free(ps_sessions **sessions)
{
    if (!*sessions)
        return;
    PS_REQUIRE(ps_list_empty(&(*sessions)->all) && (*sessions)->count == 0);
    ps_mutex_destroy(&(*sessions)->lock);
    ps_free(&(*sessions)->dropped);
    ps_free(sessions);
}

static void outgoing_free(outgoing *o)
{
    if (o->message)
        protobuf_c_message_free_unpacked(o->message, NULL);
    ps_free(&o->reason);
    ps_free(&o);
}

static void session_free(session *s)
{
    ps_loop_require_on(s->loop);
    PS_REQUIRE(s->closed && !s->posted);
    ps_list_each_safe(node, &s->queue)
    {
        outgoing_free(ps_container(node, outgoing, link));
    }
    ps_call_unref(s->call);
    ps_free(&s);
}

static void deliver(session *s, outgoing *o)
{
    if (o->message)
        ps_call_send(s->call, o->message, NULL);
    else
        ps_call_finish(s->call, PS_UNAVAILABLE, o->reason);
    outgoing_free(o);
}

static void hop_cb(ps_loop_task *job)
{
    session *s = ps_container(job, session, hop);
    ps_sessions *table = s->table;
    ps_list mine;
    ps_list_init(&mine);
    ps_mutex_lock(&table->lock);
    ps_list_each_safe(node, &s->queue)
    {
        ps_list_remove(node);
        ps_list_append(&mine, node);
    }
    s->posted = false;
    bool closed = s->closed;
    ps_mutex_unlock(&table->lock);
    ps_list_each_safe(node, &mine)
    {
        outgoing *o = ps_container(node, outgoing, link);
        if (closed)
            outgoing_free(o);
        else
            deliver(s, o);
    }
    if (closed)
        session_free(s);
}

/* With the lock held. */
static void append(session *s, outgoing *o)
{
    ps_mutex_require_held(&s->table->lock);
    ps_list_append(&s->queue, &o->link);
    if (!s->posted) {
        s->posted = true;
        ps_loop_post(s->loop, &s->hop);
    }
}

/* With the lock held. */
static void drop(session *s, const char *reason)
{
    outgoing *o = ps_new(outgoing);
    o->reason = ps_strdup(reason);
    append(s, o);
}

uint64_t ps_sessions_open(ps_sessions *sessions, ps_call *call)
{
    ps_loop_require_on(ps_call_loop(call));
    session *s = ps_new(session);
    s->table = sessions;
    s->call = call;
    s->loop = ps_call_loop(call);
    ps_call_ref(call);
    ps_list_init(&s->queue);
    ps_loop_task_init(&s->hop, hop_cb);
    ps_mutex_lock(&sessions->lock);
    s->number = ++sessions->last;
    sessions->count++;
    ps_list_append(&sessions->all, &s->link);
    if (sessions->dropped) /* it was under way when the others were told */
        drop(s, sessions->dropped);
    ps_mutex_unlock(&sessions->lock);
    return s->number;
}

static session *lookup(const ps_sessions *sessions, uint64_t number)
{
    ps_mutex_require_held(&sessions->lock);
    ps_list_each(node, &sessions->all)
    {
        session *s = ps_container(node, session, link);
        if (s->number == number)
            return s;
    }
    return NULL;
}

void ps_sessions_close(ps_sessions *sessions, uint64_t number)
{
    ps_mutex_lock(&sessions->lock);
    session *s = lookup(sessions, number);
    if (s) {
        ps_loop_require_on(s->loop);
        PS_REQUIRE(sessions->count > 0);
        ps_list_remove(&s->link);
        sessions->count--;
        s->closed = true;
    }
    bool now = s && !s->posted; /* otherwise the hop frees it */
    ps_mutex_unlock(&sessions->lock);
    if (now)
        session_free(s);
}

static void enqueue(ps_sessions *sessions, uint64_t number, outgoing *o)
{
    ps_mutex_lock(&sessions->lock);
    session *s = lookup(sessions, number);
    if (s)
        append(s, o);
    ps_mutex_unlock(&sessions->lock);
    if (!s)
        outgoing_free(o);
}

static void send_message(ps_sessions *sessions, uint64_t number,
                         const Psd__V1__ServerMessage *message)
{
    size_t bytes = psd__v1__server_message__get_packed_size(message);
    uint8_t *packed = ps_alloc(bytes);
    psd__v1__server_message__pack(message, packed);
    outgoing *o = ps_new(outgoing);
    o->message =
        protobuf_c_message_unpack(&psd__v1__server_message__descriptor, NULL, bytes, packed);
    ps_free(&packed);
    enqueue(sessions, number, o);
}

static void drop_session(void *sessions, uint64_t number, const char *reason)
{
    outgoing *o = ps_new(outgoing);
    o->reason = ps_strdup(reason);
    enqueue(sessions, number, o);
}

void ps_sessions_drop_all(ps_sessions *sessions, const char *reason)
{
    ps_mutex_lock(&sessions->lock);
    ps_free(&sessions->dropped);
    sessions->dropped = ps_strdup(reason);
    ps_list_each(node, &sessions->all)
    {
        drop(ps_container(node, session, link), reason);
    }
    ps_mutex_unlock(&sessions->lock);
}

unsigned ps_sessions_count(ps_sessions *sessions)
{
    ps_mutex_lock(&sessions->lock);
    unsigned count = sessions->count;
    ps_mutex_unlock(&sessions->lock);
    return count;
}

static void send_task(void *sessions, uint64_t number, const ps_task *task)
{
    Psd__V1__Task of;
    Psd__V1__ServerMessage message = PSD__V1__SERVER_MESSAGE__INIT;
    ps_task_message_borrow(task, &of);
    message.body_case = PSD__V1__SERVER_MESSAGE__BODY_TASK;
    message.task = &of;
    send_message(sessions, number, &message);
    ps_task_message_end(&of);
}

static void send_cancel(void *sessions, uint64_t number, uint64_t lease_id, const char *reason)
{
    Psd__V1__CancelTask cancel = PSD__V1__CANCEL_TASK__INIT;
    cancel.lease_id = lease_id;
    cancel.reason = (char *)(uintptr_t)reason;
    Psd__V1__ServerMessage message = PSD__V1__SERVER_MESSAGE__INIT;
    message.body_case = PSD__V1__SERVER_MESSAGE__BODY_CANCEL;
    message.cancel = &cancel;
    send_message(sessions, number, &message);
}

const ps_to_workers ps_sessions_to_workers = {
    .send_task = send_task, .send_cancel = send_cancel, .drop_session = drop_session};
