/* tokens: token files (common/format/token_file.h) as rows of a fixed length.
 *
 * Row i is tokens [i·length, (i + 1)·length), and its label the same one token further on, or -1
 * where that one is marked as given (a prompt's), or, with data.documents: apart, as the first of a
 * document, whose beginnings the file must mark then; so a file of n tokens has (n - 1) / length
 * rows, and what is left at its end is not used. Only rows that are asked for are read: the page
 * cache is the only copy of the file. */
#ifndef PS_WORKER_DATA_TOKENS_H
#define PS_WORKER_DATA_TOKENS_H

#include "worker/data/reader.h"

extern const ps_reader ps_reader_tokens;

#endif
