/* cgroup: the folders of this process's control groups (cgroups(7)), versions 1 and 2.
 *
 * A limit holds for a group and all groups in it: a process has the least of its own group's and of
 * those above, as far as its mount shows them (in a container that is mostly one). Reads
 * proc/self/cgroup and proc/self/mountinfo below `root`, which is "" but for tests. Any thread.
 */
#ifndef PS_BASE_CGROUP_H
#define PS_BASE_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

/* folder: with the root, without a slash at its end. version 2 has all controllers in one tree. */
typedef void (*ps_cgroup_look)(void *user, const char *folder, int version);

/* Looks at the process's group for a controller ("memory", "cpu"), and then at those above. A
 * folder may be seen twice, and need not be there. */
void ps_cgroup_each(const char *root, const char *controller, ps_cgroup_look look, void *user);

/* The number in folder/name behind `key`, which may be ""; false: there is none (no such file, or
 * "max"). */
bool ps_cgroup_number(const char *folder, const char *name, const char *key, uint64_t *out);

#endif
