/* Happy path: the first bytes say how long the header is; it is read and parsed. It fails as the
 * disk does, or where the header is none of a model's. */
#include "server/files/model_header.h"

#include "common/base/mem.h"
#include "common/loop/loop.h"

static ps_status read_file(const ps_disk *disk, int file, ps_safetensors **out)
{
    uint8_t first[8];
    uint64_t file_bytes, head_bytes;
    ps_status st = disk->size(disk->state, file, &file_bytes);
    if (!st)
        st = ps_disk_read_full(disk, file, first, sizeof first);
    if (!st)
        st = ps_safetensors_header_bytes(ps_slice_of(first, sizeof first), &head_bytes);
    if (st)
        return st;
    if (head_bytes > file_bytes)
        return ps_fail(PS_CORRUPT, "header of %llu bytes in a file of %llu",
                       (unsigned long long)head_bytes, (unsigned long long)file_bytes);
    uint8_t *head = ps_try_alloc_raw((size_t)head_bytes);
    if (!head)
        return ps_fail(PS_NO_MEMORY, "header of %llu bytes", (unsigned long long)head_bytes);
    memcpy(head, first, sizeof first);
    st = ps_disk_read_full(disk, file, head + sizeof first, (size_t)head_bytes - sizeof first);
    if (!st)
        st = ps_safetensors_parse(ps_slice_of(head, (size_t)head_bytes), file_bytes, out);
    ps_free(&head);
    return st;
}

ps_status ps_model_header_read(const ps_disk *disk, int file, ps_model_header *out)
{
    ps_loop_require_off();
    ps_model_header header = {0};
    ps_status st = read_file(disk, file, &header.file);
    if (!st)
        st = ps_model_forms_parse(header.file, &header.tensors);
    if (st)
        ps_model_header_free(&header);
    else
        *out = header;
    return st;
}

void ps_model_header_free(ps_model_header *header)
{
    ps_safetensors_free(&header->file);
    ps_free(&header->tensors);
}
