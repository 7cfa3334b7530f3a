/* A plain array: members are tens, and each is looked up once a clock. */
#include "server/consistency/vector_clock.h"

#include "common/base/mem.h"

#include <assert.h>
#include <string.h>

struct ps_vector_clock {
    ps_clock_member *members;
    size_t n, capacity;
};

void ps_vector_clock_create(ps_vector_clock **out)
{
    *out = ps_new(ps_vector_clock);
}

void ps_vector_clock_free(ps_vector_clock **clock)
{
    if (!*clock)
        return;
    for (size_t i = 0; i < (*clock)->n; i++) {
        assert(!(*clock)->members[i].waiter.cb);
        free((*clock)->members[i].name);
    }
    free((*clock)->members);
    ps_free(clock);
}

ps_clock_member *ps_vector_clock_find(ps_vector_clock *clock, const char *name)
{
    for (size_t i = 0; i < clock->n; i++)
        if (strcmp(clock->members[i].name, name) == 0)
            return &clock->members[i];
    return NULL;
}

ps_status ps_vector_clock_add(ps_vector_clock *clock, const char *name, uint64_t ended,
                              ps_clock_member **out)
{
    if (!*name || strlen(name) > PS_CLOCK_NAME_MAX)
        return ps_fail(PS_INVALID_ARGUMENT, "member name of %zu bytes, must be 1..%d", strlen(name),
                       PS_CLOCK_NAME_MAX);
    if (clock->n >= PS_CLOCK_MEMBERS_MAX)
        return ps_fail(PS_RESOURCE_EXHAUSTED, "more than %d members", PS_CLOCK_MEMBERS_MAX);
    if (clock->n == clock->capacity) {
        clock->capacity = clock->capacity ? 2 * clock->capacity : 16;
        clock->members = ps_realloc(clock->members, clock->capacity * sizeof *clock->members);
    }
    ps_clock_member *member = &clock->members[clock->n++];
    *member = (ps_clock_member){.name = ps_strdup(name), .ended = ended};
    *out = member;
    return PS_OK;
}

ps_status ps_vector_clock_enter(ps_vector_clock *clock, const char *name, uint64_t lease,
                                ps_clock_member **out)
{
    ps_clock_member *member = ps_vector_clock_find(clock, name);
    if (!member)
        return ps_fail(PS_FAILED_PRECONDITION, "%s is not a member of this job", name);
    if (lease && lease != member->lease)
        return ps_fail(PS_PERMISSION_DENIED, "%s: lease %llu has ended", name,
                       (unsigned long long)lease);
    *out = member;
    return PS_OK;
}

void ps_vector_clock_remove(ps_vector_clock *clock, const char *name)
{
    ps_clock_member *member = ps_vector_clock_find(clock, name);
    if (!member)
        return;
    free(member->name);
    *member = clock->members[--clock->n];
}

uint64_t ps_vector_clock_slowest(const ps_vector_clock *clock, uint64_t none)
{
    if (clock->n == 0)
        return none;
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < clock->n; i++)
        if (clock->members[i].ended < least)
            least = clock->members[i].ended;
    return least;
}

size_t ps_vector_clock_count(const ps_vector_clock *clock)
{
    return clock->n;
}

ps_clock_member *ps_vector_clock_at(ps_vector_clock *clock, size_t i)
{
    return &clock->members[i];
}
