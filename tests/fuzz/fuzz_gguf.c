/* A GGUF file out of any bytes: refused, or psd's file of it is as long as its header says and
 * holds a model that is known. */
#include "common/format/safetensors.h"
#include "common/model/gguf_kept.h"
#include "common/model/gguf_parse.h"
#include "common/model/model_in.h"
#include "common/model/tokenizer_open.h"
#include "tests/fuzz/data_bytes.h"
#include "tests/fuzz/tokenizer_check.h"

#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* However much of the file is given, the header is the same, or there is more of it. */
static void check_header(ps_slice bytes)
{
    ps_gguf *whole = NULL, *part = NULL;
    ps_status st = ps_gguf_parse(bytes, bytes.len, &whole);
    ps_fuzz_require(st != PS_AGAIN);
    ps_status half = ps_gguf_parse(ps_slice_of(bytes.data, bytes.len / 2), bytes.len, &part);
    ps_fuzz_require(half == st || half == PS_AGAIN);
    for (size_t i = 0; !st && i < whole->n_tensors; i++) {
        const ps_gguf_tensor *t = &whole->tensors[i];
        ps_fuzz_require(t->begin >= whole->data_start && t->begin < t->end && t->end <= bytes.len);
        ps_fuzz_require(t->begin % whole->alignment == 0);
    }
    ps_gguf_free(&whole);
    ps_gguf_free(&part);
}

static void check_file(ps_slice file)
{
    ps_safetensors *header = NULL;
    ps_spec_model *model = NULL;
    ps_tokenizer *t = NULL;
    ps_fuzz_require(ps_safetensors_parse(file, file.len, &header) == PS_OK);
    const char *config = ps_safetensors_metadata(header, PS_MODEL_META_CONFIG);
    const char *words = ps_safetensors_metadata(header, PS_MODEL_META_TOKENIZER);
    ps_fuzz_require(config != NULL);
    ps_fuzz_require(ps_spec_model_parse(ps_slice_str(config), "config", &model) == PS_OK);
    ps_fuzz_require(!words || ps_tokenizer_from_json(ps_slice_str(words), &t) == PS_OK);
    ps_fuzz_require(!words || ps_tokenizer_vocab_size(t) <= model->vocab_size);
    ps_buf keys = PS_BUF_EMPTY;
    ps_gguf_kept_put(&(ps_gguf_keys){.out = &keys}, header, model->vocab_size);
    ps_buf_free(&keys);
    ps_tokenizer_free(&t);
    ps_spec_model_free(&model);
    ps_safetensors_free(&header);
}

static void check_tokenizer(const char *path, ps_slice text)
{
    ps_tokenizer *t = NULL;
    if (ps_model_tokenizer_open(NULL, path, &t) != PS_OK)
        return;
    ps_fuzz_check_listed(t, ps_slice_of(text.data, text.len < 256 ? text.len : 256));
    ps_tokenizer_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[PS_FUZZ_PATH];
    ps_slice bytes = ps_slice_of(data, size);
    check_header(bytes);
    int fd = ps_fuzz_file(bytes, path);
    ps_model_in *in = NULL;
    if (size >= 4 && !memcmp(data, "GGUF", 4))
        check_tokenizer(path, bytes);
    if (ps_model_in_open(path, &(ps_model_in_options){.float32 = size % 2 == 0}, &in) == PS_OK) {
        ps_buf file = PS_BUF_EMPTY;
        uint8_t piece[5000];
        size_t got = 0;
        ps_status st = PS_OK;
        do {
            st = ps_model_in_read(in, piece, sizeof piece, &got);
            ps_fuzz_require(!st || st == PS_INVALID_ARGUMENT); /* not a finite number */
            ps_buf_append(&file, piece, st ? 0 : got);
        } while (!st && got);
        if (!st && ps_model_in_knows_model(in))
            check_file(ps_buf_slice(&file));
        ps_buf_free(&file);
    }
    ps_model_in_close(&in);
    (void)close(fd);
    return 0;
}
