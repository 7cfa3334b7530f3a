/* bench_explain: how much processor time methods that explain take, on a model and rows that come
 * from a file: what tests/bench/explain puts beside other libraries, which have the same ones.
 *
 *     bench_explain FILE JOB [--rounds N] [--values FOLDER]
 *
 * FILE is safetensors: the parameters by psd's names, `rows` ([n, features] F32, or [n, length]
 * I32), and in its metadata `layers` ("784 512 256 10") or `gpt2` ("vocabulary context width blocks
 * heads"). JOB is a job file of kind explain, of which the section explain is read. One thread. A
 * line of JSON for each method: the least processor seconds (user and system) and seconds of the
 * clock of N rounds, the rows that went through the model, and the largest memory so far. With
 * --values the array `values` of each, as it is in memory, goes to FOLDER/METHOD.
 */
#include "common/base/mem.h"
#include "common/conf/job_spec.h"
#include "common/format/safetensors.h"
#include "worker/explain/baseline.h"
#include "worker/explain/items.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LAYERS_MAX = 16, GPT2_NUMBERS = 5 };

typedef struct run {
    int rounds;
    const char *folder; /* NULL: values go nowhere */
    const uint8_t *bytes;
    size_t size;
    ps_safetensors *file;
    ps_job_spec *job;
    ps_backend *backend;
    ps_spec_model model_spec;
    ps_explain_baseline baseline;
    ps_explaining x;
    ps_explain_batch batch;
    const ps_safetensors_tensor *rows;
} run;

static void die(const char *what)
{
    (void)fprintf(stderr, "bench_explain: %s\n", what);
    exit(1);
}

static void ok(ps_status st)
{
    if (st)
        die(ps_error_message());
}

/* ---- what is given ---- */

static const uint8_t *map(const char *path, size_t *size)
{
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &about))
        die(path);
    *size = (size_t)about.st_size;
    const uint8_t *bytes = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        die(path);
    close(fd);
    return bytes;
}

static const void *data_of(const run *r, const ps_safetensors_tensor *t)
{
    return r->bytes + r->file->data_start + t->begin;
}

static void open_files(run *r, const char *file, const char *job)
{
    size_t size;
    r->bytes = map(file, &r->size);
    ok(ps_safetensors_parse(ps_slice_of(r->bytes, r->size), r->size, &r->file));
    const uint8_t *text = map(job, &size);
    ok(ps_job_spec_parse(ps_slice_of(text, size), job, &r->job));
    r->rows = ps_safetensors_find(r->file, "rows");
    if (!r->job->explain || !r->rows || r->rows->n_dims != 2)
        die("the job explains nothing, or there are no rows");
}

static size_t numbers_of(const run *r, const char *key, int64_t *out, size_t most)
{
    const char *text = ps_safetensors_metadata(r->file, key);
    size_t n = 0;
    for (char *end; text && n < most; text = end, n++) {
        out[n] = strtoll(text, &end, 10);
        if (end == text)
            break;
    }
    return n;
}

static void load(run *r)
{
    const ps_model_layout *layout = ps_model_parameters(r->x.model);
    ps_stream *stream = ps_model_stream(r->x.model);
    for (size_t i = 0; i < layout->count; i++) {
        ps_tensor to = ps_model_parameter(r->x.model, i);
        const ps_safetensors_tensor *from =
            ps_safetensors_find(r->file, layout->parameters[i].name);
        if (!from || from->end - from->begin != ps_tensor_bytes(to))
            die(layout->parameters[i].name);
        ps_copy_to_device(stream, to, data_of(r, from), ps_tensor_bytes(to));
    }
    ok(ps_stream_sync(stream));
    ps_model_refresh(r->x.model);
}

static void open_model(run *r)
{
    int64_t layers[LAYERS_MAX], gpt2[GPT2_NUMBERS] = {0};
    size_t n = numbers_of(r, "layers", layers, LAYERS_MAX);
    ps_model_config config = {.architecture = "mlp", .layers = layers, .layer_count = n};
    r->model_spec = (ps_spec_model){.loss = PS_SPEC_CROSS_ENTROPY};
    r->x = (ps_explaining){.job = r->job,
                           .spec = r->job->explain,
                           .model_spec = &r->model_spec,
                           .baseline = &r->baseline,
                           .batch = (size_t)r->job->explain->batch,
                           .language = !n};
    if (!n) {
        if (numbers_of(r, "gpt2", gpt2, GPT2_NUMBERS) != GPT2_NUMBERS)
            die("the file says neither layers nor gpt2");
        config = (ps_model_config){.architecture = "gpt2",
                                   .language = {.vocab_size = gpt2[0],
                                                .context_length = gpt2[1],
                                                .hidden_size = gpt2[2],
                                                .num_layers = gpt2[3],
                                                .num_heads = gpt2[4],
                                                .num_kv_heads = gpt2[4],
                                                .intermediate_size = 4 * gpt2[2],
                                                .norm_epsilon = 1e-5,
                                                .tie_embeddings = true}};
        r->model_spec.vocab_size = gpt2[0];
        r->model_spec.context_length = gpt2[1];
        r->model_spec.hidden_size = gpt2[2];
        r->model_spec.num_layers = gpt2[3];
        r->model_spec.num_heads = gpt2[4];
    }
    ok(ps_backend_open("cpu", &(ps_backend_options){.threads = 1}, &r->backend));
    ok(ps_model_create(r->backend, &config,
                       &(ps_model_options){.max_batch = (int64_t)r->x.batch,
                                           .max_length = n ? 0 : (int64_t)r->rows->shape[1],
                                           .explain = true,
                                           .exact = true},
                       &r->x.model));
    load(r);
    r->x.inputs = n ? layers[0] : gpt2[2];
    r->x.outputs = n ? layers[n - 1] : gpt2[0];
}

static ps_status go_on(void *user)
{
    return PS_OK;
}

static void open_rows(run *r)
{
    size_t n = (size_t)r->rows->shape[0];
    uint64_t *numbers = ps_alloc_array(n, sizeof *numbers);
    for (size_t i = 0; i < n; i++)
        numbers[i] = i;
    r->x.check = go_on;
    ok(ps_explain_baseline_of(&r->x, &r->baseline));
    const void *rows = data_of(r, r->rows);
    ok(ps_explain_batch_make(
        &r->x,
        &(ps_explain_raw){.n = n,
                          .item = numbers,
                          .row = numbers,
                          .features = r->x.language ? NULL : rows,
                          .tokens = r->x.language ? rows : NULL,
                          .length = r->x.language ? (int64_t)r->rows->shape[1] : 1},
        &r->batch));
    ps_free(&numbers);
}

/* ---- measuring ---- */

static double seconds_of(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void run_once(run *r, const ps_explain_method *m, const ps_spec_explain_method *spec,
                     ps_explain_part *out)
{
    bool shared = ps_explain_row_find(m->name)->traits & PS_EXPLAIN_SHARED;
    void *state = NULL;
    if (m->prepare)
        ok(m->prepare(&r->x, spec, &state));
    for (r->x.share = 0; r->x.share < (shared ? PS_EXPLAIN_SHARES : 1); r->x.share++) {
        ps_explain_part part = PS_EXPLAIN_PART_EMPTY;
        ok(m->run(&r->x, spec, state, shared ? NULL : &r->batch.items, &part));
        ok(ps_explain_merge(out, &part));
        ps_explain_part_free(&part);
    }
    if (m->free)
        m->free(state);
    else
        free(state);
}

static void put_values(const run *r, const char *method, const ps_explain_part *part)
{
    char path[512];
    const ps_explain_array *a = ps_explain_get(part, "values");
    if (!r->folder || !a)
        return;
    (void)snprintf(path, sizeof path, "%s/%s", r->folder, method);
    FILE *f = fopen(path, "wb");
    size_t n = ps_explain_array_count(a);
    if (!f || fwrite(a->floats, sizeof(float), n, f) != n || fclose(f))
        die(path);
}

static void measure(run *r, size_t i)
{
    const ps_spec_explain_method *spec = ps_spec_explain_at(r->job->explain, i);
    const ps_explain_method *m = ps_explain_method_find(spec->method);
    double cpu = 0, clock = 0;
    r->x.method = i;
    for (int k = 0; k < r->rounds; k++) {
        ps_explain_part part = PS_EXPLAIN_PART_EMPTY;
        r->x.evaluations = 0;
        double at = seconds_of(CLOCK_MONOTONIC), used = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
        run_once(r, m, spec, &part);
        used = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - used;
        at = seconds_of(CLOCK_MONOTONIC) - at;
        cpu = k && cpu < used ? cpu : used;
        clock = k && clock < at ? clock : at;
        if (k + 1 == r->rounds)
            put_values(r, m->name, &part);
        ps_explain_part_free(&part);
    }
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    printf("{\"method\": \"%s\", \"cpu_s\": %.6f, \"clock_s\": %.6f, \"evaluations\": %llu, "
           "\"peak_kib\": %ld}\n",
           m->name, cpu, clock, (unsigned long long)r->x.evaluations, usage.ru_maxrss);
}

int main(int argc, char **argv)
{
    run r = {.rounds = 1};
    if (argc < 3)
        die("usage: bench_explain FILE JOB [--rounds N] [--values FOLDER]");
    for (int i = 3; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--rounds") == 0)
            r.rounds = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--values") == 0)
            r.folder = argv[i + 1];
        else
            die(argv[i]);
    }
    open_files(&r, argv[1], argv[2]);
    open_model(&r);
    open_rows(&r);
    for (size_t i = 0; i < ps_spec_explain_count(r.job->explain); i++)
        measure(&r, i);
    ps_explain_batch_free(&r.batch);
    ps_explain_baseline_free(&r.baseline);
    ps_model_free(&r.x.model);
    ps_backend_close(&r.backend);
    ps_job_spec_free(&r.job);
    ps_safetensors_free(&r.file);
    return 0;
}
