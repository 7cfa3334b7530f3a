/* Happy path: open, then read and send in turn until all is sent. A file that is cut short while it
 * is read, and a disk that fails, end the call; so does a client that goes, after the read at hand.
 */
#include "server/service/file_out.h"

#include "common/base/mem.h"
#include "psd/v1/models.pb-c.h"

#include <inttypes.h>

enum { CHUNK_BYTES = 1 << 20 };

typedef struct file_out {
    ps_work work;
    ps_call *call;
    ps_services *services;
    ps_caller caller;
    ProtobufCMessage *request; /* ours; NULL once it is opened */
    ps_file_out_open open;
    char *what;
    bool is_open;
    ps_file_opened of; /* then */
    uint64_t total, sent;
    bool part;      /* of the file, not all of it */
    uint8_t *chunk; /* read, not yet sent */
    size_t chunk_len;
    ps_error error;
    bool reading, ended, first_sent;
} file_out;

static const ps_disk *disk_of(const file_out *f)
{
    return f->services->files.disk;
}

static void free_out(file_out *f)
{
    if (f->is_open)
        disk_of(f)->close(disk_of(f)->state, f->of.file);
    if (f->request)
        protobuf_c_message_free_unpacked(f->request, NULL);
    ps_free(&f->chunk);
    ps_free(&f->what);
    ps_free(&f->of.version);
    ps_call_unref(f->call);
    ps_free(&f);
}

/* The part that is wanted: the file stands before its first byte. */
static ps_status choose_part(file_out *f)
{
    const ps_disk *disk = disk_of(f);
    uint64_t size, begin = f->of.begin, end = f->of.end;
    ps_status st = disk->size(disk->state, f->of.file, &size);
    if (st)
        return st;
    end = end ? end : size;
    if (begin > end || end > size)
        return ps_fail(PS_OUT_OF_RANGE,
                       "bytes %" PRIu64 " to %" PRIu64 " of %s, which has %" PRIu64, begin, end,
                       f->what, size);
    f->total = end - begin;
    f->part = f->total < size;
    return begin ? disk->seek(disk->state, f->of.file, begin) : PS_OK;
}

static ps_status open_file(file_out *f)
{
    ps_status st = f->open(f->services, &f->caller, f->request, &f->of);
    f->is_open = !st;
    if (!st)
        st = choose_part(f);
    return ps_caller_audit_leaves(f->services, &f->caller, st, f->what, f->part);
}

static ps_status read_chunk(file_out *f)
{
    ps_loop_require_off();
    PS_REQUIRE(!f->chunk && f->sent <= f->total);
    ps_status st = f->is_open ? PS_OK : open_file(f);
    if (st)
        return st;
    uint64_t left = f->total - f->sent;
    f->chunk_len = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
    f->chunk = ps_try_alloc_raw(CHUNK_BYTES);
    if (!f->chunk)
        return ps_fail(PS_NO_MEMORY, "%s: a buffer of 1 MiB", f->what);
    st = ps_disk_read_full(disk_of(f), f->of.file, f->chunk, f->chunk_len);
    return st ? ps_wrap(st, "%s", f->what) : PS_OK;
}

static void work_cb(ps_work *w)
{
    file_out *f = ps_container(w, file_out, work);
    ps_error_save(&f->error, read_chunk(f));
}

static void release_cb(void *user)
{
    ps_free(&user);
}

static void send_chunk(file_out *f)
{
    PS_REQUIRE(f->chunk && f->chunk_len <= f->total - f->sent);
    Psd__V1__FileChunk message = PSD__V1__FILE_CHUNK__INIT;
    if (!f->first_sent) {
        message.total_bytes = f->total;
        if (f->of.version)
            message.version = f->of.version;
    }
    f->first_sent = true;
    const ps_payload payload = {
        .bytes = ps_slice_of(f->chunk, f->chunk_len), .release = release_cb, .user = f->chunk};
    f->sent += f->chunk_len;
    f->chunk = NULL;
    ps_call_send(f->call, &message.base, &payload);
}

static void go_on(file_out *f);

static void done_cb(ps_work *w)
{
    file_out *f = ps_container(w, file_out, work);
    f->reading = false;
    if (f->ended) {
        free_out(f);
        return;
    }
    if (f->error.code) {
        ps_call_finish(f->call, f->error.code, f->error.message);
        return;
    }
    send_chunk(f);
    if (f->sent == f->total)
        ps_call_finish(f->call, PS_OK, NULL);
    else
        go_on(f);
}

static void go_on(file_out *f)
{
    ps_loop_require_on(ps_call_loop(f->call));
    if (f->reading || !ps_call_writable(f->call))
        return;
    f->reading = true;
    ps_call_expect(f->call, CHUNK_BYTES); /* many may read at once */
    ps_work_submit(ps_call_loop(f->call), &f->work);
}

static void on_writable(ps_call *call, void *user)
{
    file_out *f = user;
    if (!f->first_sent || f->sent < f->total)
        go_on(f);
}

static void on_end(ps_call *call, ps_status status, const char *message, void *user)
{
    file_out *f = user;
    f->ended = true;
    if (!f->reading)
        free_out(f);
}

static const ps_call_events out_events = {.on_writable = on_writable, .on_end = on_end};

void ps_file_out(ps_call *call, ps_services *services, const ProtobufCMessage *request,
                 ps_file_out_open open, const char *what)
{
    file_out *f = ps_new(file_out);
    f->call = call;
    f->services = services;
    f->request = ps_request_copy(request);
    f->open = open;
    f->what = ps_strdup(what);
    ps_caller_of(call, &f->caller);
    f->work = (ps_work){.work = work_cb, .done = done_cb};
    ps_call_ref(call);
    if (!f->request) {
        ps_call_finish(call, PS_NO_MEMORY, "no memory for the request");
        free_out(f);
        return;
    }
    ps_call_set_events(call, &out_events, f);
    go_on(f);
}
