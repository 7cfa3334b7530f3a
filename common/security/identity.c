/* identity: strict parsing of spiffe://CLUSTER/ROLE/NAME.
 *
 * Happy path: the prefix, then three parts between slashes, each checked against its length and
 * characters. Fails at the first byte that does not fit; what a message repeats of hostile bytes is
 * made printable and short. */
#include "common/security/identity.h"

#include <stdio.h>

static const char prefix[] = "spiffe://";
#define PREFIX_LEN (sizeof prefix - 1)

static const char *const role_names[PS_ROLE_COUNT] = {[PS_ROLE_NONE] = "none",
#define X(upper, lower, text) [PS_ROLE_##upper] = #lower,
                                                      PS_ROLE_TABLE(X)
#undef X
};

/* For messages: at most 80 bytes, what is not printable ASCII as '?'. */
typedef struct shown {
    char text[84];
} shown;

static shown show(ps_slice bytes)
{
    shown s = {0};
    size_t max = sizeof s.text - 4;
    size_t n = bytes.len < max ? bytes.len : max;
    for (size_t i = 0; i < n; i++)
        s.text[i] = bytes.data[i] >= 0x20 && bytes.data[i] < 0x7f ? (char)bytes.data[i] : '?';
    if (n < bytes.len)
        memcpy(s.text + n, "...", 4);
    return s;
}

static bool is_alnum(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

ps_status ps_identity_check_part(const char *what, ps_slice text)
{
    if (!text.len)
        return ps_fail(PS_INVALID_ARGUMENT, "%s is empty", what);
    if (text.len > PS_IDENTITY_PART_MAX)
        return ps_fail(PS_INVALID_ARGUMENT, "%s '%s' has %zu characters, at most %d", what,
                       show(text).text, text.len, PS_IDENTITY_PART_MAX);
    if (!is_alnum(text.data[0]))
        return ps_fail(PS_INVALID_ARGUMENT, "%s '%s' must start with a-z or 0-9", what,
                       show(text).text);
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (!is_alnum(c) && c != '.' && c != '-' && c != '_')
            return ps_fail(PS_INVALID_ARGUMENT,
                           "%s '%s': character %zu is not one of a-z, 0-9, '.', '-', '_'", what,
                           show(text).text, i + 1);
    }
    return PS_OK;
}

/* The bytes up to the next slash or the end, which are taken from *rest; false: no slash. */
static bool take_part(ps_slice *rest, ps_slice *part)
{
    const uint8_t *slash = rest->len ? memchr(rest->data, '/', rest->len) : NULL;
    *part = ps_slice_of(rest->data, slash ? (size_t)(slash - rest->data) : rest->len);
    size_t used = part->len + (slash ? 1 : 0);
    *rest = ps_slice_of(rest->data ? rest->data + used : NULL, rest->len - used);
    return slash;
}

static void copy_part(char out[PS_IDENTITY_PART_MAX + 1], ps_slice part)
{
    memcpy(out, part.data, part.len); /* its length was checked */
    out[part.len] = 0;
}

static ps_status take_prefix(ps_slice uri, ps_slice *rest)
{
    if (uri.len < PREFIX_LEN || memcmp(uri.data, prefix, PREFIX_LEN) != 0)
        return ps_fail(PS_INVALID_ARGUMENT, "identity '%s' does not start with %s", show(uri).text,
                       prefix);
    *rest = ps_slice_of(uri.data + PREFIX_LEN, uri.len - PREFIX_LEN);
    return PS_OK;
}

static ps_status parse_parts(ps_slice rest, ps_identity *parsed)
{
    ps_slice cluster, role, name;
    if (!take_part(&rest, &cluster) || !take_part(&rest, &role))
        return ps_fail(PS_INVALID_ARGUMENT, "a part is missing, not spiffe://CLUSTER/ROLE/NAME");
    if (take_part(&rest, &name))
        return ps_fail(PS_INVALID_ARGUMENT, "more than spiffe://CLUSTER/ROLE/NAME");
    ps_status st = ps_identity_check_part("cluster", cluster);
    if (!st)
        st = ps_role_parse(role, &parsed->role);
    if (!st)
        st = ps_identity_check_part("name", name);
    if (st)
        return st;
    copy_part(parsed->cluster, cluster);
    copy_part(parsed->name, name);
    return PS_OK;
}

ps_status ps_identity_parse(ps_slice uri, ps_identity *out)
{
    ps_slice rest = {0};
    ps_status st = take_prefix(uri, &rest);
    if (st)
        return st;
    ps_identity parsed = {0};
    st = parse_parts(rest, &parsed);
    if (st)
        return ps_wrap(st, "identity '%s'", show(uri).text);
    *out = parsed;
    return PS_OK;
}

ps_status ps_identity_parse_cluster(ps_slice uri, char out[PS_IDENTITY_PART_MAX + 1])
{
    ps_slice rest = {0};
    ps_status st = take_prefix(uri, &rest);
    if (!st)
        st = ps_identity_check_part("cluster", rest);
    if (!st)
        copy_part(out, rest);
    return st;
}

ps_status ps_identity_make(const char *cluster, ps_role role, const char *name, ps_identity *out)
{
    ps_status st = ps_identity_check_part("cluster", ps_slice_str(cluster));
    if (!st)
        st = ps_identity_check_part("name", ps_slice_str(name));
    if (!st && (role <= PS_ROLE_NONE || role >= PS_ROLE_COUNT))
        st = ps_fail(PS_INVALID_ARGUMENT, "role %d does not exist", (int)role);
    if (st)
        return st;
    *out = (ps_identity){.role = role};
    copy_part(out->cluster, ps_slice_str(cluster));
    copy_part(out->name, ps_slice_str(name));
    return PS_OK;
}

const char *ps_identity_format(const ps_identity *identity, char out[PS_IDENTITY_TEXT_MAX])
{
    (void)snprintf(out, PS_IDENTITY_TEXT_MAX, "%s%s/%s/%s", prefix, identity->cluster,
                   ps_role_name(identity->role), identity->name);
    return out;
}

bool ps_identity_equal(const ps_identity *a, const ps_identity *b)
{
    return a->role == b->role && strcmp(a->cluster, b->cluster) == 0 &&
           strcmp(a->name, b->name) == 0;
}

const char *ps_role_name(ps_role role)
{
    return role > PS_ROLE_NONE && role < PS_ROLE_COUNT ? role_names[role] : "none";
}

ps_status ps_role_parse(ps_slice text, ps_role *out)
{
    for (int r = PS_ROLE_NONE + 1; r < PS_ROLE_COUNT; r++) {
        size_t len = strlen(role_names[r]);
        if (text.len == len && memcmp(text.data, role_names[r], len) == 0) {
            *out = (ps_role)r;
            return PS_OK;
        }
    }
    char all[80];
    return ps_fail(PS_INVALID_ARGUMENT, "role '%s' is not one of %s", show(text).text,
                   ps_role_set_text(~0u, all, sizeof all));
}

const char *ps_role_set_text(ps_role_set roles, char *out, size_t size)
{
    size_t at = 0;
    (void)snprintf(out, size, "none");
    for (int r = PS_ROLE_NONE + 1; r < PS_ROLE_COUNT && at < size; r++)
        if (roles & PS_ROLE_BIT(r))
            at += (size_t)snprintf(out + at, size - at, "%s%s", at ? ", " : "", role_names[r]);
    return out;
}
