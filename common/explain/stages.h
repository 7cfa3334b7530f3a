/* stages: how a job of kind explain is cut: in each pass its items go by in pieces, and with each
 * method that does not go by them its shares; then what all of them left is merged.
 *
 *     pass 0: rows ─▶ shares of a method … ─▶ merge ─▶ pass 1 … ─▶ merge: the result
 *
 * psd gives out tasks by it, a worker knows by the number of its stage what to do. The same for
 * everybody who has the job; it does not depend on who is there. Pure; any thread. */
#ifndef PS_EXPLAIN_STAGES_H
#define PS_EXPLAIN_STAGES_H

#include "common/conf/explain_spec.h"

typedef enum ps_explain_stage_kind {
    PS_EXPLAIN_STAGE_ROWS,
    PS_EXPLAIN_STAGE_SHARES,
    PS_EXPLAIN_STAGE_MERGE,
} ps_explain_stage_kind;

typedef struct ps_explain_stage {
    ps_explain_stage_kind kind;
    unsigned number; /* from 0 */
    unsigned pass;
    size_t method;      /* SHARES: whose */
    uint64_t items;     /* items, shares, or the one merge */
    uint64_t per_piece; /* of a task */
    bool last;          /* the last merge: what it leaves is the result */
} ps_explain_stage;

/* Tasks of a stage at most: what they leave are artifacts of the job, of which there are not many.
 */
enum { PS_EXPLAIN_PIECES = 96, PS_EXPLAIN_PIECE_LEAST = 16 };

/* The stage of that number; false: there are fewer. */
bool ps_explain_stage_at(const ps_spec_explain *explain, unsigned number, ps_explain_stage *out);
/* Does the method, of that number in the job, run in this stage? Not for merges. */
bool ps_explain_stage_runs(const ps_spec_explain *explain, const ps_explain_stage *stage,
                           size_t method);

/* What a job leaves. Parts are gone when what they are merged to is there. */
#define PS_EXPLAIN_PART_PREFIX "part-"
#define PS_EXPLAIN_PASS_PREFIX "pass-"
#define PS_EXPLAIN_MANIFEST    "explain.json"
#define PS_EXPLAIN_ARRAYS      "explain.safetensors"
enum { PS_EXPLAIN_FILE_NAME = 48 };
/* "part-0-48.safetensors": of the task that begins with that item. */
void ps_explain_part_name(unsigned stage, uint64_t begin, char out[PS_EXPLAIN_FILE_NAME]);
/* "pass-0.safetensors": what a merge leaves that is not the last. */
void ps_explain_pass_name(unsigned pass, char out[PS_EXPLAIN_FILE_NAME]);

#endif
