#define _GNU_SOURCE
#include "CWipingFree.h"

#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef __has_feature
#define __has_feature(feature) 0
#endif

// A sanitizer's allocator keeps blocks that glibc's free does not know. CHATELAINE_TEST_UNWIPED: see Package.swift.
#if defined(CHATELAINE_TEST_UNWIPED) || __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer) || \
    defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

int ch_wiping_free_is_linked(void) { return 0; }

#else

// malloc, calloc and memalign stay glibc's: they free nothing. reallocarray calls realloc.
extern void *__libc_malloc(size_t);
extern void __libc_free(void *);

void free(void *block) {
  if (!block) return;
  int reason = errno;
  explicit_bzero(block, malloc_usable_size(block));
  __libc_free(block);
  errno = reason;
}

void *realloc(void *block, size_t count) {
  if (!block) return __libc_malloc(count);
  if (count == 0) {
    free(block);
    return NULL;
  }
  size_t usable = malloc_usable_size(block);
  // Shrinking by less than half stays in place, as glibc's would; free erases the whole block later.
  if (count <= usable && count >= usable / 2) return block;
  void *moved = __libc_malloc(count);
  if (!moved) return NULL;
  memcpy(moved, block, usable < count ? usable : count);
  free(block);
  return moved;
}

int ch_wiping_free_is_linked(void) {
  enum { COUNT = 256, ALLOCATOR_OWN = 32 };  // glibc links freed blocks through their first bytes
  void *(*volatile allocate)(size_t) = malloc;
  void (*volatile release)(void *) = free;
  volatile uint8_t *block = allocate(COUNT);
  if (!block) return 0;
  for (size_t i = 0; i < COUNT; i++) block[i] = 0xA5;
  release((void *)block);
  for (size_t i = ALLOCATOR_OWN; i < COUNT; i++)
    if (block[i] == 0xA5) return 0;
  return 1;
}

#endif

void ch_give_back(size_t kept) {
  if (mallinfo2().fordblks > kept) malloc_trim(0);
}
