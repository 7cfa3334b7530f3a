/* text: a peer's words, made fit for messages and terminals. Pure. */
#ifndef PS_SCHED_TEXT_H
#define PS_SCHED_TEXT_H

/* Replaces, in place, each control character and each byte that is not of well-formed UTF-8
 * (RFC 3629) by '?': a protobuf string must be UTF-8, and a cut may have fallen inside a character.
 */
void ps_text_clean(char *text);

#endif
