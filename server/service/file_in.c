#include "server/service/file_in.h"

#include "common/base/mem.h"
#include "common/base/whole_file.h"
#include "server/runs/room.h"

typedef struct piece {
    ps_list link;
    ps_message *message;
    ps_slice payload;
} piece;

typedef struct file_in {
    ps_work work;
    ps_call *call;
    ps_services *services;
    const ps_file_in_kind *kind;
    ps_caller caller;
    void *data;            /* of the kind, after the header */
    ps_stored_place place; /* empty before the header */
    ps_whole_file *file;
    uint64_t bytes;
    uint64_t charged;     /* of them, to the caller's account, */
    ps_stored_sum stored; /* which has this beside */
    ps_list queue, batch; /* of pieces: received; being written */
    ProtobufCMessage *reply;
    ps_error error;
    bool working, half_closed, answered, ended, completed;
} file_in;

static void drop_pieces(ps_list *list)
{
    ps_list_each_safe(node, list)
    {
        piece *p = ps_container(node, piece, link);
        ps_list_remove(node);
        ps_message_release(&p->message);
        ps_free(&p);
    }
}

static void refuse(file_in *f, ps_status st)
{
    if (!f->answered && !f->ended)
        ps_call_refuse(f->call, st);
    f->answered = true;
}

/* ---- on the pool ---- */

static ps_status open_file(file_in *f)
{
    if (f->file)
        return PS_OK;
    char *full = ps_stored_file_full(&f->services->files, f->place.incoming);
    char *name = ps_stored_file_full(&f->services->files, f->place.path);
    ps_status st = ps_whole_file_open(f->services->files.disk, full, name, &f->file);
    ps_free(&name);
    ps_free(&full);
    return st;
}

/* What a worker leaves was allowed with its job. */
static ps_status charge_batch(file_in *f)
{
    if (f->caller.identity.role == PS_ROLE_WORKER)
        return PS_OK;
    uint64_t batch = 0;
    ps_list_each(node, &f->batch) batch += ps_container(node, piece, link)->payload.len;
    ps_quota_charge(f->caller.account, PS_QUOTA_STORED, batch);
    f->charged += batch;
    return ps_caller_may_store(f->services, &f->caller, 0, &f->stored);
}

static ps_status write_batch(file_in *f)
{
    ps_loop_require_off();
    const ps_stored_files *files = &f->services->files;
    ps_status st = ps_room_check(files->disk, files->data_dir);
    if (!st)
        st = charge_batch(f);
    if (!st)
        st = open_file(f);
    ps_list_each(node, &f->batch)
    {
        const piece *p = ps_container(node, piece, link);
        if (!st)
            st = ps_disk_write_all(files->disk, ps_whole_file_handle(f->file), p->payload.data,
                                   p->payload.len);
        f->bytes += p->payload.len;
    }
    return st;
}

static ps_status complete(file_in *f)
{
    ps_loop_require_off();
    ps_status st = open_file(f); /* a file of no bytes */
    if (!st)
        st = ps_whole_file_keep(&f->file);
    if (!st)
        st = f->kind->complete(f->services, &f->caller, f->data, &f->place, f->bytes, &f->reply);
    f->completed = !st;
    return st;
}

static void write_cb(ps_work *w)
{
    file_in *f = ps_container(w, file_in, work);
    ps_error_save(&f->error, write_batch(f));
    drop_pieces(&f->batch);
}

static void complete_cb(ps_work *w)
{
    file_in *f = ps_container(w, file_in, work);
    ps_error_save(&f->error, complete(f));
}

static void clean_up_cb(ps_work *w)
{
    file_in *f = ps_container(w, file_in, work);
    bool kept = f->place.path && !f->file;
    ps_whole_file_drop(&f->file);
    if (kept && !f->completed)
        ps_stored_file_remove(&f->services->files, f->place.incoming);
    ps_quota_give(f->caller.account, PS_QUOTA_STORED, f->charged); /* it has its row, or is gone */
}

/* ---- on the loop ---- */

static void go_on(file_in *f);

static void submit(file_in *f, void (*work)(ps_work *), void (*done)(ps_work *))
{
    PS_REQUIRE(!f->working);
    f->working = true;
    f->work = (ps_work){.work = work, .done = done};
    ps_work_submit(ps_call_loop(f->call), &f->work);
}

static void worked_cb(ps_work *w)
{
    file_in *f = ps_container(w, file_in, work);
    f->working = false;
    if (f->error.code)
        refuse(f, ps_error_raise(&f->error));
    go_on(f);
}

static void completed_cb(ps_work *w)
{
    file_in *f = ps_container(w, file_in, work);
    f->working = false;
    if (f->error.code)
        refuse(f, ps_error_raise(&f->error));
    else if (!f->ended && !f->answered)
        ps_call_reply(f->call, f->reply);
    f->answered = true;
    go_on(f);
}

static void freed_cb(ps_work *w)
{
    file_in *f = ps_container(w, file_in, work);
    if (f->data)
        f->kind->free(f->data);
    if (f->reply)
        protobuf_c_message_free_unpacked(f->reply, NULL);
    ps_stored_place_free(&f->place);
    ps_call_unref(f->call);
    ps_free(&f);
}

static void go_on(file_in *f)
{
    ps_loop_require_on(ps_call_loop(f->call));
    if (f->working)
        return;
    if (f->answered || f->ended)
        drop_pieces(&f->queue);
    if (f->ended) {
        submit(f, clean_up_cb, freed_cb);
    } else if (!ps_list_empty(&f->queue)) {
        ps_list_each_safe(node, &f->queue)
        {
            ps_list_remove(node);
            ps_list_append(&f->batch, node);
        }
        submit(f, write_cb, worked_cb);
    } else if (f->half_closed && !f->answered) {
        submit(f, complete_cb, completed_cb);
    }
}

static ps_status begin(file_in *f, const ProtobufCMessage *message)
{
    if (f->place.path)
        return ps_fail(PS_INVALID_ARGUMENT, "a second header");
    ps_status st = f->kind->begin(f->services, f->call, message, &f->data);
    if (!st)
        f->place = f->kind->place(f->data);
    return st;
}

static ps_status take(file_in *f, ps_message *message)
{
    PS_REQUIRE(!f->answered);
    ProtobufCMessage *decoded = NULL;
    ps_slice payload;
    ps_status st =
        ps_message_unpack(ps_message_bytes(message), f->kind->request, &decoded, &payload);
    if (!st && f->kind->has_header(decoded))
        st = begin(f, decoded);
    else if (!st && !f->place.path)
        st = ps_fail(PS_INVALID_ARGUMENT, "the first message is the header");
    if (decoded)
        protobuf_c_message_free_unpacked(decoded, NULL);
    if (st || !payload.len) {
        ps_message_release(&message);
        return st;
    }
    piece *p = ps_new(piece);
    p->message = message;
    p->payload = payload;
    ps_list_append(&f->queue, &p->link);
    return PS_OK;
}

static void on_message(ps_call *call, ps_message *message, void *user)
{
    file_in *f = user;
    if (f->answered) {
        ps_message_release(&message);
        return;
    }
    ps_status st = take(f, message);
    if (st)
        refuse(f, st);
    go_on(f);
}

static void on_half_close(ps_call *call, void *user)
{
    file_in *f = user;
    f->half_closed = true;
    if (!f->place.path)
        refuse(f, ps_fail(PS_INVALID_ARGUMENT, "no header came"));
    go_on(f);
}

static void on_end(ps_call *call, ps_status status, const char *message, void *user)
{
    file_in *f = user;
    f->ended = true;
    go_on(f);
}

static const ps_call_events in_events = {
    .on_message = on_message, .on_half_close = on_half_close, .on_end = on_end};

void ps_file_in(ps_call *call, ps_services *services, const ps_file_in_kind *kind)
{
    ps_status st = ps_call_peer(call)->role == PS_ROLE_WORKER
                       ? PS_OK
                       : ps_quota_recall(ps_call_account(call), PS_QUOTA_STORED);
    if (st) { /* before a byte of it is kept */
        ps_call_refuse(call, st);
        return;
    }
    file_in *f = ps_new(file_in);
    f->call = call;
    f->services = services;
    f->kind = kind;
    ps_caller_of(call, &f->caller);
    ps_list_init(&f->queue);
    ps_list_init(&f->batch);
    ps_call_ref(call);
    ps_call_set_events(call, &in_events, f);
}
