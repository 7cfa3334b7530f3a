/* rope: rotary positions (Su 2021) as a model has them: the angle of a pair of numbers at a
 * position is the position times the pair's frequency, theta^(-2i/n) of pair i of the n numbers
 * that are turned. Models whose context was made longer than they were trained on have other
 * frequencies, by a type of scaling: one row of the table in rope.c each, under the names of
 * Hugging Face. All in float64. Pure; any thread.
 */
#ifndef PS_ARCH_ROPE_H
#define PS_ARCH_ROPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ps_rope_type {
    PS_ROPE_DEFAULT,
    PS_ROPE_LINEAR,
    PS_ROPE_DYNAMIC,
    PS_ROPE_LLAMA3,
    PS_ROPE_YARN,
    PS_ROPE_TYPES,
} ps_rope_type;

/* Of a model section; numbers that the type does not take have their defaults. */
typedef struct ps_rope_spec {
    double theta;
    unsigned type;            /* ps_rope_type */
    double factor;            /* how much longer the context became; 0: not said (default) */
    int64_t original_context; /* tokens that the model was trained on; 0: its context_length */
    double low_freq_factor;   /* llama3: waves longer than original / low are stretched, */
    double high_freq_factor;  /* shorter than original / high are not, and others partly */
    double beta_fast;         /* yarn: pairs that turn so often within the original are not, */
    double beta_slow;         /* those that turn less often than this are */
    double attention_factor;  /* yarn: times cos and sin; 0: 1 + log(factor) / 10 */
    double share;             /* of a head's numbers that is turned, the first of them; 0: all */
    double local_theta; /* of blocks whose queries see a window, and without scaling; 0: theta */
} ps_rope_spec;

/* "default", "linear", …, to a NULL. */
extern const char *const ps_rope_type_names[];

/* Does the type take this key of the model section ("rope_factor")? */
bool ps_rope_takes(unsigned type, const char *key);

/* How many of a head's numbers are turned; even when head_dim is, and share says all. */
int64_t ps_rope_turned(const ps_rope_spec *rope, int64_t head_dim);
/* A share of which ps_rope_turned makes this many, 1 to head_dim. */
double ps_rope_share(int64_t turned, int64_t head_dim);
/* What blocks have whose queries see a window; *rope itself unless it says another theta. */
ps_rope_spec ps_rope_local(const ps_rope_spec *rope);

/* frequencies[turned/2] of each pair, of a head of which `turned` numbers (even) are turned, in a
 * model of this context; *scale: what cos and sin are multiplied with. */
void ps_rope_frequencies(const ps_rope_spec *rope, int64_t turned, int64_t context,
                         double *frequencies, double *scale);

/* By how much llama.cpp has to divide the frequencies of default (its tensor rope_freqs.weight), in
 * float32: factors[turned/2]. Of llama3; others have keys of their own there. */
void ps_rope_factors(const ps_rope_spec *rope, int64_t turned, int64_t context, float *factors);
/* Are these its factors, but for what float32 rounds? original_context is said. */
bool ps_rope_gives(const ps_rope_spec *rope, const float *factors, int64_t turned);
/* The reverse: what of llama3's numbers gives these factors; theta of *rope is known. Those numbers
 * say the same when they are all so many times as large: low is 1. false: there are none. */
bool ps_rope_of_factors(const float *factors, int64_t turned, ps_rope_spec *rope);

#endif
