/* method: how a matrix becomes the bytes of a form: the solvers of the methods that
 * common/conf/compress_rows.h names, from rounding to GPTQ. Pure: numbers in, numbers out; float64
 * inside; no files, no network. The same bytes come out on every machine and with any number of
 * threads: sums are made in an order that depends on neither, and without fused operations. (hqq,
 * and the factors of awq and smooth, take powers, which are the C library's.)
 *
 *     ps_compress_problem problem = {.name = "h.0.fc", .weights = w, .rows = 512, .columns = 128,
 *                                    .hessian = &sums, .form = form,
 *                                    .options = PS_COMPRESS_OPTIONS};
 *     st = ps_method_solve(ps_method_find("gptq"), &problem, bytes, &report);
 *
 * A method is a file here, or a line in one, and a word in rows.h; its line in compress_rows.h says
 * what it has to know. Any thread; each call makes threads of its own (common/base/parallel.h).
 */
#ifndef PS_COMPRESS_METHOD_H
#define PS_COMPRESS_METHOD_H

#include "common/form/form.h"

/* What was seen of the inputs of a product y = x·wᵀ: H, up to a factor, which changes nothing. */
typedef struct ps_hessian {
    const float *sums; /* [columns, columns]: Σ x·xᵀ; only what has column >= row is read */
    bool squares;      /* sums is [columns]: Σ x², the diagonal alone */
    uint64_t tokens;   /* that are in the sums; from 1 */
} ps_hessian;

typedef struct ps_compress_options {
    double damp;    /* share of the mean of H's diagonal that is added to it; above 0, at most 1 */
    bool order;     /* gptq: columns by diag(H), largest first; the grids stay where they are */
    bool one_range; /* one scale and zero for the whole matrix: the seed's W = Q·P; of forms
                     * that have no blocks of their own */
    size_t threads; /* at most; 0: as many as there are cores */
} ps_compress_options;

#define PS_COMPRESS_OPTIONS ((ps_compress_options){.damp = 0.01, .order = true})

/* A matrix to compress. Nothing in it is changed or kept. */
typedef struct ps_compress_problem {
    const char *name;           /* of the tensor, for messages */
    const float *weights;       /* [rows, columns]; rows are outputs, columns inputs */
    uint64_t rows, columns;     /* from 1 */
    const ps_hessian *hessian;  /* of the calibration; NULL: none */
    const ps_hessian *held_out; /* of rows kept apart from it, only for the report; NULL: none */
    ps_form form;               /* divides columns */
    ps_compress_options options;
} ps_compress_problem;

/* How far a method had to step down, and why: name, the word that reports have for it. */
#define PS_COMPRESS_STEPS(X) \
    X(NONE, "none")          \
    X(DAMPED, "damped")      \
    X(DIAGONAL, "diagonal")  \
    X(ROUNDED, "rounded")

#define PS_COMPRESS_REASONS(X)                                            \
    X(NONE, "none")                                                       \
    X(NOT_POSITIVE, "the Hessian is not positive definite")               \
    X(NO_INPUT, "every input was 0 in the calibration")                   \
    X(NO_GRID, "the form has no codes to choose from")                    \
    X(NO_RANGE, "the form's codes are not whole numbers times one scale") \
    X(NO_BETTER, "rows that were held out lose no less by it")

typedef enum ps_compress_step {
#define X(name, text) PS_STEP_##name,
    PS_COMPRESS_STEPS(X)
#undef X
} ps_compress_step;

typedef enum ps_compress_reason {
#define X(name, text) PS_REASON_##name,
    PS_COMPRESS_REASONS(X)
#undef X
} ps_compress_reason;

const char *ps_compress_step_text(ps_compress_step step);
const char *ps_compress_reason_text(ps_compress_reason reason);

/* ΔW = what the form says − weights. */
typedef struct ps_compress_report {
    double error; /* tr(ΔW·H·ΔWᵀ) / tr(W·H·Wᵀ): the share of the output's power; -1: no H */
    double held_out; /* likewise, of held_out */
    double mse;      /* mean of ΔW² */
    double damp;     /* that was used; 0: none was */
    ps_compress_step fallback;
    ps_compress_reason why;
    bool few_tokens; /* of calibration than columns: the error on it says little */
    double seconds;
} ps_compress_report;

typedef struct ps_method ps_method;
#define PS_METHOD_SEARCHED (-1.0)
struct ps_method {
    const char *name; /* in job files */
    /* Writes rows x ps_form_row_bytes and sets what of the report only it knows: damp, fallback,
     * why. The problem has been looked at. */
    ps_status (*solve)(const ps_compress_problem *problem, uint8_t *out,
                       ps_compress_report *report);
    /* Its factors of inputs (scale.h): whether it has any; the power of the inputs' sizes; whether
     * they are divided by the weights' sizes, to what is left of that power to 1. */
    bool scales, weights;
    double power; /* PS_METHOD_SEARCHED: the one that loses least */
};

/* Every row, to a NULL. */
extern const ps_method *const ps_methods[];
const ps_method *ps_method_find(const char *name); /* NULL: there is none */

/* What ps_method_solve looks at first. */
PS_MUST_CHECK ps_status ps_method_check(const ps_method *method,
                                        const ps_compress_problem *problem);

/* out: [rows, ps_form_row_bytes], the caller's. PS_INVALID_ARGUMENT, with the tensor's name and
 * where: a weight or a sum is not finite, a weight has no number in the form; the method needs sums
 * that are not there; it needs their inverse, and they are of fewer than columns/8 tokens.
 * PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_method_solve(const ps_method *method, const ps_compress_problem *problem,
                                        uint8_t *out, ps_compress_report *report);

#endif
