/* texts: token files (common/format/token_file.h) as rows that are documents: what models of texts
 * read.
 *
 * Row i is document i: its tokens, PS_TOKEN_SECOND added to those of a second text, and -1 behind
 * the last where the row is longer. Of a document that does not fit into a row tokens are left out
 * in front of its last one, which a tokenizer puts at an end; of a pair each text loses some so,
 * the longer one first. Its label is the class that the file has for it. Only rows that are asked
 * for are read; where documents begin is kept in memory. */
#ifndef PS_WORKER_DATA_TEXTS_H
#define PS_WORKER_DATA_TEXTS_H

#include "worker/data/reader.h"

extern const ps_reader ps_reader_texts;

#endif
