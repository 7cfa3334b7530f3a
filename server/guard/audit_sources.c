#include "server/guard/audit_sources.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/base/rng.h"

#include <string.h>

#define SOURCES 64 /* buckets; sources that share one share its tokens */
#define PARTS   64 /* things done in parts that are known at once */
#define PART_NS (600ull * 1000000000ull)

/* Refusals cost an attacker nothing; what is allowed has an identity to answer for it. */
enum { LIMIT_REFUSED, LIMIT_OTHER, LIMIT_COUNT };
static const struct {
    double burst, per_second;
} limits[LIMIT_COUNT] = {
    [LIMIT_REFUSED] = {20, 1},
    [LIMIT_OTHER] = {1000, 100},
};

typedef struct bucket {
    double tokens;
    uint64_t at_ns;
} bucket;

typedef struct part {
    uint64_t hash, at_ns; /* of its line, and when that was written */
} part;

struct ps_audit_sources {
    const ps_clock *clock;
    uint64_t hash_seed; /* so that nobody can aim at another's bucket */
    bucket buckets[LIMIT_COUNT][SOURCES];
    part parts[PARTS];
    size_t next_part; /* the one that was written longest ago */
};

ps_audit_sources *ps_audit_sources_new(const ps_clock *clock)
{
    ps_audit_sources *s = ps_new(ps_audit_sources);
    s->clock = clock;
    s->hash_seed = ps_rng_entropy();
    for (int kind = 0; kind < LIMIT_COUNT; kind++)
        for (int i = 0; i < SOURCES; i++)
            s->buckets[kind][i] =
                (bucket){.tokens = limits[kind].burst, .at_ns = ps_clock_ns(clock)};
    return s;
}

void ps_audit_sources_free(ps_audit_sources **sources)
{
    ps_free(sources);
}

/* FNV-1a, seeded. */
static uint64_t hash_begin(const ps_audit_sources *s)
{
    return 14695981039346656037ull ^ s->hash_seed;
}

static uint64_t hash_text(uint64_t hash, const char *text, const char *end)
{
    for (const char *c = text; c && c != end && *c; c++)
        hash = (hash ^ (uint8_t)*c) * 1099511628211ull;
    return hash;
}

/* MurmurHash3's finaliser, because FNV alone hardly spreads texts that differ in their last
 * character, as neighbours in a network do. */
static uint64_t hash_end(uint64_t hash)
{
    hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccdull;
    return hash ^ (hash >> 33);
}

/* By the address without its port. */
static size_t source_of(const ps_audit_sources *s, const char *address)
{
    const char *port = address ? strrchr(address, ':') : NULL;
    return (size_t)(hash_end(hash_text(hash_begin(s), address, port)) % SOURCES);
}

/* The address has the port: it is of one connection. */
static uint64_t part_of(const ps_audit_sources *s, const ps_audit_event *e)
{
    char identity[PS_IDENTITY_TEXT_MAX];
    const char *texts[] = {e->address, e->identity ? ps_identity_format(e->identity, identity) : "",
                           e->call, e->reason};
    uint64_t hash = hash_begin(s);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        hash = hash_text(hash_text(hash, texts[i], NULL), "\n", NULL);
    return hash_end(hash);
}

static bool is_part(const ps_audit_event *e)
{
    return e->part && (e->outcome == PS_AUDIT_ALLOWED || e->outcome == PS_AUDIT_BEGUN);
}

bool ps_audit_sources_knows(ps_audit_sources *s, const ps_audit_event *e)
{
    if (!is_part(e))
        return false;
    uint64_t hash = part_of(s, e), now = ps_clock_ns(s->clock);
    for (size_t i = 0; i < PARTS; i++)
        if (s->parts[i].hash == hash && now - s->parts[i].at_ns < PART_NS)
            return true;
    return false;
}

void ps_audit_sources_remember(ps_audit_sources *s, const ps_audit_event *e)
{
    if (!is_part(e))
        return;
    s->parts[s->next_part] = (part){part_of(s, e), ps_clock_ns(s->clock)};
    s->next_part = (s->next_part + 1) % PARTS;
}

/* A token bucket: refilled by time, one a line. */
bool ps_audit_sources_take(ps_audit_sources *s, const ps_audit_event *event)
{
    PS_REQUIRE(event->outcome <= PS_AUDIT_BEGUN);
    int kind = event->outcome == PS_AUDIT_REFUSED ? LIMIT_REFUSED : LIMIT_OTHER;
    bucket *b = &s->buckets[kind][source_of(s, event->address)];
    uint64_t now = ps_clock_ns(s->clock);
    b->tokens += (double)(now - b->at_ns) / 1e9 * limits[kind].per_second;
    if (b->tokens > limits[kind].burst)
        b->tokens = limits[kind].burst;
    b->at_ns = now;
    if (b->tokens < 1)
        return false;
    b->tokens -= 1;
    PS_REQUIRE(b->tokens >= 0 && b->tokens < limits[kind].burst);
    return true;
}
