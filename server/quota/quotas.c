/* Happy path: of a level, an atomic sum that is compared with its limit before it is raised; of a
 * rate, the time at which all that was taken will have been paid for (the generic cell rate
 * algorithm, ITU-T I.371 annex A, virtual scheduling): it may lie a second ahead, which is the
 * burst.
 *
 * Failure: more than the limit. It is counted, and logged once a minute. */
#include "server/quota/quotas.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "common/base/ranked.h"
#include "common/base/require.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)
#define SAY_NS    (60 * SECOND_NS)
#define BUCKETS   256u
#define MS_NS     UINT64_C(1000000)

typedef struct account {
    ps_account head;
    ps_quotas *quotas;
    struct account *next; /* in its bucket */
    ps_identity who;
    _Atomic uint64_t limit[PS_QUOTAS]; /* 0: none */
    char text[PS_IDENTITY_TEXT_MAX];   /* spiffe://…; between what is read and what changes */
    _Atomic uint64_t used[PS_QUOTAS];  /* of a rate: when all will have been paid for */
    _Atomic uint64_t sum[PS_QUOTAS];   /* of a sum: what it was last */
    _Atomic uint64_t refused[PS_QUOTAS];
    _Atomic uint64_t say_ns[PS_QUOTAS];  /* a refusal is logged from then on */
    _Atomic uint64_t full_ns[PS_QUOTAS]; /* a sum was too much; 0: not that one knows, */
    _Atomic uint64_t full_freed;         /* when ps_quotas.freed was this */
    _Atomic uint64_t told_ns;            /* it was told not to come before */
    _Atomic uint64_t given;              /* times that something was given back of a sum */
} account;

struct ps_quotas {
    ps_clock clock;
    _Atomic uint64_t refused[PS_QUOTAS][PS_ROLE_COUNT];
    _Atomic uint64_t freed; /* times */
    ps_mutex mutex;         /* the following */
    ps_quota_conf conf;
    account *buckets[BUCKETS];
    size_t n;
};

typedef enum kind { LEVEL, RATE, SUM } kind;
static const kind kinds[PS_QUOTAS] = {
#define X(name, key, kind, ...) [PS_QUOTA_##name] = kind,
    PS_QUOTA_TABLE(X)
#undef X
};

_Static_assert((unsigned)PS_QUOTA_CONNECTIONS == PS_ACCOUNT_CONNECTIONS &&
                   (unsigned)PS_QUOTA_CALLS == PS_ACCOUNT_CALLS &&
                   (unsigned)PS_QUOTA_BYTES == PS_ACCOUNT_BYTES,
               "what the transport takes has the same numbers here");

static account *account_of(ps_account *head)
{
    return (account *)(void *)head; /* its first member */
}

static const account *account_seen(const ps_account *head)
{
    return (const account *)(const void *)head;
}

static uint64_t limit_of(const account *a, ps_quota quota)
{
    return atomic_load_explicit(&a->limit[quota], memory_order_relaxed);
}

/* ---- taking ---- */

static ps_status refuse(account *a, ps_quota quota, uint64_t limit, uint64_t retry_ms)
{
    uint64_t now = ps_clock_ns(&a->quotas->clock);
    uint64_t times = atomic_fetch_add(&a->refused[quota], 1) + 1;
    atomic_fetch_add(&a->quotas->refused[quota][a->who.role], 1);
    ps_status st = ps_quota_refuse(a->text, quota, limit, retry_ms);
    uint64_t say = atomic_load(&a->say_ns[quota]);
    if (now < say || !atomic_compare_exchange_strong(&a->say_ns[quota], &say, now + SAY_NS))
        return st;
    ps_error kept;
    ps_error_save(&kept, st);
    ps_log_warning("quota", "refused=%" PRIu64 " %s", times, kept.message);
    return ps_error_raise(&kept);
}

static ps_status take_level(account *a, ps_quota quota, uint64_t n)
{
    uint64_t limit = limit_of(a, quota), most = limit ? limit : UINT64_MAX;
    uint64_t used = atomic_load_explicit(&a->used[quota], memory_order_relaxed);
    do {
        if (used > most || n > most - used)
            return refuse(a, quota, limit, 0);
    } while (!atomic_compare_exchange_weak(&a->used[quota], &used, used + n));
    return PS_OK;
}

static ps_status take_rate(account *a, ps_quota quota, uint64_t n)
{
    uint64_t limit = limit_of(a, quota);
    if (!limit)
        return PS_OK;
    uint64_t now = ps_clock_ns(&a->quotas->clock), cost = n * (SECOND_NS / limit), paid;
    uint64_t before = atomic_load_explicit(&a->used[quota], memory_order_relaxed);
    do {
        paid = (before > now ? before : now) + cost;
        if (paid - now > SECOND_NS)
            return refuse(a, quota, limit, (paid - now - SECOND_NS + 999999) / 1000000);
    } while (!atomic_compare_exchange_weak(&a->used[quota], &before, paid));
    return PS_OK;
}

ps_status ps_quota_take(ps_account *head, ps_quota quota, uint64_t n)
{
    PS_REQUIRE(quota < PS_QUOTAS && kinds[quota] != SUM && n > 0);
    if (!head)
        return PS_OK;
    account *a = account_of(head);
    return kinds[quota] == RATE ? take_rate(a, quota, n) : take_level(a, quota, n);
}

void ps_quota_charge(ps_account *head, ps_quota quota, uint64_t n)
{
    PS_REQUIRE(quota < PS_QUOTAS && kinds[quota] != RATE);
    if (head)
        atomic_fetch_add(&account_of(head)->used[quota], n);
}

void ps_quota_give(ps_account *head, ps_quota quota, uint64_t n)
{
    PS_REQUIRE(quota < PS_QUOTAS && kinds[quota] != RATE);
    if (!head)
        return;
    if (kinds[quota] == SUM) /* first: for a moment n may count twice, and is never left out */
        atomic_fetch_add(&account_of(head)->given, 1);
    uint64_t before = atomic_fetch_sub(&account_of(head)->used[quota], n);
    PS_REQUIRE(before >= n);
}

uint64_t ps_quota_stamp(const ps_account *head)
{
    const account *a = account_seen(head);
    return head ? atomic_load(&a->given) + atomic_load(&a->quotas->freed) : 0;
}

ps_status ps_quota_check(ps_account *head, ps_quota quota, uint64_t sum, uint64_t more)
{
    PS_REQUIRE(quota < PS_QUOTAS && kinds[quota] == SUM);
    if (!head)
        return PS_OK;
    account *a = account_of(head);
    uint64_t limit = limit_of(a, quota), coming = atomic_load(&a->used[quota]);
    atomic_store(&a->sum[quota], sum);
    if (!limit || (sum <= limit && coming <= limit - sum && more <= limit - sum - coming))
        return PS_OK;
    if (sum >= limit) { /* not for the sake of what comes, which may still fail */
        atomic_store(&a->full_freed, atomic_load(&a->quotas->freed));
        atomic_store(&a->full_ns[quota], ps_clock_ns(&a->quotas->clock));
    }
    return refuse(a, quota, limit, 0);
}

ps_status ps_quota_recall(ps_account *head, ps_quota quota)
{
    PS_REQUIRE(quota < PS_QUOTAS && kinds[quota] == SUM);
    account *a = head ? account_of(head) : NULL;
    uint64_t full_ns = a ? atomic_load(&a->full_ns[quota]) : 0;
    if (!full_ns || ps_clock_ns(&a->quotas->clock) - full_ns >= SECOND_NS ||
        atomic_load(&a->full_freed) != atomic_load(&a->quotas->freed))
        return PS_OK;
    uint64_t limit = limit_of(a, quota);
    return limit ? refuse(a, quota, limit, 0) : PS_OK;
}

void ps_quotas_freed(ps_quotas *quotas)
{
    if (quotas)
        atomic_fetch_add(&quotas->freed, 1);
}

bool ps_quota_has_limit(const ps_account *head, ps_quota quota)
{
    PS_REQUIRE(quota < PS_QUOTAS);
    return head && limit_of(account_seen(head), quota) > 0;
}

/* ---- for the transport ---- */

static ps_status take(ps_account *head, ps_account_use use, uint64_t n)
{
    return ps_quota_take(head, (ps_quota)use, n);
}

static void charge(ps_account *head, ps_account_use use, uint64_t n)
{
    ps_quota_charge(head, (ps_quota)use, n);
}

static void give(ps_account *head, ps_account_use use, uint64_t n)
{
    ps_quota_give(head, (ps_quota)use, n);
}

static uint64_t left(const ps_account *head, ps_account_use use)
{
    const account *a = account_seen(head);
    uint64_t limit = limit_of(a, (ps_quota)use), used = atomic_load(&a->used[use]);
    if (!limit)
        return UINT64_MAX;
    return used < limit ? limit - used : 0;
}

static uint64_t hold_ms(ps_account *head, uint64_t retry_ms)
{
    account *a = account_of(head);
    uint64_t now = ps_clock_ns(&a->quotas->clock), due = now + retry_ms * MS_NS;
    uint64_t told = atomic_load(&a->told_ns);
    while (told < due && !atomic_compare_exchange_weak(&a->told_ns, &told, due))
        ;
    return told > now ? ps_least(retry_ms, PS_QUOTAS_HOLD_MOST_MS) : 0;
}

static const ps_account_ops ops = {
    .take = take, .charge = charge, .give = give, .left = left, .hold_ms = hold_ms};

/* ---- the table of accounts ---- */

/* FNV-1a. */
static size_t bucket_of(const char *text)
{
    uint32_t hash = 2166136261u;
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * 16777619u;
    return hash % BUCKETS;
}

/* With the mutex. */
static void set_limits(account *a)
{
    uint64_t limits[PS_QUOTAS];
    ps_mutex_require_held(&a->quotas->mutex);
    ps_quota_conf_find(&a->quotas->conf, &a->who, limits);
    for (ps_quota q = 0; q < PS_QUOTAS; q++) {
        atomic_store(&a->limit[q], limits[q]);
        atomic_store(&a->full_ns[q], 0);
    }
}

static account *make(ps_quotas *quotas, const ps_identity *who, const char *text)
{
    account *a = ps_new(account);
    a->head.ops = &ops;
    a->quotas = quotas;
    a->who = *who;
    memcpy(a->text, text, strlen(text) + 1);
    set_limits(a);
    return a;
}

ps_account *ps_quotas_account(ps_quotas *quotas, const ps_identity *who)
{
    char text[PS_IDENTITY_TEXT_MAX];
    ps_identity_format(who, text);
    ps_mutex_lock(&quotas->mutex);
    account **at = &quotas->buckets[bucket_of(text)];
    while (*at && strcmp((*at)->text, text) != 0)
        at = &(*at)->next;
    if (!*at) {
        *at = make(quotas, who, text);
        quotas->n++;
    }
    account *found = *at;
    ps_mutex_unlock(&quotas->mutex);
    return &found->head;
}

ps_account *ps_quotas_account_named(ps_quotas *quotas, const char *text)
{
    ps_identity who;
    return ps_identity_parse(ps_slice_str(text), &who) ? NULL : ps_quotas_account(quotas, &who);
}

/* A copy: the one that is given may be of a file that was read again. */
static void conf_copy(const ps_quota_conf *from, ps_quota_conf *to)
{
    *to = *from;
    to->identities = ps_alloc_array(from->n_identities + 1, sizeof *to->identities);
    for (size_t i = 0; i < from->n_identities; i++) {
        to->identities[i] = from->identities[i];
        to->identities[i].who = ps_strdup(from->identities[i].who);
    }
}

static void conf_clear(ps_quota_conf *conf)
{
    for (size_t i = 0; i < conf->n_identities; i++)
        ps_free(&conf->identities[i].who);
    ps_free(&conf->identities);
    conf->n_identities = 0;
}

void ps_quotas_set(ps_quotas *quotas, const ps_quota_conf *conf)
{
    ps_mutex_lock(&quotas->mutex);
    conf_clear(&quotas->conf);
    conf_copy(conf, &quotas->conf);
    for (size_t i = 0; i < BUCKETS; i++)
        for (account *a = quotas->buckets[i]; a; a = a->next)
            set_limits(a);
    ps_mutex_unlock(&quotas->mutex);
}

void ps_quotas_create(const ps_quota_conf *conf, const ps_clock *clock, ps_quotas **out)
{
    ps_quotas *quotas = ps_new(ps_quotas);
    quotas->clock = *clock;
    ps_mutex_init(&quotas->mutex);
    ps_quotas_set(quotas, conf);
    *out = quotas;
}

void ps_quotas_free(ps_quotas **pointer)
{
    ps_quotas *quotas = *pointer;
    if (!quotas)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while (quotas->buckets[i]) {
            account *a = quotas->buckets[i];
            quotas->buckets[i] = a->next;
            ps_free(&a);
        }
    conf_clear(&quotas->conf);
    ps_mutex_destroy(&quotas->mutex);
    ps_free(pointer);
}

/* ---- looking ---- */

/* What was taken of a rate and is not paid for yet. */
static uint64_t used_of(const account *a, ps_quota quota, uint64_t limit)
{
    uint64_t used = atomic_load(&a->used[quota]);
    if (kinds[quota] != RATE)
        return used + atomic_load(&a->sum[quota]);
    uint64_t now = ps_clock_ns(&a->quotas->clock);
    uint64_t period = limit ? SECOND_NS / limit : SECOND_NS;
    return used > now ? (used - now + period - 1) / period : 0;
}

void ps_quotas_look(const ps_account *head, ps_quota_account_use *out)
{
    const account *a = account_seen(head);
    out->who = a->who;
    for (ps_quota q = 0; q < PS_QUOTAS; q++) {
        uint64_t limit = limit_of(a, q);
        out->of[q] = (ps_quota_use){
            .used = used_of(a, q, limit), .limit = limit, .refused = atomic_load(&a->refused[q])};
    }
}

ps_quota_account_use *ps_quotas_look_all(ps_quotas *quotas, size_t *n)
{
    *n = 0;
    ps_mutex_lock(&quotas->mutex);
    ps_quota_account_use *all = ps_alloc_array(quotas->n + 1, sizeof *all);
    for (size_t i = 0; i < BUCKETS; i++)
        for (const account *a = quotas->buckets[i]; a; a = a->next)
            ps_quotas_look(&a->head, &all[(*n)++]);
    ps_mutex_unlock(&quotas->mutex);
    return all;
}

uint64_t ps_quotas_refused(const ps_quotas *quotas, ps_quota quota, ps_role role)
{
    PS_REQUIRE(quota < PS_QUOTAS && role < PS_ROLE_COUNT);
    return atomic_load(&quotas->refused[quota][role]);
}
