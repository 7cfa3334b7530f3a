#include "tests/lib/data_file.h"

#include "common/base/mem.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

char *ps_test_file(ps_slice bytes, bool gz)
{
    char *path = ps_strdup("/tmp/psd-data-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes.data ? bytes.data : (const uint8_t *)"", bytes.len),
                     (ssize_t)bytes.len);
    close(fd);
    if (gz) {
        char *command = ps_asprintf("gzip %s && mv %s.gz %s", path, path, path);
        ck_assert_int_eq(system(command), 0);
        ps_free(&command);
    }
    return path;
}

void ps_test_file_drop(char **path)
{
    unlink(*path);
    ps_free(path);
}

uint8_t *ps_test_idx(uint8_t type, unsigned n_dims, const uint32_t *dims, ps_slice data,
                     size_t *len)
{
    *len = 4 + 4 * (size_t)n_dims + data.len;
    uint8_t *out = ps_alloc(*len);
    out[2] = type;
    out[3] = (uint8_t)n_dims;
    for (unsigned d = 0; d < n_dims; d++)
        ps_put_u32be(out + 4 + 4 * (size_t)d, dims[d]);
    if (data.len)
        memcpy(out + 4 + 4 * (size_t)n_dims, data.data, data.len);
    return out;
}

uint8_t *ps_test_safetensors(const char *header, ps_slice data, size_t *len)
{
    size_t n = strlen(header);
    *len = 8 + n + data.len;
    uint8_t *bytes = ps_alloc(*len);
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)n >> (8 * i));
    memcpy(bytes + 8, header, n);
    if (data.len)
        memcpy(bytes + 8 + n, data.data, data.len);
    return bytes;
}
