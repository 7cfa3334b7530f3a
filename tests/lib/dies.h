/* dies: that something ends the process, as PS_REQUIRE does, and what it says. */
#ifndef PS_TEST_DIES_H
#define PS_TEST_DIES_H

#include <stddef.h>

enum { PS_DIES_SAID = 1024 };

/* What a process that does this writes to standard error; it must be ended by abort. */
void ps_test_dies(void (*act)(void), char said[PS_DIES_SAID]);

#endif
