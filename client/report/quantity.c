/* The table, and where a value is between the least and the most. Cannot fail. */
#include "client/report/quantity.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static double bytes_of(const ps_fold_sum *s)
{
    return s->numbers ? (double)s->bytes : NAN;
}

static double flops_of(const ps_fold_sum *s)
{
    return s->flops > 0 ? s->flops : NAN;
}

static double bits_of(const ps_fold_sum *s)
{
    return s->numbers ? 8.0 * (double)s->bytes / (double)s->numbers : NAN;
}

static double numbers_of(const ps_fold_sum *s)
{
    return s->numbers ? (double)s->numbers : NAN;
}

ps_human ps_flops_text(double flops)
{
    static const char *const units[] = {"", "k", "M", "G", "T", "P", "E"};
    ps_human out = {.text = ""};
    if (!(flops > 0))
        return out;
    size_t unit = 0;
    while (flops >= 999.5 && unit + 1 < sizeof units / sizeof *units) {
        flops /= 1000;
        unit++;
    }
    (void)snprintf(out.text, sizeof out.text,
                   flops < 9.995 && unit   ? "%.2f %sFLOP"
                   : flops < 99.95 && unit ? "%.1f %sFLOP"
                                           : "%.0f %sFLOP",
                   flops, units[unit]);
    return out;
}

static ps_human bits_text(double bits)
{
    ps_human out;
    (void)snprintf(out.text, sizeof out.text, "%.3g bits", bits);
    return out;
}

static const ps_quantity rows[] = {
    {"bytes", "bytes as stored", "byte", true, true, false, bytes_of, ps_human_bytes},
    {"flops", "FLOPs of a row or token", "FLOP", true, true, false, flops_of, ps_flops_text},
    {"bits", "bits of a stored number", "bit", false, false, false, bits_of, bits_text},
    {"parameters", "parameters", "", true, true, false, numbers_of, ps_human_count},
};

const ps_quantity *const ps_quantities[] = {&rows[0], &rows[1], &rows[2], &rows[3], NULL};
const char *const ps_quantity_names[] = {"bytes", "flops", "bits", "parameters", NULL};

const ps_quantity *ps_quantity_find(const char *name)
{
    for (size_t i = 0; ps_quantities[i]; i++)
        if (!strcmp(ps_quantities[i]->name, name))
            return ps_quantities[i];
    return NULL;
}

ps_scale ps_scale_of(const ps_quantity *quantity, const ps_fold *fold)
{
    ps_scale scale = {.quantity = quantity, .least = INFINITY, .most = -INFINITY};
    for (size_t i = 0; i < fold->n_nodes; i++) {
        double v = quantity->of(&fold->nodes[i].one);
        if (!isfinite(v))
            continue;
        scale.any = true;
        scale.least = fmin(scale.least, v);
        scale.most = fmax(scale.most, v);
    }
    if (!scale.any)
        scale.least = scale.most = 1;
    return scale;
}

double ps_scale_place(const ps_scale *scale, double value)
{
    if (!isfinite(value))
        return NAN;
    double least = scale->least, most = scale->most;
    if (!(most > least))
        return 0.5;
    double place = scale->quantity->log ? log(value / least) / log(most / least)
                                        : (value - least) / (most - least);
    return fmin(fmax(place, 0), 1);
}

ps_rgb ps_scale_colour(const ps_scale *scale, double place)
{
    return scale->quantity->with_sign ? ps_palette_diverging(2 * place - 1)
                                      : ps_palette_sequential(place);
}
