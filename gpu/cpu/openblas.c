/* The only file that sees cblas.h, and that for its types alone. */
#include "gpu/cpu/openblas.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "gpu/cpu/kernels.h"

#include <cblas.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIBRARY "libopenblas.so.0"
#define CHOICE  "OPENBLAS_CORETYPE"
#define THREADS "OPENBLAS_NUM_THREADS"

static struct {
    pthread_mutex_t lock;
    void *handle;
    bool ready;
    char name[64];
    __typeof__(&cblas_sgemm) sgemm;
    __typeof__(&openblas_set_num_threads) set_num_threads;
    __typeof__(&openblas_get_corename) get_corename;
} blas = {.lock = PTHREAD_MUTEX_INITIALIZER};

void ps_cpu_product_run(const ps_cpu_product *p)
{
    blas.sgemm(CblasRowMajor, p->transpose_a ? CblasTrans : CblasNoTrans,
               p->transpose_b ? CblasTrans : CblasNoTrans, (blasint)p->m, (blasint)p->n,
               (blasint)p->k, p->alpha, p->a, (blasint)p->ld_a, p->b, (blasint)p->ld_b, p->beta,
               p->c, (blasint)p->ld_c);
}

/* dlsym gives an object pointer; POSIX promises that it holds a function's address. */
static bool find(const char *symbol, void *function)
{
    void *address = dlsym(blas.handle, symbol);
    memcpy(function, &address, sizeof address);
    return address != NULL;
}

/* The variable as it was before, NULL when it was not set: owned. */
static char *swap_variable(const char *name, const char *value)
{
    const char *was = getenv(name);
    char *before = was ? ps_strdup(was) : NULL;
    if (value)
        (void)setenv(name, value, 1);
    else
        (void)unsetenv(name);
    return before;
}

static void put_variable_back(const char *name, char **before)
{
    char *changed = swap_variable(name, *before);
    ps_free(&changed);
    ps_free(before);
}

/* With one thread it makes none, so that it can be unloaded, too. */
static void open_library(const char *kernels)
{
    char *threads = swap_variable(THREADS, "1");
    char *choice = swap_variable(CHOICE, kernels ? kernels : getenv(CHOICE));
    blas.handle = dlopen(LIBRARY, RTLD_LAZY | RTLD_LOCAL);
    put_variable_back(CHOICE, &choice);
    put_variable_back(THREADS, &threads);
}

static ps_status load(void *user, const char *kernels, const char **loaded)
{
    (void)user;
    if (blas.handle)
        (void)dlclose(blas.handle);
    open_library(kernels);
    if (!blas.handle)
        return ps_fail(PS_UNAVAILABLE, "cpu: no OpenBLAS to multiply matrices with: %s", dlerror());
    if (!find("cblas_sgemm", &blas.sgemm) ||
        !find("openblas_set_num_threads", &blas.set_num_threads) ||
        !find("openblas_get_corename", &blas.get_corename))
        return ps_fail(PS_UNAVAILABLE, "cpu: " LIBRARY " is not OpenBLAS with its C interface");
    blas.set_num_threads(1);
    *loaded = blas.get_corename();
    return PS_OK;
}

bool ps_openblas_is_chosen(void)
{
    const char *chosen = getenv(CHOICE);
    return chosen && *chosen;
}

static ps_status choose(void)
{
    static const ps_kernels_port port = {.load = load, .product = ps_cpu_product_run};
    ps_cpu_features features = ps_cpu_features_read();
    bool by_user = ps_openblas_is_chosen();
    char passed_over[128];
    ps_status st =
        ps_kernels_choose(&features, by_user, &port, NULL, passed_over, sizeof passed_over);
    if (st)
        return by_user ? ps_wrap(st, CHOICE "=%s", getenv(CHOICE)) : st;
    if (*passed_over)
        ps_log_warning("cpu",
                       "OpenBLAS computes wrong on this processor with its kernels %s, "
                       "taking %s; a newer OpenBLAS may know it",
                       passed_over, blas.get_corename());
    (void)snprintf(blas.name, sizeof blas.name, "OpenBLAS %s%s", blas.get_corename(),
                   by_user ? " by " CHOICE : "");
    return PS_OK;
}

ps_status ps_openblas_open(void)
{
    (void)pthread_mutex_lock(&blas.lock);
    ps_status st = blas.ready ? PS_OK : choose();
    blas.ready = !st;
    (void)pthread_mutex_unlock(&blas.lock);
    return st;
}

const char *ps_openblas_name(void)
{
    return blas.name;
}
