#pragma once
#include <stddef.h>

// free(3) and realloc(3) that erase first. Linked into executables only: it replaces the C library's
// for the whole process, so a library must not bring it.

/// 1 if a block that was freed had been erased by then, found by looking; 0 under a sanitizer, which
/// brings an allocator of its own, and in a test build that wipes nothing.
int ch_wiping_free_is_linked(void);

/// Gives freed memory back to the system, where there is more of it than `kept` bytes. The C library keeps what many
/// large requests needed, for good.
void ch_give_back(size_t kept);
