/* The loader of checkpoints, and the manifest's. The checksums of sections are made right, so that
 * what they protect is reached: the input is a list of sections (u8 type, u16 length, bytes). Input
 * that begins with 0xff is a file, or a manifest, as it is. */
#include "common/base/crc32c.h"
#include "common/base/mem.h"
#include "server/durable/checkpoint.h"
#include "server/durable/checkpoint_config.h"
#include "server/durable/manifest.h"
#include "server/params/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A disk of one file that is read. */
typedef struct memory_file {
    ps_slice bytes;
    size_t at;
} memory_file;

static ps_status memory_open(void *state, const char *path, ps_disk_mode mode, int *file)
{
    *file = 0;
    return PS_OK;
}

static void memory_close(void *state, int file)
{
}

static ps_status memory_read(void *state, int file, void *out, size_t len, size_t *got)
{
    memory_file *f = state;
    size_t left = f->bytes.len - f->at;
    *got = len < left ? len : left;
    if (*got)
        memcpy(out, f->bytes.data + f->at, *got);
    f->at += *got;
    return PS_OK;
}

static ps_status memory_size(void *state, int file, uint64_t *out)
{
    *out = ((memory_file *)state)->bytes.len;
    return PS_OK;
}

/* What was read is written so that the same is read again. */
static void check_config(const ps_param_store *store)
{
    ps_buf once = PS_BUF_EMPTY, twice = PS_BUF_EMPTY;
    ps_checkpoint_config again;
    ps_checkpoint_config_encode(ps_param_store_config(store), &once);
    if (ps_checkpoint_config_decode(ps_buf_slice(&once), &again) == PS_OK) {
        again.config.controller = ps_param_store_config(store)->controller;
        ps_checkpoint_config_encode(&again.config, &twice);
        if (once.len != twice.len || memcmp(once.data, twice.data, once.len) != 0)
            abort();
        ps_checkpoint_config_free(&again);
    }
    ps_buf_free(&once);
    ps_buf_free(&twice);
}

static void load(ps_slice bytes)
{
    memory_file f = {.bytes = bytes};
    ps_disk disk = {
        .open = memory_open,
        .close = memory_close,
        .read = memory_read,
        .size = memory_size,
        .state = &f,
    };
    ps_param_store *store = NULL;
    ps_buf progress = PS_BUF_EMPTY;
    ps_status st = ps_checkpoint_load_file(&disk, "input", NULL, &store, &progress);
    if ((st == PS_OK) != (store != NULL))
        abort();
    if (store)
        check_config(store);
    ps_param_store_unref(&store);
    ps_buf_free(&progress);
}

static void build(ps_cursor *c, ps_buf *out)
{
    const uint8_t magic[] = {'P', 'S', 'D', 'C', 'K', 'P', 'T', 1};
    ps_buf_append(out, magic, sizeof magic);
    while (ps_cursor_left(c)) {
        uint8_t type = ps_read_u8(c);
        ps_slice payload = ps_read_bytes(c, ps_read_u16le(c));
        if (c->failed)
            return;
        uint8_t header[20];
        ps_put_u32le(header, type);
        ps_put_u32le(header + 4, ps_crc32c(0, payload.data, payload.len));
        ps_put_u64le(header + 8, payload.len);
        ps_put_u32le(header + 16, ps_crc32c(0, header, 16));
        ps_buf_append(out, header, sizeof header);
        if (payload.len)
            ps_buf_append(out, payload.data, payload.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size && data[0] == 0xff) {
        ps_manifest manifest;
        (void)!ps_manifest_parse(ps_slice_of(data + 1, size - 1), &manifest);
        load(ps_slice_of(data + 1, size - 1));
        return 0;
    }
    ps_cursor c = ps_cursor_of(ps_slice_of(data, size));
    ps_buf file = PS_BUF_EMPTY;
    build(&c, &file);
    load(ps_buf_slice(&file));
    ps_buf_free(&file);
    return 0;
}
