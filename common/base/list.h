/* list: an intrusive doubly linked list. The node is a member of what it links; the head is a node
 * that belongs to nobody. No allocation. Not thread-safe (not asserted: a list does not know
 * what it is of).
 *
 *     ps_list_each(node, &head) { lease *l = ps_container(node, lease, link); ... }
 */
#ifndef PS_BASE_LIST_H
#define PS_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct ps_list {
    struct ps_list *prev, *next;
} ps_list;

#define ps_container(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define ps_list_each(node, head) \
    for (ps_list *node = (head)->next; node != (head); node = node->next)
/* The body may remove (or free) the node it is at. */
#define ps_list_each_safe(node, head)                                             \
    for (ps_list *node = (head)->next, *node##_next = node->next; node != (head); \
         node = node##_next, node##_next = node->next)

static inline void ps_list_init(ps_list *head)
{
    head->prev = head->next = head;
}

static inline bool ps_list_empty(const ps_list *head)
{
    return head->next == head;
}

static inline void ps_list_append(ps_list *head, ps_list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

/* Safe to call twice: the node points to itself afterwards. */
static inline void ps_list_remove(ps_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    ps_list_init(node);
}

#endif
