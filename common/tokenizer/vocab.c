/* Happy path: the text goes into one long buffer, its place into a table by id, and the id into a
 * hash table (open addressing, FNV-1a) that doubles when it is half full. */
#include "common/tokenizer/vocab.h"

#include "common/base/mem.h"
#include "common/tokenizer/hash.h"
#include "common/tokenizer/tokenizer.h"

#include <inttypes.h>

typedef struct entry {
    uint32_t at, len; /* in texts; len 0: no such id */
} entry;

struct ps_vocab {
    uint8_t *texts;
    size_t used, texts_capacity;
    entry *entries; /* by id */
    uint32_t end;
    size_t entries_capacity;
    uint32_t *slots; /* id + 1; 0: free */
    size_t n_slots;  /* a power of two */
    size_t n;
};

ps_vocab *ps_vocab_new(void)
{
    return ps_new(ps_vocab);
}

void ps_vocab_free(ps_vocab **vocab)
{
    ps_vocab *v = *vocab;
    if (!v)
        return;
    ps_free(&v->texts);
    ps_free(&v->entries);
    ps_free(&v->slots);
    ps_free(vocab);
}

ps_slice ps_vocab_at(const ps_vocab *v, uint32_t id)
{
    if (id >= v->end || !v->entries[id].len)
        return (ps_slice){0};
    return ps_slice_of(v->texts + v->entries[id].at, v->entries[id].len);
}

uint32_t ps_vocab_end(const ps_vocab *v)
{
    return v->end;
}

/* The slot that holds text, or the free one where it belongs. */
static size_t slot_of(const ps_vocab *v, ps_slice text)
{
    size_t mask = v->n_slots - 1;
    size_t i = (size_t)ps_hash(PS_HASH_START, text.data, text.len) & mask;
    for (; v->slots[i]; i = (i + 1) & mask) {
        ps_slice have = ps_vocab_at(v, v->slots[i] - 1);
        if (have.len == text.len && !memcmp(have.data, text.data, text.len))
            break;
    }
    return i;
}

bool ps_vocab_find(const ps_vocab *v, ps_slice text, uint32_t *id)
{
    if (!v->n_slots || !text.len)
        return false;
    uint32_t found = v->slots[slot_of(v, text)];
    if (found)
        *id = found - 1;
    return found != 0;
}

/* Makes room for `need` items of `one` bytes; what is there is kept, the rest is zero. */
static ps_status room(void **items, size_t *capacity, size_t need, size_t one)
{
    if (need <= *capacity)
        return PS_OK;
    size_t next = *capacity ? *capacity : 1024;
    while (next < need)
        next *= 2;
    void *moved = ps_try_alloc(next * one);
    if (!moved)
        return ps_fail(PS_NO_MEMORY, "no memory for %zu entries", next);
    if (*capacity)
        memcpy(moved, *items, *capacity * one);
    ps_free(items);
    *items = moved;
    *capacity = next;
    return PS_OK;
}

static ps_status grow_slots(ps_vocab *v)
{
    if (v->n_slots && v->n < v->n_slots / 2)
        return PS_OK;
    size_t n = v->n_slots ? v->n_slots * 2 : 1024;
    uint32_t *slots = ps_try_alloc(n * sizeof *slots);
    if (!slots)
        return ps_fail(PS_NO_MEMORY, "no memory for %zu entries", n);
    ps_free(&v->slots);
    v->slots = slots;
    v->n_slots = n;
    for (uint32_t id = 0; id < v->end; id++)
        if (v->entries[id].len)
            v->slots[slot_of(v, ps_vocab_at(v, id))] = id + 1;
    return PS_OK;
}

static ps_status make_room(ps_vocab *v, size_t bytes, uint32_t id)
{
    void *texts = v->texts, *entries = v->entries;
    ps_status st = room(&texts, &v->texts_capacity, v->used + bytes, 1);
    if (!st)
        st = room(&entries, &v->entries_capacity, (size_t)id + 1, sizeof *v->entries);
    v->texts = texts;
    v->entries = entries;
    return st ? st : grow_slots(v);
}

ps_status ps_vocab_add(ps_vocab *v, ps_slice text, uint64_t id)
{
    if (!text.len || text.len > PS_TOKENIZER_MAX_TOKEN)
        return ps_fail(PS_INVALID_ARGUMENT, "a token of %zu bytes, allowed 1 to %d", text.len,
                       PS_TOKENIZER_MAX_TOKEN);
    if (memchr(text.data, 0, text.len))
        return ps_fail(PS_INVALID_ARGUMENT, "a token with a zero byte");
    if (id >= PS_TOKENIZER_MAX_VOCAB)
        return ps_fail(PS_INVALID_ARGUMENT, "token id %" PRIu64 " is out of range, allowed 0 to %d",
                       id, PS_TOKENIZER_MAX_VOCAB - 1);
    if (ps_vocab_at(v, (uint32_t)id).len)
        return ps_fail(PS_INVALID_ARGUMENT, "token id %" PRIu64 " is there twice", id);
    ps_status st = make_room(v, text.len, (uint32_t)id);
    if (st)
        return st;
    size_t slot = slot_of(v, text);
    if (v->slots[slot])
        return ps_fail(PS_INVALID_ARGUMENT,
                       "token ids %" PRIu64 " and %" PRIu32 " have the same text", id,
                       v->slots[slot] - 1);
    memcpy(v->texts + v->used, text.data, text.len);
    v->entries[id] = (entry){(uint32_t)v->used, (uint32_t)text.len};
    v->used += text.len;
    v->slots[slot] = (uint32_t)id + 1;
    v->n++;
    if (id >= v->end)
        v->end = (uint32_t)id + 1;
    return PS_OK;
}
