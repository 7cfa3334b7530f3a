/* export: a stored model into a safetensors file, which is there whole or not at all: pieces go to
 * a temporary file beside it, which is synced and then takes the name. */
#include "client/client.h"
#include "client/commands/commands.h"
#include "client/human.h"
#include "client/support.h"
#include "common/base/mem.h"
#include "psd/v1/models.pb-c.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct options {
    const char *path;
    bool force;
} options;

static const ps_flag flags[] = {
    {.name = "to",
     .letter = 'o',
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, path),
     .value = "FILE",
     .help = "where to (default: NAME.safetensors here)"},
    {.name = "force",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, force),
     .help = "overwrite a file that is there"},
    {.name = NULL},
};

typedef struct sink {
    const char *path;
    char *temporary;
    int fd;
    uint64_t total, got;
    bool begun;
} sink;

static ps_status write_all(sink *s, ps_slice bytes)
{
    while (bytes.len) {
        ssize_t n = write(s->fd, bytes.data, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ps_fail_errno(errno, "%s", s->path);
        bytes.data += n;
        bytes.len -= (size_t)n;
        s->got += (uint64_t)n;
    }
    return PS_OK;
}

static ps_status chunk(void *user, ps_slice bytes)
{
    sink *s = user;
    ProtobufCMessage *any = NULL;
    ps_slice payload = {0};
    ps_status st = ps_message_unpack(bytes, &psd__v1__file_chunk__descriptor, &any, &payload);
    if (st)
        return st;
    if (!s->begun)
        s->total = ((Psd__V1__FileChunk *)(void *)any)->total_bytes;
    s->begun = true;
    ps_reply_free(&any);
    return write_all(s, payload);
}

static ps_status open_temporary(sink *s)
{
    s->temporary = ps_asprintf("%s.XXXXXX", s->path);
    s->fd = mkostemp(s->temporary, O_CLOEXEC);
    if (s->fd < 0) {
        ps_status st = ps_fail_errno(errno, "%s", s->path);
        ps_free(&s->temporary);
        return st;
    }
    mode_t mask = umask(0);
    (void)umask(mask);
    (void)fchmod(s->fd, 0666 & ~mask);
    return PS_OK;
}

static ps_status finish(sink *s, bool force)
{
    if (s->got != s->total)
        return ps_fail(PS_DATA_LOSS, "%" PRIu64 " bytes of %" PRIu64 " have come", s->got,
                       s->total);
    if (fsync(s->fd) != 0)
        return ps_fail_errno(errno, "%s", s->path);
    int bad = renameat2(AT_FDCWD, s->temporary, AT_FDCWD, s->path, force ? 0 : RENAME_NOREPLACE);
    if (bad && errno == EINVAL) /* a file system that cannot tell in one step */
        bad = force ? rename(s->temporary, s->path) : link(s->temporary, s->path);
    if (bad && errno == EEXIST)
        return ps_fail(PS_ALREADY_EXISTS, "%s is there already; --force overwrites it", s->path);
    if (bad)
        return ps_fail_errno(errno, "%s", s->path);
    return PS_OK;
}

static void report(ps_client *client, const char *name, const sink *s)
{
    if (client->json) {
        ps_json_writer w = ps_json_begin(client);
        ps_json_object(&w);
        ps_json_put_string(&w, "model", name);
        ps_json_put_string(&w, "file", s->path);
        ps_json_put_uint(&w, "bytes", s->got);
        ps_json_object_end(&w);
        ps_json_finish(client);
    } else {
        ps_buf_printf(&client->out, "model %s is in %s (%s)\n", name, s->path,
                      ps_human_bytes((double)s->got).text);
    }
}

static ps_status run(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    Psd__V1__ExportRequest request = PSD__V1__EXPORT_REQUEST__INIT;
    request.name = ps_borrow(args->operands.at[0]);
    ps_status st = ps_check_model_name(request.name);
    if (st)
        return st;
    char *fallback = ps_asprintf("%s.safetensors", request.name);
    sink s = {.path = o->path ? o->path : fallback, .fd = -1};
    if (!o->force && access(s.path, F_OK) == 0)
        st = ps_fail(PS_ALREADY_EXISTS, "%s is there already; --force overwrites it", s.path);
    if (!st)
        st = open_temporary(&s);
    if (!st)
        st = ps_client_stream(client, "/psd.v1.Models/Export", &request.base, chunk, &s);
    if (!st)
        st = finish(&s, o->force);
    if (!st)
        report(client, request.name, &s);
    if (s.fd >= 0)
        (void)close(s.fd);
    if (s.temporary)
        (void)unlink(s.temporary); /* gone already when it was renamed */
    ps_free(&s.temporary);
    ps_free(&fallback);
    return st;
}

const ps_command ps_command_export = {
    .name = "export",
    .operands = "NAME",
    .help = "write a stored model into a safetensors file",
    .flags = flags,
    .options_size = sizeof(options),
    .least = 1,
    .most = 1,
    .run = run,
};
