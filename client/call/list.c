/* Happy path: a page is asked for, its rows are moved behind those that are there, and its token
 * goes into the next request. Fails as a call fails; nothing is given then. */
#include "client/call/list.h"

#include "client/call/support.h"
#include "common/base/mem.h"
#include "common/base/require.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 1000 };

static void *field_of(ProtobufCMessage *message, const char *name)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
    PS_REQUIRE(field);
    return (char *)message + field->offset;
}

/* The repeated field of messages: how many, and the array. */
static size_t *count_of(ProtobufCMessage *message)
{
    return (size_t *)(void *)((char *)message + message->descriptor->fields[0].quantifier_offset);
}

static ProtobufCMessage ***rows_of(ProtobufCMessage *message)
{
    return (ProtobufCMessage ***)(void *)((char *)message + message->descriptor->fields[0].offset);
}

void ps_list_append_rows(ProtobufCMessage *into, ProtobufCMessage *from)
{
    size_t have = *count_of(into), more = *count_of(from);
    ProtobufCMessage **rows = ps_realloc(*rows_of(into), (have + more + 1) * sizeof(*rows));
    if (more)
        memcpy(rows + have, *rows_of(from), more * sizeof(*rows));
    *rows_of(into) = rows;
    *count_of(into) = have + more;
    *count_of(from) = 0;
}

static void cut(ProtobufCMessage *list, uint64_t limit)
{
    while (*count_of(list) > limit)
        protobuf_c_message_free_unpacked((*rows_of(list))[--*count_of(list)], NULL);
}

typedef struct asking {
    ps_client *client;
    const char *path;
    ProtobufCMessage *request;
    const ProtobufCMessageDescriptor *type;
    ProtobufCMessage *all; /* NULL before the first page */
    char *token;           /* of the next one; NULL: there is none */
} asking;

static ps_status one_page(asking *a)
{
    ProtobufCMessage *page = NULL;
    *(char **)field_of(a->request, "page_token") =
        a->token ? a->token : (char *)(uintptr_t)protobuf_c_empty_string;
    ps_status st = ps_client_unary(a->client, a->path, a->request, a->type, &page);
    if (st)
        return st;
    const char *next = *(char **)field_of(page, "next_page_token");
    if (a->token && strcmp(next, a->token) == 0)
        st = ps_fail(PS_PROTOCOL, "%s: the same page again and again", a->path);
    ps_free(&a->token);
    a->token = *next ? ps_strdup(next) : NULL;
    if (!a->all) {
        a->all = page;
        return st;
    }
    ps_list_append_rows(a->all, page);
    protobuf_c_message_free_unpacked(page, NULL);
    return st;
}

ps_status ps_client_list(ps_client *client, const char *path, ProtobufCMessage *request,
                         const ProtobufCMessageDescriptor *type, uint64_t limit,
                         ProtobufCMessage **reply)
{
    asking a = {.client = client, .path = path, .request = request, .type = type};
    ps_status st;
    do {
        uint64_t left = limit && a.all ? limit - *count_of(a.all) : limit;
        *(int32_t *)field_of(request, "page_size") =
            left && left < ROWS_MAX ? (int32_t)left : ROWS_MAX;
        st = one_page(&a);
    } while (!st && a.token && (!limit || *count_of(a.all) < limit));
    *(char **)field_of(request, "page_token") = (char *)(uintptr_t)protobuf_c_empty_string;
    ps_free(&a.token);
    if (st) {
        ps_reply_free(&a.all);
        return st;
    }
    if (limit)
        cut(a.all, limit); /* a server that knows no pages gave all */
    *reply = a.all;
    return PS_OK;
}
