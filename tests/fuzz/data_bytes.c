#include "tests/fuzz/data_bytes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void ps_fuzz_require(bool condition)
{
    if (!condition)
        abort();
}

int ps_fuzz_file(ps_slice bytes, char path[PS_FUZZ_PATH])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    ps_fuzz_require(fd >= 0);
    ps_fuzz_require(write(fd, bytes.data, bytes.len) == (ssize_t)bytes.len);
    (void)snprintf(path, PS_FUZZ_PATH, "/proc/self/fd/%d", fd);
    return fd;
}

static void check_rows(const ps_dataset_options *options);

/* What is found, rows are then read by. */
static void survey(const ps_dataset_options *options)
{
    ps_survey found;
    ps_survey_wants wants = {.names = options->labels == PS_LABELS_CLASSES, .moments = true};
    if (ps_dataset_survey(options, wants, &found) == PS_OK) {
        const ps_moments *m = &found.moments;
        for (size_t i = 1; i < found.names.n; i++)
            ps_fuzz_require(strcmp(found.names.names[i - 1], found.names.names[i]) < 0);
        for (size_t i = 0; i < m->n; i++)
            ps_fuzz_require(isfinite(m->mean[i]) && isfinite(m->spread[i]) && m->spread[i] > 0);
        ps_dataset_options o = *options;
        o.numbers = (ps_feature_numbers){.n = m->n, .mean = m->mean, .std = m->spread};
        check_rows(&o);
    }
    ps_survey_free(&found);
}

static void check_rows(const ps_dataset_options *options)
{
    ps_dataset *ds = NULL;
    if (ps_dataset_open(options, &ds) != PS_OK) {
        ps_fuzz_require(!ds);
        return;
    }
    size_t rows = ps_dataset_rows(ds), features = ps_dataset_features(ds);
    size_t targets = ps_dataset_targets(ds);
    ps_fuzz_require(rows > 0);
    float *x = calloc(features + 1, sizeof *x), *y = calloc(targets + 1, sizeof *y);
    ps_fuzz_require(x && y);
    for (uint64_t row = 0; row < rows && row < 1000; row++) {
        int32_t label = -1;
        void *to = options->labels == PS_LABELS_CLASSES ? (void *)&label : y;
        ps_fuzz_require(ps_dataset_read(ds, &row, 1, x, to) == PS_OK);
        for (size_t i = 0; i < features; i++)
            ps_fuzz_require(isfinite(x[i]));
        if (options->labels == PS_LABELS_CLASSES)
            ps_fuzz_require(label >= 0 && label < ps_dataset_classes(ds));
        for (size_t i = 0; i < targets; i++)
            ps_fuzz_require(isfinite(y[i]));
    }
    free(x);
    free(y);
    ps_dataset_close(&ds);
}

void ps_fuzz_dataset(const ps_dataset_options *options)
{
    survey(options);
    check_rows(options);
}
