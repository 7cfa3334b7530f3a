#include "common/compress/store_plan.h"

#include "common/base/require.h"

#include <stdio.h>

uint64_t ps_plan_words(const ps_plan_tensor *tensor)
{
    return (tensor->room + 3) / 4;
}

uint32_t ps_plan_epochs(const ps_plan *plan)
{
    return (uint32_t)(plan->measures ? 2 * plan->n_windows : plan->n_windows);
}

ps_status ps_plan_tokens(float said, uint64_t *out)
{
    const float most = 0x1p53F;
    if (!(said >= 0 && said <= most)) /* NaN neither */
        return ps_fail(PS_FAILED_PRECONDITION, "sums of %g tokens, which no calibration makes",
                       (double)said);
    *out = (uint64_t)said;
    return PS_OK;
}

const char *ps_plan_sum_name(size_t slot, bool held_out, char out[PS_SUM_NAME])
{
    (void)snprintf(out, PS_SUM_NAME, held_out ? "psd.held.%zu" : "psd.sum.%zu", slot);
    return out;
}

size_t ps_plan_slots(const ps_plan *plan)
{
    size_t most = 0;
    for (size_t i = 0; i < plan->n_windows; i++) {
        size_t n = plan->windows[i].end - plan->windows[i].first;
        most = n > most ? n : most;
    }
    return most;
}

uint64_t ps_plan_slot_numbers(const ps_plan *plan, size_t slot)
{
    uint64_t most = 0;
    for (size_t i = 0; i < plan->n_windows; i++) {
        size_t input = plan->windows[i].first + slot;
        if (input < plan->windows[i].end && plan->inputs[input].numbers > most)
            most = plan->inputs[input].numbers;
    }
    return most;
}

size_t ps_plan_window_of(const ps_plan *plan, size_t input)
{
    size_t i = 0;
    while (i < plan->n_windows && input >= plan->windows[i].end)
        i++;
    PS_REQUIRE(i < plan->n_windows && input >= plan->windows[i].first);
    return i;
}

size_t ps_plan_turn(const ps_plan *plan, const ps_plan_tensor *tensor)
{
    size_t input = tensor->input != PS_PLAN_NO_INPUT ? tensor->input : tensor->folds;
    if (tensor->moves)
        input = plan->units[0].input;
    for (size_t i = 0; i < tensor->n_members && input == PS_PLAN_NO_INPUT; i++)
        input = plan->units[tensor->members[i].units].input;
    return input == PS_PLAN_NO_INPUT ? 0 : 1 + ps_plan_window_of(plan, input);
}
