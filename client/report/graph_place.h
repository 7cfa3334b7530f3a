/* graph_place: where the nodes of a folded graph stand in its picture. No engine is needed: a model
 * is a chain of rows, with the residual stream as a line beside it. Pure. One thread (not asserted:
 * psctl has no other). */
#ifndef PS_REPORT_GRAPH_PLACE_H
#define PS_REPORT_GRAPH_PLACE_H

#include "client/report/fold.h"

/* In units of the picture, which are pixels at its own size. */
enum {
    PS_PLACE_WIDTH = 440,
    PS_PLACE_STREAM = 28, /* the stream's x */
    PS_PLACE_LEFT = 58,   /* of cards beside it */
    PS_PLACE_RIGHT = 426,
    PS_PLACE_GAP = 16, /* between rows */
};

typedef enum ps_place_kind {
    PS_PLACE_CARD, /* has a weight, or is a group */
    PS_PLACE_PILL, /* has none */
    PS_PLACE_SUM,  /* a point on the stream */
} ps_place_kind;

typedef struct ps_place_box {
    ps_place_kind kind;
    int x, y, width, height;
} ps_place_box;

/* Around a block. */
typedef struct ps_place_frame {
    uint32_t group, times;
    int y, height;
} ps_place_frame;

/* Over the first row of a half. */
typedef struct ps_place_label {
    uint32_t group;
    int y;
} ps_place_label;

typedef struct ps_places {
    ps_place_box *boxes; /* of each node of the fold */
    ps_place_frame *frames;
    ps_place_label *labels;
    size_t n_frames, n_labels;
    bool stream; /* there is one */
    int height;
} ps_places;

ps_places *ps_places_of(const ps_fold *fold); /* freed with ps_places_free */
void ps_places_free(ps_places **places);

#endif
