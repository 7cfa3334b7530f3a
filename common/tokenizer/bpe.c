/* Happy path of a piece: most are words that came before, and their ids are in the cache. Another
 * one becomes a linked list of symbols and a heap of the merges that neighbours have, by rank and
 * then place; the least is taken, its two symbols become one, and the two pairs that are new with
 * that go into the heap. Entries whose pair has changed meanwhile are dropped when they come up.
 * So n bytes take n log n steps, whatever they are. */
#include "common/tokenizer/bpe.h"

#include "common/base/mem.h"
#include "common/tokenizer/hash.h"

enum {
    NONE = -1,
    CACHE_SLOTS = 1 << 15, /* of 64 bytes: 2 MiB, in a core's second-level cache or near it */
    CACHE_BYTES = 30,
    CACHE_IDS = 8,
};

/* ---- the table of merges ---- */

typedef struct merge {
    uint32_t left, right, id;
} merge;

struct ps_bpe {
    uint32_t first[256];
    merge *merges; /* by rank */
    size_t n, capacity;
    uint32_t *slots; /* rank + 1; 0: free */
    size_t n_slots;  /* a power of two */
};

ps_bpe *ps_bpe_new(const uint32_t *first)
{
    ps_bpe *b = ps_new(ps_bpe);
    if (first)
        memcpy(b->first, first, sizeof b->first);
    return b;
}

void ps_bpe_free(ps_bpe **bpe)
{
    ps_bpe *b = *bpe;
    if (!b)
        return;
    ps_free(&b->merges);
    ps_free(&b->slots);
    ps_free(bpe);
}

size_t ps_bpe_merges(const ps_bpe *b)
{
    return b->n;
}

void ps_bpe_merge(const ps_bpe *b, size_t i, uint32_t *left, uint32_t *right)
{
    *left = b->merges[i].left;
    *right = b->merges[i].right;
}

uint32_t ps_bpe_result(const ps_bpe *b, size_t i)
{
    return b->merges[i].id;
}

uint32_t ps_bpe_first(const ps_bpe *b, uint8_t byte)
{
    return b->first[byte];
}

/* The slot that holds the pair, or the free one where it belongs. */
static size_t slot_of(const ps_bpe *b, uint32_t left, uint32_t right)
{
    size_t mask = b->n_slots - 1;
    uint64_t h = ((uint64_t)left << 32 | right) * UINT64_C(0x9e3779b97f4a7c15);
    size_t i = (size_t)(h >> 32) & mask;
    for (; b->slots[i]; i = (i + 1) & mask) {
        const merge *m = &b->merges[b->slots[i] - 1];
        if (m->left == left && m->right == right)
            break;
    }
    return i;
}

/* Its rank, or NONE. */
static int32_t rank_of(const ps_bpe *b, uint32_t left, uint32_t right)
{
    return b->n_slots ? (int32_t)b->slots[slot_of(b, left, right)] - 1 : NONE;
}

static ps_status grow(ps_bpe *b)
{
    if (b->n < b->capacity)
        return PS_OK;
    size_t next = b->capacity ? b->capacity * 2 : 1024;
    merge *merges = ps_try_alloc(next * sizeof *merges);
    uint32_t *slots = ps_try_alloc(2 * next * sizeof *slots);
    if (!merges || !slots) {
        ps_free(&merges);
        ps_free(&slots);
        return ps_fail(PS_NO_MEMORY, "no memory for %zu merges", next);
    }
    if (b->n)
        memcpy(merges, b->merges, b->n * sizeof *merges);
    ps_free(&b->merges);
    ps_free(&b->slots);
    b->merges = merges;
    b->capacity = next;
    b->slots = slots;
    b->n_slots = 2 * next;
    for (size_t i = 0; i < b->n; i++)
        b->slots[slot_of(b, merges[i].left, merges[i].right)] = (uint32_t)i + 1;
    return PS_OK;
}

ps_status ps_bpe_add(ps_bpe *b, uint32_t left, uint32_t right, uint32_t id)
{
    if (b->n == PS_TOKENIZER_MAX_MERGES)
        return ps_fail(PS_INVALID_ARGUMENT, "more than %d merges", PS_TOKENIZER_MAX_MERGES);
    ps_status st = grow(b);
    if (st)
        return st;
    b->merges[b->n] = (merge){left, right, id};
    b->slots[slot_of(b, left, right)] = (uint32_t)++b->n;
    return PS_OK;
}

/* ---- words that came before ---- */

typedef struct word {
    uint8_t len, n; /* len 0: free */
    uint8_t bytes[CACHE_BYTES];
    uint32_t ids[CACHE_IDS];
} word;

typedef struct symbol {
    uint32_t id;
    int32_t prev, next; /* NONE at the ends */
    int32_t rank;       /* of the merge with the next one; NONE: there is none, or it is gone */
} symbol;

struct ps_bpe_scratch {
    word *words; /* by hash; the later one stays */
    symbol *symbols;
    uint64_t *heap; /* rank << 32 | place */
    size_t n_heap, capacity;
};

ps_bpe_scratch *ps_bpe_scratch_new(void)
{
    ps_bpe_scratch *s = ps_new(ps_bpe_scratch);
    s->words = ps_alloc_array(CACHE_SLOTS, sizeof *s->words);
    return s;
}

void ps_bpe_scratch_free(ps_bpe_scratch **scratch)
{
    ps_bpe_scratch *s = *scratch;
    if (!s)
        return;
    ps_free(&s->words);
    ps_free(&s->symbols);
    ps_free(&s->heap);
    ps_free(scratch);
}

static word *word_of(ps_bpe_scratch *s, ps_slice piece)
{
    uint64_t h = ps_hash(PS_HASH_START, piece.data, piece.len);
    return &s->words[(h ^ h >> 32) & (CACHE_SLOTS - 1)];
}

static void remember(word *w, ps_slice piece, const uint32_t *ids, size_t n)
{
    if (n > CACHE_IDS)
        return;
    w->len = (uint8_t)piece.len;
    w->n = (uint8_t)n;
    memcpy(w->bytes, piece.data, piece.len);
    memcpy(w->ids, ids, n * sizeof *ids);
}

/* ---- the heap ---- */

static void push(ps_bpe_scratch *s, uint64_t key)
{
    size_t i = s->n_heap++;
    for (size_t up; i && s->heap[up = (i - 1) / 2] > key; i = up)
        s->heap[i] = s->heap[up];
    s->heap[i] = key;
}

static uint64_t pop(ps_bpe_scratch *s)
{
    uint64_t least = s->heap[0], last = s->heap[--s->n_heap];
    size_t i = 0;
    for (size_t down; (down = 2 * i + 1) < s->n_heap; i = down) {
        down += down + 1 < s->n_heap && s->heap[down + 1] < s->heap[down];
        if (s->heap[down] >= last)
            break;
        s->heap[i] = s->heap[down];
    }
    s->heap[i] = last;
    return least;
}

/* ---- a piece ---- */

/* Each merge pushes two at most, and there are fewer merges than bytes. */
static void reserve(ps_bpe_scratch *s, size_t n)
{
    if (n <= s->capacity)
        return;
    s->capacity = n < 256 ? 256 : n;
    s->symbols = ps_realloc(s->symbols, s->capacity * sizeof *s->symbols);
    s->heap = ps_realloc(s->heap, 3 * s->capacity * sizeof *s->heap);
}

/* The pair at i is new: what is its merge? */
static void look(const ps_bpe *b, ps_bpe_scratch *s, int32_t i)
{
    symbol *a = &s->symbols[i];
    a->rank = a->next == NONE ? NONE : rank_of(b, a->id, s->symbols[a->next].id);
    if (a->rank != NONE)
        push(s, (uint64_t)a->rank << 32 | (uint32_t)i);
}

static void join(const ps_bpe *b, ps_bpe_scratch *s, int32_t i)
{
    symbol *a = &s->symbols[i], *gone = &s->symbols[a->next];
    a->id = b->merges[a->rank].id;
    gone->rank = NONE;
    a->next = gone->next;
    if (a->next != NONE)
        s->symbols[a->next].prev = i;
    look(b, s, i);
    if (a->prev != NONE)
        look(b, s, a->prev);
}

/* The symbols are there, as a list. */
static void merge_all(const ps_bpe *b, ps_bpe_scratch *s, size_t n)
{
    s->n_heap = 0;
    for (size_t i = 0; i < n; i++)
        look(b, s, (int32_t)i);
    while (s->n_heap) {
        uint64_t key = pop(s);
        int32_t i = (int32_t)(uint32_t)key;
        if (s->symbols[i].rank == (int32_t)(key >> 32))
            join(b, s, i);
    }
}

static void set_symbol(ps_bpe_scratch *s, size_t i, size_t n, uint32_t id)
{
    s->symbols[i] =
        (symbol){.id = id, .prev = (int32_t)i - 1, .next = i + 1 < n ? (int32_t)i + 1 : NONE};
}

static word *place_of(ps_bpe_scratch *s, ps_slice piece)
{
    return piece.len <= CACHE_BYTES ? word_of(s, piece) : NULL;
}

static bool known(const word *w, ps_slice piece, ps_ids *out)
{
    if (!w || w->len != piece.len || memcmp(w->bytes, piece.data, piece.len) != 0)
        return false;
    for (size_t i = 0; i < w->n; i++)
        ps_ids_add(out, w->ids[i]);
    return true;
}

static void put_symbols(ps_bpe_scratch *s, word *w, ps_slice piece, ps_ids *out)
{
    size_t before = out->n;
    for (int32_t i = 0; i != NONE; i = s->symbols[i].next)
        ps_ids_add(out, s->symbols[i].id);
    if (w)
        remember(w, piece, out->at + before, out->n - before);
}

void ps_bpe_encode(const ps_bpe *b, ps_bpe_scratch *s, ps_slice piece, ps_ids *out)
{
    word *w = place_of(s, piece);
    if (known(w, piece, out))
        return;
    reserve(s, piece.len);
    for (size_t i = 0; i < piece.len; i++)
        set_symbol(s, i, piece.len, b->first[piece.data[i]]);
    merge_all(b, s, piece.len);
    put_symbols(s, w, piece, out);
}

bool ps_bpe_known(const ps_bpe *b, ps_bpe_scratch *s, ps_slice piece, ps_ids *out)
{
    return known(place_of(s, piece), piece, out);
}

void ps_bpe_encode_ids(const ps_bpe *b, ps_bpe_scratch *s, ps_slice piece, const uint32_t *ids,
                       size_t n, ps_ids *out)
{
    if (!n)
        return;
    reserve(s, n);
    for (size_t i = 0; i < n; i++)
        set_symbol(s, i, n, ids[i]);
    merge_all(b, s, n);
    put_symbols(s, place_of(s, piece), piece, out);
}
