/* A calibration that a job has kept, out of any bytes, in pieces of any size: refused, or
 * llama.cpp's importance matrix of it is one that psd reads. */
#include "common/compress/imatrix.h"

#include "common/model/gguf_imatrix.h"
#include "common/model/gguf_parse.h"
#include "tests/fuzz/data_bytes.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char squares_of[] = ".in_sum2";

/* Each tensor's squares, by its name in the file. */
static void check_matrix(const char *path, const ps_gguf *g)
{
    for (size_t i = 0; i < g->n_tensors; i++) {
        char name[128];
        const ps_gguf_tensor *t = &g->tensors[i];
        size_t end = sizeof squares_of - 1, n = t->name.len;
        if (n < end || memcmp(t->name.data + n - end, squares_of, end) != 0)
            continue;
        ps_fuzz_require(n - end < sizeof name);
        memcpy(name, t->name.data, n - end);
        name[n - end] = '\0';
        float tokens, *squares = malloc((size_t)t->sides[0] * sizeof *squares);
        ps_fuzz_require(squares != NULL);
        ps_fuzz_require(ps_gguf_imatrix_read(path, name, t->sides[0], squares, &tokens) == PS_OK);
        free(squares);
    }
}

static void check_file(const ps_buf *gguf)
{
    char path[PS_FUZZ_PATH];
    ps_gguf *g = NULL;
    int fd = ps_fuzz_file(ps_buf_slice(gguf), path);
    ps_fuzz_require(ps_gguf_parse(ps_buf_slice(gguf), gguf->len, &g) == PS_OK);
    check_matrix(path, g);
    ps_gguf_free(&g);
    (void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_imatrix *m = ps_imatrix_new();
    ps_buf gguf = PS_BUF_EMPTY;
    ps_status st = PS_OK;
    size_t piece = 1 + size % 97;
    for (size_t at = 0; !st && at < size; at += piece)
        st = ps_imatrix_feed(m, ps_slice_of(data + at, size - at < piece ? size - at : piece));
    if (!st && ps_imatrix_finish(m, &gguf) == PS_OK)
        check_file(&gguf);
    ps_imatrix_free(&m);
    ps_buf_free(&gguf);
    return 0;
}
