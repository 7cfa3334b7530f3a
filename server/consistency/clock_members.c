/* A plain array: members are tens, and each is looked up once a clock. */
#include "server/consistency/clock_members.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <string.h>

struct ps_clock_members {
    ps_clock_member *list;
    size_t n, capacity;
};

void ps_clock_members_create(ps_clock_members **out)
{
    *out = ps_new(ps_clock_members);
}

void ps_clock_members_free(ps_clock_members **members)
{
    if (!*members)
        return;
    for (size_t i = 0; i < (*members)->n; i++) {
        PS_REQUIRE(!(*members)->list[i].waiter.cb);
        free((*members)->list[i].name);
    }
    free((*members)->list);
    ps_free(members);
}

ps_clock_member *ps_clock_members_find(ps_clock_members *members, const char *name)
{
    for (size_t i = 0; i < members->n; i++)
        if (strcmp(members->list[i].name, name) == 0)
            return &members->list[i];
    return NULL;
}

ps_status ps_clock_members_add(ps_clock_members *members, const char *name, uint64_t ended,
                               ps_clock_member **out)
{
    if (!*name || strlen(name) > PS_CLOCK_NAME_MAX)
        return ps_fail(PS_INVALID_ARGUMENT, "member name of %zu bytes, must be 1..%d", strlen(name),
                       PS_CLOCK_NAME_MAX);
    if (members->n >= PS_CLOCK_MEMBERS_MAX)
        return ps_fail(PS_RESOURCE_EXHAUSTED, "more than %d members", PS_CLOCK_MEMBERS_MAX);
    if (members->n == members->capacity) {
        members->capacity = members->capacity ? 2 * members->capacity : 16;
        members->list = ps_realloc(members->list, members->capacity * sizeof *members->list);
    }
    ps_clock_member *member = &members->list[members->n++];
    *member = (ps_clock_member){.name = ps_strdup(name), .ended = ended};
    *out = member;
    return PS_OK;
}

ps_status ps_clock_members_enter(ps_clock_members *members, const char *name, uint64_t lease,
                                 ps_clock_member **out)
{
    ps_clock_member *member = ps_clock_members_find(members, name);
    if (!member)
        return ps_fail(PS_FAILED_PRECONDITION, "%s is not a member of this job", name);
    if (lease && lease != member->lease)
        return ps_fail(PS_PERMISSION_DENIED, "%s: lease %llu has ended", name,
                       (unsigned long long)lease);
    *out = member;
    return PS_OK;
}

void ps_clock_members_remove(ps_clock_members *members, const char *name)
{
    ps_clock_member *member = ps_clock_members_find(members, name);
    if (!member)
        return;
    PS_REQUIRE(!member->waiter.cb); /* it was answered */
    free(member->name);
    *member = members->list[--members->n];
}

uint64_t ps_clock_members_slowest(const ps_clock_members *members, uint64_t none)
{
    if (members->n == 0)
        return none;
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < members->n; i++)
        if (members->list[i].ended < least)
            least = members->list[i].ended;
    return least;
}

size_t ps_clock_members_count(const ps_clock_members *members)
{
    return members->n;
}

ps_clock_member *ps_clock_members_at(ps_clock_members *members, size_t i)
{
    PS_REQUIRE(i < members->n);
    return &members->list[i];
}
