/* Happy path: the bytes are in a window that is held. Else the one that was used longest ago begins
 * anew where they begin. */
#include "client/call/file_windows.h"

#include "client/call/file_receive.h"
#include "client/call/support.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "psd/v1/models.pb-c.h"

enum { WINDOWS = 3, WINDOW = 16 << 20 };

typedef struct window {
    uint64_t begin, used; /* used: when, by the clock below */
    ps_buf bytes;
} window;

struct ps_file_windows {
    ps_client *client;
    const char *name, *version;
    uint64_t bytes, clock;
    window at[WINDOWS];
};

ps_file_windows *ps_file_windows_new(ps_client *client, const char *name, const char *version,
                                     uint64_t bytes)
{
    ps_file_windows *w = ps_new(ps_file_windows);
    *w = (ps_file_windows){.client = client, .name = name, .version = version, .bytes = bytes};
    return w;
}

void ps_file_windows_free(ps_file_windows **windows)
{
    if (!*windows)
        return;
    for (size_t i = 0; i < WINDOWS; i++)
        ps_buf_free(&(*windows)->at[i].bytes);
    ps_free(windows);
}

static ps_status hold(void *user, ps_slice piece)
{
    window *w = user;
    if (piece.len > WINDOW - w->bytes.len)
        return ps_fail(PS_DATA_LOSS, "more bytes have come than were asked for");
    ps_buf_append(&w->bytes, piece.data, piece.len);
    return PS_OK;
}

static ps_status load(ps_file_windows *f, window *w, uint64_t begin)
{
    uint64_t end = f->bytes - begin < WINDOW ? f->bytes : begin + WINDOW;
    Psd__V1__ExportRequest request = PSD__V1__EXPORT_REQUEST__INIT;
    request.name = ps_borrow(f->name);
    request.version = ps_borrow(f->version);
    request.begin = begin;
    request.end = end;
    ps_buf_clear(&w->bytes);
    w->begin = begin;
    ps_status st =
        ps_receive_file(f->client, "/psd.v1.Models/Export", &request.base, hold, w, NULL);
    if (!st && w->bytes.len != end - begin)
        st = ps_fail(PS_DATA_LOSS, "model %s: its file is cut short", f->name);
    if (st)
        ps_buf_clear(&w->bytes);
    return st;
}

/* The window that has the byte, or is to have it. */
static window *find(ps_file_windows *f, uint64_t byte)
{
    window *oldest = &f->at[0];
    for (size_t i = 0; i < WINDOWS; i++) {
        window *w = &f->at[i];
        if (byte >= w->begin && byte - w->begin < w->bytes.len)
            return w;
        oldest = w->used < oldest->used ? w : oldest;
    }
    ps_buf_clear(&oldest->bytes);
    return oldest;
}

ps_status ps_file_windows_read(void *windows, uint64_t begin, uint64_t end,
                               ps_status (*take)(void *to, ps_slice bytes), void *to)
{
    ps_file_windows *f = windows;
    ps_status st = PS_OK;
    PS_REQUIRE(begin <= end);
    if (end > f->bytes)
        return ps_fail(PS_OUT_OF_RANGE, "model %s: its file ends at byte %llu", f->name,
                       (unsigned long long)f->bytes);
    while (!st && begin < end) {
        window *w = find(f, begin);
        w->used = ++f->clock;
        if (!w->bytes.len)
            st = load(f, w, begin);
        if (st)
            break;
        uint64_t from = begin - w->begin, left = w->bytes.len - from;
        uint64_t n = end - begin < left ? end - begin : left;
        st = take(to, ps_slice_of(w->bytes.data + from, (size_t)n));
        begin += n;
    }
    return st;
}
