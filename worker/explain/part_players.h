/* part_players: parts of a model that may be missing from a pass: column blocks of one matrix,
 * attention and mlps of language models' blocks, or heads. What a missing one gives is zeros: of a
 * column block its P (cut_matrix.h), of a half all that it adds to the stream, its bias included,
 * of a head its z. Everywhere in the row. One thread (not asserted: the model's, which asserts it).
 */
#ifndef PS_EXPLAIN_PART_PLAYERS_H
#define PS_EXPLAIN_PART_PLAYERS_H

#include "worker/explain/cut_matrix.h"

enum { PS_PART_PLAYERS_MAX = 12 }; /* 4096 coalitions */

typedef struct ps_part_player {
    ps_tap tap;
    size_t begin, end;       /* its columns there; of a block: of the matrix */
    size_t number, of_layer; /* block, head, or 0 of attention and 1 of an mlp */
} ps_part_player;

typedef struct ps_part_players {
    unsigned kind; /* ps_explain_players */
    ps_part_player player[PS_PART_PLAYERS_MAX];
    size_t n;
    ps_cut_matrix matrix; /* of blocks; else zeros */
} ps_part_players;

/* PS_INVALID_ARGUMENT: keys of the entry that do not go together, no such tensor or layer, or more
 * players than a game may have; the text says what there is. Freed with _free, also after a
 * failure. */
PS_MUST_CHECK ps_status ps_part_players_open(const ps_explaining *x,
                                             const ps_spec_explain_method *spec,
                                             ps_part_players *out);
void ps_part_players_free(const ps_explaining *x, ps_part_players *players);

/* At a tap: values[rows, columns], which a pass has there, of one row of the batch, without those
 * players whose bits are not in `there`. parts: of blocks, what ps_cut_matrix_parts has left, for
 * one row of the data; else NULL. */
void ps_part_players_apply(const ps_part_players *players, size_t there, ps_tap tap,
                           const float *parts, float *values, size_t rows, size_t columns);
/* Is anything of theirs there? */
bool ps_part_players_at(const ps_part_players *players, ps_tap tap);

#endif
