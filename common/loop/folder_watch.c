/* Happy path: libuv's fs event (inotify) on a folder; each change of a name in it calls back on the
 * loop. Fails where the system gives no more watches, or the folder is not there: who needs to know
 * looks from time to time as well. */
#include "common/loop/loop_internal.h"

#include "common/base/mem.h"
#include "common/base/require.h"

struct ps_folder_watch {
    uv_fs_event_t uv;
    ps_folder_watch_cb cb;
    void *user;
};

static void event_cb(uv_fs_event_t *handle, const char *name, int events, int status)
{
    (void)name, (void)events, (void)status; /* the folder itself is gone: looking says so */
    ps_folder_watch *watch = handle->data;
    watch->cb(watch->user);
}

static void closed_cb(uv_handle_t *handle)
{
    free(handle->data);
}

ps_status ps_folder_watch_start(ps_loop *loop, const char *folder, ps_folder_watch_cb cb,
                                void *user, ps_folder_watch **out)
{
    ps_loop_require_on(loop);
    PS_REQUIRE(folder && cb);
    ps_folder_watch *watch = ps_new(ps_folder_watch);
    int rc = uv_fs_event_init(&loop->uv, &watch->uv);
    if (rc) {
        ps_free(&watch);
        return ps_fail(PS_IO, "watching %s: %s", folder, uv_strerror(rc));
    }
    watch->uv.data = watch;
    watch->cb = cb;
    watch->user = user;
    rc = uv_fs_event_start(&watch->uv, event_cb, folder, 0);
    if (rc) {
        ps_folder_watch_free(&watch);
        return ps_fail(PS_IO, "watching %s: %s", folder, uv_strerror(rc));
    }
    *out = watch;
    return PS_OK;
}

void ps_folder_watch_free(ps_folder_watch **watch)
{
    if (!*watch)
        return;
    ps_loop_require_on((*watch)->uv.loop->data);
    uv_close((uv_handle_t *)&(*watch)->uv, closed_cb);
    *watch = NULL;
}
