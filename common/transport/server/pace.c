/* A token bucket for each address, as one number: when the next one would be due if they came
 * evenly (GCRA). Rows in no order, looked through one by one: few, and only while somebody is
 * refused.
 * Failure: a full table, and too many that wait: see pace.h. */
#include "common/transport/server/pace.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/transport/tcp/tcp.h"

#include <arpa/inet.h>
#include <string.h>

#define EVERY_NS (UINT64_C(1000000000) / PS_PACE_RATE)

typedef struct row {
    ps_pace_source source;
    uint64_t refused_ns; /* the last time */
    uint64_t even_ns;    /* of the next one, if they came evenly */
    uint64_t said_ns;    /* that too many wait; 0: never */
    int waiting[PS_PACE_WAITING];
    unsigned n_waiting;
} row;

struct ps_pace {
    row rows[PS_PACE_ADDRESSES];
    unsigned n, waiting;
};

void ps_pace_create(ps_pace **out)
{
    *out = ps_new(ps_pace);
}

void ps_pace_free(ps_pace **pace)
{
    PS_REQUIRE(!*pace || (*pace)->waiting == 0);
    ps_free(pace);
}

bool ps_pace_source_of(const char *address, ps_pace_source *out)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}; /* ::ffff:192.0.2.1 */
    char host[256], port[8];
    if (ps_tcp_split(address, host, port))
        return false;
    *out = (ps_pace_source){0};
    if (inet_pton(AF_INET6, host, out->bytes) == 1) {
        if (memcmp(out->bytes, mapped, sizeof mapped) != 0)
            memset(out->bytes + 8, 0, 8);
        return true;
    }
    memcpy(out->bytes, mapped, sizeof mapped);
    return inet_pton(AF_INET, host, out->bytes + sizeof mapped) == 1;
}

static row *find(ps_pace *pace, const ps_pace_source *source)
{
    for (unsigned i = 0; i < pace->n; i++)
        if (memcmp(&pace->rows[i].source, source, sizeof *source) == 0)
            return &pace->rows[i];
    return NULL;
}

/* The last row takes its place. */
static void forget(ps_pace *pace, row *r)
{
    PS_REQUIRE(r->n_waiting == 0);
    *r = pace->rows[--pace->n];
}

static void forget_old(ps_pace *pace, uint64_t now_ns)
{
    for (unsigned i = pace->n; i-- > 0;) {
        row *r = &pace->rows[i];
        if (r->n_waiting == 0 && now_ns >= r->refused_ns + PS_PACE_FORGET_NS)
            forget(pace, r);
    }
}

static row *make_room(ps_pace *pace)
{
    row *oldest = NULL;
    if (pace->n < PS_PACE_ADDRESSES)
        return &pace->rows[pace->n++];
    for (unsigned i = 0; i < pace->n; i++) {
        row *r = &pace->rows[i];
        if (r->n_waiting == 0 && (!oldest || r->refused_ns < oldest->refused_ns))
            oldest = r;
    }
    return oldest;
}

void ps_pace_refused(ps_pace *pace, const ps_pace_source *source, uint64_t now_ns)
{
    forget_old(pace, now_ns);
    row *r = find(pace, source);
    if (r) {
        r->refused_ns = now_ns;
        return;
    }
    r = make_room(pace);
    if (r)
        *r = (row){.source = *source, .refused_ns = now_ns, .even_ns = now_ns};
}

bool ps_pace_any(const ps_pace *pace)
{
    return pace->n > 0;
}

static uint64_t due_ns(const row *r)
{
    const uint64_t ahead = (PS_PACE_BURST - 1) * EVERY_NS;
    return r->even_ns > ahead ? r->even_ns - ahead : 0;
}

static void begin(row *r, uint64_t now_ns)
{
    r->even_ns = (r->even_ns > now_ns ? r->even_ns : now_ns) + EVERY_NS;
}

static ps_pace_turn close_one(row *r, uint64_t now_ns)
{
    if (r->said_ns && now_ns < r->said_ns + PS_PACE_SAY_NS)
        return PS_PACE_CLOSE;
    r->said_ns = now_ns;
    return PS_PACE_CLOSE_SAY;
}

ps_pace_turn ps_pace_ask(ps_pace *pace, const ps_pace_source *source, int fd, uint64_t now_ns)
{
    PS_REQUIRE(fd >= 0);
    forget_old(pace, now_ns);
    row *r = find(pace, source);
    if (!r)
        return PS_PACE_BEGIN;
    if (r->n_waiting == 0 && now_ns >= due_ns(r)) {
        begin(r, now_ns);
        return PS_PACE_BEGIN;
    }
    if (r->n_waiting == PS_PACE_WAITING || pace->waiting == PS_PACE_WAITING_ALL)
        return close_one(r, now_ns);
    r->waiting[r->n_waiting++] = fd;
    pace->waiting++;
    return PS_PACE_WAIT;
}

static int take(ps_pace *pace, row *r, unsigned i)
{
    PS_REQUIRE(i < r->n_waiting);
    int fd = r->waiting[i];
    memmove(r->waiting + i, r->waiting + i + 1, (--r->n_waiting - i) * sizeof *r->waiting);
    pace->waiting--;
    return fd;
}

int ps_pace_take_gone(ps_pace *pace, const ps_pace_source *source, bool (*gone)(int fd))
{
    row *r = find(pace, source);
    for (unsigned i = 0; r && i < r->n_waiting; i++)
        if (gone(r->waiting[i]))
            return take(pace, r, i);
    return -1;
}

int ps_pace_next(ps_pace *pace, uint64_t now_ns)
{
    for (unsigned i = 0; pace->waiting > 0 && i < pace->n; i++) {
        row *r = &pace->rows[i];
        if (r->n_waiting == 0 || now_ns < due_ns(r))
            continue;
        begin(r, now_ns);
        return take(pace, r, 0);
    }
    return -1;
}

uint64_t ps_pace_due_ns(const ps_pace *pace)
{
    uint64_t first = UINT64_MAX;
    for (unsigned i = 0; pace->waiting > 0 && i < pace->n; i++)
        if (pace->rows[i].n_waiting > 0 && due_ns(&pace->rows[i]) < first)
            first = due_ns(&pace->rows[i]);
    return first;
}

int ps_pace_give_up(ps_pace *pace)
{
    for (unsigned i = 0; i < pace->n; i++)
        if (pace->rows[i].n_waiting > 0)
            return take(pace, &pace->rows[i], 0);
    return -1;
}
