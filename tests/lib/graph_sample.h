/* graph_sample: graphs of small models, for tests of who reads them. */
#ifndef PS_TESTS_GRAPH_SAMPLE_H
#define PS_TESTS_GRAPH_SAMPLE_H

#include "common/model/graph.h"

#define SAMPLE_GPT2                                                                          \
    "{architecture: gpt2, vocab_size: 11, context_length: 8, hidden_size: 6, num_layers: 2," \
    " num_heads: 2}"
#define SAMPLE_LLAMA                                                                            \
    "{architecture: llama, vocab_size: 64, context_length: 16, hidden_size: 32, num_layers: 3," \
    " num_heads: 4, num_kv_heads: 2, intermediate_size: 64}"
#define SAMPLE_MLP "{architecture: mlp, layers: [12, 8, 3], activation: relu}"

/* The tensors of the configuration, all float32 but those of which form_of says otherwise (NULL:
 * none does). change: NULL, or may do what it likes to the list before the graph is made. */
typedef struct sample_list {
    ps_graph_given *given;
    uint64_t (*shapes)[2];
    char (*names)[PS_LM_NAME];
    size_t n;
} sample_list;

ps_status sample_graph(const char *config, const char *(*form_of)(const char *name),
                       ps_graph_cuts cuts, void (*change)(sample_list *list), ps_graph **out);

#endif
