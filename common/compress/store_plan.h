/* store_plan: which tensors a compress job has psd keep while it runs, and what they are called; so
 * that psd, which makes them, and workers, which push and pull them, agree. A function of the plan
 * alone (plan.h).
 *
 *     NAME          of each tensor that is solved: its bytes in the new file as words of 32 bits,
 *                   float32 numbers among them
 *     psd.sum.I     of the I-th input of a window: what is summed of the calibration rows,
 *     psd.held.I    and of the rows that are held out; windows use the same ones in turn
 *     psd.tokens    how many tokens (rows, where they are no sequences) are in the two
 *
 * Pure; any thread. */
#ifndef PS_COMPRESS_STORE_PLAN_H
#define PS_COMPRESS_STORE_PLAN_H

#include "common/compress/plan.h"

enum { PS_SUM_NAME = 32 };
#define PS_TOKENS_NAME "psd.tokens" /* [2]: calibration, held out */

/* Is it solved, or copied from the parent as it is? */
static inline bool ps_plan_solves(const ps_plan_tensor *tensor)
{
    return tensor->solves;
}
/* Words of 32 bits that its bytes take, in the largest form that it may get; what they have too
 * much is 0. So psd's store is made once, before anything is measured, and the windows that measure
 * use the same sums as those that solve; what it takes more is the difference between the target's
 * size and the largest. */
uint64_t ps_plan_words(const ps_plan_tensor *tensor);

/* How many tokens a number of PS_TOKENS_NAME means; it was added up by workers, and may be
 * anything: PS_FAILED_PRECONDITION. */
PS_MUST_CHECK ps_status ps_plan_tokens(float said, uint64_t *out);
const char *ps_plan_sum_name(size_t slot, bool held_out, char out[PS_SUM_NAME]);
/* Inputs of the window that has most. */
size_t ps_plan_slots(const ps_plan *plan);
/* Numbers of a slot: of the largest input that comes to it. */
uint64_t ps_plan_slot_numbers(const ps_plan *plan, size_t slot);
/* The window that sums this input; its slot is input - window->first. */
size_t ps_plan_window_of(const ps_plan *plan, size_t input);
/* Epochs of the calibration rows: each window's, and with a target those of all windows before, in
 * which forms are measured, on what the stored model makes: epoch e is window e mod n_windows. */
uint32_t ps_plan_epochs(const ps_plan *plan);
/* In what turn a tensor is solved: 0: before all calibration, from 1: after window turn - 1 is
 * summed; of one that folds factors, after theirs is. What shares units that are removed is solved
 * in one turn: until then the model has all of them. */
size_t ps_plan_turn(const ps_plan *plan, const ps_plan_tensor *tensor);

#endif
