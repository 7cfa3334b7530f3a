/* measured: what a job has measured of a model's tensors and of their column blocks, for the graph
 * to be coloured by: of a job that explains what weights, weight_change, loss_path, head_ablation,
 * blocks or part_shapley have left, of a training the record of its losses, of a compression its
 * report. All of them are files that others have left. Pure. One thread (not asserted: psctl has no
 * other). */
#ifndef PS_REPORT_MEASURED_H
#define PS_REPORT_MEASURED_H

#include "client/report/quantity.h"
#include "client/show/explain_view.h"
#include "common/record/loss_file.h"

enum { PS_MEASURED_PARTS = 64 };

/* Of a tensor of the graph. */
typedef struct ps_measured_tensor {
    double parts[PS_MEASURED_PARTS]; /* NaN: none */
    uint32_t n; /* 0: it was not measured; 1: as a whole; else equal parts of its inputs, or its
                   column blocks */
    bool down;  /* they lie one below the other, not side by side */
} ps_measured_tensor;

typedef struct ps_measured {
    ps_quantity quantity; /* without `of` */
    uint64_t job;
    ps_measured_tensor *tensors; /* [n], as the graph's */
    size_t n, missing;           /* of so many nothing was measured */
    ps_scale scale;
} ps_measured;

/* Their names, for --colour, to a NULL. */
extern const char *const ps_measured_names[];

/* What they are made of; what is NULL, or empty, the job has not left. */
typedef struct ps_measured_files {
    uint64_t job;
    const ps_explain_view *explanation;
    const ps_loss_file *losses;
    ps_slice compression; /* report.json */
} ps_measured_files;

/* name NULL: the first that there is. *out is freed with _free; NULL: the job has not measured it,
 * of any tensor. */
ps_measured *ps_measured_of(const ps_graph *graph, const ps_measured_files *files,
                            const char *name);
void ps_measured_free(ps_measured **measured);

/* Of the tensor with index `weight` of a node, and those of all nodes that are drawn as that one,
 * the mean, part by part. out->n 0: there is nothing. */
void ps_measured_node(const ps_measured *measured, const ps_fold *fold, size_t node,
                      ps_measured_tensor *out);
/* "measured by job 7; 3 of 12 tensors were not: a, b, c", for people. */
void ps_measured_note(const ps_measured *measured, const ps_graph *graph, ps_buf *out);

#endif
