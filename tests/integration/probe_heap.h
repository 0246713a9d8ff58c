/* probe_heap.h - memory for libcurl and OpenSSL in a probe: so that what is found
 * elsewhere is ours. */
#pragma once

/* Gives both an allocator that erases what they free, from a mapping of its own that
 * core dumps leave out. */
void probe_heap_install(void);
/* A copy in that mapping. */
char *probe_heap_copy(const char *text);
