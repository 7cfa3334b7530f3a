/* A client's window is a ring indexed by sequence; `newest` says which sequences it covers:
 * (newest − PS_PUSH_WINDOW, newest]. A new incarnation empties it. Refusals are told apart: too old
 * to know, fenced, or under way. */
#include "server/params/push_window.h"

#include "common/base/list.h"
#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "common/base/require.h"
#include "common/base/sm.h"

#include <string.h>

enum { BUCKETS = 256, OLDEST_VERSION = 1, SAVE_VERSION = 2 };

/* The header has the drawing; a place in the ring is taken again when its push is done. */
enum { SLOT_EMPTY, SLOT_BEGUN, SLOT_COMMITTING, SLOT_DONE };
static const char *const slot_names[] = {"empty", "begun", "committing", "done"};
static const ps_sm_set slot_next[] = {
    [SLOT_EMPTY] = PS_SM(SLOT_BEGUN) | PS_SM(SLOT_DONE), /* done: read from a checkpoint */
    [SLOT_BEGUN] = PS_SM(SLOT_COMMITTING) | PS_SM(SLOT_EMPTY),
    [SLOT_COMMITTING] = PS_SM(SLOT_DONE) | PS_SM(SLOT_EMPTY),
    [SLOT_DONE] = PS_SM(SLOT_BEGUN),
};
static const ps_sm slots = {.tag = "push_window",
                            .names = slot_names,
                            .next = slot_next,
                            .count = 4,
                            .level = PS_LOG_TRACE};

typedef struct slot {
    uint64_t sequence;
    uint64_t version, staleness, position; /* the reply */
    uint64_t held_clock;
    unsigned state;
} slot;

struct ps_push_peer {
    ps_list link; /* in its bucket */
    char *name;
    uint64_t incarnation;
    uint64_t newest;
    uint64_t pushes, refused; /* of all its incarnations: applied, and refused for what they were */
    slot slots[PS_PUSH_WINDOW];
};

struct ps_push_windows {
    ps_mutex lock;
    ps_list buckets[BUCKETS];
    size_t clients;
};

void ps_push_windows_create(ps_push_windows **out)
{
    ps_push_windows *w = ps_new(ps_push_windows);
    ps_mutex_init(&w->lock);
    for (int i = 0; i < BUCKETS; i++)
        ps_list_init(&w->buckets[i]);
    *out = w;
}

void ps_push_windows_free(ps_push_windows **windows)
{
    if (!*windows)
        return;
    for (int i = 0; i < BUCKETS; i++) {
        ps_list_each_safe(node, &(*windows)->buckets[i])
        {
            ps_push_peer *client = ps_container(node, ps_push_peer, link);
            free(client->name);
            free(client);
        }
    }
    ps_mutex_destroy(&(*windows)->lock);
    ps_free(windows);
}

const char *ps_push_peer_name(const ps_push_peer *client)
{
    return client->name;
}

static ps_list *bucket_of(ps_push_windows *w, const char *name)
{
    uint32_t hash = 0x811c9dc5u; /* FNV-1a */
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 0x01000193u;
    return &w->buckets[hash % BUCKETS];
}

static ps_push_peer *find_client(ps_push_windows *w, const char *name)
{
    ps_list *bucket = bucket_of(w, name);
    ps_list_each(node, bucket)
    {
        ps_push_peer *client = ps_container(node, ps_push_peer, link);
        if (strcmp(client->name, name) == 0)
            return client;
    }
    return NULL;
}

static ps_status add_client(ps_push_windows *w, const char *name, uint64_t incarnation,
                            ps_push_peer **out)
{
    if (w->clients >= PS_PUSH_CLIENTS_MAX)
        return ps_fail(PS_RESOURCE_EXHAUSTED, "more than %d clients have pushed to this job",
                       PS_PUSH_CLIENTS_MAX);
    if (strlen(name) > PS_PUSH_CLIENT_NAME_MAX)
        return ps_fail(PS_INVALID_ARGUMENT, "client name longer than %d bytes",
                       PS_PUSH_CLIENT_NAME_MAX);
    ps_push_peer *client = ps_try_alloc(sizeof *client);
    if (!client)
        return ps_fail(PS_RESOURCE_EXHAUSTED, "out of memory for another client");
    client->name = ps_strdup(name);
    client->incarnation = incarnation;
    ps_list_append(bucket_of(w, name), &client->link);
    w->clients++;
    *out = client;
    return PS_OK;
}

static slot *slot_of(ps_push_peer *client, uint64_t sequence)
{
    return &client->slots[sequence % PS_PUSH_WINDOW];
}

static void move(const ps_push_peer *client, slot *s, unsigned to)
{
    ps_sm_go(&slots, &s->state, to, "client=%s incarnation=%llu sequence=%llu", client->name,
             (unsigned long long)client->incarnation, (unsigned long long)s->sequence);
}

/* Whether the window reaches to it. A slot may still hold one that it no longer does. */
static bool is_covered(const ps_push_peer *client, uint64_t sequence)
{
    return sequence && sequence <= client->newest && client->newest - sequence < PS_PUSH_WINDOW;
}

/* The client with this incarnation as its newest. */
static ps_status enter_client(ps_push_windows *w, const char *name, uint64_t incarnation,
                              ps_push_peer **out)
{
    ps_mutex_require_held(&w->lock);
    ps_push_peer *client = find_client(w, name);
    if (!client)
        return add_client(w, name, incarnation, out);
    if (incarnation < client->incarnation)
        return ps_fail(PS_FAILED_PRECONDITION,
                       "client %s: incarnation %llu is fenced, %llu has pushed already", name,
                       (unsigned long long)incarnation, (unsigned long long)client->incarnation);
    if (incarnation > client->incarnation) {
        client->incarnation = incarnation;
        client->newest = 0;
        memset(client->slots, 0, sizeof client->slots);
    }
    *out = client;
    return PS_OK;
}

/* A client whose answer was lost asks again under the same number and is told what was answered,
 * not served twice; one that asks while the first is at work has to come back (Birrell and Nelson,
 * Implementing Remote Procedure Calls, 1984; Lee et al., Implementing Linearizability
 * at Large Scale and Low Latency, 2015, section 3: completion records). */
static ps_status seen_before(const ps_push_peer *client, const slot *s, bool *duplicate,
                             ps_push_reply *reply)
{
    if (s->state != SLOT_DONE)
        return ps_fail(PS_ABORTED, "client %s: push %llu is under way, try again", client->name,
                       (unsigned long long)s->sequence);
    *duplicate = true;
    *reply = (ps_push_reply){.version = s->version,
                             .staleness = s->staleness,
                             .duplicate = true,
                             .position = s->position};
    return PS_OK;
}

static ps_status begin(ps_push_windows *w, const char *name, uint64_t incarnation,
                       uint64_t sequence, ps_push_ticket *ticket, bool *duplicate,
                       ps_push_reply *reply)
{
    ps_mutex_require_held(&w->lock);
    ps_push_peer *client;
    ps_status st = enter_client(w, name, incarnation, &client);
    if (st)
        return st;
    *duplicate = false;
    if (sequence <= client->newest && !is_covered(client, sequence))
        return ps_fail(PS_OUT_OF_RANGE,
                       "client %s: push %llu is older than the last %d before %llu; whether it was "
                       "applied is no longer known, and it will not be",
                       name, (unsigned long long)sequence, PS_PUSH_WINDOW,
                       (unsigned long long)client->newest);
    slot *s = slot_of(client, sequence);
    if (s->state != SLOT_EMPTY && s->sequence == sequence)
        return seen_before(client, s, duplicate, reply);
    if (s->state == SLOT_BEGUN || s->state == SLOT_COMMITTING)
        return ps_fail(PS_ABORTED, "client %s: %d pushes are under way", name, PS_PUSH_WINDOW);
    if (sequence > client->newest)
        client->newest = sequence;
    *s = (slot){.sequence = sequence, .state = s->state};
    PS_REQUIRE(is_covered(client, sequence));
    move(client, s, SLOT_BEGUN);
    *ticket = (ps_push_ticket){client, incarnation, sequence};
    return PS_OK;
}

ps_status ps_push_windows_begin(ps_push_windows *w, const char *client, uint64_t incarnation,
                                uint64_t sequence, ps_push_ticket *ticket, bool *duplicate,
                                ps_push_reply *reply)
{
    if (sequence == 0)
        return ps_fail(PS_INVALID_ARGUMENT, "push without a sequence: they count from 1");
    ps_mutex_lock(&w->lock);
    ps_status st = begin(w, client, incarnation, sequence, ticket, duplicate, reply);
    ps_mutex_unlock(&w->lock);
    return st;
}

/* The ticket's slot; NULL when a newer incarnation has emptied it. */
static slot *held_slot(const ps_push_ticket *ticket)
{
    if (ticket->client->incarnation != ticket->incarnation)
        return NULL;
    slot *s = slot_of(ticket->client, ticket->sequence);
    PS_REQUIRE(s->sequence == ticket->sequence && s->state != SLOT_DONE);
    return s;
}

ps_status ps_push_windows_confirm(ps_push_windows *w, const ps_push_ticket *ticket)
{
    ps_status st = PS_OK;
    ps_mutex_lock(&w->lock);
    slot *s = held_slot(ticket);
    if (s)
        move(ticket->client, s, SLOT_COMMITTING);
    else
        st = ps_fail(PS_FAILED_PRECONDITION,
                     "client %s: incarnation %llu was fenced by %llu during its push",
                     ticket->client->name, (unsigned long long)ticket->incarnation,
                     (unsigned long long)ticket->client->incarnation);
    ps_mutex_unlock(&w->lock);
    return st;
}

void ps_push_windows_finish(ps_push_windows *w, const ps_push_ticket *ticket,
                            const ps_push_reply *reply, uint64_t held_clock)
{
    ps_mutex_lock(&w->lock);
    slot *s = held_slot(ticket);
    if (s) {
        move(ticket->client, s, SLOT_DONE);
        ticket->client->pushes++;
        s->version = reply->version;
        s->staleness = reply->staleness;
        s->position = reply->position;
        s->held_clock = held_clock;
    }
    ps_mutex_unlock(&w->lock);
}

void ps_push_windows_drop(ps_push_windows *w, const ps_push_ticket *ticket)
{
    ps_mutex_lock(&w->lock);
    slot *s = held_slot(ticket);
    if (s)
        move(ticket->client, s, SLOT_EMPTY);
    ps_mutex_unlock(&w->lock);
}

/* ---- counts ---- */

void ps_push_windows_reject(ps_push_windows *w, const char *name)
{
    ps_error before; /* of the caller, who is about to tell it */
    ps_error_save(&before, PS_UNKNOWN);
    ps_mutex_lock(&w->lock);
    ps_push_peer *client = find_client(w, name);
    if (client || !add_client(w, name, 0, &client))
        client->refused++;
    ps_mutex_unlock(&w->lock);
    (void)ps_error_raise(&before);
}

void ps_push_windows_count(ps_push_windows *w, ps_push_counted each, void *user)
{
    ps_mutex_lock(&w->lock);
    for (int i = 0; i < BUCKETS; i++)
        ps_list_each(node, &w->buckets[i])
        {
            const ps_push_peer *client = ps_container(node, ps_push_peer, link);
            each(user, client->name, client->pushes, client->refused);
        }
    ps_mutex_unlock(&w->lock);
}

/* ---- in a checkpoint: version, how many clients; of each its name, incarnation, newest sequence,
 * pushes, refused (these two from version 2 on), and slots; all u64 but the name ---- */

static bool is_final(const ps_push_peer *client, const slot *s, uint64_t unfinished_clock)
{
    return s->state == SLOT_DONE && is_covered(client, s->sequence) &&
           !(unfinished_clock && s->held_clock == unfinished_clock);
}

static void save_client(const ps_push_peer *client, uint64_t unfinished_clock, ps_buf *out)
{
    uint64_t n = 0, waiting = 0; /* waiting: they will be pushed again */
    for (int i = 0; i < PS_PUSH_WINDOW; i++) {
        n += is_final(client, &client->slots[i], unfinished_clock);
        waiting += unfinished_clock && client->slots[i].state == SLOT_DONE &&
                   client->slots[i].held_clock == unfinished_clock;
    }
    ps_buf_put_u64le(out, strlen(client->name));
    ps_buf_puts(out, client->name);
    ps_buf_put_u64le(out, client->incarnation);
    ps_buf_put_u64le(out, client->newest);
    ps_buf_put_u64le(out, client->pushes - waiting);
    ps_buf_put_u64le(out, client->refused);
    ps_buf_put_u64le(out, n);
    for (int i = 0; i < PS_PUSH_WINDOW; i++) {
        const slot *s = &client->slots[i];
        if (!is_final(client, s, unfinished_clock))
            continue;
        ps_buf_put_u64le(out, s->sequence);
        ps_buf_put_u64le(out, s->version);
        ps_buf_put_u64le(out, s->staleness);
    }
}

void ps_push_windows_save(ps_push_windows *w, uint64_t unfinished_clock, ps_buf *out)
{
    ps_mutex_lock(&w->lock);
    ps_buf_put_u64le(out, SAVE_VERSION);
    ps_buf_put_u64le(out, w->clients);
    for (int i = 0; i < BUCKETS; i++)
        ps_list_each(node, &w->buckets[i])
            save_client(ps_container(node, ps_push_peer, link), unfinished_clock, out);
    ps_mutex_unlock(&w->lock);
}

static bool load_slots(ps_cursor *c, ps_push_peer *client)
{
    uint64_t n = ps_read_u64le(c);
    if (c->failed || n > PS_PUSH_WINDOW)
        return false;
    for (uint64_t i = 0; i < n; i++) {
        slot s = {.state = SLOT_EMPTY};
        s.sequence = ps_read_u64le(c);
        s.version = ps_read_u64le(c);
        s.staleness = ps_read_u64le(c);
        slot *place = slot_of(client, s.sequence);
        if (c->failed || !is_covered(client, s.sequence) || place->state != SLOT_EMPTY)
            return false;
        *place = s;
        move(client, place, SLOT_DONE);
    }
    return true;
}

static bool load_client(ps_push_windows *w, uint64_t version, ps_cursor *c)
{
    uint64_t len = ps_read_u64le(c);
    if (c->failed || len > PS_PUSH_CLIENT_NAME_MAX)
        return false;
    ps_slice bytes = ps_read_bytes(c, len);
    uint64_t incarnation = ps_read_u64le(c);
    uint64_t newest = ps_read_u64le(c);
    uint64_t pushes = version > OLDEST_VERSION ? ps_read_u64le(c) : 0;
    uint64_t refused = version > OLDEST_VERSION ? ps_read_u64le(c) : 0;
    if (c->failed || memchr(bytes.data, 0, bytes.len))
        return false;
    char name[PS_PUSH_CLIENT_NAME_MAX + 1];
    memcpy(name, bytes.data, bytes.len);
    name[bytes.len] = 0;
    ps_push_peer *client;
    if (find_client(w, name) || add_client(w, name, incarnation, &client))
        return false;
    client->newest = newest;
    client->pushes = pushes;
    client->refused = refused;
    return load_slots(c, client);
}

ps_status ps_push_windows_load(ps_push_windows *w, ps_slice bytes)
{
    PS_REQUIRE(w->clients == 0);
    ps_cursor c = ps_cursor_of(bytes);
    uint64_t version = ps_read_u64le(&c);
    uint64_t n = ps_read_u64le(&c);
    bool ok = !c.failed && version >= OLDEST_VERSION && version <= SAVE_VERSION &&
              n <= PS_PUSH_CLIENTS_MAX;
    for (uint64_t i = 0; ok && i < n; i++)
        ok = load_client(w, version, &c);
    if (!ok || ps_cursor_left(&c))
        return ps_fail(PS_CORRUPT, "replies of recent pushes: damaged");
    return PS_OK;
}
