/* Happy path: FileDescriptorSet.file (1) holds files with name (1), package (2), message_type (4),
 * enum_type (5) and service (6); messages hold name (1), nested_type (3), enum_type (4); services
 * hold name (1) and method (2); all of google/protobuf/descriptor.proto. A symbol is looked for by
 * eating its parts from the left. Failure: nothing is found. */
#include "common/transport/server/descriptor_index.h"

#include <string.h>

#define NESTING_MAX 16

enum { BYTES = 2 };
enum { FILE_NAME = 1, FILE_PACKAGE = 2, FILE_MESSAGE = 4, FILE_ENUM = 5, FILE_SERVICE = 6 };
enum { ANY_NAME = 1, MESSAGE_NESTED = 3, MESSAGE_ENUM = 4, SERVICE_METHOD = 2 };

/* The next length-delimited field; others are skipped. False at the end. */
static bool next(ps_cursor *c, uint32_t *field, ps_slice *value)
{
    while (ps_cursor_left(c) > 0 && !c->failed) {
        uint64_t tag = ps_read_varint(c);
        *field = (uint32_t)(tag >> 3);
        switch (tag & 7) {
        case 0:
            (void)ps_read_varint(c);
            break;
        case 1:
            (void)ps_read_bytes(c, 8);
            break;
        case BYTES:
            *value = ps_read_bytes(c, ps_read_varint(c));
            return !c->failed;
        case 5:
            (void)ps_read_bytes(c, 4);
            break;
        default:
            return false;
        }
    }
    return false;
}

static ps_slice first(ps_slice message, uint32_t wanted)
{
    ps_cursor c = ps_cursor_of(message);
    uint32_t field;
    ps_slice value;
    while (next(&c, &field, &value))
        if (field == wanted)
            return value;
    return (ps_slice){0};
}

/* Takes `part` and the dot after it from the left of *symbol; true when all of it was eaten or a
 * dot followed. */
static bool eat(ps_slice *symbol, ps_slice part)
{
    if (part.len == 0 || symbol->len < part.len || memcmp(symbol->data, part.data, part.len) != 0)
        return false;
    size_t n = part.len;
    if (symbol->len > n && symbol->data[n] != '.')
        return false;
    n += symbol->len > n;
    *symbol = ps_slice_of(symbol->data + n, symbol->len - n);
    return true;
}

/* Does the message, enum or service define what is left of the symbol? Below it are the fields
 * `inner` (a set of bits) of the same kind, and `deeper` of messages. */
static bool defines(ps_slice element, ps_slice symbol, unsigned inner, uint32_t deeper, int depth)
{
    if (!eat(&symbol, first(element, ANY_NAME)))
        return false;
    if (symbol.len == 0)
        return true;
    ps_cursor c = ps_cursor_of(element);
    uint32_t field;
    ps_slice value;
    while (depth < NESTING_MAX && next(&c, &field, &value)) {
        if (field == deeper && defines(value, symbol, inner, deeper, depth + 1))
            return true;
        if (field < 32 && (inner >> field & 1) && defines(value, symbol, 0, 0, depth + 1))
            return true;
    }
    return false;
}

static bool file_defines(ps_slice file, ps_slice symbol)
{
    ps_slice package = first(file, FILE_PACKAGE);
    if (package.len > 0 && (!eat(&symbol, package) || symbol.len == 0))
        return false;
    ps_cursor c = ps_cursor_of(file);
    uint32_t field;
    ps_slice value;
    while (next(&c, &field, &value)) {
        if (field == FILE_MESSAGE && defines(value, symbol, 1u << MESSAGE_ENUM, MESSAGE_NESTED, 0))
            return true;
        if (field == FILE_ENUM && defines(value, symbol, 0, 0, 0))
            return true;
        if (field == FILE_SERVICE && defines(value, symbol, 1u << SERVICE_METHOD, 0, 0))
            return true;
    }
    return false;
}

ps_slice ps_descriptor_file(ps_slice set, const char *name)
{
    ps_cursor c = ps_cursor_of(set);
    uint32_t field;
    ps_slice file;
    while (next(&c, &field, &file)) {
        ps_slice its = first(file, FILE_NAME);
        if (field == 1 && its.len == strlen(name) && memcmp(its.data, name, its.len) == 0)
            return file;
    }
    return (ps_slice){0};
}

ps_slice ps_descriptor_file_of_symbol(ps_slice set, const char *symbol)
{
    ps_cursor c = ps_cursor_of(set);
    uint32_t field;
    ps_slice file;
    while (next(&c, &field, &file))
        if (field == 1 && file_defines(file, ps_slice_str(symbol)))
            return file;
    return (ps_slice){0};
}
